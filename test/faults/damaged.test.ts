import { isDeepStrictEqual } from 'node:util';
import {
  type AttributeValue,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
} from '@aws-sdk/client-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashOf, tokenIdOf } from '../../functions/domain/credentials.ts';
import { fromApiKey } from '../../functions/table/schema.ts';
import { ENGINE_CREDENTIALS } from '../../local/dynamodb/engine.ts';
import { someOf } from '../support/generated.ts';
import { inProcess, type Reply, startTable } from '../support/in-process.ts';
import type { CreatedKey } from '../support/stack.ts';

/**
 * Row 65 of docs/faults.md, for items that checks need. The tests damage one attribute of one item with every kind of
 * value. Then a call ends access, and afterwards the attribute is repaired. Once the service has acknowledged a call
 * that ends access, the access must not come back, before or after the repair. It must always be possible to revoke a
 * key.
 */
const engine = await startTable();
const raw = new DynamoDBClient({
  endpoint: engine.endpoint,
  region: 'us-east-1',
  credentials: ENGINE_CREDENTIALS,
});
afterAll(async () => {
  raw.destroy();
  await engine.stop();
});

const service = inProcess(engine);
const admin = { as: 'admin' };
const ID = 'damaged';
type Item = Record<string, AttributeValue>;

/** Values for a damaged attribute: none, or one that has the wrong type, is empty or is out of range. */
const DAMAGES: (AttributeValue | undefined)[] = [
  undefined,
  { S: '' },
  { S: 'x' },
  { N: '-1' },
  { N: '0.5' },
  { N: '9007199254740991' },
  { N: '9007199254740993' },
  { N: '8640000000000001' },
  { N: '1e40' },
  { BOOL: true },
  { NULL: true },
  { L: [] },
  { L: [{ N: '7' }] },
  { M: {} },
  { M: { x: { S: 'x' } } },
  { SS: ['x'] },
  { B: new Uint8Array([1]) },
];

const isKeyName = (name: string) => name === 'pk' || name === 'sk';

/** Returns copies of the value, each with a different part damaged. */
function damagedWithin(value: AttributeValue, damage: AttributeValue | undefined): AttributeValue[] {
  if (value.L) {
    return value.L.flatMap((one, n) => {
      const whole = value.L ?? [];
      const others = damagedWithin(one, damage).map((other) => ({ L: whole.with(n, other) }));
      return [{ L: damage ? whole.with(n, damage) : whole.toSpliced(n, 1) }, ...others];
    });
  }
  if (value.M) {
    return Object.entries(value.M).flatMap(([name, one]) => {
      const { [name]: _, ...rest } = value.M ?? {};
      const others = damagedWithin(one, damage).map((other) => ({ M: { ...rest, [name]: other } }));
      return [{ M: damage ? { ...rest, [name]: damage } : rest }, ...others];
    });
  }
  return [];
}

interface Damage {
  title: string;
  /** The beginning of the damaged item's sort key. */
  of: string;
  name: string;
  value: AttributeValue | undefined;
}

/** Returns every kind of damage to every attribute of an item, including optional attributes. */
function damagesOf(of: string, item: Item): Damage[] {
  const more = of === 'KEY#' ? ['leak', 'trust', 'notice', 'activeSince'] : [];
  return [...Object.keys(item).filter((name) => !isKeyName(name)), ...more].flatMap((name) => {
    const before = item[name];
    const values = DAMAGES.flatMap((damage) => [
      damage,
      ...(before ? damagedWithin(before, damage) : []),
    ]).filter((value) => !isDeepStrictEqual(value, before) && !isOtherSecret(item, name, value));
    return values.map((value) => ({ title: `${of} ${name}: ${JSON.stringify(value)}`, of, name, value }));
  });
}

/**
 * Reports whether the damaged item is well-formed but no longer contains the original secrets. The service cannot
 * detect such damage.
 */
function isOtherSecret(item: Item, name: string, value: AttributeValue | undefined): boolean {
  if (name !== 'secrets' || !value) return false;
  return fromApiKey(unmarshall({ ...item, secrets: value }, { wrapNumbers: Number })) !== undefined;
}

