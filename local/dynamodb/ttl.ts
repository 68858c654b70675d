import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { StreamRecord } from '../lambda/delivery.ts';
import { callEngine, type LocalTable } from './engine.ts';

type Item = Readonly<Record<string, object>>;

/** The user identity in stream records for TTL deletions. */
const SERVICE = { type: 'Service', principalId: 'dynamodb.amazonaws.com' };

const SWEEP_INTERVAL = 5_000;
/**
 * How long a background sweep pauses after a page, as a multiple of the time that the page took. The sweep pauses
 * because the engine handles only one request at a time.
 */
const REST = 10;
/** Maximum age of an expiry, in seconds. DynamoDB ignores items that expired more than five years ago. */
const FIVE_YEARS = 5 * 365 * 24 * 60 * 60;

/**
 * Deletes expired items as DynamoDB's TTL does, in the background and late, but by the stack's clock. None of the
 * available engines can do this. Recognises its own deletions in the stream, and marks them as made by the DynamoDB
 * service.
 */
export class TimeToLive {
  readonly #endpoint: string;
  readonly #table: LocalTable;
  readonly #clock: Clock;
  readonly #lateness: number;
  /** Keys of the items that this class has deleted and whose stream records have not arrived yet. */
  readonly #deleted = new Set<string>();
  readonly #end = new AbortController();
  #sweep: Promise<unknown> = Promise.resolve();

  /** Creates the TTL of a table. @param lateness seconds between an item's expiry and its deletion */
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
      // If the engine does not respond, the next sweep tries again.
      if (!signal.aborted) await this.#next(() => this.#run(this.#lateness, signal)).catch(() => {});
    }
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#sweep.catch(() => {});
  }

  /**
   * Deletes the items that expired long enough ago.
   *
   * @param lateness minimum number of seconds since the expiry. Default: the stack's setting
   * @returns the number of deleted items
   */
  sweep(lateness = this.#lateness): Promise<number> {
    return this.#next(() => this.#run(lateness));
  }

  /** Runs sweeps one after the other. */
  #next(run: () => Promise<number>): Promise<number> {
    const sweep = this.#sweep.catch(() => {}).then(run);
    this.#sweep = sweep;
    return sweep;
  }

  /** Marks a stream record as a TTL deletion if it describes a TTL deletion. */
  complete = (record: StreamRecord): StreamRecord => {
    const isOurs = record.eventName === 'REMOVE' && this.#deleted.delete(keyOf(record.dynamodb.Keys));
    const { userIdentity: _, ...rest } = record;
    return isOurs ? { ...rest, userIdentity: SERVICE } : rest;
  };

  /**
   * Runs one sweep.
   * @param background signal that ends the sweep; a sweep without a signal does not pause between pages
   */
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

  /** Deletes an item, unless its expiry was extended after the scan. */
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
