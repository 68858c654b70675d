/** How the partition and sort keys of items begin. infra's IAM conditions and stream filters name them too. */

/** Partition keys. */
export const PARTITION = {
  deployment: (id: string) => `DEPLOYMENT#${id}`,
  events: (deploymentId: string) => `EVENTS#${deploymentId}`,
  /** Subject tokens that were used, one a partition. */
  subject: (hash: string) => `SUBJECT#${hash}`,
  /** The directory: a listing of Deployments is one Query. */
  directory: 'DEPLOYMENTS',
  purges: 'PURGES',
  /** What was last heard of each Deployment from a table of the platform. */
  sources: 'SOURCES',
  /** How far reconciliation has come. */
  passes: 'RECONCILIATION',
  /** Rejected management calls, counted until the sweep moves them into the events of their Deployments. */
  rejectedCalls: 'REJECTED_CALLS',
} as const;

/** Sort keys in the partition of a Deployment: its own whole, and how those of other items begin. */
export const SORT = {
  deployment: 'DEPLOYMENT',
  key: 'KEY#',
  token: 'TOKEN#',
  grant: 'GRANT#',
  idempotency: 'IDEM#',
} as const;
