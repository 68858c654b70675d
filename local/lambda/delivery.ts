import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Queue } from '../aws/sqs.ts';
import { REGION } from '../template.ts';
import type { LocalFunction, Outcome } from './worker-pool.ts';

/** A change of an item, as the engine gives it over the wire. */
export interface StreamRecord {
  readonly eventID: string;
  readonly eventName: 'INSERT' | 'MODIFY' | 'REMOVE';
  readonly userIdentity?: object;
  readonly dynamodb: {
    /** Epoch seconds, of this machine. */
    readonly ApproximateCreationDateTime: number;
    readonly Keys: Readonly<Record<string, object>>;
    readonly NewImage?: Readonly<Record<string, object>>;
    readonly OldImage?: Readonly<Record<string, object>>;
    readonly SequenceNumber: string;
  };
}

/** A record on its way to a function. */
export interface Delivery {
  readonly record: StreamRecord;
  readonly shardId: string;
  /** Delivered, filtered out or set aside: the stream's checkpoint may pass it. */
  isDone: boolean;
}

/** How batches are delivered, as the event source mapping of the template says. */
export interface DeliverySettings {
  readonly MaximumRetryAttempts?: number;
  readonly MaximumRecordAgeInSeconds?: number;
  readonly BisectBatchOnFunctionError?: boolean;
  readonly FunctionResponseTypes?: readonly string[];
}

export interface DelivererOptions {
  readonly settings: DeliverySettings;
  readonly function: LocalFunction;
  /** The ARN that functions are told. */
  readonly streamArn: string;
  readonly onFailure?: Queue;
  /** What the stack's clock is ahead of this machine's, in milliseconds. */
  readonly drift: () => number;
  readonly signal: AbortSignal;
}

const RETRY_DELAY = { first: 50, most: 2_000 };

/** Brings batches of one stream to one function: retries, bisects, sets aside. */
export class Deliverer {
  readonly #options: DelivererOptions;

  constructor(options: DelivererOptions) {
    this.#options = options;
  }

  /** Resolves when every record of the batch is done, or when the stack stops. */
  async deliver(batch: readonly Delivery[], attempt = 0): Promise<void> {
    const { settings, signal, function: target } = this.#options;
    if (batch.length === 0 || signal.aborted) return;
    const outcome = await target.pool.invoke({ Records: batch.map(({ record }) => this.#event(record)) });
    if (signal.aborted) return;
    const failedAt = firstFailure(batch, outcome, settings);
    for (const delivery of batch.slice(0, failedAt)) delivery.isDone = true;
    const rest = batch.slice(failedAt);
    if (rest.length === 0) return;

    // AWS: splitting does not consume the retry quota. A report splits at the record that it names first.
    const mayBisect = settings.BisectBatchOnFunctionError ?? false;
    if (mayBisect && failedAt > 0) return this.deliver(rest, attempt);
    if (mayBisect && rest.length > 1) {
      const half = Math.ceil(rest.length / 2);
      await this.deliver(rest.slice(0, half), attempt);
      return this.deliver(rest.slice(half), attempt);
    }
    const { MaximumRetryAttempts: most = -1 } = settings;
    const isExhausted = most >= 0 && attempt >= most;
    if (isExhausted || this.#isTooOld(rest)) return this.#setAside(rest, attempt + 1);
    const delay = Math.min(RETRY_DELAY.first * 2 ** attempt, RETRY_DELAY.most);
    await sleep(delay, undefined, { signal }).catch(() => {});
    return this.deliver(rest, attempt + 1);
  }

  #isTooOld([oldest]: readonly Delivery[]): boolean {
    const { MaximumRecordAgeInSeconds: most = -1 } = this.#options.settings;
    const created = oldest?.record.dynamodb.ApproximateCreationDateTime ?? 0;
    return most >= 0 && Date.now() / 1000 - created > most;
  }

  /** Gives up on records: positions go to the failure queue, never the records themselves. */
  #setAside(batch: readonly Delivery[], attempts: number): void {
    const { onFailure, function: target, streamArn } = this.#options;
    const [first, last] = [batch[0], batch.at(-1)];
    const arrival = (delivery?: Delivery) =>
      new Date((delivery?.record.dynamodb.ApproximateCreationDateTime ?? 0) * 1000).toISOString();
    onFailure?.send(
      JSON.stringify({
        requestContext: {
          requestId: randomUUID(),
          functionArn: target.arn,
          condition: 'RetryAttemptsExhausted',
          approximateInvokeCount: attempts,
        },
        responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
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

  /** The record as a function gets it: AWS's Region, ARN and time instead of the engine's. */
  #event(record: StreamRecord): object {
    const { streamArn, drift } = this.#options;
    const created = record.dynamodb.ApproximateCreationDateTime + Math.round(drift() / 1000);
    return {
      ...record,
      awsRegion: REGION,
      eventSource: 'aws:dynamodb',
      eventSourceARN: streamArn,
      dynamodb: { ...record.dynamodb, ApproximateCreationDateTime: created },
    };
  }
}

/**
 * Where a batch is to be tried again from: its length when all of it succeeded. A report of failures counts where
 * the mapping asks for reports; one that names no record of the batch means the whole batch.
 */
function firstFailure(
  batch: readonly Delivery[],
  outcome: Outcome,
  { FunctionResponseTypes = [] }: DeliverySettings,
): number {
  if (!outcome.ok) return 0;
  if (!FunctionResponseTypes.includes('ReportBatchItemFailures')) return batch.length;
  const failures = JSON.parse(outcome.payload)?.batchItemFailures ?? [];
  const failedAt = failures.map(({ itemIdentifier }: { itemIdentifier?: string }) =>
    batch.findIndex(({ record }) => record.dynamodb.SequenceNumber === itemIdentifier),
  );
  return Math.max(0, Math.min(batch.length, ...failedAt));
}