interface World {
  items: Item[];
  key: CreatedKey;
  token: string;
  temporary: string;
  temporaryId: string;
}

/** Creates a Deployment with a rotated key that has every attribute, a token and a temporary token. */
async function createWorld(): Promise<World> {
  await service.register(ID, { name: 'ETL', groups: ['data-eng'] });
  const key = await service.createKey(ID, {
    name: 'ci',
    description: 'nightly',
    networks: ['192.0.2.0/24'],
    expiresAt: '2031-01-01T00:00:00Z',
  });
  const token = await service.exchangeForToken(key);
  const rotation = { ...admin, json: { retireOld: 3600 } };
  await service.call('POST', `/deployments/${ID}/api-keys/${key.id}/rotate`, rotation);
  const temporary = await service.call('POST', `/deployments/${ID}/temporary-tokens`, { ...admin, json: {} });
  return {
    key,
    token,
    temporary: temporary.json.access_token,
    temporaryId: temporary.json.id,
    items: await stored(),
  };
}

async function stored(): Promise<Item[]> {
  const { Items = [] } = await raw.send(
    new QueryCommand({
      TableName: 'keys',
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': { S: `DEPLOYMENT#${ID}` } },
      ConsistentRead: true,
    }),
  );
  return Items;
}

const keyOf = ({ pk, sk }: Item): Item => ({ pk: pk as AttributeValue, sk: sk as AttributeValue });
const put = (Item: Item) => raw.send(new PutItemCommand({ TableName: 'keys', Item }));
const itemOf = (world: World, of: string) => world.items.find(({ sk }) => sk?.S?.startsWith(of)) as Item;

/**
 * Restores all items and damages one attribute.
 * @returns the damaged attribute as stored
 */
async function damage(world: World, { of, name, value }: Damage): Promise<AttributeValue | undefined> {
  const entry = marshall({ pk: 'DEPLOYMENTS', sk: ID });
  const { name: title, groups, generation, createdAt } = itemOf(world, 'DEPLOYMENT');
  await Promise.all([
    ...world.items.map(put),
    put({ ...entry, name: title, groups, generation, createdAt } as Item),
  ]);
  const { [name]: _, ...rest } = itemOf(world, of);
  await put(value === undefined ? rest : { ...rest, [name]: value });
  return (await read(world, of))?.[name];
}

async function read(world: World, of: string): Promise<Item | undefined> {
  const Key = keyOf(itemOf(world, of));
  return (await raw.send(new GetItemCommand({ TableName: 'keys', Key, ConsistentRead: true }))).Item;
}

/** Repairs a damaged attribute as an operator would who finds the item in this state. */
async function repair(
  world: World,
  { of, name }: Damage,
  damaged: AttributeValue | undefined,
): Promise<void> {
  const item = await read(world, of);
  if (!item || !isDeepStrictEqual(item[name], damaged)) return;
  const { [name]: _, ...rest } = item;
  const before = itemOf(world, of)[name];
  await put(before ? { ...rest, [name]: before } : rest);
}

const keyPath = ({ key }: World) => `/deployments/${ID}/api-keys/${key.id}`;

/**
 * Calls that end access, each with the credential that the call invalidates: the token, the secret or the temporary
 * token.
 */
