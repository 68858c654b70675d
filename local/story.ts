import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { startLocalStack } from './local-stack.ts';

const HELP = `Plays the life of a key: a Deployment is registered, a key made, swapped for a token and used; the
Deployment is deleted, and the token is refused.

  npm run story                                    against a local stack of its own, on free ports
  npm run story -- --url https://… --token …       against a deployed one; the token is an administrator's
                                                   OIDC access token (or in STORY_TOKEN, off the command line)

It registers a Deployment under a new ID and leaves nothing behind but its events. The exit code is 1 when an
answer is not what it should be.`;

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

/** Secrets and tokens, which are shortened wherever they appear in output. */
const SECRET = /(dk[stx]_[A-Za-z0-9_-]{4})[A-Za-z0-9_-]+/g;

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
    says: 'and makes a key: its secret is shown this once',
    method: 'POST',
    path: `${deployment}/api-keys`,
    bearer: administrator,
    json: { name: 'ci' },
    status: 201,
  });
  const { access_token: token } = await step({
    says: 'A pipeline swaps ID and secret for an access token',
    method: 'POST',
    path: '/oauth/token',
    basic: [String(key.id), String(key.secret)],
    form: { grant_type: 'client_credentials' },
    status: 200,
  });
  const use = { method: 'GET', path: '/whoami', bearer: String(token) };
  await step({ ...use, says: 'and uses it', status: 200 });
  await step({
    says: 'The administrator deletes the Deployment',
    method: 'DELETE',
    path: deployment,
    bearer: administrator,
    status: 204,
  });
  await step({ ...use, says: 'and the token is refused at once', status: 401 });
  await step({
    says: 'as is the key',
    method: 'POST',
    path: '/oauth/token',
    basic: [String(key.id), String(key.secret)],
    form: { grant_type: 'client_credentials' },
    status: 401,
  });
}

/** Runs a step. @throws Error if the response has an unexpected status */
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
    throw new Error(`Nothing answers at ${url}.`);
  });
  const text = await response.text();
  const milliseconds = Math.round(performance.now() - start);
  console.log(`${step.says}\n  ${step.method} ${step.path}`);
  console.log(`  ${response.status} in ${milliseconds} ms ${text.replace(SECRET, '$1…')}\n`);
  if (response.status !== step.status) throw new Error(`This should have been ${step.status}.`);
  return text === '' ? {} : JSON.parse(text);
}

async function run(): Promise<void> {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      token: { type: 'string', default: process.env.STORY_TOKEN },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  if (values.url !== undefined) {
    if (!values.token) throw new Error('--url needs --token, an access token of an administrator.');
    return play(values.url.replace(/\/+$/, ''), values.token);
  }
  const start = performance.now();
  const stack = await startLocalStack();
  try {
    console.log(`A local stack is up at ${stack.url} after ${Math.round(performance.now() - start)} ms.\n`);
    await play(stack.url, await stack.signIn('admin'));
    const settling = performance.now();
    await stack.settled();
    console.log(`The purge was done ${Math.round(performance.now() - settling)} ms later.`);
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
