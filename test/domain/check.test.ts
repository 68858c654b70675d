import { describe, expect, it, vi } from 'vitest';
import {
  type CallRequirements,
  type CheckRules,
  type CheckStore,
  check,
  parseToken,
  scopeOf,
  type TokenRecords,
} from '../../functions/domain/check.ts';
import { formatKeyId, hashOf, mintCredential } from '../../functions/domain/credentials.ts';
import { seconds } from '../support/records.ts';

const NOW = 1_800_000_000_000;
const SECOND = NOW / 1000;
const DAY = 24 * 60 * 60;
const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const OTHER = '01BX5ZZKBKACTAV9WEVGEMMVRZ';
const TOKEN = mintCredential('token', 'etl', ULID);
const TEMPORARY = mintCredential('temporary', 'etl', ULID);
const OF_TOKEN = { kind: 'token', deploymentId: 'etl', ulid: ULID };

const RULES: CheckRules = {
  tokenLifetime: DAY,
  slideInterval: 300,
  scopes: ['code:deploy', 'airflow:read', 'airflow:write'],
  lastUsedFrom: 'full',
};
const deployment = { generation: ULID };
const key = { generation: ULID, epoch: 3, enabled: true, scopes: ['airflow:read', 'code:deploy'] };
/** A token that is not yet due for an extension. */
const token = {
  generation: ULID,
  epoch: 3,
  issuedAt: seconds(SECOND - 60),
  expiresAt: seconds(SECOND + DAY),
};
const temporaryToken = {
  generation: ULID,
  sub: 'ada',
  scopes: ['airflow:read'],
  issuedAt: seconds(SECOND - 60),
  expiresAt: seconds(SECOND + 1),
};
const GOOD: TokenRecords = { deployment, key, token };

function setUp(records: TokenRecords, rules: Partial<CheckRules> = {}, endedAt?: number) {
  const store = {
    read: vi.fn<CheckStore['read']>(async () => ({ ...records, readEnd: async () => endedAt })),
    extend: vi.fn<CheckStore['extend']>(async (_credential, _hash, until) => until),
    recordUse: vi.fn<CheckStore['recordUse']>(async () => {}),
  };
  const use = (presented = TOKEN, requirements?: CallRequirements) =>
    check(presented, { store, clock: () => NOW, rules: { ...RULES, ...rules } }, requirements);
  return { store, use };
}
/** Returns the result of a check that denies the call. `id` is the ID of the key, or of the temporary token. */
const refused = (reason: string, id = formatKeyId('etl', ULID)) => ({ allowed: false, reason, id });

describe('A check allows a call with a valid access token', () => {
  it("a check identifies the caller by the token's API key and returns the token's expiry", async () => {
    const { store, use } = setUp(GOOD);
    expect(await use()).toStrictEqual({
      allowed: true,
      access: {
        principalId: formatKeyId('etl', ULID),
        principalType: 'api_key',
        deploymentId: 'etl',
        scopes: ['code:deploy', 'airflow:read'],
        issuedAt: seconds(SECOND - 60),
        expiresAt: seconds(SECOND + DAY),
      },
    });
    expect(store.read).toHaveBeenCalledExactlyOnceWith(OF_TOKEN, hashOf(TOKEN));
    expect(store.extend).not.toHaveBeenCalled();
    expect(store.recordUse).not.toHaveBeenCalled();
  });

  it("a check omits the token's scopes that the key or the stack no longer has", async () => {
    const scopes = ['airflow:write', 'airflow:read', 'gone:scope'];
    const { use } = setUp({ ...GOOD, token: { ...token, scopes } });
    expect(await use()).toMatchObject({ access: { scopes: ['airflow:read'] } });
  });

  it("a check returns the key's expiry, rounded to whole seconds, when the key expires before the token", async () => {
    const { use } = setUp({ ...GOOD, key: { ...key, validUntil: NOW + 60_500 } });
    expect(await use()).toMatchObject({ allowed: true, access: { expiresAt: seconds(SECOND + 60) } });
  });

  it('a check returns the end of the maximum token lifetime as the expiry if it is the earliest limit', async () => {
    const { use } = setUp(GOOD, { maxTokenLifetime: 100 });
    expect(await use()).toMatchObject({ allowed: true, access: { expiresAt: seconds(SECOND + 40) } });
  });
});

