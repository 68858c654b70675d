import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Queue } from '../aws/sqs.ts';
import { REGION } from '../template.ts';
import { failedItems } from './item-failures.ts';
import type { InvocationResult, LocalFunction } from './worker-pool.ts';

/** A change to an item, in the engine's format. */
export interface StreamRecord {
  readonly eventID: string;
  readonly eventName: 'INSERT' | 'MODIFY' | 'REMOVE';
  readonly userIdentity?: object;
  readonly dynamodb: {
    /** When the change was made, in epoch seconds of this machine's clock. */
    readonly ApproximateCreationDateTime: number;
    readonly Keys: Readonly<Record<string, object>>;
    readonly NewImage?: Readonly<Record<string, object>>;
    readonly OldImage?: Readonly<Record<string, object>>;
    readonly SequenceNumber: string;
  };
}

/** A record that is being delivered to a function. */
export interface Delivery {
  readonly record: StreamRecord;
  readonly shardId: string;
  /** When the change was made, in epoch seconds of the stack's clock. */
  readonly createdAt: number;
  /** True once the record is delivered, filtered out or discarded, so that the stream's checkpoint can pass it. */
  isDone: boolean;
}

/** The settings for delivering batches, from the template's event source mapping. */
export interface DeliverySettings {
  readonly MaximumRetryAttempts?: number;
  readonly MaximumRecordAgeInSeconds?: number;
  readonly BisectBatchOnFunctionError?: boolean;
  readonly FunctionResponseTypes?: readonly string[];
}

/** A deliverer's stream, function and settings. */
export interface DelivererOptions {
  readonly settings: DeliverySettings;
  readonly function: LocalFunction;
  /** The stream ARN in the function's events. */
  readonly streamArn: string;
  readonly onFailure?: Queue | undefined;
  /** Returns the time of the stack's clock, in epoch milliseconds. */
  readonly now: () => number;
  readonly signal: AbortSignal;
}

const RETRY_DELAY = { first: 50, most: 2_000 };

/**
 * Delivers batches from one stream to one function. Retries and bisects batches that fail, and discards records that
 * keep failing.
 */
export class Deliverer {
  readonly #options: DelivererOptions;

  constructor(options: DelivererOptions) {
    this.#options = options;
  }

  /** Delivers a batch. Resolves when every record is done or when the stack stops. */
  async deliver(records: readonly Delivery[], attempt = 0): Promise<void> {
    const { settings, signal, function: target } = this.#options;
    const batch = this.#discardTooOld(records, attempt);
    if (batch.length === 0 || signal.aborted) return;
    this.#measureAge(batch);
    const outcome = await target.pool.invoke({ Records: batch.map((delivery) => this.#event(delivery)) });
    if (signal.aborted) return;
    if (!outcome.ok && outcome.isThrottled) {
      // A throttled batch did not reach the function, so it does not count as a retry.
      await sleep(RETRY_DELAY.most, undefined, { signal }).catch(() => {});
      return this.deliver(batch, attempt);
    }
    const failedAt = firstFailure(batch, outcome, settings);
    for (const delivery of batch.slice(0, failedAt)) delivery.isDone = true;
    const rest = batch.slice(failedAt);
    if (rest.length === 0) return;

    // On AWS, splitting a batch does not count as a retry. If the function reports failures, the batch is split at the
    // first record that the report names.
    const mayBisect = settings.BisectBatchOnFunctionError ?? false;
    if (mayBisect && failedAt > 0) return this.deliver(rest, attempt);
    if (mayBisect && rest.length > 1) {
      const half = Math.ceil(rest.length / 2);
      await this.deliver(rest.slice(0, half), attempt);
      return this.deliver(rest.slice(half), attempt);
    }
    return this.#retry(rest, attempt, outcome);
  }

  /** Delivers a failed batch again after a delay, or discards it after the last attempt. */
  async #retry(batch: readonly Delivery[], attempt: number, { ok }: InvocationResult): Promise<void> {
    const { settings, signal } = this.#options;
    const { MaximumRetryAttempts: most = -1 } = settings;
    if (most >= 0 && attempt >= most) {
      return this.#discard(batch, attempt + 1, 'RetryAttemptsExhausted', {
        statusCode: 200,
        executedVersion: '$LATEST',
        functionError: ok ? null : 'Unhandled',
      });
    }
    const delay = Math.min(RETRY_DELAY.first * 2 ** attempt, RETRY_DELAY.most);
    await sleep(delay, undefined, { signal }).catch(() => {});
    return this.deliver(batch, attempt + 1);
  }

