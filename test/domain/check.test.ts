import { describe, expect, it, vi } from 'vitest';
import {
  type CheckedRecords,
  type CheckRules,
  type CheckStore,
  check,
  type Demand,
  parseToken,
  scopeOf,
} from '../../functions/domain/check.ts';
import { formatKeyId } from '../../functions/domain/identifiers.ts';
import { mintCredential } from '../../functions/domain/mint.ts';
import { hashOf } from '../../functions/domain/secrets.ts';

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
/** A token whose expiry is not due for an extension. */
const token = { generation: ULID, epoch: 3, issuedAt: SECOND - 60, expiresAt: SECOND + DAY };
const grant = {
  generation: ULID,
  sub: 'ada',
  scopes: ['airflow:read'],
  issuedAt: SECOND - 60,
  expiresAt: SECOND + 1,
};
const GOOD: CheckedRecords = { deployment, key, token };

function setUp(records: CheckedRecords, rules: Partial<CheckRules> = {}) {
  const store = {
    read: vi.fn<CheckStore['read']>(async () => records),
    slide: vi.fn<CheckStore['slide']>(async (_credential, _hash, until) => until),
    touch: vi.fn<CheckStore['touch']>(async () => {}),
  };
  const use = (presented = TOKEN, demand?: Demand) =>
    check(presented, { store, clock: () => NOW, rules: { ...RULES, ...rules } }, demand);
  return { store, use };
}
const refused = (reason: string) => ({ allowed: false, reason });

describe('the check of a valid access token', () => {
  it("allows the call as the token's API key and returns the expiry", async () => {
    const { store, use } = setUp(GOOD);
    expect(await use()).toStrictEqual({
      allowed: true,
      access: {
        principalId: formatKeyId('etl', ULID),
        principalType: 'api_key',
        deploymentId: 'etl',
        scopes: ['code:deploy', 'airflow:read'],
        issuedAt: SECOND - 60,
        expiresAt: SECOND + DAY,
      },
    });
    expect(store.read).toHaveBeenCalledExactlyOnceWith(OF_TOKEN, hashOf(TOKEN));
    expect(store.slide).not.toHaveBeenCalled();
    expect(store.touch).not.toHaveBeenCalled();
  });

  it("returns the token's narrowed scopes that its key and the stack still have", async () => {
    const scopes = ['airflow:write', 'airflow:read', 'gone:scope'];
    const { use } = setUp({ ...GOOD, token: { ...token, scopes } });
    expect(await use()).toMatchObject({ access: { scopes: ['airflow:read'] } });
  });

  it("returns the key's expiry in whole seconds when the key expires before the token", async () => {
    const { use } = setUp({ ...GOOD, key: { ...key, validUntil: NOW + 60_500 } });
    expect(await use()).toMatchObject({ allowed: true, access: { expiresAt: SECOND + 60 } });
  });

  it("returns the stack's maximum token lifetime as the expiry when it ends first", async () => {
    const { use } = setUp(GOOD, { maxTokenLifetime: 100 });
    expect(await use()).toMatchObject({ allowed: true, access: { expiresAt: SECOND + 40 } });
  });
});

describe('the check of a temporary token', () => {
  const records = { deployment, grant };

  it('allows the call as the person and neither extends the token nor records a use on a key', async () => {
    const { store, use } = setUp(records);
    expect(await use(TEMPORARY)).toStrictEqual({
      allowed: true,
      access: {
        principalId: 'ada',
        principalType: 'person',
        deploymentId: 'etl',
        scopes: ['airflow:read'],
        issuedAt: SECOND - 60,
        expiresAt: SECOND + 1,
      },
    });
    expect(store.slide).not.toHaveBeenCalled();
    expect(store.touch).not.toHaveBeenCalled();
  });

  it.each<[string, string, CheckedRecords]>([
    ['that does not exist', 'unknown', { deployment }],
    ['whose Deployment was deleted', 'revoked', { grant }],
    ['of an earlier generation of its Deployment', 'revoked', { deployment: { generation: OTHER }, grant }],
    ['at its expiry', 'expired', { deployment, grant: { ...grant, expiresAt: SECOND } }],
  ])('denies a temporary token %s: %s', async (_, reason, these) => {
    expect(await setUp(these).use(TEMPORARY)).toStrictEqual(refused(reason));
  });
});

