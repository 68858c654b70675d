/**
 * The names of the metrics that functions write and infra watches, and of their common dimension. Import it whole, as
 * `METRIC`, so that a bundle contains only the names that its function writes.
 */

export const namespace = 'DeploymentApiKeys';
/** Its value is the name of the stack, which separates several stacks in one account. */
export const dimension = 'stack';
/** Calls of /oauth/* that failed with invalid_client. */
export const refusedAuthentications = 'RefusedAuthentications';
/** Checks that denied the call. A second dimension, `reason`, says why. */
export const checksRefused = 'ChecksRefused';
/** Checks that failed with an error, and so with a 500, because the store gave no certain answer. */
export const checksFailed = 'ChecksFailed';
/** Access tokens issued for keys. */
export const tokensIssued = 'TokensIssued';
/** Items deleted by purges, counted at the end of each purge. */
export const itemsPurged = 'ItemsPurged';
/** Milliseconds from the deletion of a Deployment or key to the end of its purge. */
export const purgeLag = 'PurgeLag';
/** Purge markers older than five minutes, counted at each sweep. */
export const oldPurgeMarkers = 'OldPurgeMarkers';
/** Deleted generations of Deployments that had items left and no purge in progress, counted at each slice of a pass. */
export const orphansFound = 'OrphansFound';
/** Deployments that differed from their source and were repaired, counted at each slice of a comparison. */
export const deploymentsMended = 'DeploymentsMended';
/** Reads of malformed items, which means that someone has damaged an item of the table. */
export const malformedItems = 'MalformedItems';
