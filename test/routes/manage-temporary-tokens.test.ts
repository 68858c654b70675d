import { beforeEach, describe, expect, it } from 'vitest';
import { EVENT_LIFETIME } from '../../functions/domain/events.ts';
import { type Call, runStack } from '../support/stack.ts';

const DAY = 24 * 60 * 60;
/** A time that is not a whole number of seconds. */
const NOON = Date.parse('2030-01-01T12:00:00.500Z');
const ALL = 'code:deploy airflow:read airflow:write';

// All lifetimes in the settings differ from one day, because they must not affect temporary tokens.
const stack = await runStack({
  context: { tokenLifetime: '60', slideInterval: '0', maxTokenLifetime: '120' },
});
beforeEach(() => stack.clock.freeze(NOON));

/** Creates a separate Deployment for each test, in a group of the member. */
let count = 0;
async function newDeployment(): Promise<string> {
  const id = `temp_${++count}`;
  await stack.register(id);
  return id;
}

const pathOf = (id: string) => `/deployments/${id}/temporary-tokens`;

async function issue(id: string, person: 'admin' | 'member' = 'member', options: Call = { json: {} }) {
  const reply = await stack.callAs(person, 'POST', pathOf(id), options);
  expect(reply.status).toBe(201);
  return reply.json as { id: string; access_token: string; scope: string; expiresAt: string };
}

/** Another member of the same group as the first member. */
const otherMember = () =>
  stack.signIn('member', 'access', ({ payload }) => {
    payload.sub = 'member-other';
  });

const whoami = (token: string) => stack.call('GET', '/whoami', { token });

/** Returns the temporary token items of a Deployment. */
const grants = async (id: string) =>
  (await stack.partition(`DEPLOYMENT#${id}`)).filter(({ sk }) => String(sk).startsWith('GRANT#'));

