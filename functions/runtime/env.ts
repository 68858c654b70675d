/**
 * The names of the environment variables that infra sets and functions read. One list, so that neither side
 * can misspell the other's. Imported whole, as `ENV`: a bundle then holds the names that its function reads.
 */

/** Name of the one DynamoDB table. */
export const tableName = 'TABLE_NAME';
/** Name of the stack: the one dimension of its metrics. */
export const stackName = 'STACK_NAME';
/** Whole seconds that access is valid from a use (G2). */
export const tokenLifetime = 'TOKEN_LIFETIME_SECONDS';
/** Whole seconds that a slide may be put off, so that a burst of uses is one write. 0: exact. */
export const slideInterval = 'SLIDE_INTERVAL_SECONDS';
/** Whole seconds from issue after which a token ends whatever its use; unset: no cap. */
export const maxTokenLifetime = 'MAX_TOKEN_LIFETIME_SECONDS';
/** Whole days without a use after which a key is refused; unset: never. */
export const maxIdleDays = 'MAX_IDLE_DAYS';
/** How much is kept of where a key was used from: full, truncated or off. */
export const lastUsedFrom = 'LAST_USED_FROM';
/** Scopes that the stack knows, separated by spaces. */
export const scopes = 'SCOPES';
/** Claim of a person's access token that lists groups. */
export const groupsClaim = 'GROUPS_CLAIM';
/** Group whose members are administrators; unset: nobody is by group. */
export const adminGroup = 'ADMIN_GROUP';
/** Scope whose holders are administrators; unset: nobody is by scope. */
export const adminScope = 'ADMIN_SCOPE';
/** ARNs of the IAM roles and users that may call under /platform, separated by spaces; unset: none. */
export const platformPrincipals = 'PLATFORM_PRINCIPALS';
/** The OIDC issuer that signs people in to the console. */
export const issuer = 'ISSUER';
/** The public client with which the console signs people in. */
export const consoleClientId = 'CONSOLE_CLIENT_ID';
/** OAuth scopes that the console asks of the issuer, separated by spaces. */
export const consoleScopes = 'CONSOLE_SCOPES';
/** Origins beside the issuer's own that sign-in needs, separated by spaces; unset: none. */
export const consoleOrigins = 'CONSOLE_ORIGINS';
/** URL under which clients know the service; unset: the one that API Gateway served the request for. */
export const publicUrl = 'PUBLIC_URL';
/** Issuers whose tokens can open a key in place of a secret, separated by spaces; unset: none. */
export const trustedIssuers = 'TRUSTED_ISSUERS';
/** Name of the bus on which the service tells what happened. */
export const eventBusName = 'EVENT_BUS_NAME';
/** URL of the queue through which a purge that ran out of time goes on. */
export const continuationQueueUrl = 'CONTINUATION_QUEUE_URL';
/** JSON of the table of Deployments that the service follows; unset: there is none. */
export const deploymentsSource = 'DEPLOYMENTS_SOURCE';
/** URL of the queue in which changes of that table are set aside that our rules refuse. */
export const refusedChangesQueueUrl = 'REFUSED_CHANGES_QUEUE_URL';
