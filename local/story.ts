import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { startLocalStack } from './local-stack.ts';

const HELP = `Tries the service: registers a Deployment, creates a key, exchanges it for a token, uses the token, deletes the
Deployment, and checks that the token and the key are rejected.

  npm run story                                    starts a local stack on free ports
  npm run story -- --url https://… --token …       calls a deployed stack. The token is the OIDC access token of an
                                                   administrator. STORY_TOKEN keeps it off the command line

The Deployment gets a new ID. Only its events remain. The exit code is 1 if a response is not the expected one.`;

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
    says: 'creates a key, whose secret is returned only once',
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
  await step({ ...use, says: 'uses the token', status: 200 });
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
    throw new Error(`No server responds at ${url}.`);
  });
  const text = await response.text();
  const milliseconds = Math.round(performance.now() - start);
  console.log(`${step.says}\n  ${step.method} ${step.path}`);
  console.log(`  ${response.status} in ${milliseconds} ms ${text.replace(SECRET, '$1…')}\n`);
  if (response.status !== step.status) throw new Error(`The response should have the status ${step.status}.`);
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
    if (!values.token)
      throw new Error('--token is missing. Give an access token of an administrator, or set STORY_TOKEN.');
    return play(values.url.replace(/\/+$/, ''), values.token);
  }
  const start = performance.now();
  const stack = await startLocalStack();
  try {
    console.log(`A local stack runs at ${stack.url} after ${Math.round(performance.now() - start)} ms.\n`);
    await play(stack.url, await stack.signIn('admin'));
    const settling = performance.now();
    await stack.settled();
    console.log(`The purge finished ${Math.round(performance.now() - settling)} ms later.`);
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
