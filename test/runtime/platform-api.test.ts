import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { mockClient } from 'aws-sdk-client-mock';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { formatCredential } from '../../functions/domain/credentials.ts';
import { respond } from '../../functions/runtime/cloudformation-response.ts';
import { openPlatformApi } from '../../functions/runtime/platform-api.ts';
import { openSecrets } from '../../functions/runtime/secrets-manager.ts';
import { verify } from '../../local/aws/sigv4.ts';
import { CONTEXTS } from '../support/contexts.ts';

type Reply = { status: number; body?: string } | 'reset';
interface Received {
  method: string;
  url: string;
  headers: [string, string][];
  body: string;
}
let replies: Reply[] = [];
let received: Received[] = [];
const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const { rawHeaders } = request;
  received.push({
    method: request.method ?? '',
    url: request.url ?? '',
    headers: rawHeaders.flatMap((name, at) =>
      at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? ''] as [string, string]] : [],
    ),
    body: Buffer.concat(chunks).toString(),
  });
  const reply = replies.shift() ?? { status: 500 };
  if (reply === 'reset') return void request.socket.destroy();
  response.writeHead(reply.status).end(reply.body);
}).listen(0, '127.0.0.1');
await once(server, 'listening');
afterAll(() => server.close());
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
beforeEach(() => {
  replies = [];
  received = [];
});

const SIGNER = { accessKeyId: 'ASIAEXAMPLE', secretAccessKey: 'secret', sessionToken: 'token' };
const FORBIDDEN = '{"message":"Forbidden"}';
const soon = () => Date.now() + 30_000;
const call = {
  url,
  region: 'eu-west-1',
  method: 'POST',
  path: '/platform/x?limit=1',
  body: { name: 'ä' },
  idempotencyKey: 'one',
};

describe('openPlatformApi', () => {
  it('signs a call to the service so that API Gateway can verify the body, the query string and the role', async () => {
    replies = [{ status: 201, body: '{"id":"x"}' }];
    expect(await openPlatformApi(SIGNER, soon())(call)).toStrictEqual({ status: 201, body: { id: 'x' } });
    const [{ url: target = '', ...request } = {} as Received] = received;
    const [path = '', query = ''] = target.split('?');
    const verification = { service: 'execute-api', region: 'eu-west-1', now: Date.now(), find: () => SIGNER };
    const arrived = {
      ...request,
      path,
      query,
      body: Buffer.from(request.body),
      id: '',
      protocol: 'HTTP/1.1',
      sourceIp: '',
    };
    expect(await verify(arrived, verification)).toBe(SIGNER);
    expect(await verify({ ...arrived, body: Buffer.from('{}') }, verification)).toBeUndefined();
    expect(Object.fromEntries(request.headers)).toMatchObject({ 'Idempotency-Key': 'one' });
  });

  it.each<[string, Reply]>([
    ['the connection breaks', 'reset'],
    ['the call is throttled', { status: 429, body: '{"message":"Too Many Requests"}' }],
    ['the service fails', { status: 503, body: '{}' }],
    ['IAM does not know the role yet', { status: 403, body: FORBIDDEN }],
  ])('retries a call to the service when %s', async (_, first) => {
    replies = [first, { status: 204 }];
    expect(await openPlatformApi(SIGNER, soon())(call)).toStrictEqual({ status: 204, body: undefined });
    expect(received).toHaveLength(2);
  });

  it.each([400, 403, 404, 409, 422])(
    'does not retry a call that the service rejected with the status %i',
    async (status) => {
      replies = [{ status, body: '{"code":"forbidden","detail":"No."}' }];
      expect(await openPlatformApi(SIGNER, soon())(call)).toMatchObject({ status });
      expect(received).toHaveLength(1);
    },
  );

  it('returns the last response from the service when time runs out, and throws if there was none', async () => {
    replies = [{ status: 403, body: FORBIDDEN }, 'reset'];
    const platform = openPlatformApi(SIGNER, Date.now());
    expect(await platform(call)).toMatchObject({ status: 403 });
    await expect(platform(call)).rejects.toThrow(`${url} did not answer in time.`);
    expect(received).toHaveLength(2);
  });
});

describe('The custom resource sends its response to CloudFormation', () => {
  it('sends the response to CloudFormation without a content type, because its URL was signed without one', async () => {
    replies = [{ status: 200 }];
    await respond(`${url}/answer?X-Amz-Signature=x`, { Status: 'SUCCESS' });
    expect(received).toMatchObject([
      { method: 'PUT', url: '/answer?X-Amz-Signature=x', body: '{"Status":"SUCCESS"}' },
    ]);
    const types = received[0]?.headers.filter(([name]) => name.toLowerCase() === 'content-type') ?? [];
    expect(types.map(([, value]) => value).join('')).toBe('');
  });

  it.each(CONTEXTS)(
    '#52: the response to CloudFormation contains no secret part of a credential %s',
    async (_, put) => {
      replies = [{ status: 200 }];
      const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
      const random = '0aB3cD4eF5gH6iJ7kL8mN9oP0qR1sT2uV3wX4yZ5zA6';
      const text = put(formatCredential({ kind: 'secret', deploymentId: 'etl', ulid: ULID }, random));
      // The ID of this key's Deployment looks like a truncated secret.
      const id = `dk_dks_a_${ULID}_${'z'.repeat(31)}_${ULID}`;
      await respond(url, { PhysicalResourceId: id, Reason: text, Data: { KeyId: id, [text]: text } });
      const body = received[0]?.body ?? '';
      for (let at = 0; at < 35; at++) expect(body).not.toContain(random.slice(at, at + 8));
      expect(JSON.parse(body)).toMatchObject({ PhysicalResourceId: id, Data: { KeyId: id } });
    },
  );

  it('sends the response to CloudFormation up to three times, and then fails without revealing the URL', async () => {
    replies = ['reset', { status: 500 }, { status: 503 }];
    await expect(respond(`${url}/?X-Amz-Signature=x`, {})).rejects.toThrow(
      /^CloudFormation did not accept the response\.$/,
    );
    expect(received).toHaveLength(3);
  });
});

it('openSecrets stores a value as the current version of a secret in Secrets Manager', async () => {
  process.env.AWS_REGION = 'eu-west-1';
  const manager = mockClient(SecretsManagerClient);
  manager.on(PutSecretValueCommand).resolves({});
  await openSecrets()('arn', 'value');
  expect(manager.commandCalls(PutSecretValueCommand).map((one) => one.args[0].input)).toStrictEqual([
    { SecretId: 'arn', SecretString: 'value' },
  ]);
});
