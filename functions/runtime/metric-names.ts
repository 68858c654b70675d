/**
 * The names of the metrics that functions write and infra watches, and of the dimension that all have. Imported
 * whole, as `METRIC`: a bundle then holds the names that its function writes.
 */

export const namespace = 'DeploymentApiKeys';
/** Its value is the name of the stack, so that two stacks in an account do not mix. */
export const dimension = 'stack';
/** Calls of /oauth/* that ended in invalid_client. */
export const refusedAuthentications = 'RefusedAuthentications';
/** Checks that ended in a refusal; a second dimension, `reason`, says why. */
export const checksRefused = 'ChecksRefused';
/** Checks that ended in an error, and so in a 500: the store gave no certain answer. */
export const checksFailed = 'ChecksFailed';
/** Access tokens that keys were swapped for. */
export const tokensIssued = 'TokensIssued';
/** Items that purges deleted, counted when a purge has ended. */
export const itemsPurged = 'ItemsPurged';
/** Milliseconds from the removal of a Deployment or key to the end of its purge. */
export const purgeLag = 'PurgeLag';
/** Purge markers older than five minutes, counted at each sweep. */
export const oldPurgeMarkers = 'OldPurgeMarkers';
/** Lives of Deployments that were over, with items left and no purge on its way, counted at each slice of a pass. */
export const orphansFound = 'OrphansFound';
/** Deployments that were not what their source says, counted at each slice of a comparison. */
export const deploymentsMended = 'DeploymentsMended';
/** Reads of malformed items: somebody has damaged an item of the table. */
export const malformedItems = 'MalformedItems';
