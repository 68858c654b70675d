/**
 * The script that each worker thread runs. It emulates the part of Lambda's Node.js runtime that a function can
 * observe: it loads the handler, passes it one event at a time, and is suspended between events.
 */
import Module from 'node:module';
import { format } from 'node:util';
import { parentPort, workerData } from 'node:worker_threads';
import { Clock, monotonicNow } from '../clock.ts';

/** The data that a worker starts with. */
export interface WorkerData {
  readonly source: string;
  /** Path of the source file, for stack traces. */
  readonly file: string;
  /** Source of the ES module that requires `file` as `./index.js` and exports the handler. @default `file` exports it */
  readonly entry: string | undefined;
  readonly handler: string;
  readonly clock: SharedArrayBuffer;
  /** Counts the events sent to this worker. */
  readonly gate: SharedArrayBuffer;
  readonly functionName: string;
  readonly functionArn: string;
  readonly memorySize: number;
  readonly logFormat: LogFormat;
}

/** The format in which Lambda writes a function's console output. */
export type LogFormat = 'JSON' | 'Text';

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
  readonly trace?: string[] | undefined;
}

/** A message from the worker. */
export type WorkerReport =
  | { readonly type: 'ready' }
  | { readonly type: 'broken'; readonly error: FunctionError }
  | { readonly type: 'line'; readonly text: string }
  | { readonly type: 'answer'; readonly requestId: string; readonly payload: string }
  | { readonly type: 'error'; readonly requestId: string; readonly error: FunctionError };

type Handler = (event: unknown, context: object) => unknown;

async function run(data: WorkerData, say: (report: WorkerReport) => void): Promise<void> {
  replaceDate(new Clock(data.clock));
  captureOutput(say);
  let requestId: string | undefined;
  if (data.logFormat === 'JSON') wrapConsole(() => requestId);
  let handler: Handler;
  try {
    handler = await load(data);
  } catch (error) {
    say({ type: 'broken', error: described(error) });
    return;
  }
  let events = 0;
  parentPort?.on('message', async ({ requestId: received, event, deadline }: WorkerEvent) => {
    requestId = received;
    events += 1;
    const handed = events;
    try {
      const answer = await handler(JSON.parse(event), context(data, received, deadline));
      say({ type: 'answer', requestId: received, payload: JSON.stringify(answer) ?? 'null' });
    } catch (error) {
      const reported = described(error);
      if (data.logFormat === 'JSON') console.error(logged(reported));
      else say({ type: 'line', text: `${received}\tERROR\tInvoke Error\t${JSON.stringify(reported)}\n` });
      say({ type: 'error', requestId: received, error: reported });
    }
    // Lambda suspends a function between two events, so an unawaited promise does not proceed until the next event. Do
    // not suspend the worker if the next event has already been sent, which shows in the gate's higher count of events.
    setImmediate(() => Atomics.wait(new Int32Array(data.gate), 0, handed));
  });
  say({ type: 'ready' });
}

/**
 * Compiles the source as CommonJS, regardless of any package.json in a parent folder. The code can import only Node's
 * own modules.
 */
async function load({ source, file, entry, handler }: WorkerData): Promise<Handler> {
  const loaded = new Module(file) as Module & { _compile(source: string, file: string): void };
  loaded.filename = file;
  loaded.paths = [];
  const compile = () => loaded._compile(source, file);
  if (entry === undefined) compile();
  const name = handler.split('.').pop() ?? '';
  const found = (entry === undefined ? loaded.exports : await imported(entry, loaded, compile))[name];
  if (typeof found === 'function') return found;
  throw Object.assign(new Error(`${handler} is undefined or not exported`), {
    name: 'Runtime.HandlerNotFound',
  });
}

/**
 * Imports an ES module that requires `required` by its path, even though no such file exists.
 * @param compile function that runs `required`; called only when the ES module requires it
 */
async function imported(
  source: string,
  required: Module,
  compile: () => void,
): Promise<Record<string, unknown>> {
  const internal = Module as unknown as {
    _cache: Record<string, Module>;
    _resolveFilename(request: string, ...rest: unknown[]): string;
  };
  const resolve = internal._resolveFilename;
  internal._resolveFilename = (request, ...rest) => {
    if (request !== './index.js') return resolve(request, ...rest);
    if (!required.loaded) compile();
    internal._cache[required.filename] = Object.assign(required, { loaded: true });
    return required.filename;
  };
  return import(`data:text/javascript,${encodeURIComponent(source)}`);
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

/** Returns an error in the form in which Lambda writes it with the JSON log format. */
const logged = ({ trace, ...error }: FunctionError) => ({ ...error, stackTrace: trace });

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
 * Sends log lines immediately, and in order with the response. A stream would hold them back while the worker is
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

/**
 * Makes the global console write as Lambda's console does with the JSON log format: each message becomes a line of JSON
 * with its time, level and request ID. Output that a function writes directly to its standard output stays unchanged.
 * Source: aws/aws-lambda-nodejs-runtime-interface-client, `src/LogPatch.js`.
 */
function wrapConsole(requestId: () => string | undefined): void {
  const levels = { trace: 'TRACE', debug: 'DEBUG', info: 'INFO', log: 'INFO', warn: 'WARN', error: 'ERROR' };
  for (const [method, level] of Object.entries(levels)) {
    console[method as keyof typeof levels] = (...values: unknown[]) => {
      const message = values.length === 1 ? values[0] : format(...values);
      const line = { timestamp: new Date().toISOString(), level, requestId: requestId(), message };
      process.stdout.write(`${JSON.stringify(line)}\n`);
    };
  }
}

// Keep this call last, so that all definitions above exist. Other files import only types from this one.
void run(workerData, (report) => parentPort?.postMessage(report));
