import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, describe, expect, it } from 'vitest';
import { DAY, inProcess, type Reply, startTable } from '../support/in-process.ts';

const engine = await startTable();
afterAll(() => engine.stop());
let afterWrite: (() => void) | undefined;
const service = inProcess(engine, {
  around: (when, command) => {
    if (when === 'after' && command.operation === 'TransactWriteItems') afterWrite?.();
  },
});

let count = 0;
const newDeployment = async () => {
  const id = `once_${++count}`;
  await service.register(id);
  return id;
};

/**
 * Resources that can be created with an Idempotency-Key. Each row contains the path, two request bodies, the response
 * field with the secret, and the prefix of the item's sort key.
 */
const THINGS = [
  ['api-keys', { name: 'ci' }, { name: 'cd' }, 'secret', 'KEY#'],
  ['temporary-tokens', { scopes: ['airflow:read'] }, {}, 'access_token', 'GRANT#'],
] as const;

describe.each(THINGS)('POST …/%s accepts an Idempotency-Key', (things, body, other, secret, prefix) => {
  const make = (id: string, key: string, { as = 'admin', json = body as object } = {}): Promise<Reply> =>
    service.call('POST', `/deployments/${id}/${things}`, { as, json, headers: { 'idempotency-key': key } });
  const made = async (id: string) =>
    (await service.partition(`DEPLOYMENT#${id}`)).filter(({ sk }) => String(sk).startsWith(prefix));

  it('a retry with an Idempotency-Key gets the same response without the secret, and creates nothing', async () => {
    const id = await newDeployment();
    const first = await make(id, 'retry-1');
    expect(first.status).toBe(201);
    expect(first.headers).not.toHaveProperty('Idempotent-Replayed');
    const { [secret]: value, ...rest } = first.json;
    expect(value).toMatch(/^dk[sx]_/);
    for (let n = 0; n < 2; n++) {
      const again = await make(id, 'retry-1');
      expect(again.status).toBe(201);
      expect(again.json).toEqual(rest);
      expect(again.headers).toEqual({ ...first.headers, 'Idempotent-Replayed': 'true' });
    }
    expect(await made(id)).toHaveLength(1);
    expect(JSON.stringify(await service.partition(`DEPLOYMENT#${id}`))).not.toContain(value);
  });

  it('#20 returns 422 and creates nothing when an Idempotency-Key is reused with a different body', async () => {
    const id = await newDeployment();
    await make(id, 'key');
    const reply = await make(id, 'key', { json: other });
    expect(reply.status).toBe(422);
    expect(reply.json).toMatchObject({ status: 422, code: 'idempotency_key_reused' });
    expect(await made(id)).toHaveLength(1);
  });

  it('#19 a retry with an Idempotency-Key after a crash replays the response and creates nothing', async () => {
    const id = await newDeployment();
    afterWrite = () => {
      throw new Error('the function died');
    };
    expect((await make(id, 'crash')).status).toBe(500);
    afterWrite = undefined;
    const again = await make(id, 'crash');
    expect(again).toMatchObject({ status: 201, headers: { 'Idempotent-Replayed': 'true' } });
    expect(again.json).not.toHaveProperty(secret);
    expect(await made(id)).toHaveLength(1);
  });

  it('an Idempotency-Key is scoped to the principal, the path and the generation of the Deployment', async () => {
    const [id, another] = [await newDeployment(), await newDeployment()];
    const first = (await make(id, 'mine')).json.id;
    expect((await make(id, 'mine', { as: 'member' })).json.id).not.toBe(first);
    expect((await make(another, 'mine')).json.id).not.toBe(first);
    await service.call('DELETE', `/deployments/${id}`, { as: 'admin' });
    await service.register(id);
    const inNewGeneration = await make(id, 'mine');
    expect(inNewGeneration.headers).not.toHaveProperty('Idempotent-Replayed');
    expect(inNewGeneration.json).toHaveProperty(secret);
  });

  it('the service remembers an Idempotency-Key for 24 hours, even if TTL has not deleted the record yet', async () => {
    const id = await newDeployment();
    const first = (await make(id, 'day')).json.id;
    const before = service.time.now;
    service.time.now = before + DAY * 1000;
    expect((await make(id, 'day')).json.id).toBe(first);
    service.time.now = before + DAY * 1000 + 500;
    const later = await make(id, 'day');
    expect(later.json.id).not.toBe(first);
    expect(later.json).toHaveProperty(secret);
    const [record] = (await service.partition(`DEPLOYMENT#${id}`)).filter(({ sk }) =>
      String(sk).startsWith('IDEM#'),
    );
    expect(record?.expiresAt).toBe(Math.ceil(service.time.now / 1000) + DAY);
    service.time.now = before;
  });

  it('concurrent calls with one Idempotency-Key create one item, and all but one get a replay', async () => {
    const id = await newDeployment();
    for (let round = 0; round < 10; round++) {
      const replies = await Promise.all([1, 2, 3].map(() => make(id, `race-${round}`)));
      expect(replies.map(({ status }) => status)).toEqual([201, 201, 201]);
      expect(replies.filter(({ json }) => secret in json)).toHaveLength(1);
      expect(new Set(replies.map(({ json }) => json.id)).size).toBe(1);
    }
    expect(await made(id)).toHaveLength(10);
  });

  it.each([
    ['empty', ''],
    ['with a space', 'a b'],
    ['repeated', 'a,b'],
    ['with a control character', 'a\u0001'],
    ['not ASCII', 'schlüssel'],
    ['256 characters long', 'x'.repeat(256)],
  ])('returns 400 for an invalid Idempotency-Key: %s', async (_, key) => {
    const id = await newDeployment();
    const reply = await make(id, key);
    expect(reply.status).toBe(400);
    expect(reply.json.errors).toEqual([
      {
        field: 'Idempotency-Key',
        rule: 'must be 1 to 255 printable ASCII characters without space and comma',
      },
    ]);
    expect(await made(id)).toHaveLength(0);
  });

  it('accepts an Idempotency-Key of 255 characters', async () => {
    expect((await make(await newDeployment(), '~'.repeat(255))).status).toBe(201);
  });
});

