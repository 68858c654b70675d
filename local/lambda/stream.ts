import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { callEngine } from '../dynamodb/engine.ts';
import {
  Deliverer,
  type DelivererOptions,
  type Delivery,
  type DeliverySettings,
  type StreamRecord,
} from './delivery.ts';
import { compileFilter } from './filter.ts';
import { PollingSource } from './polling-source.ts';

/** An event source mapping for a stream, from the template. */
export interface StreamMapping extends DeliverySettings {
  readonly StartingPosition?: string;
  readonly BatchSize?: number;
  readonly MaximumBatchingWindowInSeconds?: number;
  readonly ParallelizationFactor?: number;
  readonly FilterCriteria?: { readonly Filters?: readonly { readonly Pattern: string }[] };
}

/** The progress of the deliveries: for each shard, the sequence number up to which every record is done. */
export interface Checkpoints {
  get(shardId: string): string | undefined;
  set(shardId: string, sequenceNumber: string): void;
}

/** The stream, function and mapping of a stream source. */
export interface StreamSourceOptions extends Omit<DelivererOptions, 'settings' | 'signal'> {
  /** How far the stack's clock is ahead of this machine's clock, in milliseconds. */
  readonly drift: () => number;
  readonly endpoint: string;
  readonly engineStreamArn: string;
  readonly mapping: StreamMapping;
  readonly checkpoints: Checkpoints;
  /** Adds information that is missing in the engine's record, such as the mark of a TTL deletion. */
  readonly complete: (record: StreamRecord) => StreamRecord;
  readonly log: (line: string) => void;
}

/** Pause between two rounds while the stream is quiet, in milliseconds. Lambda polls four times a second. */
const POLL_INTERVAL = 250;
/** Pause between two rounds while records arrive or a caller waits for them, in milliseconds. */
const BUSY_INTERVAL = 50;
/** Maximum number of records from one shard that can be in delivery. Reading pauses at this limit. */
const BACKLOG = 5_000;

/**
 * Reads a table's stream for a function. Filters the records, groups them into batches, distributes them to lanes and
 * keeps checkpoints.
 */
export class StreamSource extends PollingSource {
  readonly #options: StreamSourceOptions;
  readonly #passes: (record: unknown) => boolean;
  readonly #deliverer: Deliverer;
  readonly #shards = new Map<string, Shard>();
  /** Number of consecutive rounds that found no new records and no delivery in progress. */
  #quietRounds = 0;
  /** Number of callers that wait for the stream to drain. */
  #waiting = 0;

  /** Creates the event source. @throws Error for a setting or a filter rule that is not emulated */
  constructor(options: StreamSourceOptions) {
    super();
    const { mapping } = options;
    if ('TumblingWindowInSeconds' in mapping) throw new Error('The local runner has no tumbling windows.');
    this.#options = options;
    this.#passes = compileFilter(mapping.FilterCriteria?.Filters?.map((filter) => filter.Pattern) ?? []);
    this.#deliverer = new Deliverer({ ...options, settings: mapping, signal: this.signal });
  }

