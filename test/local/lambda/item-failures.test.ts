import { describe, expect, it } from 'vitest';
import { failedItems } from '../../../local/lambda/item-failures.ts';

const BATCH = ['1', '2', '3'];
const REPORTS = ['ReportBatchItemFailures'];
const failed = (answer: unknown, responseTypes?: string[]) => [
  ...failedItems(BATCH, { ok: true, payload: JSON.stringify(answer) }, responseTypes),
];
const reported = (...itemIdentifiers: unknown[]) => ({
  batchItemFailures: itemIdentifiers.map((itemIdentifier) => ({ itemIdentifier })),
});

describe('A partial batch response decides which items are retried', () => {
  it('a partial batch response fails only the items that it names', () => {
    expect(failed(reported('3', '2'), REPORTS)).toEqual(['3', '2']);
  });

  it.each([[null], [''], [[]], [{}], [{ batchItemFailures: null }], [{ batchItemFailures: [] }]])(
    'a partial batch response does not fail any item if it is %j',
    (answer) => {
      expect(failed(answer, REPORTS)).toEqual([]);
    },
  );

  it.each([
    [reported('')],
    [reported(null)],
    [reported(undefined)],
    [reported(2)],
    [reported('4')],
    [reported('1', '4')],
    [{ batchItemFailures: [{ itemId: '1' }] }],
    [{ batchItemFailures: [null] }],
    [{ batchItemFailures: '1' }],
  ])('a partial batch response fails the whole batch if it is %j', (answer) => {
    expect(failed(answer, REPORTS)).toEqual(BATCH);
  });

  it('a partial batch response has no effect unless the event source mapping turns partial batch responses on', () => {
    expect(failed(reported('1'))).toEqual([]);
    expect(failed(reported('4'), [])).toEqual([]);
  });

  it('a partial batch response is ignored if the function failed', () => {
    const outcome = { ok: false, error: { errorType: 'Error', errorMessage: 'no' } } as const;
    expect([...failedItems(BATCH, outcome)]).toEqual(BATCH);
  });
});
