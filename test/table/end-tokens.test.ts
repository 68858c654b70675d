import { afterAll, describe, expect, it } from 'vitest';
import { type EndTokens, endTokens } from '../../cli/end-tokens.ts';
import { DAY, inProcess, must, startTable } from '../support/in-process.ts';

const engine = await startTable();
afterAll(() => engine.stop());
let breaks: ((operation: string) => void) | undefined;
const app = inProcess(engine, {
  around: (when, { operation }) => {
    if (when === 'before') breaks?.(operation);
  },
});
const HOUR = 3600;

let count = 0;
async function newDeployment() {
  const id = `end-${++count}`;
  await app.register(id);
  return id;
}

/** Runs the function behind the end-tokens command, and returns the report of that function. */
async function end(options: Partial<EndTokens>) {
  const reported: Record<string, number> = {};
  const revoked = await endTokens({
    table: app.table,
    clock: () => app.time.now,
    isDryRun: false,
    onRevoked: (of, number) => {
      reported[of] = number;
    },
    ...options,
  });
  return { revoked, reported };
}

const temporaryToken = async (id: string): Promise<string> =>
  must(await app.call('POST', `/deployments/${id}/temporary-tokens`, { as: 'ada', json: {} }), 201).json
    .access_token;
const later = (seconds: number) => {
  app.time.now += seconds * 1000;
};
const eventsOf = async (id: string) => {
  const { items } = (await app.call('GET', `/deployments/${id}/events`, { as: 'admin' })).json;
  return items
    .filter(({ type }: { type: string }) => type.endsWith('revoked'))
    .map(({ type, data }: { type: string; data: object }) => ({ type, ...data }));
};
const numberOfItems = async (id: string, prefix: string) =>
  (await app.partition(`DEPLOYMENT#${id}`)).filter(({ sk }) => String(sk).startsWith(prefix)).length;

