/**
 * The names of the environment variables that infra sets and functions read. Both use this list, so that the names
 * always match. Import it whole, as `ENV`, so that a bundle contains only the names that its function reads.
 */

/** Name of the one DynamoDB table. */
export const tableName = 'TABLE_NAME';
/** Name of the stack, which is the dimension of its metrics. */
export const stackName = 'STACK_NAME';
/** Whole seconds that a token is valid after a use (G2). */
export const tokenLifetime = 'TOKEN_LIFETIME_SECONDS';
/**
 * Whole seconds by which an extension may be late, so that a burst of uses costs one write. With 0, expiry is exact.
 */
export const slideInterval = 'SLIDE_INTERVAL_SECONDS';
/** Whole seconds after its issue at which a token expires regardless of use; unset means no limit. */
export const maxTokenLifetime = 'MAX_TOKEN_LIFETIME_SECONDS';
/** Whole days without use after which a key is rejected; unset means never. */
export const maxIdleDays = 'MAX_IDLE_DAYS';
/** How much is recorded of where a key was used from: full, truncated or off. */
export const lastUsedFrom = 'LAST_USED_FROM';
/** Scopes that the stack defines, separated by spaces. */
export const scopes = 'SCOPES';
/** Claim of people's access tokens that lists their groups. */
export const groupsClaim = 'GROUPS_CLAIM';
/** Group whose members are administrators; unset means none. */
export const adminGroup = 'ADMIN_GROUP';
/** Scope whose holders are administrators; unset means none. */
export const adminScope = 'ADMIN_SCOPE';
/** ARNs of the IAM roles and users that may call under /platform, separated by spaces; unset means none. */
export const platformPrincipals = 'PLATFORM_PRINCIPALS';
/** The OIDC issuer that signs people in to the console. */
export const issuer = 'ISSUER';
/** OAuth client ID of the console, a public client. */
export const consoleClientId = 'CONSOLE_CLIENT_ID';
/** OAuth scopes that the console requests from the issuer, separated by spaces. */
export const consoleScopes = 'CONSOLE_SCOPES';
/** Origins other than the issuer's that signing in needs, separated by spaces; unset means none. */
export const consoleOrigins = 'CONSOLE_ORIGINS';
/** URL at which clients know the service; unset means the URL of API Gateway. */
export const publicUrl = 'PUBLIC_URL';
/** Issuers whose tokens keys can accept instead of a secret, separated by spaces; unset means none. */
export const trustedIssuers = 'TRUSTED_ISSUERS';
/** Name of the bus to which the service sends events. */
export const eventBusName = 'EVENT_BUS_NAME';
/** URL of the queue through which a purge that ran out of time continues. */
export const continuationQueueUrl = 'CONTINUATION_QUEUE_URL';
/** JSON that describes the table of Deployments that the service follows; unset means none. */
export const deploymentsSource = 'DEPLOYMENTS_SOURCE';
/** URL of the queue for changes of that table that break the rules of the service. */
export const refusedChangesQueueUrl = 'REFUSED_CHANGES_QUEUE_URL';
