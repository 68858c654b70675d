/** How long a caller waits for the table. */
export interface Patience {
  /** Milliseconds for one attempt, from sending to the whole answer. */
  attemptTimeout: number;
  /** Attempts in all. */
  attempts: number;
}

/** In front of every call of somebody's API: a quick no is better than a late one. */
export const CHECK_PATIENCE: Patience = { attemptTimeout: 400, attempts: 2 };

/** A person or a pipeline waits: three calls in a row, all of them late, still end before the function's 10 s. */
export const CALL_PATIENCE: Patience = { attemptTimeout: 1000, attempts: 3 };
/** Nobody waits for the purge, and it keeps the table busy itself. */
export const PURGE_PATIENCE: Patience = { attemptTimeout: 5000, attempts: 3 };

/** Errors by which DynamoDB says that it cannot answer now, and that it is worth asking again. */
export const TRANSIENT: ReadonlySet<string> = new Set([
  'InternalServerError',
  'LimitExceededException',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'ServiceUnavailable',
  'ThrottlingException',
  'TimeoutError',
  'TransactionInProgressException',
]);
