import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  base62,
  type Credential,
  formatCredential,
  formatKeyId,
  HASH_OF_NOTHING,
  hashOf,
  isDeploymentId,
  isTokenOf,
  isUlid,
  mintCredential,
  newUlid,
  parseCredential,
  parseKeyId,
  sameHash,
  TOKEN_ID,
  timeOfUlid,
  tokenIdOf,
  ulidPrefix,
} from '../../functions/domain/credentials.ts';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const text = (alphabet: string, minLength: number, maxLength = minLength) =>
  fc.string({ unit: fc.constantFrom(...alphabet), minLength, maxLength });

const deploymentIds = fc
  .tuple(text(BASE62, 1), text(`${BASE62}_-`, 0, 63))
  .map(([first, rest]) => first + rest);
const ulids = fc
  .tuple(text('01234567', 1), text('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 25))
  .map(([first, rest]) => first + rest);
const credentials: fc.Arbitrary<Credential> = fc.record({
  kind: fc.constantFrom('secret', 'token', 'temporary'),
  deploymentId: deploymentIds,
  ulid: ulids,
});
const randoms = text(BASE62, 43);

it('parseCredential parses every credential that formatCredential formats', () => {
  fc.assert(
    fc.property(credentials, randoms, (credential, random) => {
      expect(parseCredential(formatCredential(credential, random))).toEqual(credential);
    }),
  );
});

it('parseCredential parses from the right, because a Deployment ID can look like other parts of a credential', () => {
  const deploymentId = 'a_01ARZ3NDEKTSV4RRFFQ69G5FAV_b';
  const ulid = '01BX5ZZKBKACTAV9WEVGEMMVRZ';
  const credential = { kind: 'token' as const, deploymentId, ulid };
  expect(parseCredential(formatCredential(credential, 'x'.repeat(43)))).toEqual(credential);
  expect(parseKeyId(formatKeyId(deploymentId, ulid))).toEqual({ deploymentId, ulid });
});

it('isUlid accepts 26 upper-case characters that encode at most 128 bits', () => {
  for (const good of ['01ARZ3NDEKTSV4RRFFQ69G5FAV', '7ZZZZZZZZZZZZZZZZZZZZZZZZZ'])
    expect(isUlid(good)).toBe(true);
  const bad = ['8ZZZZZZZZZZZZZZZZZZZZZZZZZ', '01arz3ndektsv4rrffq69g5fav', '01ARZ3NDEKTSV4RRFFQ69G5FAU', ''];
  const long = [
    '01ARZ3NDEKTSV4RRFFQ69G5FA',
    '01ARZ3NDEKTSV4RRFFQ69G5FAVV',
    ' 01ARZ3NDEKTSV4RRFFQ69G5FAV',
    '01ARZ3NDEKTSV4RRFFQ69G5FAV\n',
  ];
  for (const text of [...bad, ...long]) expect(isUlid(text), text).toBe(false);
});

it('parseCredential rejects malformed text even if its checksum is correct', () => {
  const ulid = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
  const good = formatCredential({ kind: 'token', deploymentId: 'etl', ulid }, 'x'.repeat(43)).slice(0, -6);
  const withCheck = (body: string) => body + base62(BigInt(crc32(body)), 6);
  expect(parseCredential(withCheck(good))).toBeDefined();
  const bodies = [
    '',
    'x',
    good.replace('dkt', 'dkz'),
    good.toLowerCase(),
    `${good}x`,
    good.slice(0, -1),
    ` ${good}`,
  ];
  for (const body of bodies) expect(parseCredential(withCheck(body)), body).toBeUndefined();
});

it('parseCredential rejects a credential in which any single character has changed', () => {
  fc.assert(
    fc.property(
      credentials,
      randoms,
      fc.nat(),
      fc.constantFrom(...`${BASE62}_-`),
      (credential, random, at, replacement) => {
        const whole = formatCredential(credential, random);
        const position = at % whole.length;
        fc.pre(whole[position] !== replacement);
        const changed = whole.slice(0, position) + replacement + whole.slice(position + 1);
        expect(parseCredential(changed)).toBeUndefined();
      },
    ),
    { numRuns: 1000 },
  );
});

it('parseCredential rejects a credential that is truncated, extended, padded or split by a line break', () => {
  const whole = formatCredential(
    { kind: 'secret', deploymentId: 'etl', ulid: '01ARZ3NDEKTSV4RRFFQ69G5FAV' },
    '0'.repeat(43),
  );
  const others = [
    whole.slice(0, -1),
    whole.slice(1),
    `${whole}0`,
    `${whole}=`,
    `${whole} `,
    ` ${whole}`,
    `${whole}\n`,
  ];
  for (const other of others) expect(parseCredential(other), other).toBeUndefined();
});

it('parseCredential and parseKeyId reject arbitrary text', () => {
  fc.assert(
    fc.property(fc.string(), (anything) => {
      expect(parseCredential(anything)).toBeUndefined();
      expect(parseKeyId(anything)).toBeUndefined();
    }),
  );
});

it("a credential's checksum is its CRC-32 as six base62 characters", () => {
  // Calculated with another tool: the CRC-32 of "dkt_etl_01ARZ3NDEKTSV4RRFFQ69G5FAV_" and 43 zeros is 0xd74498f7,
  // which is 3wPtNH in base62.
  const body = `dkt_etl_01ARZ3NDEKTSV4RRFFQ69G5FAV_${'0'.repeat(43)}`;
  const credential = { kind: 'token' as const, deploymentId: 'etl', ulid: '01ARZ3NDEKTSV4RRFFQ69G5FAV' };
  expect(formatCredential(credential, '0'.repeat(43))).toBe(`${body}3wPtNH`);
});

it('isDeploymentId accepts 1 to 64 characters, the first of which is a letter or digit', () => {
  for (const good of ['a', '0', 'A_-b', 'x'.repeat(64)]) expect(isDeploymentId(good), good).toBe(true);
  const bad = ['', '_a', '-a', 'x'.repeat(65), 'a#b', 'KEY#', 'a b', 'a\n', 'ä', 'a/b', 'x'.repeat(2048)];
  for (const text of bad) expect(isDeploymentId(text), text).toBe(false);
});

it('base62 puts the most significant digit first and pads with zeros on the left', () => {
  expect(base62(0n, 6)).toBe('000000');
  expect(base62(61n, 2)).toBe('0z');
  expect(base62(62n, 2)).toBe('10');
  expect(base62(2n ** 32n - 1n, 6)).toBe('4gfFC3');
  expect(base62(2n ** 256n - 1n, 43)).toHaveLength(43);
});

it('mintCredential returns a new, well-formed credential each time', () => {
  const ulid = newUlid(1_700_000_000_000);
  const minted = Array.from({ length: 100 }, () => mintCredential('token', 'etl', ulid));
  expect(new Set(minted).size).toBe(100);
  for (const one of minted)
    expect(parseCredential(one)).toEqual({ kind: 'token', deploymentId: 'etl', ulid });
});

it('isTokenOf accepts only access tokens of the key', () => {
  const [ulid, other] = [newUlid(1_700_000_000_000), newUlid(1_700_000_000_001)];
  const keyId = formatKeyId('etl', ulid);
  expect(isTokenOf(keyId, mintCredential('token', 'etl', ulid))).toBe(true);
  for (const text of [
    mintCredential('secret', 'etl', ulid),
    mintCredential('temporary', 'etl', ulid),
    mintCredential('token', 'etl', other),
    mintCredential('token', 'other', ulid),
    keyId,
    'garbage',
  ]) {
    expect(isTokenOf(keyId, text), text).toBe(false);
  }
  expect(isTokenOf('garbage', mintCredential('token', 'etl', ulid))).toBe(false);
  expect(isTokenOf('garbage', 'garbage')).toBe(false);
});

it('a ULID contains its time in milliseconds, and sorts after the prefix of that time', () => {
  const at = 1_700_000_000_000;
  const ulid = newUlid(at);
  expect(timeOfUlid(ulid)).toBe(at);
  expect(ulid.startsWith(ulidPrefix(at))).toBe(true);
  expect(ulidPrefix(at) > newUlid(at - 1)).toBe(true);
  expect(ulidPrefix(-1)).toBe('0000000000');
});

it('hashOf returns the SHA-256 of a secret in base64url', () => {
  // FIPS 180-2, appendix B.1.
  expect(Buffer.from(hashOf('abc'), 'base64url').toString('hex')).toBe(
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
  expect(hashOf('abc')).toHaveLength(43);
});

it('tokenIdOf returns the first 22 characters of a hash', () => {
  expect(tokenIdOf(hashOf('abc'))).toBe('ungWv48Bz-pBQUDeXa4iI7');
});

it('TOKEN_ID matches exactly 22 base64url characters', () => {
  const id = tokenIdOf(hashOf('abc'));
  expect(TOKEN_ID.test(id)).toBe(true);
  for (const text of ['', id.slice(1), `${id}A`, `A${id}`, `${id}\n`, `${id.slice(1)}+`, `${id.slice(1)}=`]) {
    expect(TOKEN_ID.test(text)).toBe(false);
  }
});

it('sameHash returns true only for equal hashes', () => {
  expect(sameHash(hashOf('abc'), hashOf('abc'))).toBe(true);
  expect(sameHash(hashOf('abc'), hashOf('abd'))).toBe(false);
});

it('sameHash returns false for text that is not a SHA-256 hash, even if both texts are equal', () => {
  const short = Buffer.alloc(31, 1).toString('base64url');
  const long = Buffer.alloc(33, 1).toString('base64url');
  for (const text of ['', short, long]) expect(sameHash(text, text)).toBe(false);
  for (const text of ['', short, long]) {
    expect(sameHash(text, hashOf('abc'))).toBe(false);
    expect(sameHash(hashOf('abc'), text)).toBe(false);
  }
});

it('HASH_OF_NOTHING is as long as a SHA-256 hash', () => {
  expect(Buffer.from(HASH_OF_NOTHING, 'base64url')).toEqual(Buffer.alloc(32));
});
