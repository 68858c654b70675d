import type { Outcome } from './worker-pool.ts';

/**
 * Reads which items of a batch failed: from the invocation's result, and from the partial batch response if the mapping
 * enables these. A response that names anything but items of the batch fails the whole batch.
 *
 * @param items identifiers of the batch's items
 * @param responseTypes `FunctionResponseTypes` of the event source mapping
 */
export function failedItems(
  items: readonly string[],
  outcome: Outcome,
  responseTypes: readonly string[] = [],
): ReadonlySet<string> {
  if (!outcome.ok) return new Set(items);
  if (!responseTypes.includes('ReportBatchItemFailures')) return new Set();
  const reported: unknown = JSON.parse(outcome.payload)?.batchItemFailures ?? [];
  if (!Array.isArray(reported)) return new Set(items);
  const failed: string[] = reported.map((failure) => failure?.itemIdentifier);
  return new Set(failed.every((item) => items.includes(item)) ? failed : items);
}
