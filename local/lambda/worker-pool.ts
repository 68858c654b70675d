import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { buildSync } from 'esbuild';
import { sourceMapOf } from '../../infra/bundle.ts';
import type { CloudWatch } from '../aws/cloudwatch.ts';
import type { AwsCredentials } from '../aws/sigv4.ts';
import { type Clock, monotonicNow } from '../clock.ts';
import { REGION, type Resource, type Template } from '../template.ts';
import type { FunctionError, LogFormat, WorkerData, WorkerEvent, WorkerReport } from './worker.ts';

/** The result of an invocation, as Lambda returns it to the caller. */
export type InvocationResult =
  | { readonly ok: true /** The response as JSON. */; readonly payload: string }
  | {
      readonly ok: false;
      readonly error: FunctionError;
      /** Whether Lambda rejected the event, because the function's concurrency is used up. */
      readonly isThrottled?: boolean;
    };

/** A line of a function's output. */
export interface LogLine {
  readonly function: string;
  readonly text: string;
}

interface FunctionProperties {
  Code: { ZipFile?: string };
  Handler: string;
  Role: string;
  Timeout?: number;
  MemorySize?: number;
  ReservedConcurrentExecutions?: number;
  LoggingConfig?: { LogFormat?: LogFormat; ApplicationLogLevel?: string };
  Environment?: { Variables?: Record<string, string> };
}

/** A Lambda function from the template. */
export interface LocalFunction {
  /** Name of the function's file in `functions/`, derived from the construct's name, such as `issue-token`. */
  readonly name: string;
  readonly functionName: string;
  readonly arn: string;
  readonly roleArn: string;
  /** Credentials of the function's role, which sign the function's calls. */
  readonly credential: AwsCredentials;
  /** Timeout in milliseconds. */
  readonly timeout: number;
  readonly pool: WorkerPool;
}

/** The parameters of a function that are not in the template. */
export interface FunctionContext {
  readonly clock: Clock;
  /** Endpoint of the AWS services for the function. */
  readonly awsEndpoint: string;
  readonly log: (line: LogLine) => void;
  /** Receives the metrics of invocations. */
  readonly cloudWatch: CloudWatch;
}

const POOL_SIZE = 4;
const INIT_TIMEOUT = 10_000;

let bootstrap: string | undefined;

/**
 * worker.ts as JavaScript. It is compiled once, because a thread that strips types itself takes twice as long to start.
 */
function workerSource(): string {
  bootstrap ??= buildSync({
    entryPoints: [fileURLToPath(new URL('./worker.ts', import.meta.url))],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    write: false,
  }).outputFiles[0]?.text;
  return bootstrap ?? '';
}

/** Converts a construct path to a function name: `IssueToken/Function/Resource` → `issue-token`. */
const nameOf = (path: string) =>
  (
    path
      .replace(/(\/(Function|Default|Resource))+$/, '')
      .split('/')
      .pop() ?? path
  )
    .replace(/(?<=[a-z0-9])(?=[A-Z])/g, '-')
    .toLowerCase();

