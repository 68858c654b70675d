import { Agent, request } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { hashOf, mintCredential, newUlid } from '../../../functions/domain/credentials.ts';
import { toSeconds } from '../../../functions/domain/expiry.ts';
import * as ENV from '../../../functions/runtime/env.ts';
import { type Item, toApiKey, toDeployment, toToken } from '../../../functions/table/schema.ts';
import { createTable } from '../../support/engine.ts';

export const root = fileURLToPath(new URL('../../..', import.meta.url));
export const builtEntries = join(root, '.build/bench');
export const TABLE = 'keys';
export const SCOPES = ['code:deploy', 'airflow:read', 'airflow:write'];
export const DAY = 24 * 60 * 60;

/** Returns the environment variables that the template and Lambda set for the functions. */
export function functionEnvironment(endpoint: string, slideInterval = 300): Record<string, string> {
  return {
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'AKIDBENCH',
    AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
    // This session token is as long as Lambda's.
    AWS_SESSION_TOKEN: 'x'.repeat(900),
    AWS_ENDPOINT_URL_DYNAMODB: endpoint,
    AWS_LAMBDA_FUNCTION_NAME: 'bench',
    [ENV.tableName]: TABLE,
    [ENV.stackName]: 'bench',
    [ENV.tokenLifetime]: String(DAY),
    [ENV.slideInterval]: String(slideInterval),
    [ENV.scopes]: SCOPES.join(' '),
    [ENV.issuer]: 'https://login.example.com',
    [ENV.lastUsedFrom]: 'full',
    [ENV.groupsClaim]: 'groups',
    [ENV.adminGroup]: 'platform-admins',
  };
}

type Handler = (event: unknown, context?: unknown) => Promise<unknown>;

/** Loads the handler of a bundle: one of the service's functions, or one of the benchmark's entries. */
export function handlerOf(name: string, folder = '.build/functions'): Handler {
  return createRequire(import.meta.url)(join(root, folder, name, 'index.js')).handler;
}

/** Loads the authorizer again for a different table, because a bundle reads its environment only once. */
export function authorizerOn(tableName: string): Handler {
  const path = join(root, '.build/functions/authorize/index.js');
  const require = createRequire(import.meta.url);
  delete require.cache[path];
  process.env[ENV.tableName] = tableName;
  return require(path).handler;
}

/** Returns a function that calls DynamoDB without a client. The signature is fake, and the response is not parsed. */
export function rawCaller(endpoint: string) {
  const { hostname, port } = new URL(endpoint);
  const agent = new Agent({ keepAlive: true });
  return (operation: string, body: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const outgoing = request(
        { hostname, port, method: 'POST', agent, headers: rawHeaders(operation) },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8');
          answer.on('data', (chunk) => {
            text += chunk;
          });
          answer.on('end', () => (answer.statusCode === 200 ? resolve(text) : reject(new Error(text))));
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });
}

export const rawHeaders = (operation: string) => ({
  'content-type': 'application/x-amz-json-1.0',
  'x-amz-target': `DynamoDB_20120810.${operation}`,
  'x-amz-date': '20260101T000000Z',
  authorization:
    'AWS4-HMAC-SHA256 Credential=AKIDBENCH/20260101/eu-central-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0',
});

