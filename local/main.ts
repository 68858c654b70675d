import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ConfigError } from '../infra/config.ts';
import { DEVELOPER } from './api-gateway/iam-authorizer.ts';
import { ENGINE_CREDENTIALS } from './dynamodb/engine.ts';
import { type LocalStack, startLocalStack } from './local-stack.ts';
import { signedCall, story } from './pasted.ts';
import { issuerPort, port } from './ports.ts';

const DATA_DIRECTORY = fileURLToPath(new URL('../.local', import.meta.url));

const HELP = `Runs the whole service on this machine.

  npm start                       starts at http://127.0.0.1:8787, with the data of the last run
  npm start -- --fresh            deletes the data of the last run
  npm start -- -c name=value …    changes settings, as for cdk: -c tokenLifetime=3 -c slideInterval=0
  npm start -- --data folder      stores the data in this folder instead of .local/

  PORT=9000 npm start             uses another port. The sign-in uses the next one, or ISSUER_PORT
  DYNAMODB_ENDPOINT=http://…      uses this DynamoDB instead of the embedded engine

Press Ctrl-C to stop.`;

function readArguments() {
  const { values } = parseArgs({
    options: {
      context: { type: 'string', short: 'c', multiple: true, default: [] },
      data: { type: 'string', default: DATA_DIRECTORY },
      fresh: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const context = values.context.map((setting) => {
    const at = setting.indexOf('=');
    if (at < 1) throw new Error(`-c: "${setting}" must be name=value.`);
    return [setting.slice(0, at), setting.slice(at + 1)] as const;
  });
  return { ...values, context: Object.fromEntries(context) };
}

/** Creates a first Deployment if there is none, so that the console has something to show. */
async function welcome({ url, signIn }: LocalStack): Promise<void> {
  const headers = { authorization: `Bearer ${await signIn('admin')}`, 'content-type': 'application/json' };
  const listing = await fetch(`${url}/deployments?limit=1`, { headers });
  const { items } = (await listing.json()) as { items?: unknown[] };
  if (items?.length !== 0) return;
  const body = JSON.stringify({ name: 'Demo', groups: ['data-eng'] });
  await fetch(`${url}/deployments/demo`, { method: 'PUT', headers, body });
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, port: taken } = error as NodeJS.ErrnoException & { port?: number };
  if (code === 'EADDRINUSE') {
    return `Port ${taken} is in use. Stop what listens there, or choose another: PORT=9000 npm start`;
  }
  const isForTheUser = error instanceof ConfigError || code?.startsWith('ERR_PARSE_ARGS');
  return isForTheUser ? error.message : (error.stack ?? error.message);
}

async function run(): Promise<void> {
  const { context, data, fresh, help } = readArguments();
  if (help) {
    console.log(HELP);
    return;
  }
  let stack: LocalStack | undefined;
  let isEnding = false;
  const end = async () => {
    if (isEnding) return;
    isEnding = true;
    await stack?.stop();
    process.exit();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);

  // Import this late: it loads the CDK, which `--help` should not wait for.
  const { synthesiseWithExample } = await import('../infra/example/app.ts');
  stack = await startLocalStack({
    port: port(),
    issuerPort: issuerPort(),
    context: { platformPrincipals: DEVELOPER.arn, ...context },
    dataDirectory: resolve(data),
    fresh,
    // An API that uses the authorizer, next to the service.
    synthesise: synthesiseWithExample,
    onLog: (line) => process.stderr.write(line),
  });
  if (isEnding) return end();
  await welcome(stack);
  console.log(`Deployment API Keys at ${stack.url}, sign-in at ${stack.issuer}. Ctrl-C stops it.`);
  console.log(`The console: open ${stack.url} in a browser.`);
  console.log(
    `An API behind the authorizer (infra/example): REST at ${stack.urls['Rest/Resource']}, HTTP at ${stack.urls['Http/Resource']}.`,
  );
  if (String(context.platformPrincipals ?? DEVELOPER.arn).includes(DEVELOPER.arn)) {
    console.log(`Management calls as the IAM principal ${DEVELOPER.arn}:\n  ${signedCall(stack)}`);
  }
  if (context.deploymentsSource !== undefined) {
    const table = stack.tables.at(-1)?.name;
    console.log(
      `The platform's table of Deployments: ${table} at ${stack.engineEndpoint}, access key ${ENGINE_CREDENTIALS.accessKeyId}, any secret.`,
    );
  }
  console.log(`\nA story to paste into another terminal, in this folder:\n${story(stack)}`);
}

try {
  await run();
} catch (error) {
  console.error(describe(error));
  process.exitCode = 1;
}