/** Reads a function from the template and creates its pool of workers. No worker starts before the first event. */
export function createFunction(
  template: Template,
  resource: Resource,
  around: FunctionContext,
): LocalFunction {
  const properties = template.properties<FunctionProperties>(resource);
  const name = nameOf(resource.path);
  const functionName = template.ref(resource);
  const arn = template.attribute(resource, 'Arn');
  const memorySize = properties.MemorySize ?? 128;
  const timeout = (properties.Timeout ?? 3) * 1000;
  const logFormat = properties.LoggingConfig?.LogFormat ?? 'Text';
  // Each function gets its own access key, by which the AWS proxy identifies it.
  const credential = {
    accessKeyId: `ASIA${createHash('sha256').update(randomBytes(16)).digest('hex').slice(0, 16).toUpperCase()}`,
    secretAccessKey: randomBytes(20).toString('hex'),
    sessionToken: randomBytes(20).toString('hex'),
  };
  const environment = {
    ...properties.Environment?.Variables,
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
    AWS_LAMBDA_FUNCTION_NAME: functionName,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memorySize),
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    // Lambda sets these two variables only for the JSON log format.
    ...(logFormat === 'JSON' && {
      AWS_LAMBDA_LOG_FORMAT: logFormat,
      AWS_LAMBDA_LOG_LEVEL: properties.LoggingConfig?.ApplicationLogLevel ?? 'INFO',
    }),
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${functionName}`,
    AWS_LAMBDA_LOG_STREAM_NAME: `local/[$LATEST]${randomUUID()}`,
    AWS_ACCESS_KEY_ID: credential.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credential.secretAccessKey,
    AWS_SESSION_TOKEN: credential.sessionToken,
    AWS_ENDPOINT_URL_DYNAMODB: around.awsEndpoint,
    AWS_ENDPOINT_URL_SQS: around.awsEndpoint,
    AWS_ENDPOINT_URL_EVENTBRIDGE: around.awsEndpoint,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: around.awsEndpoint,
    // Without these two variables, the SDK would read the developer's own AWS configuration files, which do not exist
    // on Lambda.
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    LAMBDA_TASK_ROOT: '/var/task',
    PATH: '/usr/local/bin:/usr/bin:/bin',
    TZ: ':UTC',
  };
  const pool = new WorkerPool({
    ...code(template, resource, properties),
    handler: properties.Handler,
    environment,
    timeout,
    memorySize,
    logFormat,
    functionName,
    functionArn: arn,
    size: Math.min(POOL_SIZE, properties.ReservedConcurrentExecutions ?? POOL_SIZE),
    clock: around.clock,
    log: (text) => around.log({ function: name, text }),
    measure: (metric, value, at) => {
      const dimensions = { FunctionName: functionName };
      around.cloudWatch.put({ namespace: 'AWS/Lambda', name: metric, dimensions }, value, at);
    },
  });
  return { name, functionName, arn, roleArn: properties.Role, credential, timeout, pool };
}

/**
 * Reads a function's code. A debugger finds the sources through the source map next to the bundle. The deployed source
 * map would not work, because its paths are relative to the build folder, not to the asset.
 */
function code(template: Template, resource: Resource, { Code, Handler }: FunctionProperties) {
  const module = Handler.split('.')[0];
  if (Code.ZipFile !== undefined)
    return { source: Code.ZipFile, file: `/var/task/${module}.js`, entry: undefined };
  const directory = template.assetDirectory(resource) ?? '';
  const entry = join(directory, `${module}.mjs`);
  const hasEntry = existsSync(entry);
  const file = join(directory, hasEntry ? 'index.js' : `${module}.js`);
  if (!existsSync(file))
    throw new Error(`${resource.path} has no ${module}.js or ${module}.mjs in its asset.`);
  const source = readFileSync(file, 'utf8').replace(/^\/\/# sourceMappingURL=.*\n$/m, '');
  const map = sourceMapOf(nameOf(resource.path));
  return {
    source: existsSync(map) ? `${source}//# sourceMappingURL=${pathToFileURL(map)}\n` : source,
    file,
    // The assets are deleted once the stack is running, so the module is loaded from memory.
    entry: hasEntry
      ? readFileSync(entry, 'utf8').replace('import.meta.url', JSON.stringify(pathToFileURL(entry)))
      : undefined,
  };
}

interface PoolOptions extends Omit<WorkerData, 'clock' | 'gate'> {
  readonly environment: Record<string, string>;
  /** The function's time limit in milliseconds. */
  readonly timeout: number;
  readonly size: number;
  readonly clock: Clock;
  readonly log: (text: string) => void;
  /** Records a metric. @param at time in epoch milliseconds of the stack's clock. Default: now */
  readonly measure: (metric: string, value: number, at?: number) => void;
}

interface Job {
  readonly requestId: string;
  readonly event: string;
  /** When the function received the event, in epoch milliseconds of the stack's clock. */
  startedAt?: number;
  /** When the function received the event, in milliseconds of the process's monotonic time. */
  startedMonotonic?: number;
  readonly done: (outcome: InvocationResult) => void;
}

/** A worker thread and the event that it is handling, if any. */
interface Sandbox {
  readonly worker: Worker;
  readonly gate: Int32Array;
  isReady: boolean;
  job?: Job | undefined;
  timer?: NodeJS.Timeout;
}

/**
 * The execution environments of one function: worker threads that start on demand and handle one event at a time.
 * Events wait when all workers are busy. A worker that times out or crashes is replaced.
 */
class WorkerPool {
  readonly #options: PoolOptions;
  readonly #sandboxes = new Set<Sandbox>();
  readonly #waiting: Job[] = [];
  #isStopped = false;
  /**
   * The function's reserved concurrency, as an operator sets it with `put-function-concurrency`. Lambda rejects more
   * concurrent events. @default events wait for a free environment
   */
  reservedConcurrency?: number | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Invokes the function and waits for its result. Never throws, because a failure is also a result. */
  invoke(event: unknown): Promise<InvocationResult> {
    return new Promise((done) => {
      const measured = (outcome: InvocationResult) => {
        this.#measureInvocation(job, outcome);
        done(outcome);
      };
      const job: Job = { requestId: randomUUID(), event: JSON.stringify(event), done: measured };
      if (this.#isStopped) return done(STOPPED);
      if (this.#underWay >= (this.reservedConcurrency ?? Number.POSITIVE_INFINITY)) {
        this.#options.measure('Throttles', 1);
        return done(THROTTLED);
      }
      this.#waiting.push(job);
      this.#next();
    });
  }

  /** Records a metric about the function, such as the age of its events. */
  measure(metric: string, value: number): void {
    this.#options.measure(metric, value);
  }

  /** Number of events that wait or are being handled. */
  get #underWay(): number {
    return this.#waiting.length + [...this.#sandboxes].filter(({ job }) => job).length;
  }

