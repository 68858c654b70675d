import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
// Import everything else late, because loading it takes seconds and the first line of output should not wait.
import type { ServedRequest } from './api-gateway/served-request.ts';
import type { LogLine } from './lambda/worker-pool.ts';
import type { LocalStack } from './local-stack.ts';
import { readOptions, UsageError } from './options.ts';
import { issuerPort, operationsPort, port } from './ports.ts';
import { Progress, paint, printable } from './terminal.ts';

const DATA_DIRECTORY = fileURLToPath(new URL('../.local', import.meta.url));

const HELP = `Runs the whole service on this machine, emulated from its synthesised template.

Usage: npm start -- [options]

Options:
  -c, --context <name=value>  Set a setting, as with cdk -c. Repeat it for more settings:
                              -c tokenLifetime=3 -c slideInterval=0
      --data <folder>         Keep the data in this folder. Default: .local
      --fresh                 Delete the data of the last run first.
      --json                  Print each request, and each line that a function logs, as JSON.
  -h, --help                  Show this help.

Environment:
  PORT                        Port of the API. Default: 8787
  ISSUER_PORT                 Port of the sign-in. Default: PORT + 1
  OPERATIONS_PORT             Port of the endpoint that shows queues and runs schedules. Default: PORT + 9
  DYNAMODB_ENDPOINT           URL of a DynamoDB to use instead of the embedded engine.
  NO_COLOR, FORCE_COLOR       Turn colours off or on. Default: on in a terminal`;

function readArguments() {
  const values = readOptions('npm start', {
    context: { type: 'string', short: 'c', multiple: true, default: [] as string[] },
    data: { type: 'string', default: DATA_DIRECTORY },
    fresh: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  });
  const context = values.context.map((setting) => {
    const at = setting.indexOf('=');
    if (at < 1)
      throw new UsageError(`-c takes name=value, such as -c tokenLifetime=3, not ${printable(setting)}`);
    return [setting.slice(0, at), setting.slice(at + 1)] as const;
  });
  return { ...values, context: Object.fromEntries(context) };
}

/** Creates a first Deployment if there are no Deployments, so that the console has something to show. */
async function welcome({ url, signIn }: LocalStack): Promise<void> {
  const headers = { authorization: `Bearer ${await signIn('admin')}`, 'content-type': 'application/json' };
  const listing = await fetch(`${url}/deployments?limit=1`, { headers });
  const { items } = (await listing.json()) as { items?: unknown[] };
  if (items?.length !== 0) return;
  const body = JSON.stringify({ name: 'Demo', groups: ['data-eng'] });
  await fetch(`${url}/deployments/demo`, { method: 'PUT', headers, body });
}

/** Describes an error, without a stack trace if the user can correct the cause. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, port: taken } = error as NodeJS.ErrnoException & { port?: number };
  if (code === 'EADDRINUSE') {
    return `Port ${taken} is in use. Stop what listens there, or choose another: PORT=9000 npm start`;
  }
  const isForTheUser = error instanceof UsageError || error.name === 'ConfigError';
  return isForTheUser ? error.message : (error.stack ?? error.message);
}

/** The output streams of a run. With --json, standard output contains only lines of JSON. */
interface Output {
  readonly progress: Progress;
  readonly onRequest: (request: ServedRequest) => void;
  readonly onLog: (line: LogLine) => void;
  /** Starts showing requests. Requests during startup are not shown. */
  readonly showRequests: () => void;
}

async function openOutput(stream: NodeJS.WriteStream, isJson: boolean): Promise<Output> {
  const progress = new Progress(stream);
  progress.line(paint(stream, 'bold', 'Starting Deployment API Keys'));
  progress.step('Loading the emulator');
  const { functionJson, functionLines, requestJson, requestLine } = await import('./activity.ts');
  let isReady = false;
  const onRequest = (request: ServedRequest) => {
    if (!isReady) return;
    if (isJson) console.log(requestJson(request));
    else progress.line(requestLine(request, stream));
  };
  const onLog = (line: LogLine) => {
    if (isJson) for (const text of functionJson(line)) console.log(text);
    else for (const text of functionLines(line)) progress.line(paint(stream, 'red', text));
  };
  return { progress, onRequest, onLog, showRequests: () => (isReady = true) };
}

async function run(): Promise<void> {
  const { context, data, fresh, json, help } = readArguments();
  if (help) {
    console.log(HELP);
    return;
  }
  const ports = { port: port(), issuerPort: issuerPort(), operationsPort: operationsPort() };
  let stack: LocalStack | undefined;
  let isEnding = false;
  const end = async () => {
    if (isEnding) return;
    isEnding = true;
    await stack?.stop();
    process.exit();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);

  const start = performance.now();
  const stream = json ? process.stderr : process.stdout;
  const { progress, showRequests, onLog, onRequest } = await openOutput(stream, json);
  try {
    const { startLocalStack } = await import('./local-stack.ts');
    const { synthesisOfService } = await import('./synthesis.ts');
    const { DEVELOPER } = await import('./api-gateway/iam-authorizer.ts');
    stack = await startLocalStack({
      ...ports,
      context: { platformPrincipals: DEVELOPER.arn, ...context },
      dataDirectory: resolve(data),
      fresh,
      // The app contains an API that uses the authorizer, in addition to the service.
      synthesise: synthesisOfService(),
      onLog,
      onRequest,
      onStep: (label) => progress.step(label),
    });
    if (isEnding) return end();
    progress.step('Making the first call');
    await welcome(stack);
    progress.done();
    const { summary } = await import('./summary.ts');
    progress.line(summary(stack, { stream, context, data, took: performance.now() - start }));
    showRequests();
  } catch (error) {
    progress.fail();
    throw error;
  }
}

try {
  await run();
} catch (error) {
  console.error(describe(error));
  process.exitCode = 1;
}
