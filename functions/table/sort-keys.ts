/**
 * The sort keys in a Deployment's partition: the key of the Deployment's own item, and the prefixes of all other items.
 * Import the module as a namespace.
 */

export const deployment = 'DEPLOYMENT';
export const key = 'KEY#';
export const token = 'TOKEN#';
export const temporaryToken = 'GRANT#';
export const idempotency = 'IDEM#';