describe('A retry with an Idempotency-Key gets the original response', () => {
  const create = (id: string, json: object) =>
    service.call('POST', `/deployments/${id}/api-keys`, {
      as: 'admin',
      json,
      headers: { 'idempotency-key': 'k' },
    });

  it('a retry with an Idempotency-Key gets the original response even if the requested expiry has passed since', async () => {
    const id = await newDeployment();
    const json = { name: 'ci', expiresAt: new Date(service.time.now + 1000).toISOString() };
    const first = await create(id, json);
    service.time.now += 2000;
    const again = await create(id, json);
    service.time.now -= 2000;
    expect(again).toMatchObject({ status: 201, json: { id: first.json.id } });
  });

  it.each<[string, object]>([
    ['answer is text', { answer: 'yes' }],
    ['expiry is missing', { expiresAt: undefined }],
    ...['', '{', 'null', '7', '[]', '"x"'].map((body): [string, object] => [
      `body is ${JSON.stringify(body)}`,
      { answer: { status: 201, body } },
    ]),
    ...[0, 199, 204, 404, 500, 1000, 2 ** 53 - 1].map((status): [string, object] => [
      `status is ${status}`,
      { answer: { status, body: '{}' } },
    ]),
  ])(
    'a call returns 409 and creates nothing if its Idempotency-Key has a malformed record: the %s',
    async (_, damage) => {
      const id = await newDeployment();
      await create(id, { name: 'ci' });
      const items = await service.partition(`DEPLOYMENT#${id}`);
      const record = items.find(({ sk }) => String(sk).startsWith('IDEM#'));
      await service.table.client.send(new PutCommand({ TableName: 'keys', Item: { ...record, ...damage } }));
      service.malformed.length = 0;
      const reply = await create(id, { name: 'ci' });
      expect(reply.json).toMatchObject({
        status: 409,
        code: 'conflict',
        detail:
          'A call with this Idempotency-Key is under way, or its record is malformed. Try again, or use a new key.',
      });
      expect(service.malformed).toContainEqual({ pk: record?.pk, sk: record?.sk });
      expect(await service.partition(`DEPLOYMENT#${id}`)).toHaveLength(items.length);
    },
  );
});