describe('A person can create a temporary token for a Deployment', () => {
  it('only the call that creates a temporary token returns it', async () => {
    const id = await newDeployment();
    const reply = await stack.callAs('member', 'POST', pathOf(id), { json: {} });
    expect(reply.status).toBe(201);
    expect(reply.json).toStrictEqual({
      id: expect.stringMatching(/^[0-9A-HJKMNP-TV-Z]{26}$/),
      access_token: expect.stringMatching(new RegExp(`^dkx_${id}_${reply.json.id}_[0-9A-Za-z]{49}$`)),
      token_type: 'Bearer',
      expires_in: DAY,
      expiresAt: '2030-01-02T12:00:01.000Z',
      scope: `deployment:${id} ${ALL}`,
    });
    expect(reply.headers).toMatchObject({
      'cache-control': 'no-store',
      location: `${pathOf(id)}/${reply.json.id}`,
    });
    const listing = await stack.callAs('member', 'GET', pathOf(id));
    expect(listing.json).toStrictEqual({
      items: [
        {
          id: reply.json.id,
          scope: `deployment:${id} ${ALL}`,
          createdAt: '2030-01-01T12:00:00.000Z',
          createdBy: 'member-2f41',
          expiresAt: '2030-01-02T12:00:01.000Z',
        },
      ],
    });
    expect(JSON.stringify(await stack.partition(`DEPLOYMENT#${id}`))).not.toContain(reply.json.access_token);
  });

  it('the authorizer passes the holder of a temporary token to the API in the context', async () => {
    const id = await newDeployment();
    const { access_token } = await issue(id);
    expect((await whoami(access_token)).json).toStrictEqual({
      principalId: 'member-2f41',
      principalType: 'person',
      deploymentId: id,
      scope: `deployment:${id} ${ALL}`,
      issuedAt: '2030-01-01T12:00:00.000Z',
      expiresAt: '2030-01-02T12:00:01.000Z',
    });
  });

  it("G4: a temporary token is valid for 24 hours after it is issued, regardless of its use and the stack's lifetimes", async () => {
    const id = await newDeployment();
    const { access_token } = await issue(id);
    for (let hour = 0; hour < 24; hour++) {
      expect(await stack.use(access_token)).toBe(200);
      stack.clock.advance(3600);
    }
    stack.clock.freeze(NOON + DAY * 1000);
    expect(await stack.use(access_token)).toBe(200);
    stack.clock.freeze(Date.parse('2030-01-02T12:00:01Z'));
    expect(await stack.use(access_token)).toBe(401);
  });

  it('a temporary token is never rewritten, so each use costs only the reads of the token and its holder', async () => {
    const id = await newDeployment();
    const { access_token } = await issue(id);
    const before = await grants(id);
    const reads = stack.countCalls('whoami', 'BatchGetItem');
    const writes = stack.countCalls('whoami', 'UpdateItem');
    stack.clock.advance(DAY / 2);
    expect(await stack.use(access_token)).toBe(200);
    expect(stack.countCalls('whoami', 'BatchGetItem')).toBe(reads + 2);
    expect(stack.countCalls('whoami', 'UpdateItem')).toBe(writes);
    expect(await grants(id)).toStrictEqual(before);
  });

  it.each([
    [['airflow:read'], ' airflow:read'],
    [['airflow:write', 'code:deploy', 'airflow:write'], ' code:deploy airflow:write'],
  ])('a temporary token has the requested scopes: %j', async (scopes, expected) => {
    const id = await newDeployment();
    const { access_token, scope } = await issue(id, 'member', { json: { scopes } });
    expect(scope).toBe(`deployment:${id}${expected}`);
    expect((await whoami(access_token)).json.scope).toBe(scope);
  });

  it('a temporary token has all scopes if the request has no body', async () => {
    const id = await newDeployment();
    expect((await issue(id, 'member', {})).scope).toBe(`deployment:${id} ${ALL}`);
  });

  it.each([
    [{ scopes: ['admin'] }, 'scopes[0]', 'must be one of code:deploy, airflow:read, airflow:write'],
    [{ scopes: 'code:deploy' }, 'scopes', 'must be an array of 1 to 16 scopes'],
    [{ scopes: [] }, 'scopes', 'must be an array of 1 to 16 scopes'],
    [{ lifetime: 99 }, 'lifetime', 'is not a field of this request'],
  ])('the API rejects a request for a temporary token with %j', async (json, field, rule) => {
    const id = await newDeployment();
    const reply = await stack.callAs('member', 'POST', pathOf(id), { json });
    expect(reply.status).toBe(400);
    expect(reply.json.errors).toStrictEqual([{ field, rule }]);
    expect(await grants(id)).toStrictEqual([]);
  });

  it('deleting a Deployment permanently revokes its temporary tokens, even if the ID is registered again', async () => {
    const id = await newDeployment();
    const { access_token } = await issue(id);
    expect((await stack.callAs('admin', 'DELETE', `/deployments/${id}`)).status).toBe(204);
    expect(await stack.use(access_token)).toBe(401);
    await stack.register(id);
    expect(await stack.use(access_token)).toBe(401);
    expect((await stack.callAs('admin', 'GET', pathOf(id))).json).toStrictEqual({ items: [] });
  });

  it('a temporary token stays valid when its holder leaves the group, but can be revoked', async () => {
    const id = await newDeployment();
    const token = await issue(id);
    const moved = await stack.callAs('admin', 'PUT', `/deployments/${id}`, { json: { groups: ['others'] } });
    expect(moved.status).toBe(200);
    expect(await stack.use(token.access_token)).toBe(200);
    expect((await stack.callAs('member', 'GET', pathOf(id))).status).toBe(404);
    expect((await stack.callAs('admin', 'DELETE', `${pathOf(id)}/${token.id}`)).status).toBe(204);
    expect(await stack.use(token.access_token)).toBe(401);
  });

  it("a temporary token cannot be exchanged like a key's secret", async () => {
    const id = await newDeployment();
    const { access_token } = await issue(id);
    const key = await stack.createKey(id);
    const reply = await stack.call('POST', '/oauth/token', {
      basic: [key.id, access_token],
      form: { grant_type: 'client_credentials' },
    });
    expect(reply.status).toBe(401);
  });
});

describe('A person can revoke a temporary token', () => {
  it('a revoked temporary token is rejected immediately, and other tokens stay valid', async () => {
    const id = await newDeployment();
    const [one, other] = [await issue(id), await issue(id)];
    expect((await stack.callAs('member', 'DELETE', `${pathOf(id)}/${one.id}`)).status).toBe(204);
    expect(await stack.use(one.access_token)).toBe(401);
    expect(await stack.use(other.access_token)).toBe(200);
    expect((await stack.callAs('member', 'DELETE', `${pathOf(id)}/${one.id}`)).status).toBe(404);
    expect((await stack.callAs('member', 'GET', pathOf(id))).json.items).toHaveLength(1);
  });

  it('the events about a temporary token contain neither the token nor its hash', async () => {
    const id = await newDeployment();
    const { id: tokenId, access_token } = await issue(id, 'member', { json: { scopes: ['code:deploy'] } });
    const [grant] = await grants(id);
    const hash = String(grant?.sk).split('#')[2];
    stack.clock.advance(0.5);
    await stack.callAs('admin', 'DELETE', `${pathOf(id)}/${tokenId}`);
    const events = (await stack.partition(`EVENTS#${id}`)).filter(({ type }) =>
      String(type).startsWith('temporary_token.'),
    );
    const data = { temporaryTokenId: tokenId, sub: 'member-2f41', scopes: ['code:deploy'] };
    const expiresAt = Math.ceil(NOON / 1000) + EVENT_LIFETIME;
    expect(events).toMatchObject([
      { type: 'temporary_token.issued', actor: { principal: 'member-2f41' }, data, expiresAt },
      { type: 'temporary_token.revoked', actor: { principal: 'admin-7d0c' }, data, expiresAt },
    ]);
    expect(JSON.stringify(events)).not.toContain(access_token);
    expect(JSON.stringify(events)).not.toContain(hash);
  });
});