/** Writes items in batches of 25, four batches at a time. */
export async function putAll(endpoint: string, tableName: string, items: Iterable<Item>): Promise<void> {
  const call = rawCaller(endpoint);
  const source = items[Symbol.iterator]();
  const worker = async () => {
    for (;;) {
      const batch: object[] = [];
      while (batch.length < 25) {
        const next = source.next();
        if (next.done) break;
        batch.push({ PutRequest: { Item: marshall(next.value, { removeUndefinedValues: true }) } });
      }
      if (batch.length === 0) return;
      await call('BatchWriteItem', JSON.stringify({ RequestItems: { [tableName]: batch } }));
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
}

export async function createBenchTable(endpoint: string, tableName = TABLE): Promise<void> {
  const credentials = { accessKeyId: 'AKIDBENCH', secretAccessKey: 'bench' };
  await createTable(new DynamoDBClient({ endpoint, region: 'eu-central-1', credentials }), tableName);
}

export interface Seeded {
  id: string;
  generation: string;
  keys: { ulid: string; secret: string; item: Item }[];
  tokens: string[];
}

/**
 * Writes a Deployment with keys and tokens directly to the table.
 *
 * @param now when the tokens were issued, in epoch milliseconds
 */
export async function seed(
  endpoint: string,
  id: string,
  {
    keys,
    tokens,
    now = Date.now(),
    tableName = TABLE,
  }: { keys: number; tokens: number; now?: number; tableName?: string },
): Promise<Seeded> {
  const generation = newUlid(now);
  const made = Array.from({ length: keys }, () => {
    const ulid = newUlid(now);
    const secret = mintCredential('secret', id, ulid);
    const item = toApiKey({
      deploymentId: id,
      ulid,
      name: 'GitHub Actions',
      description: 'Deploys the DAGs of the nightly loads',
      scopes: SCOPES,
      secrets: [{ hash: hashOf(secret), createdAt: now }],
      enabled: true,
      epoch: 0,
      generation,
      revision: 0,
      createdAt: now,
      createdBy: 'bench',
    });
    return { ulid, secret, item };
  });
  const issued = Array.from({ length: tokens }, (_, n) => {
    const { ulid } = made[n % keys] as (typeof made)[number];
    return { ulid, token: mintCredential('token', id, ulid) };
  });
  const deployment = toDeployment({
    id,
    name: 'Nightly loads',
    groups: ['data-eng'],
    generation,
    keyCount: keys,
    createdAt: now,
  });
  // This is the middle of a slide interval, so no token's expiry has to be extended for two minutes.
  const expiresAt = toSeconds(now + (DAY + 290) * 1000);
  const items = issued.map(({ ulid, token }) =>
    toToken({
      deploymentId: id,
      ulid,
      hash: hashOf(token),
      generation,
      epoch: 0,
      issuedAt: toSeconds(now),
      expiresAt,
    }),
  );
  await putAll(endpoint, tableName, [deployment, ...made.map(({ item }) => item), ...items]);
  return { id, generation, keys: made, tokens: issued.map(({ token }) => token) };
}

/** Returns the event that an HTTP API sends to the authorizer. */
export const authorizerEvent = (token: string) => ({
  version: '2.0',
  type: 'REQUEST',
  routeArn: 'arn:aws:execute-api:eu-central-1:123456789012:abcdef123/$default/POST/deploys',
  identitySource: [`Bearer ${token}`],
  routeKey: 'POST /deploys',
  rawPath: '/deploys',
  rawQueryString: '',
  headers: { authorization: `Bearer ${token}`, host: 'abcdef123.execute-api.eu-central-1.amazonaws.com' },
  requestContext: {
    accountId: '123456789012',
    apiId: 'abcdef123',
    http: {
      method: 'POST',
      path: '/deploys',
      protocol: 'HTTP/1.1',
      sourceIp: '192.0.2.1',
      userAgent: 'curl',
    },
    requestId: 'Cz8YXjZPIAMEMXQ=',
    routeKey: 'POST /deploys',
    stage: '$default',
  },
  pathParameters: {},
  stageVariables: {},
});

export const lambdaContext = {
  functionName: 'bench',
  functionVersion: '$LATEST',
  invokedFunctionArn: 'arn:aws:lambda:eu-central-1:123456789012:function:bench',
  memoryLimitInMB: '256',
  awsRequestId: '5d0e1c6e-0000-4000-8000-000000000000',
  getRemainingTimeInMillis: () => 60_000,
};

const part = (json: object) => Buffer.from(JSON.stringify(json)).toString('base64url');
/** An administrator's access token as the gateway forwards it after verification. */
const ADMIN = `${part({ alg: 'RS256', typ: 'at+jwt' })}.${part({ sub: 'bench', groups: ['platform-admins'] })}.c2ln`;

/** Returns the event that the service's own HTTP API sends to its functions. */
export const apiEvent = (
  routeKey: string,
  {
    pathParameters = {},
    headers = {},
    body,
  }: { pathParameters?: object; headers?: object; body?: string | undefined } = {},
) => ({
  version: '2.0',
  routeKey,
  rawPath: '/',
  rawQueryString: '',
  headers: { authorization: `Bearer ${ADMIN}`, 'content-type': 'application/json', ...headers },
  pathParameters,
  isBase64Encoded: false,
  body,
  requestContext: {
    requestId: 'Cz8YXjZPIAMEMXQ=',
    http: { method: routeKey.split(' ')[0], path: '/', sourceIp: '192.0.2.1', userAgent: 'curl' },
    authorizer: { jwt: { claims: { sub: 'bench' }, scopes: [] } },
  },
});
