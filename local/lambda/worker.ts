/**
 * The script of each worker thread: the part of Lambda's Node.js runtime that a function can observe. It loads the
 * handler, passes it one event at a time and is suspended in between.
 */
import Module from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { Clock, monotonicNow } from '../clock.ts';

/** The data that a worker starts with. */
export interface WorkerData {
  readonly source: string;
  /** Path of the source, for stack traces. */
  readonly file: string;
  readonly handler: string;
  readonly clock: SharedArrayBuffer;
  /** Counts the events sent to this worker. */
  readonly gate: SharedArrayBuffer;
  readonly functionName: string;
  readonly functionArn: string;
  readonly memorySize: number;
}

/** An event for a worker. */
export interface WorkerEvent {
  readonly requestId: string;
  /** The event as JSON text. */
  readonly event: string;
  /** When the event times out, in milliseconds of this process's monotonic clock. */
  readonly deadline: number;
}

/** An error as Lambda reports it to the caller. */
export interface FunctionError {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace?: string[];
}

/** A message from the worker. */
export type WorkerReport =
  | { readonly type: 'ready' }
  | { readonly type: 'broken'; readonly error: FunctionError }
  | { readonly type: 'line'; readonly text: string }
  | { readonly type: 'answer'; readonly requestId: string; readonly payload: string }
  | { readonly type: 'error'; readonly requestId: string; readonly error: FunctionError };

type Handler = (event: unknown, context: object) => unknown;

function run(data: WorkerData, say: (report: WorkerReport) => void): void {
  replaceDate(new Clock(data.clock));
  captureOutput(say);
  let handler: Handler;
  try {
    handler = load(data);
  } catch (error) {
    say({ type: 'broken', error: described(error) });
    return;
  }
  let events = 0;
  parentPort?.on('message', async ({ requestId, event, deadline }: WorkerEvent) => {
    events += 1;
    const handed = events;
    try {
      const answer = await handler(JSON.parse(event), context(data, requestId, deadline));
      say({ type: 'answer', requestId, payload: JSON.stringify(answer) ?? 'null' });
    } catch (error) {
      const reported = described(error);
      say({ type: 'line', text: `${requestId}\tERROR\tInvoke Error\t${JSON.stringify(reported)}\n` });
      say({ type: 'error', requestId, error: reported });
    }
    // Lambda suspends a function between two events, so an unawaited promise does not proceed until the next event.
    // Do not suspend if the next event was already sent: the gate then counts more events than this one.
    setImmediate(() => Atomics.wait(new Int32Array(data.gate), 0, handed));
  });
  say({ type: 'ready' });
}

/**
 * Compiles the source as CommonJS, regardless of any package.json in a parent folder. The code can import only Node's
 * own modules.
 */
function load({ source, file, handler }: WorkerData): Handler {
  const loaded = new Module(file) as Module & { _compile(source: string, file: string): void };
  loaded.filename = file;
  loaded.paths = [];
  loaded._compile(source, file);
  const name = handler.split('.').pop() ?? '';
  const found = loaded.exports[name];
  if (typeof found === 'function') return found;
  throw Object.assign(new Error(`${handler} is undefined or not exported`), {
    name: 'Runtime.HandlerNotFound',
  });
}

function context(data: WorkerData, awsRequestId: string, deadline: number): object {
  return {
    awsRequestId,
    functionName: data.functionName,
    functionVersion: '$LATEST',
    invokedFunctionArn: data.functionArn,
    memoryLimitInMB: String(data.memorySize),
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, deadline - monotonicNow()),
  };
}

function described(error: unknown): FunctionError {
  if (!(error instanceof Error)) return { errorType: typeof error, errorMessage: String(error), trace: [] };
  return { errorType: error.name, errorMessage: error.message, trace: error.stack?.split('\n') };
}

/**
 * Makes `new Date()`, `Date()` and `Date.now()` return the stack's time. Everything else about dates is unchanged.
 */
function replaceDate(clock: Clock): void {
  const VirtualDate = new Proxy(Date, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [clock.now()] : args, newTarget),
    apply: (target) => new target(clock.now()).toString(),
    get: (target, property) => (property === 'now' ? clock.now : Reflect.get(target, property)),
  });
  Date.prototype.constructor = VirtualDate;
  globalThis.Date = VirtualDate;
}

/**
 * Sends lines immediately and in order with the response. A stream would hold them back while the worker is
 * suspended.
 */
function captureOutput(say: (report: WorkerReport) => void): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
      say({ type: 'line', text: typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString() });
      const done = rest.find((argument) => typeof argument === 'function');
      done?.();
      return true;
    };
  }
}

// Keep this call last, so that all definitions above exist. Other files import only types from this one.
run(workerData, (report) => parentPort?.postMessage(report));
