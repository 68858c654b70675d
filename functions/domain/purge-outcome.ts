import type { EpochMillis } from './expiry.ts';

/** Outcome of one step of a purge. Each outcome is logged as one line, and some are also recorded as metrics. */
export type PurgeOutcome =
  | {
      /** The purge deleted all items. */
      type: 'purged';
      deploymentId: string;
      /** ULID of the purged key; undefined if a whole generation of the Deployment was purged. */
      keyUlid: string | undefined;
      /** Number of items deleted so far, including those of earlier runs. */
      deleted: number;
      /**
       * Time since the key or Deployment was deleted, in milliseconds; undefined if the time of the deletion is
       * unknown.
       */
      lag: number | undefined;
      /** When the purge finished, in epoch milliseconds. */
      time: EpochMillis;
    }
  /** The run reached its time limit. A later run deletes the remaining items. */
  | { type: 'deferred'; deploymentId: string; keyUlid: string | undefined; deleted: number }
  /** Nothing was purged, because the generation is the Deployment's current generation. */
  | { type: 'current'; deploymentId: string }
  /** Nothing was purged, because the Deployment's item is malformed and the generation might be the current one. */
  | { type: 'malformed'; deploymentId: string }
  /** Nothing was purged, because the key's item still exists. */
  | { type: 'key_exists'; deploymentId: string; keyUlid: string }
  /** The step failed. The stream redelivers the record. */
  | {
      type: 'failed';
      /** The cause. */
      error: string;
      sequenceNumber: string | undefined;
      /** Primary key of the removed item; undefined if the stream record does not contain it. */
      pk: string | undefined;
      sk: string | undefined;
    }
  /** The step failed. The queue redelivers the message. */
  | {
      type: 'failed';
      /** The cause. */
      error: string;
      messageId: string;
      /** ID of the Deployment; undefined if the message is not a purge task. */
      deploymentId: string | undefined;
      keyUlid: string | undefined;
    }
  /** The sweep requeued unfinished purges. */
  | { type: 'swept'; found: number };