describe('the check of an invalid access token', () => {
  it.each<[string, string, CheckedRecords]>([
    ['that does not exist', 'unknown', { deployment, key }],
    ['whose Deployment was deleted', 'revoked', { key, token }],
    ['whose key was deleted', 'revoked', { deployment, token }],
    [
      'of another generation of its Deployment',
      'revoked',
      { deployment, key, token: { ...token, generation: OTHER } },
    ],
    [
      'whose key is of another generation',
      'revoked',
      { deployment, key: { ...key, generation: OTHER }, token },
    ],
    [
      'whose Deployment is now in another generation',
      'revoked',
      { deployment: { generation: OTHER }, key, token },
    ],
    ['of an earlier epoch', 'revoked', { deployment, key: { ...key, epoch: 4 }, token }],
    ['of a later epoch', 'revoked', { deployment, key: { ...key, epoch: 2 }, token }],
    ['whose key is disabled', 'disabled', { deployment, key: { ...key, enabled: false }, token }],
    ['at its expiry', 'expired', { deployment, key, token: { ...token, expiresAt: SECOND } }],
    ['whose key has expired', 'expired', { deployment, key: { ...key, validUntil: NOW }, token }],
  ])('denies a token %s: %s', async (_, reason, records) => {
    const { store, use } = setUp(records);
    expect(await use()).toStrictEqual(refused(reason));
    expect(store.slide).not.toHaveBeenCalled();
  });

  it("denies a token that is older than the stack's maximum token lifetime: expired", async () => {
    expect(await setUp(GOOD, { maxTokenLifetime: 60 }).use()).toStrictEqual(refused('expired'));
  });

  it.each([
    ['a secret', mintCredential('secret', 'etl', ULID)],
    ['garbage', 'garbage'],
  ])('denies %s without reading the table: malformed', async (_, presented) => {
    const { store, use } = setUp(GOOD);
    expect(await use(presented)).toStrictEqual(refused('malformed'));
    expect(store.read).not.toHaveBeenCalled();
  });

  it('denies a token for another Deployment, or for no named Deployment, without reading the table', async () => {
    const { store, use } = setUp(GOOD);
    for (const deploymentId of ['other', '']) {
      expect(await use(TOKEN, { deploymentId, scopes: [] })).toStrictEqual(refused('deployment'));
    }
    expect(store.read).not.toHaveBeenCalled();
    expect(await use(TOKEN, { deploymentId: 'etl', scopes: [] })).toMatchObject({ allowed: true });
  });

  it("denies a call from outside the key's allowed IP ranges and does not extend the token", async () => {
    const { store, use } = setUp({
      ...GOOD,
      key: { ...key, networks: ['192.0.2.0/24'] },
      token: { ...token, expiresAt: SECOND + 60 },
    });
    expect(await use(TOKEN, { scopes: [], address: '198.51.100.1' })).toStrictEqual(refused('network'));
    expect(await use(TOKEN, { scopes: [] })).toStrictEqual(refused('network'));
    expect(store.slide).not.toHaveBeenCalled();
    expect(await use(TOKEN, { scopes: [], address: '192.0.2.9' })).toMatchObject({ allowed: true });
  });

  it('denies a call when one of several required scopes is missing and does not extend the token', async () => {
    const { store, use } = setUp({ ...GOOD, token: { ...token, expiresAt: SECOND + 60 } });
    expect(await use(TOKEN, { scopes: ['code:deploy', 'airflow:write'] })).toStrictEqual(refused('scope'));
    expect(store.slide).not.toHaveBeenCalled();
    expect(await use(TOKEN, { scopes: ['code:deploy', 'airflow:read'] })).toMatchObject({ allowed: true });
  });
});

describe('the use of an access token', () => {
  const due = { ...GOOD, token: { ...token, expiresAt: SECOND + 60 } };
  const from = { address: '192.0.2.1', client: 'curl/8.5.0' };
  const demand = { scopes: [], address: '192.0.2.1', userAgent: 'curl/8.5.0 (linux)' };

  it('extends the token and records the use on its key', async () => {
    const { store, use } = setUp(due);
    expect(await use(TOKEN, demand)).toMatchObject({ access: { expiresAt: SECOND + DAY + 300 } });
    expect(store.slide).toHaveBeenCalledExactlyOnceWith(
      OF_TOKEN,
      hashOf(TOKEN),
      SECOND + DAY + 300,
      NOW,
      from,
    );
    expect(store.touch).toHaveBeenCalledExactlyOnceWith(OF_TOKEN, NOW - 300_000, NOW, from);
  });

  it('records a use on the key at most once per slide interval', async () => {
    for (const [lastUsedAt, times] of [
      [NOW - 300_000, 1],
      [NOW - 299_999, 0],
    ] as const) {
      const { store, use } = setUp({ ...due, key: { ...key, lastUsedAt } });
      await use();
      expect(store.touch).toHaveBeenCalledTimes(times);
      expect(store.slide).toHaveBeenCalledTimes(1);
    }
  });

  it('returns the later expiry when another use has already extended the token', async () => {
    const { store, use } = setUp(due);
    store.slide.mockResolvedValue(SECOND + 2 * DAY);
    expect(await use()).toMatchObject({ access: { expiresAt: SECOND + 2 * DAY } });
  });

  it('denies the call when the token is deleted between the read and the write', async () => {
    const { store, use } = setUp(due);
    store.slide.mockResolvedValue(undefined);
    expect(await use()).toStrictEqual(refused('unknown'));
  });

  it('fails when the extension cannot be written', async () => {
    const { store, use } = setUp(due);
    store.slide.mockRejectedValue(new Error('down'));
    await expect(use()).rejects.toThrow('down');
  });

  it('allows the call when recording the use on the key fails', async () => {
    const { store, use } = setUp(due);
    store.touch.mockRejectedValue(new Error('down'));
    expect(await use()).toMatchObject({ allowed: true });
  });

  it('waits for the write to the key, whether or not the extension succeeds', async () => {
    for (const end of [async () => SECOND + 60, async () => Promise.reject(new Error('down'))]) {
      const { store, use } = setUp(due);
      let isNoted = false;
      store.slide.mockImplementation(end);
      store.touch.mockImplementation(async () => {
        for (let turn = 0; turn < 20; turn++) await Promise.resolve();
        isNoted = true;
      });
      await use().catch(() => {});
      expect(isNoted).toBe(true);
    }
  });
});

it('parses access tokens and temporary tokens as tokens, but no secret', () => {
  expect(parseToken(TOKEN)).toEqual(OF_TOKEN);
  expect(parseToken(TEMPORARY)).toEqual({ kind: 'temporary', deploymentId: 'etl', ulid: ULID });
  expect(parseToken(mintCredential('secret', 'etl', ULID))).toBeUndefined();
});

it('returns a scope string that begins with the Deployment (RFC 6749 §3.3)', () => {
  expect(scopeOf({ deploymentId: 'etl', scopes: ['a:b', 'c'] })).toBe('deployment:etl a:b c');
  expect(scopeOf({ deploymentId: 'etl', scopes: [] })).toBe('deployment:etl');
});