  /** Resolves when every record that was in the stream at the time of the call has been delivered or discarded. */
  async drained(): Promise<void> {
    // The current round may have read before the caller's last write, so wait for a second quiet round.
    const enough = this.#quietRounds + 2;
    this.#waiting += 1;
    while (this.#quietRounds < enough && !this.signal.aborted) await sleep(BUSY_INTERVAL / 5);
    this.#waiting -= 1;
  }

  protected async poll(): Promise<void> {
    while (!this.signal.aborted) {
      const isQuiet = await this.#readAll();
      await this.#rest(isQuiet ? POLL_INTERVAL : BUSY_INTERVAL);
    }
  }

  /** Reads every shard once. Returns true if there were no new records and no delivery is in progress. */
  async #readAll(): Promise<boolean> {
    try {
      await this.#findShards();
      const shards = [...this.#shards.values()];
      const counts = await Promise.all(shards.map((shard) => this.#read(shard)));
      const isQuiet = counts.every((count) => count === 0) && shards.every((shard) => shard.isIdle);
      if (isQuiet) this.#quietRounds += 1;
      return isQuiet;
    } catch (error) {
      // The engine is not responding. Keep the records that were read, and continue from there when the engine responds
      // again.
      this.#options.log(`stream: ${error instanceof Error ? error.message : error}\n`);
      for (const shard of this.#shards.values()) shard.iterator = undefined;
      return true;
    }
  }

  /** Waits before the next round. While a caller waits for the stream, the pause is at most one busy interval. */
  async #rest(interval: number): Promise<void> {
    const { signal } = this;
    for (let left = interval; left > 0 && !signal.aborted; left -= BUSY_INTERVAL) {
      await sleep(BUSY_INTERVAL, undefined, { signal }).catch(() => {});
      if (this.#waiting > 0) return;
    }
  }

  /** Looks for new shards only after a shard was closed, because only a closed shard can have successors. */
  async #findShards(): Promise<void> {
    if ([...this.#shards.values()].some((shard) => !shard.isClosed)) return;
    const { endpoint, engineStreamArn, mapping, checkpoints } = this.#options;
    const { StreamDescription } = await callEngine<{ StreamDescription: { Shards: { ShardId: string }[] } }>(
      endpoint,
      'DynamoDBStreams_20120810.DescribeStream',
      { StreamArn: engineStreamArn },
    );
    for (const { ShardId } of StreamDescription.Shards) {
      if (this.#shards.has(ShardId)) continue;
      this.#shards.set(ShardId, new Shard(ShardId, mapping, this.#deliverer, checkpoints));
    }
  }

  /** Reads new records from a shard. @returns the number of new records */
  async #read(shard: Shard): Promise<number> {
    if (shard.isClosed || shard.underWay > BACKLOG) return shard.underWay;
    shard.iterator ??= await this.#iterator(shard);
    const { Records, NextShardIterator } = await callEngine<{
      Records: StreamRecord[];
      NextShardIterator?: string;
    }>(this.#options.endpoint, 'DynamoDBStreams_20120810.GetRecords', { ShardIterator: shard.iterator });
    shard.iterator = NextShardIterator;
    shard.isClosed = NextShardIterator === undefined;
    for (const record of Records) {
      if (!shard.isNew(record)) continue;
      const completed = this.#options.complete(record);
      shard.take(completed, this.#passes(completed), this.#options.drift());
    }
    return Records.length;
  }

  async #iterator(shard: Shard): Promise<string> {
    const { endpoint, engineStreamArn, mapping } = this.#options;
    const after = shard.position;
    const { ShardIterator } = await callEngine<{ ShardIterator: string }>(
      endpoint,
      'DynamoDBStreams_20120810.GetShardIterator',
      {
        StreamArn: engineStreamArn,
        ShardId: shard.id,
        ...(after === undefined
          ? { ShardIteratorType: mapping.StartingPosition ?? 'TRIM_HORIZON' }
          : { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', SequenceNumber: after }),
      },
    );
    return ShardIterator;
  }
}

/**
 * A queue of records. The records of one item stay in order in one lane. Records in different lanes can overtake each
 * other. The mapping's parallelization factor sets the number of lanes.
 */
interface Lane {
  readonly waiting: Delivery[];
  isBusy: boolean;
  timer?: NodeJS.Timeout | undefined;
}

/** One shard of a stream, with its read position and its progress. */
class Shard {
  readonly id: string;
  iterator: string | undefined;
  isClosed = false;
  /** Sequence number of the last record that was read. */
  position: string | undefined;
  readonly #underWay: Delivery[] = [];
  readonly #deliverer: Deliverer;
  readonly #checkpoints: Checkpoints;
  readonly #lanes: Lane[];
  readonly #batchSize: number;
  readonly #window: number;

  constructor(id: string, mapping: StreamMapping, deliverer: Deliverer, checkpoints: Checkpoints) {
    this.id = id;
    this.#deliverer = deliverer;
    this.#checkpoints = checkpoints;
    this.position = checkpoints.get(id);
    this.#batchSize = mapping.BatchSize ?? 100;
    this.#window = (mapping.MaximumBatchingWindowInSeconds ?? 0) * 1000;
    const lanes = mapping.ParallelizationFactor ?? 1;
    this.#lanes = Array.from({ length: lanes }, () => ({ waiting: [], isBusy: false }));
  }

  get underWay(): number {
    return this.#underWay.length;
  }

  get isIdle(): boolean {
    return this.#underWay.length === 0;
  }

  /**
   * Returns whether a record comes after all records read so far. Sequence numbers can exceed the range of a number, so
   * they are compared as BigInt.
   */
  isNew({ dynamodb }: StreamRecord): boolean {
    return this.position === undefined || BigInt(dynamodb.SequenceNumber) > BigInt(this.position);
  }

  /**
   * Queues a record for delivery. @param isWanted whether the filter accepts the record; if not, the record is done
   * immediately
   * @param drift how far the stack's clock is ahead of this machine's clock, in milliseconds
   */
  take(record: StreamRecord, isWanted: boolean, drift: number): void {
    this.position = record.dynamodb.SequenceNumber;
    const createdAt = record.dynamodb.ApproximateCreationDateTime + Math.round(drift / 1000);
    const delivery = { record, shardId: this.id, createdAt, isDone: !isWanted };
    this.#underWay.push(delivery);
    if (!isWanted) {
      this.#advance();
      return;
    }
    const lane = this.#laneOf(record);
    lane.waiting.push(delivery);
    // Wait until this read is complete, so that records that are read together share a batch.
    setImmediate(() => this.#pump(lane));
  }

  #laneOf({ dynamodb }: StreamRecord): Lane {
    const item = JSON.stringify(Object.entries(dynamodb.Keys).sort());
    const hash = createHash('md5').update(item).digest().readUInt32BE(0);
    return this.#lanes[hash % this.#lanes.length] as Lane;
  }

  #pump(lane: Lane): void {
    if (lane.isBusy || lane.waiting.length === 0) return;
    const mayWait = this.#window > 0 && lane.waiting.length < this.#batchSize;
    if (mayWait && !lane.timer) lane.timer = setTimeout(() => this.#send(lane), this.#window);
    if (!mayWait) this.#send(lane);
  }

  #send(lane: Lane): void {
    clearTimeout(lane.timer);
    lane.timer = undefined;
    lane.isBusy = true;
    const batch = lane.waiting.splice(0, this.#batchSize);
    void this.#deliverer.deliver(batch).then(() => {
      lane.isBusy = false;
      this.#advance();
      this.#pump(lane);
    });
  }

  #advance(): void {
    let last: string | undefined;
    while (this.#underWay[0]?.isDone) last = this.#underWay.shift()?.record.dynamodb.SequenceNumber;
    if (last !== undefined) this.#checkpoints.set(this.id, last);
  }
}
