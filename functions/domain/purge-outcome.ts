/** The outcome of a step of a purge. Each is one log line, and some are also metrics. */
export type PurgeOutcome =
  | {
      /** All items were deleted. */
      type: 'purged';
      deploymentId: string;
      /** Undefined when a whole generation of the Deployment was purged. */
      keyUlid: string | undefined;
      /** Items that were deleted, including those of earlier runs. */
      deleted: number;
      /** Milliseconds since the deletion; undefined if its time is unknown. */
      lag: number | undefined;
      /** Epoch milliseconds. */
      time: number;
    }
  /** Time ran out, and a later run deletes the rest. */
  | { type: 'deferred'; deploymentId: string; keyUlid: string | undefined; deleted: number }
  /** Nothing was purged, because the generation is the current one. */
  | { type: 'current'; deploymentId: string }
  /** Nothing was purged, because the item of the Deployment is malformed: the generation may be the current one. */
  | { type: 'malformed'; deploymentId: string }
  /** Nothing was purged, because the item of the key exists. */
  | { type: 'key_exists'; deploymentId: string; keyUlid: string }
  /** Failed. The stream or the queue delivers it again. */
  | { type: 'failed'; error: string; sequenceNumber: string | undefined }
  | { type: 'failed'; error: string; messageId: string }
  /** The sweep has queued unfinished purges again. */
  | { type: 'swept'; found: number };
