import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { StreamRecord } from '../lambda/delivery.ts';
import { callEngine, type LocalTable } from './engine.ts';

type Item = Readonly<Record<string, object>>;

/** How records of TTL deletions tell who deleted. */
const SERVICE = { type: 'Service', principalId: 'dynamodb.amazonaws.com' };

const SWEEP_INTERVAL = 5_000;
/** How much longer than for a page a sweep in the background waits after it: the engine does nothing else meanwhile. */
const REST = 10;
/** DynamoDB ignores what expired more than five years ago. */
const FIVE_YEARS = 5 * 365 * 24 * 60 * 60;

/**
 * Deletes expired items as DynamoDB's TTL does: in the background, late, by the stack's clock. No engine here
 * does it so. What it deleted it knows again in the stream, where the service is named as the one who deleted.
 */
export class TimeToLive {
  readonly #endpoint: string;
  readonly #table: LocalTable;
  readonly #clock: Clock;
  readonly #lateness: number;
  /** Keys of items that were deleted here and have not come through the stream yet. */
  readonly #deleted = new Set<string>();
  readonly #end = new AbortController();
  #sweep: Promise<unknown> = Promise.resolve();

  /** @param lateness seconds after its expiry that an item is still there. */
  constructor(endpoint: string, table: LocalTable, clock: Clock, lateness: number) {
    this.#endpoint = endpoint;
    this.#table = table;
    this.#clock = clock;
    this.#lateness = lateness;
  }

  async start(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      await pause(SWEEP_INTERVAL, undefined, { signal }).catch(() => {});
      // An engine that is away is tried again at the next turn.
      if (!signal.aborted) await this.#next(() => this.#run(this.#lateness, signal)).catch(() => {});
    }
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#sweep.catch(() => {});
  }

  /**
   * Deletes what expired long enough ago.
   *
   * @param lateness seconds; default: the stack's
   * @returns how many items
   */
  sweep(lateness = this.#lateness): Promise<number> {
    return this.#next(() => this.#run(lateness));
  }

  /** One sweep after the other. */
  #next(run: () => Promise<number>): Promise<number> {
    const sweep = this.#sweep.catch(() => {}).then(run);
    this.#sweep = sweep;
    return sweep;
  }

  /** Adds to a record of the stream that TTL deleted the item, if it did. */
  complete = (record: StreamRecord): StreamRecord => {
    const isOurs = record.eventName === 'REMOVE' && this.#deleted.delete(keyOf(record.dynamodb.Keys));
    const { userIdentity: _, ...rest } = record;
    return isOurs ? { ...rest, userIdentity: SERVICE } : rest;
  };

  /** @param background ends it; a sweep without one takes no rest */
  async #run(lateness: number, background?: AbortSignal): Promise<number> {
    const { name, ttlAttribute, keys } = this.#table;
    if (ttlAttribute === undefined) return 0;
    const now = Math.floor(this.#clock.now() / 1000);
    const expired = {
      ExpressionAttributeNames: { '#ttl': ttlAttribute },
      ExpressionAttributeValues: {
        ':cutoff': { N: String(now - lateness) },
        ':floor': { N: String(now - FIVE_YEARS) },
      },
    };
    let deleted = 0;
    let start: Item | undefined;
    do {
      const began = performance.now();
      const page = await callEngine<{ Items: Item[]; LastEvaluatedKey?: Item }>(
        this.#endpoint,
        'DynamoDB_20120810.Scan',
        {
          TableName: name,
          FilterExpression: '#ttl <= :cutoff AND #ttl > :floor',
          ...expired,
          ExclusiveStartKey: start,
        },
      );
      for (const item of page.Items) {
        const key = Object.fromEntries(keys.map((attribute) => [attribute, item[attribute] as object]));
        if (await this.#delete(key, expired)) deleted += 1;
      }
      start = page.LastEvaluatedKey;
      if (start && background) {
        await pause(REST * (performance.now() - began), undefined, { signal: background });
      }
    } while (start);
    return deleted;
  }

  /** Deletes an item unless it was slid since it was found. */
  async #delete(key: Item, expired: object): Promise<boolean> {
    const mark = keyOf(key);
    this.#deleted.add(mark);
    try {
      await callEngine(this.#endpoint, 'DynamoDB_20120810.DeleteItem', {
        TableName: this.#table.name,
        Key: key,
        ConditionExpression: '#ttl <= :cutoff AND #ttl > :floor',
        ...expired,
      });
      return true;
    } catch (error) {
      this.#deleted.delete(mark);
      if (error instanceof Error && error.name === 'ConditionalCheckFailedException') return false;
      throw error;
    }
  }
}

const keyOf = (key: Item) => JSON.stringify(Object.entries(key).sort());