describe('Temporary tokens can be listed', () => {
  it('members see only their own temporary tokens, and administrators see all temporary tokens', async () => {
    const id = await newDeployment();
    const mine = await issue(id);
    const token = await otherMember();
    const others = await stack.call('POST', pathOf(id), { token, json: {} });
    const listed = async (as: Call) =>
      (await stack.call('GET', pathOf(id), as)).json.items.map((one: { id: string }) => one.id).toSorted();
    expect(await listed({ token: await stack.signIn('member') })).toStrictEqual([mine.id]);
    expect(await listed({ token })).toStrictEqual([others.json.id]);
    expect(await listed({ token: await stack.signIn('admin') })).toStrictEqual(
      [mine.id, others.json.id].toSorted(),
    );
  });

  it('an expired temporary token is not listed and cannot be revoked, even if TTL has not deleted it yet', async () => {
    const id = await newDeployment();
    const { id: tokenId } = await issue(id);
    stack.clock.freeze(Date.parse('2030-01-02T12:00:01Z'));
    expect(await grants(id)).toHaveLength(1);
    expect((await stack.callAs('admin', 'GET', pathOf(id))).json).toStrictEqual({ items: [] });
    expect((await stack.callAs('admin', 'DELETE', `${pathOf(id)}/${tokenId}`)).status).toBe(404);
  });

  it('the list of temporary tokens is paginated, and a cursor is valid only for its caller', async () => {
    const id = await newDeployment();
    const made = [];
    for (let n = 0; n < 5; n++) {
      stack.clock.advance(1);
      made.push((await issue(id)).id);
      await issue(id, 'admin');
    }
    const seen = [];
    let cursor = '';
    do {
      const page = await stack.callAs('member', 'GET', `${pathOf(id)}?limit=2${cursor}`);
      seen.push(...page.json.items.map((one: { id: string }) => one.id));
      cursor = page.json.nextCursor ? `&cursor=${page.json.nextCursor}` : '';
      if (cursor)
        expect((await stack.callAs('admin', 'GET', `${pathOf(id)}?limit=2${cursor}`)).status).toBe(400);
    } while (cursor);
    expect(seen).toStrictEqual(made);
  });
});

describe('Temporary tokens are hidden from other people', () => {
  const calls = [
    ['POST', ''],
    ['GET', ''],
    ['DELETE', '/01ARZ3NDEKTSV4RRFFQ69G5FAV'],
  ] as const;

  it.each(calls)(
    '%s%s for the temporary tokens of a hidden Deployment returns 404, as if the Deployment did not exist',
    async (method, rest) => {
      const id = `hidden_${++count}`;
      await stack.register(id, { groups: ['others'] });
      const hidden = await stack.callAs(
        'member',
        method,
        `${pathOf(id)}${rest}`,
        method === 'POST' ? { json: {} } : {},
      );
      const absent = await stack.callAs(
        'member',
        method,
        `${pathOf('absent')}${rest}`,
        method === 'POST' ? { json: {} } : {},
      );
      expect(hidden.status).toBe(404);
      expect(hidden.json).toStrictEqual(absent.json);
    },
  );

  it.each(calls)(
    '%s%s for temporary tokens returns 401 if the caller is not signed in',
    async (method, rest) => {
      const id = await newDeployment();
      expect((await stack.call(method, `${pathOf(id)}${rest}`)).status).toBe(401);
      const own = await issue(id);
      // Neither a temporary token nor a key's token can be used to create another token.
      expect((await stack.call(method, `${pathOf(id)}${rest}`, { token: own.access_token })).status).toBe(
        401,
      );
      const ofKey = await stack.exchangeForToken(await stack.createKey(id));
      expect((await stack.call(method, `${pathOf(id)}${rest}`, { token: ofKey })).status).toBe(401);
    },
  );

  it("revoking another person's temporary token returns 404 even within one group, as if the token did not exist", async () => {
    const id = await newDeployment();
    const { id: tokenId, access_token } = await issue(id);
    const token = await otherMember();
    const others = await stack.call('DELETE', `${pathOf(id)}/${tokenId}`, { token });
    const absent = await stack.call('DELETE', `${pathOf(id)}/01ARZ3NDEKTSV4RRFFQ69G5FAV`, { token });
    expect(others.status).toBe(404);
    expect(others.json).toStrictEqual(absent.json);
    expect(await stack.use(access_token)).toBe(200);
  });

  it.each(['nonsense', '%23', '01arz3ndektsv4rrffq69g5fav', 'x'.repeat(2000)])(
    'a call for a temporary token with an invalid ID returns 404: %s',
    async (tokenId) => {
      const id = await newDeployment();
      expect((await stack.callAs('admin', 'DELETE', `${pathOf(id)}/${tokenId}`)).status).toBe(404);
    },
  );
});
