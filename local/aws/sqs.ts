import { createHash, randomUUID } from 'node:crypto';
import type { Template } from '../template.ts';

/** A message in a queue. */
export interface Message {
  readonly messageId: string;
  readonly body: string;
  readonly md5OfBody: string;
  readonly messageAttributes: Record<string, unknown>;
  /** When the message was sent, in epoch milliseconds of this machine's clock. */
  readonly sentAt: number;
  /** Number of times that the message has been received. */
  receiveCount: number;
  /** Receipt handle from the most recent receive, which DeleteMessage needs. */
  receiptHandle?: string;
  firstReceivedAt?: number;
  /** When the message becomes visible, in epoch milliseconds of this machine's clock. */
  visibleAt: number;
}

interface QueueProperties {
  VisibilityTimeout?: number;
  DelaySeconds?: number;
  RedrivePolicy?: { deadLetterTargetArn: string; maxReceiveCount: number };
}

/**
 * An in-memory standard queue with visibility timeout, delay and dead-letter queue. It uses this machine's clock, as
 * the deliveries do, so freezing the stack's clock does not delay messages.
 */
export class Queue {
  readonly name: string;
  readonly arn: string;
  readonly url: string;
  /** Construct path of the queue. */
  readonly path: string;
  /** Time for which a received message stays hidden, in seconds. */
  readonly visibilityTimeout: number;
  /** Time for which a new message stays hidden, in seconds. */
  readonly delay: number;
  /** Whether this is a dead-letter queue, which people read and functions do not. */
  isDeadLetterQueue = true;
  readonly #messages: Message[] = [];
  #deadLetters?: { queue: Queue; maxReceiveCount: number };

  constructor(
    arn: string,
    path: string,
    endpoint: string,
    { VisibilityTimeout, DelaySeconds }: QueueProperties,
  ) {
    const [name = '', account] = arn.split(':').reverse();
    this.name = name;
    this.arn = arn;
    this.path = path;
    this.url = `${endpoint}/${account}/${name}`;
    this.visibilityTimeout = VisibilityTimeout ?? 30;
    this.delay = DelaySeconds ?? 0;
  }

  redriveTo(queue: Queue, maxReceiveCount: number): void {
    this.#deadLetters = { queue, maxReceiveCount };
  }

  /** All messages, oldest first, including hidden ones. */
  get messages(): readonly Message[] {
    return this.#messages;
  }

  /** Number of messages that can be received now. */
  get visibleCount(): number {
    return this.#messages.filter(({ visibleAt }) => visibleAt <= Date.now()).length;
  }

  /** Adds a message. @param delay seconds until the message can be received */
  send(body: string, messageAttributes: Record<string, unknown> = {}, delay = this.delay): Message {
    const message = {
      messageId: randomUUID(),
      body,
      md5OfBody: createHash('md5').update(body).digest('hex'),
      messageAttributes,
      sentAt: Date.now(),
      receiveCount: 0,
      visibleAt: Date.now() + delay * 1000,
    };
    this.#messages.push(message);
    return message;
  }

  /**
   * Returns visible messages and hides them. Messages that were received too often move to the dead-letter queue
   * instead.
   */
  receive(most: number, visibilityTimeout = this.visibilityTimeout): Message[] {
    const now = Date.now();
    const visible = this.#messages.filter((message) => message.visibleAt <= now);
    const received: Message[] = [];
    for (const message of visible) {
      if (received.length === most) break;
      if (this.#deadLetters && message.receiveCount >= this.#deadLetters.maxReceiveCount) {
        this.#remove(message);
        this.#deadLetters.queue.send(message.body, message.messageAttributes);
        continue;
      }
      message.receiveCount += 1;
      message.firstReceivedAt ??= now;
      message.receiptHandle = randomUUID();
      message.visibleAt = now + visibilityTimeout * 1000;
      received.push(message);
    }
    return received;
  }

  delete(receiptHandle: string): void {
    const message = this.#messages.find((item) => item.receiptHandle === receiptHandle);
    if (message) this.#remove(message);
  }

  changeVisibility(receiptHandle: string, seconds: number): void {
    const message = this.#messages.find((item) => item.receiptHandle === receiptHandle);
    if (message) message.visibleAt = Date.now() + seconds * 1000;
  }

  #remove(message: Message): void {
    this.#messages.splice(this.#messages.indexOf(message), 1);
  }
}

/** Creates the template's queues at an endpoint, and sets their URLs as the result of `Ref`. */
export function createQueues(template: Template, endpoint: string): Queue[] {
  const resources = template.ofType('AWS::SQS::Queue');
  const queues = resources.map((resource) => {
    const properties = template.properties<QueueProperties>(resource);
    const queue = new Queue(template.attribute(resource, 'Arn'), resource.path, endpoint, properties);
    template.set(resource, 'Ref', queue.url);
    template.set(resource, 'QueueName', queue.name);
    return queue;
  });
  for (const [index, resource] of resources.entries()) {
    const { RedrivePolicy } = template.properties<QueueProperties>(resource);
    const target = queues.find((queue) => queue.arn === RedrivePolicy?.deadLetterTargetArn);
    if (RedrivePolicy && target) queues[index]?.redriveTo(target, RedrivePolicy.maxReceiveCount);
  }
  return queues;
}

type Input = Record<string, unknown>;

/** The operations in SQS's AWS JSON 1.0 protocol, each on one queue. */
const OPERATIONS: Record<string, (queue: Queue, input: Input) => object> = {
  SendMessage: (queue, input) => sent(queue, input),
  SendMessageBatch: (queue, input) => ({
    Successful: (input.Entries as Input[]).map((entry) => ({ Id: entry.Id, ...sent(queue, entry) })),
    Failed: [],
  }),
  ReceiveMessage: (queue, input) => {
    const messages = queue.receive(
      Number(input.MaxNumberOfMessages ?? 1),
      input.VisibilityTimeout as number | undefined,
    );
    return messages.length === 0
      ? {}
      : {
          Messages: messages.map((message) => ({
            MessageId: message.messageId,
            ReceiptHandle: message.receiptHandle,
            MD5OfBody: message.md5OfBody,
            Body: message.body,
          })),
        };
  },
  DeleteMessage: (queue, input) => {
    queue.delete(String(input.ReceiptHandle));
    return {};
  },
  ChangeMessageVisibility: (queue, input) => {
    queue.changeVisibility(String(input.ReceiptHandle), Number(input.VisibilityTimeout));
    return {};
  },
  GetQueueUrl: (queue) => ({ QueueUrl: queue.url }),
  GetQueueAttributes: (queue) => ({
    Attributes: { QueueArn: queue.arn, ApproximateNumberOfMessages: String(queue.messages.length) },
  }),
};

function sent(queue: Queue, input: Input): object {
  const attributes = (input.MessageAttributes ?? {}) as Record<string, unknown>;
  if (Object.keys(attributes).length > 0) {
    throw new Error('The local SQS takes no message attributes.');
  }
  const message = queue.send(String(input.MessageBody), {}, input.DelaySeconds as number | undefined);
  return { MessageId: message.messageId, MD5OfMessageBody: message.md5OfBody };
}

/** Returns the queue that a call names by URL or name. */
export function queueOf(queues: readonly Queue[], input: Input): Queue | undefined {
  return queues.find((queue) => queue.url === input.QueueUrl || queue.name === input.QueueName);
}

/** Runs a call. Returns the response body, or undefined for an unsupported operation. */
export function callQueue(queue: Queue, operation: string, input: Input): object | undefined {
  return OPERATIONS[operation]?.(queue, input);
}
