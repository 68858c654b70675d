import { setTimeout as sleep } from 'node:timers/promises';
import type { Message, Queue } from '../aws/sqs.ts';
import { REGION } from '../template.ts';
import { failedItems } from './item-failures.ts';
import { PollingSource } from './polling-source.ts';
import type { LocalFunction } from './worker-pool.ts';

/** An event source mapping for a queue, from the template. */
export interface QueueMapping {
  readonly BatchSize?: number;
  readonly MaximumBatchingWindowInSeconds?: number;
  readonly FunctionResponseTypes?: readonly string[];
  readonly ScalingConfig?: { readonly MaximumConcurrency?: number };
  readonly FilterCriteria?: { readonly Filters?: readonly { readonly Pattern: string }[] };
}

const POLL_INTERVAL = 50;
/** Number of concurrent batches if the mapping sets no limit. It equals the number of a function's workers. */
const CONCURRENCY = 4;

/**
 * Delivers a queue's messages to a function. A message that failed stays hidden for the visibility timeout, and is then
 * delivered again.
 */
export class QueueSource extends PollingSource {
  readonly #queue: Queue;
  readonly #mapping: QueueMapping;
  readonly #function: LocalFunction;
  readonly #underWay = new Set<Promise<void>>();

  constructor(queue: Queue, mapping: QueueMapping, target: LocalFunction) {
    super();
    if (mapping.FilterCriteria) throw new Error('The local runner filters no queue.');
    queue.isDeadLetterQueue = false;
    this.#queue = queue;
    this.#mapping = mapping;
    this.#function = target;
  }

  /** Resolves when every message is deleted or in the dead-letter queue, and no delivery is in progress. */
  async drained(): Promise<void> {
    const isBusy = () => this.#queue.messages.length > 0 || this.#underWay.size > 0;
    while (isBusy() && !this.signal.aborted) await sleep(POLL_INTERVAL / 5);
  }

  protected async poll(): Promise<void> {
    const { signal } = this;
    const concurrency = this.#mapping.ScalingConfig?.MaximumConcurrency ?? CONCURRENCY;
    while (!signal.aborted) {
      const isFree = this.#underWay.size < concurrency;
      const messages = isFree ? this.#queue.receive(this.#mapping.BatchSize ?? 10) : [];
      if (messages.length === 0) {
        await sleep(POLL_INTERVAL, undefined, { signal }).catch(() => {});
        continue;
      }
      const delivery = this.#deliver(messages).finally(() => this.#underWay.delete(delivery));
      this.#underWay.add(delivery);
    }
  }

  async #deliver(messages: readonly Message[]): Promise<void> {
    const outcome = await this.#function.pool.invoke({
      Records: messages.map((message) => this.#event(message)),
    });
    const ids = messages.map((message) => message.messageId);
    const failed = failedItems(ids, outcome, this.#mapping.FunctionResponseTypes);
    for (const message of messages) {
      if (!failed.has(message.messageId)) this.#queue.delete(message.receiptHandle ?? '');
    }
  }

  #event(message: Message): object {
    return {
      messageId: message.messageId,
      receiptHandle: message.receiptHandle,
      body: message.body,
      attributes: {
        ApproximateReceiveCount: String(message.receiveCount),
        SentTimestamp: String(message.sentAt),
        SenderId: 'local',
        ApproximateFirstReceiveTimestamp: String(message.firstReceivedAt),
      },
      messageAttributes: {},
      md5OfBody: message.md5OfBody,
      eventSource: 'aws:sqs',
      eventSourceARN: this.#queue.arn,
      awsRegion: REGION,
    };
  }
}
