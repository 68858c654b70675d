import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AlarmStatus } from './aws/alarms.ts';
import type { Queue } from './aws/sqs.ts';
import type { Schedule } from './lambda/schedule.ts';
import type { InvocationResult } from './lambda/worker-pool.ts';
import { LoopbackServer } from './loopback-server.ts';

/** The parts of a local stack that an operator can see, and the schedules that an operator can run. */
export interface Operated {
  /** URL of the DynamoDB engine. */
  readonly engine: string;
  /** Name of the service's table. */
  readonly table: string;
  readonly queues: readonly Queue[];
  readonly schedules: readonly Schedule[];
  /** Evaluates all alarms. */
  readonly alarms: () => readonly AlarmStatus[];
}

type Answer = readonly [status: number, body: object];

/**
 * An endpoint for operators of a local stack. On AWS, operators use the consoles of SQS, EventBridge and CloudWatch instead.
 *
 * - `GET /` shows the table, all queues with the number of their messages, and all schedules.
 * - `GET /queues/<name>` shows the messages of a queue.
 * - `GET /alarms` shows the state of each alarm.
 * - `POST /schedules/<name>` invokes the functions of a schedule now, and waits for them.
 */
export class Operations extends LoopbackServer {
  #operated?: Operated;

  serve(operated: Operated): void {
    this.#operated = operated;
  }

  protected async respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [status, body] = isFromBrowser(request) ? FORBIDDEN : await this.#operate(request);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(`${JSON.stringify(body, null, 2)}\n`);
  }

  async #operate({ method = 'GET', url = '/' }: IncomingMessage): Promise<Answer> {
    if (!this.#operated) return [503, { message: 'The stack is starting.' }];
    const { queues, schedules } = this.#operated;
    if (method === 'GET' && url === '/') return [200, overview(this.#operated)];
    if (method === 'GET' && url === '/alarms') return [200, { alarms: this.#operated.alarms() }];
    const queue = queues.find(({ path }) => url === `/queues/${nameOf(path)}`);
    if (method === 'GET' && queue) return [200, { messages: queue.messages.map(shown) }];
    const schedule = schedules.find(({ name }) => url === `/schedules/${nameOf(name)}`);
    if (method === 'POST' && schedule) return ran(await schedule.fire());
    const calls = [
      'GET /',
      'GET /alarms',
      ...queues.map(({ path }) => `GET /queues/${nameOf(path)}`),
      ...schedules.map(({ name }) => `POST /schedules/${nameOf(name)}`),
    ];
    return [404, { message: 'There is no such call.', calls }];
  }
}

const FORBIDDEN: Answer = [403, { message: 'Call this from a terminal, for example with curl.' }];

/**
 * Reports whether a page in a browser made the call. Without this check, any page on the internet could run a schedule.
 */
const isFromBrowser = ({ headers }: IncomingMessage): boolean =>
  headers.origin !== undefined || !/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(headers.host ?? '');

/** Returns a name for a construct path, such as `PurgeSources/StreamFailures` for `Default/PurgeSources/StreamFailures/Resource`. */
const nameOf = (path: string) => path.replace(/^Default\//, '').replace(/\/Resource$/, '');

const overview = ({ engine, table, queues, schedules }: Operated) => ({
  engine,
  table,
  queues: queues.map(({ path, isDeadLetterQueue, messages }) => ({
    name: nameOf(path),
    isDeadLetterQueue,
    messages: messages.length,
  })),
  schedules: schedules.map(({ name, expression, functions }) => ({
    name: nameOf(name),
    expression,
    functions,
  })),
});

const shown = ({ messageId, sentAt, receiveCount, body }: Queue['messages'][number]) => ({
  messageId,
  sentAt: new Date(sentAt).toISOString(),
  receiveCount,
  body,
});

/**
 * Returns 200 when every function that a schedule invokes has succeeded. The functions' logs say what they have done.
 */
function ran(outcomes: readonly InvocationResult[]): Answer {
  const failures = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.error.errorMessage]));
  return failures.length === 0 ? [200, { outcome: 'succeeded' }] : [500, { outcome: 'failed', failures }];
}