type Ended = 'token' | 'secret' | 'temporary';
interface Ending {
  call: (world: World) => Promise<Reply>;
  ends: Ended[];
}
const leak = async (credential: string): Promise<Reply> => {
  await service.leak(credential);
  return { status: 202, headers: {}, text: '', json: undefined };
};
const ENDINGS: Record<string, Ending> = {
  'DELETE of the key': {
    call: (world) => service.call('DELETE', keyPath(world), admin),
    ends: ['token', 'secret'],
  },
  'PATCH that disables the key': {
    call: (world) => service.call('PATCH', keyPath(world), { ...admin, json: { enabled: false } }),
    ends: ['token', 'secret'],
  },
  'rotation with now': {
    call: (world) =>
      service.call('POST', `${keyPath(world)}/rotate`, { ...admin, json: { retireOld: 'now' } }),
    ends: ['token', 'secret'],
  },
  'leak report of the secret': { call: ({ key }) => leak(key.secret), ends: ['token', 'secret'] },
  'leak report of the token': { call: ({ token }) => leak(token), ends: ['token'] },
  'revocation of the token': {
    call: ({ key, token }) =>
      service.call('POST', '/oauth/revoke', { basic: [key.id, key.secret], form: { token } }),
    ends: ['token'],
  },
  'DELETE of the token': {
    call: (world) =>
      service.call('DELETE', `${keyPath(world)}/tokens/${tokenIdOf(hashOf(world.token))}`, admin),
    ends: ['token'],
  },
  'DELETE of all tokens of the key': {
    call: (world) => service.call('DELETE', `${keyPath(world)}/tokens`, admin),
    ends: ['token'],
  },
  'DELETE of the Deployment': {
    call: () => service.call('DELETE', `/deployments/${ID}`, admin),
    ends: ['token', 'secret', 'temporary'],
  },
  'leak report of the temporary token': { call: ({ temporary }) => leak(temporary), ends: ['temporary'] },
  'DELETE of the temporary token': {
    call: ({ temporaryId }) =>
      service.call('DELETE', `/deployments/${ID}/temporary-tokens/${temporaryId}`, admin),
    ends: ['temporary'],
  },
};

async function works(world: World, what: Ended): Promise<boolean> {
  if (what === 'secret') return (await service.exchange(world.key)).status === 200;
  const status = await service.use(what === 'token' ? world.token : world.temporary);
  if (status !== 200 && status !== 401) throw new Error(`/whoami answered ${status}`);
  return status === 200;
}

let world: World;
beforeAll(async () => {
  world = await createWorld();
});

/** The items that each credential depends on. */
const ON: Record<string, Ended[]> = {
  'KEY#': ['token', 'secret'],
  'TOKEN#': ['token'],
  'GRANT#': ['temporary'],
  DEPLOYMENT: ['token', 'secret', 'temporary'],
};

/** Returns all damages to an item, each with every call that ends access which depends on the item. */
const casesOf = (of: string) => {
  const touching = Object.entries(ENDINGS).filter(([, { ends }]) => ends.some((it) => ON[of]?.includes(it)));
  return someOf(damagesOf(of, itemOf(world, of))).flatMap((one) =>
    touching.map(([name, ending]) => ({ one, name, ...ending })),
  );
};

/** Returns those of the credentials that the service accepts. */
async function working(whats: Ended[]): Promise<Ended[]> {
  const found: Ended[] = [];
  for (const what of whats) if (await works(world, what)) found.push(what);
  return found;
}

/** Damages an attribute, ends access and repairs the attribute. @returns the problems that the test found */
async function faultsOfEnding({ one, name, call, ends }: ReturnType<typeof casesOf>[number]) {
  const damaged = await damage(world, one);
  const { status } = await call(world);
  const label = `${one.title}; ${name} (${status})`;
  if (status >= 500) return [`${label}: failed`];
  if (status >= 300) return [];
  const before = await working(ends);
  await repair(world, one, damaged);
  const after = await working(ends);
  return [
    ...before.map((what) => `${label}: the ${what} still works`),
    ...after.map((what) => `${label}: the ${what} works again after the repair`),
  ];
}