  /** Records what Lambda records about an invocation, under the time at which it began. */
  #measureInvocation({ startedAt, startedMonotonic }: Job, outcome: InvocationResult): void {
    const { measure, clock } = this.#options;
    const at = startedAt ?? clock.now();
    if (outcome === STOPPED) return;
    measure('Invocations', 1, at);
    measure('Errors', outcome.ok ? 0 : 1, at);
    measure('Throttles', 0, at);
    if (startedMonotonic !== undefined) measure('Duration', monotonicNow() - startedMonotonic, at);
  }

  /** Ends every worker. Events in progress fail. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const sandboxes = [...this.#sandboxes];
    for (const job of this.#waiting.splice(0)) job.done(STOPPED);
    await Promise.all(sandboxes.map((sandbox) => sandbox.worker.terminate()));
  }

  #next(): void {
    const idle = [...this.#sandboxes].find((sandbox) => sandbox.isReady && !sandbox.job);
    if (idle) {
      const job = this.#waiting.shift();
      if (job) this.#hand(idle, job);
      return;
    }
    const starting = [...this.#sandboxes].filter((sandbox) => !sandbox.isReady).length;
    const isWanted = this.#waiting.length > starting && this.#sandboxes.size < this.#options.size;
    if (isWanted && !this.#isStopped) this.#start();
  }

  #start(): void {
    const { clock, environment, log, size: _, timeout: __, measure: ___, ...data } = this.#options;
    const gate = new SharedArrayBuffer(4);
    const worker = new Worker(workerSource(), {
      eval: true,
      env: environment,
      argv: [],
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: data.memorySize },
      workerData: { ...data, gate, clock: clock.memory } satisfies WorkerData,
    });
    const sandbox: Sandbox = { worker, gate: new Int32Array(gate), isReady: false };
    this.#sandboxes.add(sandbox);
    sandbox.timer = setTimeout(() => {
      this.#broken(sandbox, error('Sandbox.Timedout', `Init timed out after ${INIT_TIMEOUT / 1000} seconds`));
    }, INIT_TIMEOUT);
    worker.on('message', (report: WorkerReport) => {
      if (report.type === 'line') return log(report.text);
      if (report.type === 'broken') return this.#broken(sandbox, report.error);
      clearTimeout(sandbox.timer);
      if (report.type === 'ready') sandbox.isReady = true;
      else this.#answered(sandbox, report);
      this.#next();
    });
    worker.on('error', (cause) => {
      log(`${cause.stack ?? cause}\n`);
      this.#discard(sandbox, error('Runtime.Unknown', cause.message));
    });
    worker.on('exit', (status) => {
      this.#discard(
        sandbox,
        error('Runtime.ExitError', `Error: Runtime exited with error: exit status ${status}`),
      );
    });
  }

  #hand(sandbox: Sandbox, job: Job): void {
    const { timeout } = this.#options;
    sandbox.job = job;
    job.startedAt = this.#options.clock.now();
    job.startedMonotonic = monotonicNow();
    sandbox.timer = setTimeout(() => {
      const seconds = (timeout / 1000).toFixed(2);
      this.#options.log(`${job.requestId} Task timed out after ${seconds} seconds\n`);
      this.#discard(sandbox, error('Sandbox.Timedout', `Error: Task timed out after ${seconds} seconds`));
    }, timeout);
    const { requestId, event } = job;
    sandbox.worker.postMessage({
      requestId,
      event,
      deadline: monotonicNow() + timeout,
    } satisfies WorkerEvent);
    Atomics.add(sandbox.gate, 0, 1);
    Atomics.notify(sandbox.gate, 0);
  }

  #answered(sandbox: Sandbox, report: Extract<WorkerReport, { type: 'answer' | 'error' }>): void {
    const { job } = sandbox;
    sandbox.job = undefined;
    if (report.type === 'answer') job?.done({ ok: true, payload: report.payload });
    else job?.done({ ok: false, error: report.error });
  }

  /** Fails the event for which an environment was started, because the environment could not start. */
  #broken(sandbox: Sandbox, reported: FunctionError): void {
    this.#options.log(`INIT_REPORT ${reported.errorType}: ${reported.errorMessage}\n`);
    sandbox.job ??= this.#waiting.shift();
    this.#discard(sandbox, reported);
  }

  #discard(sandbox: Sandbox, reported: FunctionError): void {
    clearTimeout(sandbox.timer);
    if (!this.#sandboxes.delete(sandbox)) return;
    void sandbox.worker.terminate();
    sandbox.job?.done({ ok: false, error: reported });
    this.#next();
  }
}

const error = (errorType: string, errorMessage: string): FunctionError => ({ errorType, errorMessage });

const STOPPED: InvocationResult = {
  ok: false,
  error: error('Sandbox.Stopped', 'The local stack has stopped'),
};

const THROTTLED: InvocationResult = {
  ok: false,
  error: error('TooManyRequestsException', 'Rate Exceeded.'),
  isThrottled: true,
};
