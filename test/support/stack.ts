import { DeleteCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, onTestFinished, TestRunner } from 'vitest';
import { type LocalStack, type LocalStackOptions, startLocalStack } from '../../local/local-stack.ts';
import type { CfnTemplate } from '../../local/template.ts';
import { assemblyOf } from './assembly.ts';
import { itemsOf } from './engine.ts';

/** A local stack, with functions that call its service and that read and write its table. */
export type TestStack = Awaited<ReturnType<typeof startStack>>;

/**
 * Starts an in-memory local stack. The stack stops after the test that starts it, or after the file's tests if it is
 * started outside a test.
 *
 *     const stack = await runStack({ context: { slideInterval: 0 } });
 *     await stack.register('etl');
 *     const token = await stack.exchangeForToken(await stack.createKey('etl'));
 */
export async function runStack(options: LocalStackOptions = {}): Promise<TestStack> {
  const stack = await startStack(options);
  // Vitest would ignore a hook that a running test registers with afterAll.
  const atEnd = TestRunner.getCurrentTest() ? onTestFinished : afterAll;
  atEnd(() => stack.stop());
  return stack;
}

/** Starts a local stack that the caller must stop. */
export async function startStack(options: LocalStackOptions = {}) {
  const stack = await startLocalStack({ synthesise: assemblyOf, ...options });
  return { ...stack, ...serviceOf(stack), ...tableOf(stack) };
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

/** A key of a Deployment that has no other keys. */
export interface KeyOfDeployment extends CreatedKey {
  readonly deploymentId: string;
  /** Path of the key in the API. */
  readonly path: string;
}

/** Returns functions that call a stack's service. */
function serviceOf(stack: LocalStack) {
  const send = (method: string, path: string, options?: Call): Promise<Reply> =>
    call(stack, method, path, options);

  /** Makes a management call as one of the development issuer's two people. */
  const callAs = async (
    person: 'admin' | 'member',
    method: string,
    path: string,
    options: Call = {},
  ): Promise<Reply> => send(method, path, { token: await stack.signIn(person), ...options });

  /** Registers a Deployment as the administrator. */
  const register = async (
    id: string,
    body: { name?: string; groups?: string[] } = { groups: ['data-eng'] },
  ): Promise<void> => {
    const put = () => callAs('admin', 'PUT', `/deployments/${id}`, { json: body });
    // The status is 200 if an earlier attempt, whose response was 503, has registered the Deployment.
    await expectStatus([200, 201], repeatWhileBusy(put));
  };

  /** Creates a key as the administrator. */
  const createKey = async (deploymentId: string, body: object = { name: 'ci' }): Promise<CreatedKey> => {
    const path = `/deployments/${deploymentId}/api-keys`;
    const create = () => callAs('admin', 'POST', path, { json: body });
    const reply = await expectStatus([201], repeatWhileBusy(create));
    return reply.json;
  };

  /** Creates a Deployment with a key. */
  const newKey = async (deploymentId: string, body: object = {}): Promise<KeyOfDeployment> => {
    await register(deploymentId);
    const key = await createKey(deploymentId, { name: 'ci', ...body });
    return { ...key, deploymentId, path: `/deployments/${deploymentId}/api-keys/${key.id}` };
  };

  /** Requests an access token with a key and returns the response, regardless of its status. */
  const exchange = (key: CreatedKey, scope?: string): Promise<Reply> => {
    const form = { grant_type: 'client_credentials', ...(scope !== undefined && { scope }) };
    return send('POST', '/oauth/token', { basic: [key.id, key.secret], form });
  };

  /** Exchanges a key's secret for an access token. */
  const exchangeForToken = async (key: CreatedKey, scope?: string): Promise<string> => {
    const reply = await expectStatus(
      [200],
      repeatWhileBusy(() => exchange(key, scope)),
    );
    return reply.json.access_token;
  };

  return {
    call: send,
    callAs,
    register,
    createKey,
    newKey,
    exchange,
    exchangeForToken,
    /** Creates a Deployment with a key, and returns a token from that key. */
    newToken: async (deploymentId: string): Promise<string> => exchangeForToken(await newKey(deploymentId)),
    /** Uses a token. @returns the status: 200 or 401 */
    use: async (token: string): Promise<number> =>
      (await repeatWhileBusy(() => send('GET', '/whoami', { token }))).status,
    /** Returns how many calls of an operation a function made to the table. */
    countCalls: (functionName: string, operation: string): number =>
      stack.calls(functionName)[operation] ?? 0,
    /** Returns the log lines of a function, or of all functions, that are JSON objects. */
    logLines: (functionName?: string) =>
      stack.logs
        .text(functionName)
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line)),
  };
}

/** Returns functions that read and write a stack's first table directly. */
function tableOf({ table: { client, name } }: LocalStack) {
  /** Returns all items in a partition, with strongly consistent reads. */
  const partition = (pk: string): Promise<Record<string, unknown>[]> => itemsOf(client, name, pk);
  return {
    partition,
    /** Returns the purge markers of a Deployment. */
    markers: async (deploymentId: string): Promise<Record<string, unknown>[]> =>
      (await partition('PURGES')).filter(({ sk }) => String(sk).startsWith(`${deploymentId}#`)),
    putItem: async (item: Record<string, unknown>): Promise<void> => {
      await client.send(new PutCommand({ TableName: name, Item: item }));
    },
    removeItem: async (pk: string, sk: string): Promise<void> => {
      await client.send(new DeleteCommand({ TableName: name, Key: { pk, sk } }));
    },
    /** Sets an attribute of an item. */
    setAttribute: async ([pk, sk]: [string, string], attribute: string, value: unknown): Promise<void> => {
      await client.send(
        new UpdateCommand({
          TableName: name,
          Key: { pk, sk },
          UpdateExpression: 'SET #name = :value',
          ExpressionAttributeNames: { '#name': attribute },
          ExpressionAttributeValues: { ':value': value },
        }),
      );
    },
  };
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

/** Returns a function that changes a template so that a function's role can no longer update items. */
export const withoutUpdate =
  (construct: string) =>
  ({ Resources }: CfnTemplate): void => {
    for (const { Type, Metadata, Properties } of Object.values(Resources)) {
      const isOfFunction = String(Metadata?.['aws:cdk:path']).includes(`/${construct}/`);
      if (Type !== 'AWS::IAM::Policy' || !isOfFunction) continue;
      const policy = Properties?.PolicyDocument as { Statement: { Action: string | string[] }[] } | undefined;
      for (const statement of policy?.Statement ?? []) {
        statement.Action = [statement.Action].flat().filter((action) => action !== 'dynamodb:UpdateItem');
      }
    }
  };