describe('A check allows a call with a valid temporary token', () => {
  const records = { deployment, temporaryToken };

  it('a check with a temporary token allows the call without extending the token or recording a use', async () => {
    const { store, use } = setUp(records);
    expect(await use(TEMPORARY)).toStrictEqual({
      allowed: true,
      access: {
        principalId: 'ada',
        principalType: 'person',
        deploymentId: 'etl',
        scopes: ['airflow:read'],
        issuedAt: seconds(SECOND - 60),
        expiresAt: seconds(SECOND + 1),
      },
    });
    expect(store.extend).not.toHaveBeenCalled();
    expect(store.recordUse).not.toHaveBeenCalled();
  });

  it.each<[string, string, TokenRecords]>([
    ['that does not exist', 'unknown', { deployment }],
    ['whose Deployment was deleted', 'generation', { temporaryToken }],
    [
      'of an earlier generation of its Deployment',
      'generation',
      { deployment: { generation: OTHER }, temporaryToken },
    ],
    [
      'at its expiry',
      'expired',
      { deployment, temporaryToken: { ...temporaryToken, expiresAt: seconds(SECOND) } },
    ],
  ])('denies a temporary token %s (reason: %s)', async (_, reason, these) => {
    expect(await setUp(these).use(TEMPORARY)).toStrictEqual(refused(reason, `dkx_etl_${ULID}`));
  });

  it('denies a temporary token if the access of its holder was ended after they signed in', async () => {
    const signedIn = { ...records, temporaryToken: { ...temporaryToken, signedInAt: seconds(SECOND - 120) } };
    const end = NOW - 60_000;
    expect(await setUp(signedIn, {}, end).use(TEMPORARY)).toStrictEqual(
      refused('revoked', `dkx_etl_${ULID}`),
    );
    expect(await setUp(signedIn, {}, end - 120_000).use(TEMPORARY)).toMatchObject({ allowed: true });
    expect(await setUp(records, {}, end).use(TEMPORARY)).toMatchObject({ allowed: false, reason: 'revoked' });
  });
});

describe('A check denies a call with an invalid access token', () => {
  it('denies a valid token for the reason that the caller of the check gives, such as a malformed route', async () => {
    const { store, use } = setUp(GOOD);
    const result = await use(TOKEN, { scopes: [], denial: 'scope' });
    expect(result).toStrictEqual(refused('scope'));
    expect(store.extend).not.toHaveBeenCalled();
  });

  it.each<[string, string, TokenRecords]>([
    ['that does not exist', 'unknown', { deployment, key }],
    ['whose Deployment was deleted', 'generation', { key, token }],
    ['whose key was deleted', 'deleted', { deployment, token }],
    [
      'of another generation of its Deployment',
      'generation',
      { deployment, key, token: { ...token, generation: OTHER } },
    ],
    [
      'whose key is of another generation',
      'generation',
      { deployment, key: { ...key, generation: OTHER }, token },
    ],
    [
      'whose Deployment is now in another generation',
      'generation',
      { deployment: { generation: OTHER }, key, token },
    ],
    ['of an earlier epoch', 'revoked', { deployment, key: { ...key, epoch: 4 }, token }],
    ['of a later epoch', 'revoked', { deployment, key: { ...key, epoch: 2 }, token }],
    ['whose key is disabled', 'disabled', { deployment, key: { ...key, enabled: false }, token }],
    ['at its expiry', 'expired', { deployment, key, token: { ...token, expiresAt: seconds(SECOND) } }],
    ['whose key has expired', 'expired', { deployment, key: { ...key, validUntil: NOW }, token }],
  ])('denies a token %s (reason: %s)', async (_, reason, records) => {
    const { store, use } = setUp(records);
    expect(await use()).toStrictEqual(refused(reason));
    expect(store.extend).not.toHaveBeenCalled();
  });

  it("denies a token that is older than the stack's maximum token lifetime as expired", async () => {
    expect(await setUp(GOOD, { maxTokenLifetime: 60 }).use()).toStrictEqual(refused('expired'));
  });

  it.each([
    ['a secret', mintCredential('secret', 'etl', ULID)],
    ['garbage', 'garbage'],
  ])('denies %s as malformed without reading the table', async (_, presented) => {
    const { store, use } = setUp(GOOD);
    expect(await use(presented)).toStrictEqual({ allowed: false, reason: 'malformed' });
    expect(store.read).not.toHaveBeenCalled();
  });

  it('denies a token for the wrong Deployment, or a call that names no Deployment, without reading the table', async () => {
    const { store, use } = setUp(GOOD);
    for (const deploymentId of ['other', '']) {
      expect(await use(TOKEN, { deploymentId, scopes: [] })).toStrictEqual(refused('deployment'));
    }
    expect(store.read).not.toHaveBeenCalled();
    expect(await use(TOKEN, { deploymentId: 'etl', scopes: [] })).toMatchObject({ allowed: true });
  });

  it("denies a call from outside the key's allowed IP ranges without extending the token", async () => {
    const { store, use } = setUp({
      ...GOOD,
      key: { ...key, networks: ['192.0.2.0/24'] },
      token: { ...token, expiresAt: seconds(SECOND + 60) },
    });
    expect(await use(TOKEN, { scopes: [], address: '198.51.100.1' })).toStrictEqual(refused('network'));
    expect(await use(TOKEN, { scopes: [] })).toStrictEqual(refused('network'));
    expect(store.extend).not.toHaveBeenCalled();
    expect(await use(TOKEN, { scopes: [], address: '192.0.2.9' })).toMatchObject({ allowed: true });
  });

  it('denies a call whose token lacks one of the required scopes, without extending the token', async () => {
    const { store, use } = setUp({ ...GOOD, token: { ...token, expiresAt: seconds(SECOND + 60) } });
    expect(await use(TOKEN, { scopes: ['code:deploy', 'airflow:write'] })).toStrictEqual(refused('scope'));
    expect(store.extend).not.toHaveBeenCalled();
    expect(await use(TOKEN, { scopes: ['code:deploy', 'airflow:read'] })).toMatchObject({ allowed: true });
  });
});

