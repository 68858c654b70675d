import type { InvocationResult } from './worker-pool.ts';

/**
 * Determines which items in a batch failed, from the invocation's result and, if the mapping enables partial batch
 * responses, from the response. If a response names anything other than items in the batch, the whole batch fails.
 *
 * @param items identifiers of the batch's items
 * @param responseTypes `FunctionResponseTypes` of the event source mapping
 */
export function failedItems(
  items: readonly string[],
  outcome: InvocationResult,
  responseTypes: readonly string[] = [],
): ReadonlySet<string> {
  if (!outcome.ok) return new Set(items);
  if (!responseTypes.includes('ReportBatchItemFailures')) return new Set();
  const reported: unknown = JSON.parse(outcome.payload)?.batchItemFailures ?? [];
  if (!Array.isArray(reported)) return new Set(items);
  const failed: string[] = reported.map((failure) => failure?.itemIdentifier);
  return new Set(failed.every((item) => items.includes(item)) ? failed : items);
}
