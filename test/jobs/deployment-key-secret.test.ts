import type { CloudFormationCustomResourceEvent } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { formatKeyId } from '../../functions/domain/credentials.ts';
import { keySecret, type PlatformCall } from '../../functions/jobs/deployment-key-secret.ts';

const KEY_ID = formatKeyId('etl', '01ARZ3NDEKTSV4RRFFQ69G5FAV');
const SECRET_ARN = 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:etl-AbCdEf';
const WANTED = {
  ServiceToken: 'arn',
  PlatformUrl: 'https://keys.example.com',
  PlatformRegion: 'eu-west-1',
  SecretArn: SECRET_ARN,
  DeploymentId: 'etl',
  Name: 'ci',
  Scopes: ['code:deploy'],
};
const eventOf = (change: object): CloudFormationCustomResourceEvent =>
  ({
    RequestType: 'Create',
    RequestId: 'request-1',
    StackId: 'stack',
    LogicalResourceId: 'Key',
    ResourceProperties: WANTED,
    ...change,
  }) as unknown as CloudFormationCustomResourceEvent;

type Answer = { status: number; body?: unknown } | Error;
const keyOf = (secretNumber: number, secret: string | undefined = `dks_${secretNumber}`) => ({
  id: KEY_ID,
  description: 'CloudFormation: Key of stack',
  credentials: [{ createdAt: `2030-01-0${secretNumber}T00:00:00.000Z` }],
  secret,
});
const made = (n: number) => ({ status: 201, body: keyOf(n) });
const rotated = (n: number) => ({ status: 200, body: keyOf(n) });
const seen = (n: number) => ({ status: 200, body: { ...keyOf(n), secret: undefined } });
const replayed = (status: number, n: number) => ({ status, body: { ...keyOf(n), secret: undefined } });

/** Handles a request from CloudFormation. The service returns the given responses, one for each call. */
async function handle(change: object, answers: Answer[], { puts = [] as (Error | undefined)[] } = {}) {
  const calls: PlatformCall[] = [];
  const written: string[] = [];
  const response = await keySecret(eventOf(change), {
    call: async (call) => {
      calls.push(call);
      const answer = answers.shift() ?? new Error('not expected');
      if (answer instanceof Error) throw answer;
      return { body: undefined, ...answer };
    },
    putSecret: async (arn, value) => {
      const failure = puts.shift();
      if (failure) throw failure;
      expect(arn).toBe(SECRET_ARN);
      written.push(JSON.parse(value).client_secret);
    },
  });
  expect(answers).toHaveLength(0);
  expect(JSON.stringify(response)).not.toContain('dks_');
  return {
    response,
    written,
    calls,
    made: calls.map(({ method, path }) => `${method} ${path.split('api-keys')[1]}`),
  };
}

describe('A CloudFormation request creates or rotates a key and stores its secret', () => {
  it('a CloudFormation request creates a key, and uses its request ID as the Idempotency-Key', async () => {
    const { calls, response } = await handle({}, [made(1), seen(1)]);
    expect(calls[0]).toStrictEqual({
      url: 'https://keys.example.com',
      region: 'eu-west-1',
      method: 'POST',
      path: '/platform/deployments/etl/api-keys',
      body: {
        name: 'ci',
        scopes: ['code:deploy'],
        expiresAt: undefined,
        networks: undefined,
        description: 'CloudFormation: Key of stack',
      },
      idempotencyKey: 'request-1',
    });
    expect(response).toMatchObject({ Status: 'SUCCESS', PhysicalResourceId: KEY_ID });
  });

  it('a repeated CloudFormation request finds the key that it created and rotates it to replace the lost secret', async () => {
    const { calls, written } = await handle({}, [replayed(201, 1), rotated(2), seen(2)]);
    expect(calls[1]).toMatchObject({
      method: 'POST',
      path: `/platform/deployments/etl/api-keys/${KEY_ID}/rotate`,
      body: { retireOld: 'now' },
      idempotencyKey: undefined,
    });
    expect(written).toStrictEqual(['dks_2']);
  });

  it('a repeated CloudFormation request to rotate a key rotates the key again', async () => {
    const update = {
      RequestType: 'Update',
      PhysicalResourceId: KEY_ID,
      ResourceProperties: { ...WANTED, Rotation: 'b', RetireOld: '60' },
      OldResourceProperties: { ...WANTED, Rotation: 'a' },
    };
    const { calls, written } = await handle(update, [seen(1), replayed(200, 2), rotated(3), seen(3)]);
    expect(calls.map(({ idempotencyKey }) => idempotencyKey)).toStrictEqual([
      undefined,
      'request-1',
      undefined,
      undefined,
    ]);
    expect(calls[2]?.body).toStrictEqual({ retireOld: 60 });
    expect(written).toStrictEqual(['dks_3']);
  });

  it('the newest secret is stored even if a CloudFormation request is handled twice at the same time', async () => {
    const { written, response } = await handle({}, [made(1), seen(2), rotated(3), seen(3)]);
    expect(written).toStrictEqual(['dks_1', 'dks_3']);
    expect(response.Status).toBe('SUCCESS');
  });

  it('a CloudFormation request fails if the secret that it created never becomes the newest', async () => {
    const answers = [made(1), seen(2), rotated(3), seen(4), rotated(5), seen(6), rotated(7)];
    const { response } = await handle({}, answers);
    expect(response).toMatchObject({
      Status: 'FAILED',
      PhysicalResourceId: KEY_ID,
      Reason: 'Someone else is rotating this key at the same time. Try again.',
    });
  });

  it('a CloudFormation request that changes where the secret is stored rotates the key', async () => {
    const { made: calls } = await handle(
      {
        RequestType: 'Update',
        PhysicalResourceId: KEY_ID,
        OldResourceProperties: { ...WANTED, SecretArn: `${SECRET_ARN}-old` },
      },
      [seen(1), rotated(2), seen(2)],
    );
    expect(calls).toStrictEqual([`GET /${KEY_ID}`, `POST /${KEY_ID}/rotate`, `GET /${KEY_ID}`]);
  });
});

