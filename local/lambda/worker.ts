/**
 * What runs in each worker thread: the part of Lambda's Node.js runtime that a function can notice. It loads the
 * handler, hands it one event at a time and stands still in between.
 */
import Module from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { Clock, monotonicNow } from '../clock.ts';

/** What a worker is started with. */
export interface WorkerData {
  readonly source: string;
  /** Where the source lies, for stack traces. */
  readonly file: string;
  readonly handler: string;
  readonly clock: SharedArrayBuffer;
  /** Counts the events that were handed to this worker. */
  readonly gate: SharedArrayBuffer;
  readonly functionName: string;
  readonly functionArn: string;
  readonly memorySize: number;
}

/** An event for a worker. */
export interface WorkerEvent {
  readonly requestId: string;
  /** The event as JSON. */
  readonly event: string;
  /** When time is up, on this process's monotonic clock, in milliseconds. */
  readonly deadline: number;
}

/** An error as Lambda reports it to whoever invoked the function. */
export interface FunctionError {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace?: string[];
}

/** What a worker says. */
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
    // Nothing runs on Lambda between two events: a promise left floating stands still until the next one comes.
    // Unless that one is handed over already: then the gate counts more events than this one.
    setImmediate(() => Atomics.wait(new Int32Array(data.gate), 0, handed));
  });
  say({ type: 'ready' });
}

/** Compiles as CommonJS whatever a package.json above says, and finds nothing but what Node itself has. */
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

/** `new Date()`, `Date()` and `Date.now()` tell the stack's time; all else about dates stays as it is. */
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

/** Lines leave at once, in order with the answer: a stream would keep them while the worker stands still. */
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

// Last, so that everything above is there. Nobody imports this file but for its types.
run(workerData, (report) => parentPort?.postMessage(report));