describe('end-tokens revokes tokens in bulk', () => {
  it('end-tokens revokes the tokens that were issued before a given time, and keeps later tokens and the keys', async () => {
    const id = await newDeployment();
    const key = await app.createKey(id);
    const other = await app.createKey(id, { name: 'other' });
    const old = [
      await app.exchangeForToken(key),
      await app.exchangeForToken(key),
      await app.exchangeForToken(other),
      await temporaryToken(id),
    ];
    later(HOUR);
    const moment = Math.floor(app.time.now / 1000) * 1000;
    const young = [await app.exchangeForToken(key), await temporaryToken(id)];
    later(HOUR);
    for (const token of [...old, ...young]) expect(await app.use(token)).toBe(200);

    const choice = { deploymentId: id, issuedBefore: moment };
    const expected = { [key.id]: 2, [other.id]: 1, [`temporary tokens of ${id}`]: 1 };
    expect(await end({ ...choice, isDryRun: true })).toEqual({ revoked: 4, reported: expected });
    for (const token of [...old, ...young]) expect(await app.use(token)).toBe(200);
    expect(await eventsOf(id)).toEqual([]);

    expect(await end(choice)).toEqual({ revoked: 4, reported: expected });
    for (const token of old) expect(await app.use(token)).toBe(401);
    for (const token of young) expect(await app.use(token)).toBe(200);
    expect((await app.exchange(key)).status).toBe(200);
    expect(await end(choice)).toEqual({ revoked: 0, reported: {} });
    const actor = { principal: 'end-tokens', type: 'system', address: '', requestId: '' };
    const events = await eventsOf(id);
    expect(events).toHaveLength(3);
    expect(events).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ type: 'api_key.tokens_revoked', keyId: key.id, tokens: 2, actor }),
        expect.objectContaining({ type: 'api_key.tokens_revoked', keyId: other.id, tokens: 1, actor }),
        expect.objectContaining({ type: 'temporary_token.revoked', sub: 'ada', actor }),
      ]),
    );
  });

  it('end-tokens revokes access tokens that are valid for longer than a shortened tokenLifetime allows', async () => {
    const id = await newDeployment();
    const shorter = inProcess(engine, { rules: { tokenLifetime: HOUR } });
    shorter.time.now = app.time.now;
    const key = await app.createKey(id);
    const [long, temporary] = [await app.exchangeForToken(key), await temporaryToken(id)];
    const short = await shorter.exchangeForToken(key);
    later(HOUR / 2);
    shorter.time.now = app.time.now;
    // This use of the token extends it to the new lifetime plus slideInterval.
    expect(await shorter.use(short)).toBe(200);
    const choice = { deploymentId: id, longerThan: HOUR + 300 };
    expect(await end(choice)).toEqual({ revoked: 1, reported: { [key.id]: 1 } });
    expect([await shorter.use(long), await shorter.use(short), await shorter.use(temporary)]).toEqual([
      401, 200, 200,
    ]);
  });

  it('without a Deployment, end-tokens covers all Deployments, including those missing from the directory', async () => {
    const ids = [await newDeployment(), await newDeployment()];
    const tokens: string[] = [];
    for (const id of ids) tokens.push(await app.exchangeForToken(await app.createKey(id)));
    const entry = { pk: 'DEPLOYMENTS', sk: ids[0] };
    await app.table.port('DeleteItem', { TableName: 'keys', Key: entry }, 1000);
    later(1);
    await end({ issuedBefore: app.time.now });
    for (const token of tokens) expect(await app.use(token)).toBe(401);
  });

  it('end-tokens does not count tokens that have expired', async () => {
    const id = await newDeployment();
    await app.exchangeForToken(await app.createKey(id));
    later(DAY + 1);
    expect(await end({ deploymentId: id, issuedBefore: app.time.now })).toEqual({ revoked: 0, reported: {} });
  });

  it('end-tokens omits malformed tokens, which no check accepts, and reports them', async () => {
    const id = await newDeployment();
    await app.exchangeForToken(await app.createKey(id));
    await temporaryToken(id);
    const malformed = ['TOKEN#x', 'GRANT#x'].map((sk) => ({ pk: `DEPLOYMENT#${id}`, sk }));
    for (const Item of malformed) await app.table.port('PutItem', { TableName: 'keys', Item }, 1000);
    later(1);
    expect((await end({ deploymentId: id, issuedBefore: app.time.now })).revoked).toBe(2);
    expect(app.malformed.splice(0)).toEqual(malformed);
    expect(await app.partition(`DEPLOYMENT#${id}`)).toEqual(expect.arrayContaining(malformed));
  });

  it('a token that is in use while end-tokens revokes it stays revoked', async () => {
    const id = await newDeployment();
    const token = await app.exchangeForToken(await app.createKey(id));
    later(HOUR);
    await Promise.all([
      ...Array.from({ length: 20 }, () => app.use(token)),
      end({ deploymentId: id, issuedBefore: app.time.now }),
    ]);
    expect(await app.use(token)).toBe(401);
    expect(await numberOfItems(id, 'TOKEN#')).toBe(0);
  });

  it('if end-tokens is interrupted, an event records what it has done, and another run revokes the remaining tokens', async () => {
    const id = await newDeployment();
    const key = await app.createKey(id);
    const tokens = [await app.exchangeForToken(key), await app.exchangeForToken(key)];
    later(1);
    breaks = (operation) => {
      if (operation === 'BatchWriteItem') throw new Error('interrupted');
    };
    const choice = { deploymentId: id, issuedBefore: app.time.now };
    await expect(end(choice)).rejects.toThrow('interrupted');
    breaks = undefined;
    expect(await eventsOf(id)).toHaveLength(1);
    expect(await app.use(tokens[0] ?? '')).toBe(200);
    expect((await end(choice)).revoked).toBe(2);
    for (const token of tokens) expect(await app.use(token)).toBe(401);
  });
});