describe('Damage to an item never brings back revoked access', { timeout: 600_000 }, () => {
  it.each(Object.keys(ON))(
    '#65: with damage to %s, access that a call has revoked does not come back, even after a repair',
    async (of) => {
      const faults: string[] = [];
      for (const one of casesOf(of)) faults.push(...(await faultsOfEnding(one)));
      expect(faults).toEqual([]);
    },
  );

  it.each(Object.keys(ON))(
    '#65: with damage to %s, every call that revokes access succeeds, or there is no access',
    async (of) => {
      const faults: string[] = [];
      const always = ['DELETE of the key', 'PATCH that disables the key', 'DELETE of all tokens of the key'];
      const never = ['rotation with now', 'revocation of the token'];
      for (const { one, name, call, ends } of casesOf(of).filter((it) => !never.includes(it.name))) {
        await damage(world, one);
        const before = await Promise.all(ends.map((what) => works(world, what)));
        const isRequired = before.includes(true) || (of === 'KEY#' && always.includes(name));
        const { status, text } = await call(world);
        if (isRequired && status >= 300) faults.push(`${one.title}; ${name}: ${status} ${text}`);
      }
      expect(faults).toEqual([]);
    },
  );

  it('#65: the key list marks a damaged key as malformed, with its ID and creation time, whichever attribute is damaged', async () => {
    const faults: string[] = [];
    for (const one of someOf(damagesOf('KEY#', itemOf(world, 'KEY#')))) {
      await damage(world, one);
      service.malformed.length = 0;
      const list = await service.call('GET', `/deployments/${ID}/api-keys`, admin);
      const get = await service.call('GET', keyPath(world), admin);
      const isReported = service.malformed.some(({ sk }) => sk.startsWith('KEY#'));
      const shown = list.json?.items?.[0];
      const isRight =
        list.status === 200 &&
        get.status === 200 &&
        isDeepStrictEqual(get.json, shown) &&
        shown.id === world.key.id &&
        (shown.malformed === true) === isReported;
      if (!isRight) faults.push(`${one.title}: ${list.text} ${get.text}`);
    }
    expect(faults).toEqual([]);
  });

  it('#65: deleting a malformed key keeps the key count correct, and the count never becomes negative', async () => {
    for (const keyCount of ['1', '0']) {
      const count = { title: '', of: 'DEPLOYMENT', name: 'keyCount', value: { N: keyCount } };
      await damage(world, count);
      const { createdBy: _, ...rest } = itemOf(world, 'KEY#');
      await put(rest);
      expect(await service.call('DELETE', keyPath(world), admin)).toMatchObject({ status: 204, text: '' });
      expect((await read(world, 'DEPLOYMENT'))?.keyCount).toEqual({ N: '0' });
      expect(await read(world, 'KEY#')).toBeUndefined();
    }
  });

  it('#65: enabling a key that was disabled by hand does not make older tokens valid', async () => {
    await damage(world, { title: '', of: 'KEY#', name: 'enabled', value: { BOOL: false } });
    expect(await works(world, 'token')).toBe(false);
    const reply = await service.call('PATCH', keyPath(world), { ...admin, json: { enabled: true } });
    expect(reply).toMatchObject({ status: 200, json: { enabled: true } });
    expect(await works(world, 'token')).toBe(false);
    expect(await works(world, 'secret')).toBe(true);
  });

  it('#65: a malformed key can only be disabled and deleted', async () => {
    await damage(world, { title: '', of: 'KEY#', name: 'createdBy', value: undefined });
    const before = await read(world, 'KEY#');
    const detail =
      'The item of this key is malformed. Repair it, disable it with only "enabled": false, or delete it.';
    for (const json of [{ enabled: true }, { enabled: false, name: 'x' }, { name: 'x' }]) {
      const reply = await service.call('PATCH', keyPath(world), { ...admin, json });
      expect(reply.json).toMatchObject({ status: 409, code: 'conflict', detail });
    }
    expect(
      (await service.call('POST', `${keyPath(world)}/rotate`, { ...admin, json: {} })).json,
    ).toMatchObject({
      status: 409,
      code: 'conflict',
      detail,
    });
    expect(await read(world, 'KEY#')).toEqual(before);
    const reply = await service.call('PATCH', keyPath(world), { ...admin, json: { enabled: false } });
    expect(reply.json).toEqual({
      id: world.key.id,
      name: 'ci',
      description: 'nightly',
      scopes: ['code:deploy', 'airflow:read', 'airflow:write'],
      enabled: false,
      status: 'disabled',
      malformed: true,
      createdAt: '2030-01-01T12:00:00.500Z',
      createdBy: '',
      activeDays: [],
      networks: [],
      credentials: [],
    });
  });
});
