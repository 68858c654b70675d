import { createHash, randomUUID } from 'node:crypto';
import type { Template } from '../template.ts';

/** A message in a queue. */
export interface Message {
  readonly messageId: string;
  readonly body: string;
  readonly md5OfBody: string;
  readonly messageAttributes: Record<string, unknown>;
  /** Epoch milliseconds, of this machine. */
  readonly sentAt: number;
  /** How often it was received. */
  receiveCount: number;
  /** Of the last receipt; it deletes the message. */
  receiptHandle?: string;
  firstReceivedAt?: number;
  /** Epoch milliseconds, of this machine: hidden until then. */
  visibleAt: number;
}

interface QueueProperties {
  VisibilityTimeout?: number;
  DelaySeconds?: number;
  RedrivePolicy?: { deadLetterTargetArn: string; maxReceiveCount: number };
}

/**
 * A standard queue in memory: visibility timeout, delay, dead-letter queue. It goes by the machine's own time, as
 * the deliveries do; a frozen clock of the stack holds up no message.
 */
export class Queue {
  readonly name: string;
  readonly arn: string;
  readonly url: string;
  /** Seconds that a received message is hidden. */
  readonly visibilityTimeout: number;
  /** Seconds before a message can be received first. */
  readonly delay: number;
  readonly #messages: Message[] = [];
  #deadLetters?: { queue: Queue; maxReceiveCount: number };

  constructor(arn: string, endpoint: string, { VisibilityTimeout, DelaySeconds }: QueueProperties) {
    const [name = '', account] = arn.split(':').reverse();
    this.name = name;
    this.arn = arn;
    this.url = `${endpoint}/${account}/${name}`;
    this.visibilityTimeout = VisibilityTimeout ?? 30;
    this.delay = DelaySeconds ?? 0;
  }

  redriveTo(queue: Queue, maxReceiveCount: number): void {
    this.#deadLetters = { queue, maxReceiveCount };
  }

  /** All messages, hidden ones too, oldest first. */
  get messages(): readonly Message[] {
    return this.#messages;
  }

  /** @param delay seconds before it can be received. */
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

  /** Takes visible messages and hides them; those received too often go to the dead-letter queue instead. */
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

/** Makes the template's queues, reachable at an endpoint; what `Ref` gives for each becomes its URL there. */
export function makeQueues(template: Template, endpoint: string): Queue[] {
  const resources = template.ofType('AWS::SQS::Queue');
  const queues = resources.map((resource) => {
    const properties = template.properties<QueueProperties>(resource);
    const queue = new Queue(template.attribute(resource, 'Arn'), endpoint, properties);
    template.set(resource, 'Ref', queue.url);
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

/** What the AWS JSON 1.0 protocol of SQS calls its operations, each on one queue. */
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

/** The queue that a call names by URL or name. */
export function queueOf(queues: readonly Queue[], input: Input): Queue | undefined {
  return queues.find((queue) => queue.url === input.QueueUrl || queue.name === input.QueueName);
}

/** @returns the answer's body; undefined when SQS has no such operation here. */
export function callQueue(queue: Queue, operation: string, input: Input): object | undefined {
  return OPERATIONS[operation]?.(queue, input);
}
