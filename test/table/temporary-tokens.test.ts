import { beforeEach, describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import type { ServiceEvent } from '../../functions/domain/events.ts';
import type { IdempotencyRecord, TemporaryToken } from '../../functions/domain/records.ts';
import { personKey, toDeployment, toTemporaryToken } from '../../functions/table/schema.ts';
import {
  deleteTemporaryToken,
  listTemporaryTokens,
  putTemporaryToken as put,
  readTemporaryToken,
} from '../../functions/table/temporary-tokens.ts';
import {
  deployment,
  event,
  GENERATION,
  KEY_ULID,
  MADE_AT,
  record,
  seconds,
  temporaryToken,
} from '../support/records.ts';
import { startStore } from '../support/store.ts';

const eve = { issuer: 'https://login.test', sub: 'eve' };
const store = await startStore('DEPLOYMENT#etl', 'EVENTS#etl', personKey(eve).pk);
const { table } = store;

const pk = 'DEPLOYMENT#etl';
const etl = deployment();
const OTHER = newUlid(0);
const ofTemporaryToken = { pk, sk: `GRANT#${KEY_ULID}#${'g'.repeat(43)}` };
const ofRecord = { pk, sk: `IDEM#${GENERATION}#${'i'.repeat(43)}` };
/** This call acts for an IAM principal, so the transaction does not check whether a person's access has ended. */
const putTemporaryToken = (
  of: typeof table,
  one: TemporaryToken,
  its: ServiceEvent,
  made?: IdempotencyRecord,
) => put(of, one, its, { record: made, signIn: undefined });
const events = async () => (await store.partition('EVENTS#etl')).length;

describe('DynamoDB stores a temporary token as one item', () => {
  it('stores a new temporary token with its event and its Idempotency-Key record', async () => {
    await store.put(toDeployment(etl));
    const two = temporaryToken({ scopes: ['a', 'b:c'] });
    expect(await putTemporaryToken(table, two, event(), record())).toBe('issued');
    const { deploymentId: _, ulid: __, hash: ___, scopes: ____, ...rest } = two;
    expect(await store.get(ofTemporaryToken)).toEqual({ ...ofTemporaryToken, ...rest, scope: 'a b:c' });
    expect(await store.get(ofRecord)).toBeDefined();
    expect(await events()).toBe(1);
    expect(await readTemporaryToken(table, etl, KEY_ULID, MADE_AT)).toEqual(two);
  });

  it('a temporary token has no scopes if none were requested', async () => {
    await store.put(toTemporaryToken(temporaryToken({ scopes: [] })));
    expect(await readTemporaryToken(table, etl, KEY_ULID, MADE_AT)).toMatchObject({ scopes: [] });
  });

  it('creates a temporary token only once for an Idempotency-Key', async () => {
    await store.put(toDeployment(etl), { ...ofRecord, expiresAt: MADE_AT });
    expect(await putTemporaryToken(table, temporaryToken(), event(), record())).toBe('repeated');
    expect(await store.get(ofTemporaryToken)).toBeUndefined();
    expect(await events()).toBe(0);
  });

  it('does not create a temporary token if the Deployment is missing or was registered again', async () => {
    expect(await putTemporaryToken(table, temporaryToken(), event())).toBe('gone');
    await store.put(toDeployment(deployment({ generation: OTHER })));
    expect(await putTemporaryToken(table, temporaryToken(), event())).toBe('gone');
    expect(await store.get(ofTemporaryToken)).toBeUndefined();
    expect(await events()).toBe(0);
  });

  it('does not create a temporary token for a person whose access was ended', async () => {
    await store.put(toDeployment(etl), { ...personKey(eve), endedAt: 1, blocked: true });
    const signIn = { ...eve, at: seconds(MADE_AT / 1000) };
    for (const made of [undefined, record()])
      expect(await put(table, temporaryToken(), event(), { record: made, signIn })).toBe('ended');
    expect(await store.partition(pk)).toEqual([toDeployment(etl)]);
    expect(await events()).toBe(0);
  });

  it('creating a temporary token never replaces an existing temporary token', async () => {
    await store.put(toDeployment(etl), toTemporaryToken(temporaryToken()));
    expect(await putTemporaryToken(table, temporaryToken({ sub: 'eve' }), event())).toBe('gone');
    expect(await store.get(ofTemporaryToken)).toMatchObject({ sub: 'ada' });
  });

  it('reads a temporary token only until its expiry and only in the current generation of its Deployment', async () => {
    await store.put(toTemporaryToken(temporaryToken()));
    const end = temporaryToken().expiresAt * 1000;
    expect(await readTemporaryToken(table, etl, KEY_ULID, end - 1)).toEqual(temporaryToken());
    expect(await readTemporaryToken(table, etl, KEY_ULID, end)).toBeUndefined();
    expect(
      await readTemporaryToken(table, deployment({ generation: OTHER }), KEY_ULID, MADE_AT),
    ).toBeUndefined();
    expect(await readTemporaryToken(table, etl, OTHER, MADE_AT)).toBeUndefined();
    expect(store.sent.every(({ input }) => input.ConsistentRead === true)).toBe(true);
  });

  it('#65: finds a malformed temporary token, so that it can be revoked, and reports it', async () => {
    const { deploymentId, ulid, hash } = temporaryToken();
    for (const change of [{ sub: 7 }, { generation: 7 }, { expiresAt: 8.64e12 + 1 }]) {
      store.malformed.length = 0;
      await store.put({ ...toTemporaryToken(temporaryToken()), ...change });
      expect(await readTemporaryToken(table, etl, KEY_ULID, MADE_AT)).toEqual({ deploymentId, ulid, hash });
      expect(store.malformed).toEqual([ofTemporaryToken]);
    }
    await store.put({ ...toTemporaryToken(temporaryToken()), sub: 7, generation: OTHER });
    expect(await readTemporaryToken(table, etl, KEY_ULID, MADE_AT)).toBeUndefined();
  });

  it('deletes a temporary token with an event, and writes no event if the token is already gone', async () => {
    await store.put(toTemporaryToken(temporaryToken()));
    expect(await deleteTemporaryToken(table, temporaryToken(), event())).toBe(true);
    expect(await store.get(ofTemporaryToken)).toBeUndefined();
    expect(await deleteTemporaryToken(table, temporaryToken(), event({ id: newUlid(1) }))).toBe(false);
    expect(await events()).toBe(1);
  });
});

describe("A Deployment's temporary tokens are listed in pages", () => {
  const ulids = Array.from({ length: 6 }, (_, n) => newUlid(n + 1));
  const changes: Partial<TemporaryToken>[] = [
    {},
    { sub: 'eve' },
    { generation: OTHER },
    { expiresAt: seconds(MADE_AT / 1000) },
    {},
    {},
  ];
  beforeEach(() =>
    store.put(...ulids.map((ulid, n) => toTemporaryToken(temporaryToken({ ulid, ...changes[n] })))),
  );
  const listed = async (
    after: string | undefined,
    limit: number,
    isWanted?: (one: TemporaryToken) => boolean,
  ) => {
    const options = { after, limit, now: MADE_AT, ...(isWanted && { isWanted }) };
    const { items, next } = await listTemporaryTokens(table, etl, options);
    return [items.map(({ ulid }) => ulids.indexOf(ulid)), next && ulids.indexOf(next)];
  };
  const isAdas = ({ sub }: TemporaryToken) => sub === 'ada';

  it("lists a Deployment's valid temporary tokens oldest first, in pages", async () => {
    expect(await listed(undefined, 100)).toEqual([[0, 1, 4, 5], undefined]);
    expect(await listed(undefined, 2)).toEqual([[0, 1], 1]);
    expect(await listed(ulids[0], 2)).toEqual([[1, 4], 4]);
    expect(await listed(ulids[1], 2)).toEqual([[4, 5], undefined]);
    expect(await listed(ulids[5], 2)).toEqual([[], undefined]);
    expect(store.sent.every(({ input }) => input.ConsistentRead === true)).toBe(true);
  });

  it('omits and reports malformed temporary tokens in the list', async () => {
    const malformed = toTemporaryToken(temporaryToken({ ulid: ulids[0] as string }));
    await store.put({ ...malformed, sub: 7 });
    expect(await listed(undefined, 100)).toEqual([[1, 4, 5], undefined]);
    expect(store.malformed).toEqual([{ pk, sk: malformed.sk }]);
  });

  it("filters a Deployment's temporary tokens, and reports whether there are more", async () => {
    expect(await listed(undefined, 100, isAdas)).toEqual([[0, 4, 5], undefined]);
    expect(await listed(undefined, 3, isAdas)).toEqual([[0, 4, 5], undefined]);
    expect(await listed(undefined, 1, isAdas)).toEqual([[0], 0]);
  });

  it('lists each temporary token exactly once, with at most two queries a page', {
    timeout: 60_000,
  }, async () => {
    await store.clear(pk);
    const isEve = (n: number) => n % 300 === 299;
    const many = Array.from({ length: 900 }, (_, n) =>
      temporaryToken({ ulid: newUlid(n + 1), sub: isEve(n) ? 'eve' : `ada${'x'.repeat(4000)}` }),
    );
    await store.put(...many.map(toTemporaryToken));
    const all = async (isWanted: (one: TemporaryToken) => boolean, limit: number) => {
      const found: string[] = [];
      const pages: number[] = [];
      let after: string | undefined;
      do {
        store.sent.length = 0;
        const page = await listTemporaryTokens(table, etl, { after, now: MADE_AT, isWanted, limit });
        expect(store.sent.length).toBeLessThanOrEqual(2);
        found.push(...page.items.map(({ ulid }) => ulid));
        pages.push(page.items.length);
        after = page.next;
      } while (after !== undefined);
      return { found, pages };
    };
    const eves = await all(({ sub }) => sub === 'eve', 1);
    expect(eves.found).toEqual(many.filter((_, n) => isEve(n)).map(({ ulid }) => ulid));
    expect(eves.pages).toContain(0);
    for (const limit of [1, 100]) {
      const { found, pages } = await all(({ ulid }) => ulid > String(many.at(-150)?.ulid), limit);
      expect(found).toEqual(many.slice(-149).map(({ ulid }) => ulid));
      expect(Math.max(...pages)).toBe(limit);
    }
    const { found } = await all(() => true, 100);
    expect(found).toEqual(many.map(({ ulid }) => ulid));
  });
});
