/**
 * The names of the environment variables that infra sets and functions read. One list, so that neither side
 * can misspell the other's.
 */
export const ENV = {
  /** Name of the one DynamoDB table. */
  tableName: 'TABLE_NAME',
  /** Name of the stack: the one dimension of its metrics. */
  stackName: 'STACK_NAME',
  /** Whole seconds that access is valid from a use (G2). */
  tokenLifetime: 'TOKEN_LIFETIME_SECONDS',
  /** Whole seconds that a slide may be put off, so that a burst of uses is one write. 0: exact. */
  slideInterval: 'SLIDE_INTERVAL_SECONDS',
  /** Whole seconds from issue after which a token ends whatever its use; unset: no cap. */
  maxTokenLifetime: 'MAX_TOKEN_LIFETIME_SECONDS',
  /** Scopes that the stack knows, separated by spaces. */
  scopes: 'SCOPES',
  /** Claim of a person's access token that lists groups. */
  groupsClaim: 'GROUPS_CLAIM',
  /** Group whose members are administrators; unset: nobody is by group. */
  adminGroup: 'ADMIN_GROUP',
  /** Scope whose holders are administrators; unset: nobody is by scope. */
  adminScope: 'ADMIN_SCOPE',
  /** The OIDC issuer that signs people in to the console. */
  issuer: 'ISSUER',
  /** The public client with which the console signs people in. */
  consoleClientId: 'CONSOLE_CLIENT_ID',
  /** OAuth scopes that the console asks of the issuer, separated by spaces. */
  consoleScopes: 'CONSOLE_SCOPES',
  /** Origins beside the issuer's own that sign-in needs, separated by spaces; unset: none. */
  consoleOrigins: 'CONSOLE_ORIGINS',
  /** URL of the queue through which a purge that ran out of time goes on. */
  continuationQueueUrl: 'CONTINUATION_QUEUE_URL',
} as const;

/** The names of the metrics that functions write and infra watches, and of their one dimension. */
export const METRIC = {
  namespace: 'DeploymentApiKeys',
  /** Its value is the name of the stack, so that two stacks in an account do not mix. */
  dimension: 'stack',
  /** Calls of /oauth/* that ended in invalid_client. */
  refusedAuthentications: 'RefusedAuthentications',
} as const;
