/**
 * Names of the metrics that functions write and infra monitors, and the name of their common dimension. Import the
 * module as a namespace, `METRIC`, so that a bundle contains only the names that its function writes.
 */

export const namespace = 'DeploymentApiKeys';
/** Dimension whose value is the name of the stack, which separates several stacks in one account. */
export const dimension = 'stack';
/** Number of calls to /oauth/* that failed with invalid_client. */
export const refusedAuthentications = 'RefusedAuthentications';
/** Number of checks that denied a call. A second dimension, `reason`, says why. */
export const checksRefused = 'ChecksRefused';
/**
 * Number of checks that failed with an error, and therefore with a 500, because the outcome of a store operation was
 * uncertain.
 */
export const checksFailed = 'ChecksFailed';
/** Number of API calls, apart from checks, to which the service responded with 500 or 503. */
export const callsFailed = 'CallsFailed';
/**
 * Number of events that a completed sweep of all keys wrote. The metric's sample count shows that the daily schedule
 * still runs.
 */
export const keysSwept = 'KeysSwept';
/** Number of access tokens issued for keys. */
export const tokensIssued = 'TokensIssued';
/** Number of items deleted by purges, recorded at the end of each purge. */
export const itemsPurged = 'ItemsPurged';
/** Time from the deletion of a Deployment or key to the end of its purge, in milliseconds. */
export const purgeLag = 'PurgeLag';
/** Number of purge markers older than five minutes, recorded at each sweep. */
export const oldPurgeMarkers = 'OldPurgeMarkers';
/**
 * Number of deleted Deployment generations that still had items but no purge in progress, recorded at each slice of a
 * pass.
 */
export const orphansFound = 'OrphansFound';
/** Number of Deployments that differed from their source and were corrected, recorded at each slice of a comparison. */
export const deploymentsCorrected = 'DeploymentsCorrected';
/**
 * Number of deletions that the limit for a followed table stopped, plus one for each run of reconciliation until a
 * person confirms the deletions.
 */
export const deletionsStopped = 'DeletionsStopped';
/** Number of reads of malformed items. A malformed item means that someone has damaged an item in the table. */
export const malformedItems = 'MalformedItems';
