/**
 * The parts of the items' primary keys. The IAM conditions and stream filters in infra use them too, on every release of
 * Node.js 20, so this module imports nothing.
 */

// The partition keys.
export const deploymentPartition = (id: string) => `DEPLOYMENT#${id}`;
export const eventsPartition = (deploymentId: string) => `EVENTS#${deploymentId}`;
/** Partition for a used subject token. Each token has its own partition. */
export const subjectPartition = (hash: string) => `SUBJECT#${hash}`;
/**
 * Partition for the record of a person whose access was ended, and for the keys that the record's job found. Each
 * person has their own partition.
 */
export const personPartition = (hash: string) => `PERSON#${hash}`;
/** The list of people whose access was ended, and the markers of their unfinished jobs. */
export const PEOPLE_PARTITION = 'PEOPLE';
/** The directory of Deployments, which makes it possible to list them with one Query. */
export const DIRECTORY_PARTITION = 'DEPLOYMENTS';
/**
 * Partition for the entries of the Deployments of a group, so that a member's listing costs in proportion to what the
 * member can see.
 */
export const groupPartition = (name: string) => `GROUP#${name}`;
/** The progress of restores. */
export const RESTORES_PARTITION = 'RESTORES';
export const PURGES_PARTITION = 'PURGES';
/** The latest row of each Deployment in a followed table. */
export const SOURCES_PARTITION = 'SOURCES';
/** The position of reconciliation. */
export const PASSES_PARTITION = 'RECONCILIATION';
/** The number of Deployments deleted by changes to a followed table. */
export const DELETIONS_PARTITION = 'DELETIONS';
/** Counts of rejected management calls, until the sweep moves them into the events of their Deployments. */
export const REJECTED_CALLS_PARTITION = 'REJECTED_CALLS';

// The sort keys in a Deployment's partition: the key of the Deployment's own item, and the prefixes of all other items.
export const DEPLOYMENT_SORT_KEY = 'DEPLOYMENT';
export const KEY_PREFIX = 'KEY#';
export const TOKEN_PREFIX = 'TOKEN#';
export const TEMPORARY_TOKEN_PREFIX = 'GRANT#';
export const IDEMPOTENCY_PREFIX = 'IDEM#';
