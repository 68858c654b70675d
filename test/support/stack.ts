import { afterAll, onTestFinished, TestRunner } from 'vitest';
import { type LocalStack, type LocalStackOptions, startLocalStack } from '../../local/local-stack.ts';
import { assemblyOf } from './assembly.ts';

/**
 * Starts an in-memory local stack. The stack stops after the test that starts it, or after the file's tests if it is
 * started outside a test.
 *
 *     const stack = await runStack({ context: { slideInterval: 0 } });
 */
export async function runStack(options: LocalStackOptions = {}): Promise<LocalStack> {
  const stack = await startLocalStack({ synthesise: assemblyOf, ...options });
  // Vitest would ignore a hook that a running test registers with afterAll.
  const atEnd = TestRunner.getCurrentTest() ? onTestFinished : afterAll;
  atEnd(() => stack.stop());
  return stack;
}

/** A request to send to the service. */
export interface Call {
  /** Token to send as `Authorization: Bearer …`. */
  readonly token?: string | undefined;
  /** ID and secret to send as `Authorization: Basic …`. */
  readonly basic?: readonly [id: string, secret: string];
  /** Value to send as a JSON body. */
  readonly json?: unknown;
  /** Fields to send as a form body. */
  readonly form?: Readonly<Record<string, string>> | string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Request body to send unchanged. */
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

/** Response to a request. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The value of each `Set-Cookie` header. */
  readonly cookies: readonly string[];
  readonly text: string;
  /** The body parsed as JSON; undefined if the body is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: a test says in its assertion what it expects to find here
  readonly json: any;
}

/** Makes a request. @param target a stack, or a base URL without a trailing slash */
export async function call(
  target: { readonly url: string } | string,
  method: string,
  path: string,
  { token, basic, json, form, headers, body }: Call = {},
): Promise<Reply> {
  const url = typeof target === 'string' ? target : target.url;
  const response = await fetch(`${url}${path}`, {
    method,
    redirect: 'manual',
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(basic && { authorization: `Basic ${Buffer.from(basic.join(':')).toString('base64')}` }),
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...(form !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
      ...headers,
    },
    body:
      body ??
      (json === undefined ? form && new URLSearchParams(form).toString() : JSON.stringify(json)) ??
      null,
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    cookies: response.headers.getSetCookie(),
    text,
    json: parsed(text),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A key, as described in the response that created it. */
export interface CreatedKey {
  readonly id: string;
  readonly secret: string;
  readonly scopes: readonly string[];
}

/** Registers a Deployment as the administrator. */
export async function registerDeployment(
  stack: LocalStack,
  id: string,
  body: { name?: string; groups?: string[] } = { groups: ['data-eng'] },
): Promise<void> {
  const token = await stack.signIn('admin');
  const register = () => call(stack, 'PUT', `/deployments/${id}`, { token, json: body });
  // The status is 200 if an earlier attempt, whose response was 503, has registered the Deployment.
  await expectStatus([200, 201], repeatWhileBusy(register));
}

/** Creates a key as the administrator. */
export async function createKey(
  stack: LocalStack,
  deploymentId: string,
  body: object = { name: 'ci' },
): Promise<CreatedKey> {
  const path = `/deployments/${deploymentId}/api-keys`;
  const token = await stack.signIn('admin');
  const create = () => call(stack, 'POST', path, { token, json: body });
  const reply = await expectStatus([201], repeatWhileBusy(create));
  return reply.json;
}

/** Exchanges a key's secret for an access token. */
export async function exchangeForToken(stack: LocalStack, key: CreatedKey, scope?: string): Promise<string> {
  const form = { grant_type: 'client_credentials', ...(scope !== undefined && { scope }) };
  const exchange = () => call(stack, 'POST', '/oauth/token', { basic: [key.id, key.secret], form });
  const reply = await expectStatus([200], repeatWhileBusy(exchange));
  return reply.json.access_token;
}

/** Uses a token. @returns the status: 200 or 401 */
export async function use(stack: LocalStack, token: string): Promise<number> {
  const { status } = await repeatWhileBusy(() => call(stack, 'GET', '/whoami', { token }));
  return status;
}

/**
 * Repeats a request while the response is 503, as the service asks its clients to. On a busy machine, the DynamoDB
 * engine can take longer than a check's limit of 0.8 s.
 * @returns the first response other than 503, or the third 503
 */
export async function repeatWhileBusy<T extends { readonly status: number }>(
  send: () => Promise<T>,
): Promise<T> {
  let reply = await send();
  for (let attempt = 2; attempt <= 3 && reply.status === 503; attempt++) reply = await send();
  return reply;
}

/**
 * Returns the reply. @throws Error with the response if its status is not an expected one, so that a failure in a
 * test's setup is noticed
 */
async function expectStatus(statuses: readonly number[], reply: Promise<Reply>): Promise<Reply> {
  const answer = await reply;
  if (statuses.includes(answer.status)) return answer;
  throw new Error(`Expected ${statuses.join(' or ')}, got ${answer.status}: ${answer.text}`);
}
