/**
 * The partition keys of items. The IAM conditions and stream filters in infra use them too. Import the module as a
 * namespace, so that a bundle contains only the keys that it uses.
 */

export const deployment = (id: string) => `DEPLOYMENT#${id}`;
export const events = (deploymentId: string) => `EVENTS#${deploymentId}`;
/** Partition for a used subject token. Each token has its own partition. */
export const subject = (hash: string) => `SUBJECT#${hash}`;
/**
 * Partition for the record of a person whose access was ended, and for the keys that the record's job found. Each
 * person has their own partition.
 */
export const person = (hash: string) => `PERSON#${hash}`;
/** The list of people whose access was ended, and the markers of their unfinished jobs. */
export const people = 'PEOPLE';
/** The directory of Deployments, which makes it possible to list them with one Query. */
export const directory = 'DEPLOYMENTS';
/**
 * Partition for the entries of the Deployments of a group, so that a member's listing costs in proportion to what the
 * member can see.
 */
export const group = (name: string) => `GROUP#${name}`;
/** The progress of restores. */
export const restores = 'RESTORES';
export const purges = 'PURGES';
/** The latest row of each Deployment in a followed table. */
export const sources = 'SOURCES';
/** The position of reconciliation. */
export const passes = 'RECONCILIATION';
/** The number of Deployments deleted by changes to a followed table. */
export const deletions = 'DELETIONS';
/** Counts of rejected management calls, until the sweep moves them into the events of their Deployments. */
export const rejectedCalls = 'REJECTED_CALLS';
