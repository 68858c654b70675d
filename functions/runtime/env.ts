/**
 * Names of the environment variables that infra sets and functions read. Both infra and functions use this list, so
 * that the names always match. Import the module as a namespace, `ENV`, so that a bundle contains only the names that
 * its function reads.
 */

/** Name of the service's DynamoDB table. */
export const tableName = 'TABLE_NAME';
/** Name of the stack, used as the dimension of its metrics. */
export const stackName = 'STACK_NAME';
/** How long a token stays valid after each use, in whole seconds (G2). */
export const tokenLifetime = 'TOKEN_LIFETIME_SECONDS';
/**
 * How long a token can stay valid beyond tokenLifetime after its last use, in whole seconds. This tolerance lets a
 * burst of uses cost only one write. With 0, a token expires exactly tokenLifetime after its last use.
 */
export const slideInterval = 'SLIDE_INTERVAL_SECONDS';
/**
 * Maximum time for which a token is valid after it is issued, however often it is used, in whole seconds; unset means
 * no limit.
 */
export const maxTokenLifetime = 'MAX_TOKEN_LIFETIME_SECONDS';
/** Number of days without use after which the service rejects a key, as a whole number; unset means never. */
export const maxIdleDays = 'MAX_IDLE_DAYS';
/**
 * Maximum number of days from a key's creation or last rotation to its expiry, as a whole number; unset means no limit.
 */
export const maxKeyDays = 'MAX_KEY_DAYS';
/** `false` if people cannot create keys with a secret; unset if they can. */
export const keysWithSecrets = 'KEYS_WITH_SECRETS';
/** How much the service records about where each use of a key comes from: full, truncated or off. */
export const lastUsedFrom = 'LAST_USED_FROM';
/** Scopes that the stack defines, space-separated. */
export const scopes = 'SCOPES';
/** Claim in a person's access token that lists the person's groups. */
export const groupsClaim = 'GROUPS_CLAIM';
/** Claim in a person's access token that holds the person's name; unset if the service stores no names. */
export const nameClaim = 'NAME_CLAIM';
/** Group whose members are administrators; unset means no group. */
export const adminGroup = 'ADMIN_GROUP';
/** Scope whose holders are administrators; unset means no scope. */
export const adminScope = 'ADMIN_SCOPE';
/**
 * ARNs of the IAM roles and users that are allowed to call routes under /platform, space-separated; unset means none.
 */
export const platformPrincipals = 'PLATFORM_PRINCIPALS';
/** The OIDC issuer that signs people in. */
export const issuer = 'ISSUER';
/** OAuth client ID of the console, which is a public client. */
export const consoleClientId = 'CONSOLE_CLIENT_ID';
/** OAuth scopes that the console requests from the issuer, space-separated. */
export const consoleScopes = 'CONSOLE_SCOPES';
/** Origins that sign-in needs in addition to the issuer's, space-separated; unset means none. */
export const consoleOrigins = 'CONSOLE_ORIGINS';
/** URL that clients use for the service; unset means API Gateway's URL. */
export const publicUrl = 'PUBLIC_URL';
/**
 * Issuers whose tokens keys can accept instead of a secret: URLs separated by spaces, or a JSON array of entries; unset
 * means none.
 */
export const trustedIssuers = 'TRUSTED_ISSUERS';
/**
 * JSON object with the key sets of issuers whose keys are part of the stack. The value can be larger than Lambda's
 * environment, so the module that loads the function sets this variable.
 */
export const issuerKeys = 'ISSUER_KEYS';
/** Name of the bus to which the service sends events. */
export const eventBusName = 'EVENT_BUS_NAME';
/** URL of the queue for purges that ran out of time and must continue. */
export const continuationQueueUrl = 'CONTINUATION_QUEUE_URL';
/** Number of write units per second that this invocation of a job can use; unset means no limit. */
export const writeUnits = 'WRITE_UNITS_PER_SECOND';
/** URL of the queue for people whose access was ended and whose keys the job must find. */
export const peopleQueueUrl = 'PEOPLE_QUEUE_URL';
/** ID of the stack's own user pool; unset if people sign in with a different issuer. */
export const userPoolId = 'USER_POOL_ID';
/** JSON description of the Deployments table that the service follows; unset means no table. */
export const deploymentsSource = 'DEPLOYMENTS_SOURCE';
/** URL of the queue for changes to the followed table that violate the service's rules. */
export const refusedChangesQueueUrl = 'REFUSED_CHANGES_QUEUE_URL';