  /** Records the age of the batch's last record, as Lambda does each time it sends the batch to the function. */
  #measureAge(batch: readonly Delivery[]): void {
    const { function: target, now } = this.#options;
    const age = now() - (batch.at(-1)?.createdAt ?? 0) * 1000;
    target.pool.measure('IteratorAge', Math.max(0, age));
  }

  /** Discards those records at the start of a batch that have exceeded the maximum age. Returns the other records. */
  #discardTooOld(batch: readonly Delivery[], attempts: number): readonly Delivery[] {
    const { MaximumRecordAgeInSeconds: most = -1 } = this.#options.settings;
    const oldest = most < 0 ? 0 : Date.now() / 1000 - most;
    const young = batch.findIndex(({ record }) => record.dynamodb.ApproximateCreationDateTime >= oldest);
    const count = young === -1 ? batch.length : young;
    if (count > 0) this.#discard(batch.slice(0, count), attempts, 'RecordAgeExceeded');
    return batch.slice(count);
  }

  /**
   * Discards records. The dead-letter queue receives the positions of the records in the stream, never the records
   * themselves.
   *
   * @param attempts number of times that the function was invoked with these records
   * @param responseContext the function's last response. For records that are too old, AWS sends no response
   */
  #discard(batch: readonly Delivery[], attempts: number, condition: string, responseContext?: object): void {
    const { onFailure, function: target, streamArn } = this.#options;
    const [first, last] = [batch[0], batch.at(-1)];
    const arrival = (delivery?: Delivery) =>
      new Date((delivery?.record.dynamodb.ApproximateCreationDateTime ?? 0) * 1000).toISOString();
    onFailure?.send(
      JSON.stringify({
        requestContext: {
          requestId: randomUUID(),
          functionArn: target.arn,
          condition,
          approximateInvokeCount: attempts,
        },
        responseContext,
        version: '1.0',
        timestamp: new Date().toISOString(),
        DDBStreamBatchInfo: {
          shardId: first?.shardId,
          startSequenceNumber: first?.record.dynamodb.SequenceNumber,
          endSequenceNumber: last?.record.dynamodb.SequenceNumber,
          approximateArrivalOfFirstRecord: arrival(first),
          approximateArrivalOfLastRecord: arrival(last),
          batchSize: batch.length,
          streamArn,
        },
      }),
    );
    for (const delivery of batch) delivery.isDone = true;
  }

  /**
   * Returns the record as a function receives it, with the Region, ARN and time of AWS instead of the engine's values.
   */
  #event({ record, createdAt }: Delivery): object {
    const { streamArn } = this.#options;
    return {
      ...record,
      awsRegion: REGION,
      eventSource: 'aws:dynamodb',
      eventSourceARN: streamArn,
      dynamodb: { ...record.dynamodb, ApproximateCreationDateTime: createdAt },
    };
  }
}

/** Returns the index of the record from which the batch is retried, or the batch's length if all of it succeeded. */
function firstFailure(
  batch: readonly Delivery[],
  outcome: InvocationResult,
  { FunctionResponseTypes }: DeliverySettings,
): number {
  const numbers = batch.map(({ record }) => record.dynamodb.SequenceNumber);
  const failed = failedItems(numbers, outcome, FunctionResponseTypes);
  const first = numbers.findIndex((number) => failed.has(number));
  return first === -1 ? batch.length : first;
}