describe('A failed CloudFormation request returns an ID that can be used to delete the key', () => {
  const denied = Object.assign(new Error('not authorized to perform: secretsmanager:PutSecretValue'), {
    name: 'AccessDeniedException',
  });

  it.each<[string, Answer[], (Error | undefined)[], string]>([
    ['the secret cannot be written', [made(1)], [denied], KEY_ID],
    ['the key cannot be read again', [made(1), { status: 503 }], [], KEY_ID],
    ['the lost secret cannot be replaced', [replayed(201, 1), { status: 500 }], [], KEY_ID],
    [
      'the service does not respond, so there may be a key',
      [new Error('did not answer in time')],
      [],
      'unknown',
    ],
    ['the service fails, so there may be a key', [{ status: 500 }], [], 'unknown'],
    ['the response has an unexpected format', [{ status: 201, body: { id: 'dks_1' } }], [], 'unknown'],
    [
      'the service rejects the request, so there is no key',
      [{ status: 403, body: { message: 'Forbidden' } }],
      [],
      'not-made',
    ],
    [
      'the Deployment does not exist, so there is no key',
      [{ status: 404, body: { detail: 'No such Deployment.' } }],
      [],
      'not-made',
    ],
  ])(
    'a failed CloudFormation request returns an ID with which the key can be deleted: %s',
    async (_, answers, puts, physicalId) => {
      const { response } = await handle({}, answers, { puts });
      expect(response).toMatchObject({
        Status: 'FAILED',
        PhysicalResourceId: physicalId,
        Reason: expect.any(String),
      });
      expect(response).not.toHaveProperty('Data');
    },
  );

  it("a failed CloudFormation request to update a key returns the key's existing ID", async () => {
    const update = {
      RequestType: 'Update',
      PhysicalResourceId: KEY_ID,
      ResourceProperties: { ...WANTED, Name: 'cd' },
      OldResourceProperties: WANTED,
    };
    const gone = { status: 404, body: { detail: 'No such Deployment.' } };
    expect((await handle(update, [gone, gone])).response).toMatchObject({
      Status: 'FAILED',
      PhysicalResourceId: KEY_ID,
      Reason: 'https://keys.example.com answered 404 for etl: No such Deployment.',
    });
  });

  it.each([
    ['PlatformUrl', 'http://keys.example.com'],
    ['PlatformUrl', 'https://keys.example.com/path'],
    ['PlatformRegion', 'eu west'],
    ['SecretArn', 'etl'],
    ['DeploymentId', '*'],
    ['Scopes', 'code:deploy'],
  ])(
    'a CloudFormation request with the invalid property %s (%j) creates nothing and can be rolled back',
    async (name, value) => {
      const ResourceProperties = { ...WANTED, [name]: value };
      const { response } = await handle({ ResourceProperties }, []);
      expect(response).toMatchObject({
        Status: 'FAILED',
        PhysicalResourceId: 'not-made',
        Reason: `${name} is missing or invalid.`,
      });
      const deletion = { RequestType: 'Delete', PhysicalResourceId: 'Stack-Key-1ABC', ResourceProperties };
      expect((await handle(deletion, [])).response.Status).toBe('SUCCESS');
    },
  );
});

describe('CloudFormation requests can delete a key', () => {
  const deletion = (PhysicalResourceId: string) => ({ RequestType: 'Delete', PhysicalResourceId });

  it.each([
    ['succeeds', 204, 'SUCCESS'],
    ['succeeds when the key or the Deployment is gone', 404, 'SUCCESS'],
    ['fails when the outcome is unknown', 503, 'FAILED'],
    ['fails when it is rejected', 403, 'FAILED'],
  ])('a CloudFormation request to delete a key %s', async (_, status, expected) => {
    const { response, made: calls } = await handle(deletion(KEY_ID), [{ status }]);
    expect(response).toMatchObject({ Status: expected, PhysicalResourceId: KEY_ID });
    expect(calls).toStrictEqual([`DELETE /${KEY_ID}`]);
  });

  it.each(['unknown', 'Stack-Key-1ABC'])(
    "searches every page for the CloudFormation resource's keys when the physical ID is %s",
    async (id) => {
      const other = { ...keyOf(1), id: formatKeyId('etl', '01BX5ZZKBKACTAV9WEVGEMMVRZ'), description: null };
      const { response, made: calls } = await handle(deletion(id), [
        { status: 200, body: { items: [other], nextCursor: 'next' } },
        { status: 200, body: { items: [keyOf(1)] } },
        { status: 204 },
      ]);
      expect(response.Status).toBe('SUCCESS');
      expect(calls).toStrictEqual(['GET ?limit=100', 'GET ?limit=100&cursor=next', `DELETE /${KEY_ID}`]);
    },
  );
});