describe('A check extends the access token and records the use', () => {
  const due = { ...GOOD, token: { ...token, expiresAt: seconds(SECOND + 60) } };
  const from = { address: '192.0.2.1', client: 'curl/8.5.0' };
  const requirements = { scopes: [], address: '192.0.2.1', userAgent: 'curl/8.5.0 (linux)' };

  it("a check extends the access token and records the use on the token's key", async () => {
    const { store, use } = setUp(due);
    expect(await use(TOKEN, requirements)).toMatchObject({
      access: { expiresAt: seconds(SECOND + DAY + 300) },
    });
    expect(store.extend).toHaveBeenCalledExactlyOnceWith(
      OF_TOKEN,
      hashOf(TOKEN),
      SECOND + DAY + 300,
      NOW,
      from,
    );
    expect(store.recordUse).toHaveBeenCalledExactlyOnceWith(OF_TOKEN, NOW - 300_000, NOW, from);
  });

  it('records a use on an API key at most once per slide interval', async () => {
    for (const [lastUsedAt, times] of [
      [NOW - 300_000, 1],
      [NOW - 299_999, 0],
    ] as const) {
      const { store, use } = setUp({ ...due, key: { ...key, lastUsedAt } });
      await use();
      expect(store.recordUse).toHaveBeenCalledTimes(times);
      expect(store.extend).toHaveBeenCalledTimes(1);
    }
  });

  it('returns the later expiry if a concurrent check has already extended the token', async () => {
    const { store, use } = setUp(due);
    store.extend.mockResolvedValue(seconds(SECOND + 2 * DAY));
    expect(await use()).toMatchObject({ access: { expiresAt: seconds(SECOND + 2 * DAY) } });
  });

  it('denies a call when its token is deleted between the read and the write', async () => {
    const { store, use } = setUp(due);
    store.extend.mockResolvedValue(undefined);
    expect(await use()).toStrictEqual(refused('unknown'));
  });

  it('a check fails when the extended expiry cannot be written', async () => {
    const { store, use } = setUp(due);
    store.extend.mockRejectedValue(new Error('down'));
    await expect(use()).rejects.toThrow('down');
  });

  it("a check allows the call even if it cannot record the key's last use", async () => {
    const { store, use } = setUp(due);
    store.recordUse.mockRejectedValue(new Error('down'));
    expect(await use()).toMatchObject({ allowed: true });
  });

  it('a check waits until the use is recorded on the key, even if extending the token fails', async () => {
    for (const end of [async () => seconds(SECOND + 60), async () => Promise.reject(new Error('down'))]) {
      const { store, use } = setUp(due);
      let isNoted = false;
      store.extend.mockImplementation(end);
      store.recordUse.mockImplementation(async () => {
        for (let turn = 0; turn < 20; turn++) await Promise.resolve();
        isNoted = true;
      });
      await use().catch(() => {});
      expect(isNoted).toBe(true);
    }
  });
});

it('parseToken parses access tokens and temporary tokens, but not secrets', () => {
  expect(parseToken(TOKEN)).toEqual(OF_TOKEN);
  expect(parseToken(TEMPORARY)).toEqual({ kind: 'temporary', deploymentId: 'etl', ulid: ULID });
  expect(parseToken(mintCredential('secret', 'etl', ULID))).toBeUndefined();
});

it('scopeOf returns a scope string that starts with the Deployment (RFC 6749, section 3.3)', () => {
  expect(scopeOf({ deploymentId: 'etl', scopes: ['a:b', 'c'] })).toBe('deployment:etl a:b c');
  expect(scopeOf({ deploymentId: 'etl', scopes: [] })).toBe('deployment:etl');
});
