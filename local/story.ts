import { randomBytes } from 'node:crypto';
import { readOptions, UsageError } from './options.ts';
import { duration, Progress, paint, printable, withoutSecrets } from './terminal.ts';

const HELP = `Plays the life of a key: registers a Deployment, creates a key, exchanges it for a token and uses the token.
Then deletes the Deployment and shows that the token and the key are rejected.

Usage: npm run story -- [options]

Options:
      --url <url>        Play it against a deployed stack. Default: a local stack of its own, on free ports
      --token <token>    An administrator's OIDC access token, for --url. STORY_TOKEN keeps it off the command line.
  -h, --help             Show this help.

Registers a Deployment under a new ID and leaves only its events behind. The exit code is 1 if a response differs from
the expected one.`;

/** A step of the story: the request and the expected response. */
interface Step {
  readonly says: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly bearer?: string;
  readonly basic?: readonly [string, string];
  readonly json?: object;
  readonly form?: Record<string, string>;
}

type Json = Record<string, unknown>;

const output = process.stdout;

async function play(url: string, administrator: string): Promise<void> {
  const deploymentId = `story-${randomBytes(4).toString('hex')}`;
  const deployment = `/deployments/${deploymentId}`;
  const step = (next: Step) => take(url, next);

  await step({
    says: 'An administrator registers a Deployment',
    method: 'PUT',
    path: deployment,
    bearer: administrator,
    json: { name: 'Story', groups: ['data-eng'] },
    status: 201,
  });
  const key = await step({
    says: 'The administrator creates a key, whose secret is returned only once',
    method: 'POST',
    path: `${deployment}/api-keys`,
    bearer: administrator,
    json: { name: 'ci' },
    status: 201,
  });
  const { access_token: token } = await step({
    says: 'A pipeline exchanges the ID and the secret for an access token',
    method: 'POST',
    path: '/oauth/token',
    basic: [String(key.id), String(key.secret)],
    form: { grant_type: 'client_credentials' },
    status: 200,
  });
  const use = { method: 'GET', path: '/whoami', bearer: String(token) };
  await step({ ...use, says: 'The pipeline uses the token', status: 200 });
  await step({
    says: 'The administrator deletes the Deployment',
    method: 'DELETE',
    path: deployment,
    bearer: administrator,
    status: 204,
  });
  await step({ ...use, says: 'The token is rejected immediately', status: 401 });
  await step({
    says: 'The key is rejected too',
    method: 'POST',
    path: '/oauth/token',
    basic: [String(key.id), String(key.secret)],
    form: { grant_type: 'client_credentials' },
    status: 401,
  });
}

/** Runs a step. @throws UsageError if the response has an unexpected status */
async function take(url: string, step: Step): Promise<Json> {
  const start = performance.now();
  const response = await fetch(`${url}${step.path}`, {
    method: step.method,
    headers: {
      ...(step.bearer && { authorization: `Bearer ${step.bearer}` }),
      ...(step.basic && { authorization: `Basic ${Buffer.from(step.basic.join(':')).toString('base64')}` }),
      ...(step.json && { 'content-type': 'application/json' }),
    },
    body: step.json ? JSON.stringify(step.json) : step.form && new URLSearchParams(step.form),
  }).catch(() => {
    throw new UsageError(`No server responds at ${printable(url)}.`);
  });
  const text = await response.text();
  const took = duration(performance.now() - start);
  const isExpected = response.status === step.status;
  const mark = isExpected ? paint(output, 'green', '✓') : paint(output, 'red', '✗');
  const shown = printable(withoutSecrets(text));
  console.log(`${mark} ${paint(output, 'bold', step.says)} ${paint(output, 'dim', took)}`);
  console.log(`  ${step.method} ${step.path}`);
  console.log(paint(output, 'dim', `  ${response.status} ${shown}`.trimEnd()));
  if (!isExpected) throw new UsageError(`The response should have the status ${step.status}.`);
  try {
    return text === '' ? {} : JSON.parse(text);
  } catch {
    throw new UsageError('The response is not JSON.');
  }
}

async function run(): Promise<void> {
  const values = readOptions('npm run story', {
    url: { type: 'string' },
    token: { type: 'string', default: process.env.STORY_TOKEN },
    help: { type: 'boolean', short: 'h', default: false },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  if (values.url !== undefined) {
    if (!values.token)
      throw new UsageError(
        '--token is missing. Give an access token of an administrator, or set STORY_TOKEN.',
      );
    return play(values.url.replace(/\/+$/, ''), values.token);
  }
  const progress = new Progress(output);
  progress.line(paint(output, 'bold', 'Starting a local stack'));
  progress.step('Loading the CDK');
  const { startLocalStack } = await import('./local-stack.ts');
  const stack = await startLocalStack({ onStep: (label) => progress.step(label) }).catch((error) => {
    progress.fail();
    throw error;
  });
  try {
    progress.done();
    progress.line();
    await play(stack.url, await stack.signIn('admin'));
    progress.step('Purging what it left');
    await stack.settled();
    progress.done();
  } finally {
    await stack.stop();
  }
}

try {
  await run();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
