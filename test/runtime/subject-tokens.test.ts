import type { LookupAddress } from 'node:dns';
import { createServer } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { readIssuerKeys } from '../../functions/runtime/config.ts';
import { openTokenVerifier, type Resolve } from '../../functions/runtime/subject-tokens.ts';

/** A server that must never receive a connection. It listens on all addresses of this machine. */
let reached = 0;
const inside = createServer((socket) => {
  reached++;
  socket.destroy();
});
await new Promise<void>((resolve) => inside.listen(0, resolve));
afterAll(() => {
  inside.close();
});
beforeEach(() => {
  reached = 0;
});
const inner = inside.address();
const port = typeof inner === 'object' ? inner?.port : 0;

const address = (text: string): LookupAddress => ({ address: text, family: text.includes(':') ? 6 : 4 });
const jwt = await new SignJWT({})
  .setProtectedHeader({ alg: 'HS256' })
  .setExpirationTime('5m')
  .sign(new Uint8Array(32));

/** Verifies a token of an issuer. Each lookup of the issuer's host name returns the next list of addresses. */
async function verifyWith(lists: readonly string[][], issuer = `https://ci.acme.test:${port}`) {
  const lookups: string[] = [];
  const resolve: Resolve = (hostname, _, callback) => {
    const list = lists[Math.min(lookups.push(hostname), lists.length) - 1] ?? [];
    setImmediate(callback, null, list.map(address));
  };
  const verify = openTokenVerifier(Date.now, { issuers: [], resolve });
  const error = await verify(issuer, jwt).then(
    () => undefined,
    (error) => error,
  );
  return { lookups: lookups, status: error?.status, cause: String(error?.cause?.message) };
}

describe('The service contacts a trusted issuer only at public addresses', () => {
  it.each([
    ['this host', '0.0.0.0'],
    ['private', '10.0.0.1'],
    ['private', '172.16.0.1'],
    ['private', '172.31.255.255'],
    ['private', '192.168.1.1'],
    ['loopback', '127.0.0.1'],
    ['loopback', '127.255.0.9'],
    ['link-local, where clouds serve credentials', '169.254.169.254'],
    ['shared', '100.64.0.1'],
    ['benchmarks', '198.18.0.1'],
    ['multicast', '224.0.0.1'],
    ['broadcast', '255.255.255.255'],
    ['IPv6 unspecified', '::'],
    ['IPv6 loopback', '::1'],
    ['IPv6 unique local', 'fd00:ec2::254'],
    ['IPv6 unique local', 'fc00::1'],
    ['IPv6 link-local', 'fe80::1'],
    ['IPv6 site-local', 'fec0::1'],
    ['IPv6 multicast', 'ff02::1'],
    ['IPv4-mapped', '::ffff:169.254.169.254'],
    ['IPv4-mapped, in hexadecimal', '::ffff:a00:1'],
    ['IPv4-compatible', '::127.0.0.1'],
    ['NAT64 of a private address', '64:ff9b::a00:1'],
    ['NAT64 for local use', '64:ff9b:1::a00:1'],
    ['6to4 of a private address', '2002:a00:1::1'],
    ['Teredo', '2001:0:a00:1::1'],
    ['documentation', '203.0.113.7'],
    ['IPv6 link-local with a scope ID', 'fe80::1%eth0'],
    ['global with a scope ID', '2d00::1%eth0'],
  ])('does not contact a trusted issuer that resolves to a non-public address: %s, %s', async (_, one) => {
    const { lookups, status, cause } = await verifyWith([[one]]);
    expect([status, cause]).toEqual([503, 'the issuer has an address that is not public']);
    expect([lookups, reached]).toEqual([['ci.acme.test'], 0]);
  });

  it.each([
    ['after a public address', ['1.2.3.4', '127.0.0.1']],
    ['before a public address', ['::1', '2d00::1']],
    ['among public addresses', ['1.2.3.4', '::ffff:127.0.0.1', '2d00::1']],
  ])(
    'does not contact a trusted issuer whose host name resolves to the non-public address %s',
    async (_, list) => {
      const { status, cause } = await verifyWith([list]);
      expect([status, cause]).toEqual([503, 'the issuer has an address that is not public']);
      expect(reached).toBe(0);
    },
  );

  it("rejects a token when the issuer's host name has no address", async () => {
    expect(await verifyWith([[]])).toMatchObject({ status: 503, cause: 'no address' });
  });

  it.each([
    '10.0.0.1',
    '169.254.169.254',
    '[fd00::1]',
    '[fe80::1]',
    '[::ffff:10.0.0.1]',
    '192.168.257',
    '0xa9fea9fe',
  ])('does not contact a trusted issuer whose URL contains the address %s', async (host) => {
    const { lookups, status, cause } = await verifyWith([['1.2.3.4']], `https://${host}:${port}`);
    expect([status, cause, lookups]).toEqual([503, 'not an address that an issuer may have', []]);
  });

  it('does not contact a trusted issuer whose URL does not use TLS', async () => {
    const { cause, lookups } = await verifyWith([['1.2.3.4']], 'http://ci.acme.test');
    expect([cause, lookups]).toEqual(['not an address that an issuer may have', []]);
  });
});

it('connects to a trusted issuer at the checked address without resolving the name again', async () => {
  // 2d00::/8 is not allocated, so the connection fails.
  const { lookups, status, cause } = await verifyWith([['2d00::1'], ['127.0.0.1'], ['::1']]);
  expect([lookups, reached]).toEqual([['ci.acme.test'], 0]);
  expect(status).toBe(503);
  expect(cause).not.toContain('not public');
});

describe('An issuer can have inline keys', async () => {
  const SOUND = 'https://jenkins.acme.test';
  const FAULTY = 'https://cluster.acme.test';
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: 'one' }] };
  const sign = (issuer: string) =>
    new SignJWT({ sub: 'pipeline' })
      .setProtectedHeader({ alg: 'RS256', kid: 'one' })
      .setIssuer(issuer)
      .setExpirationTime('5m')
      .sign(privateKey);
  /** Verifies a token from each issuer with the keys in this environment variable. No host name may be resolved. */
  async function verified(text: string | undefined) {
    const verify = openTokenVerifier(Date.now, {
      issuers: [SOUND, FAULTY].map((issuer) => ({ issuer, hasInlineKeys: true })),
      inlineKeys: readIssuerKeys({ ISSUER_KEYS: text }),
      resolve: () => expect.unreachable(),
    });
    const resultOf = async (issuer: string) =>
      verify(issuer, await sign(issuer)).then(
        ({ claims, fault }) => claims?.sub ?? fault,
        ({ status, cause }) => [status, cause.message],
      );
    return { sound: await resultOf(SOUND), faulty: await resultOf(FAULTY) };
  }
  const unusable = (issuer: string) => [503, `The function has no usable inline keys of ${issuer}.`];

  it.each<[what: string, faulty: unknown]>([
    ['are missing', undefined],
    ['are null', null],
    ['are a list', keys.keys],
    ['are not a list of keys', { keys: 'one' }],
    ['are an empty list', { keys: [] }],
    ['include a key that is no object', { keys: [...keys.keys, 'two'] }],
    ['include a key without a type', { keys: [...keys.keys, { kid: 'two' }] }],
  ])("verification fails with 503 if the inline keys of the token's issuer %s", async (_, faulty) => {
    const result = await verified(JSON.stringify({ [SOUND]: keys, [FAULTY]: faulty }));
    expect(result).toStrictEqual({ sound: 'pipeline', faulty: unusable(FAULTY) });
  });

  it("verification fails with 503 if an inline key of the token's issuer has no modulus", async () => {
    const faulty = { keys: [{ kty: 'RSA', kid: 'one' }] };
    const result = await verified(JSON.stringify({ [SOUND]: keys, [FAULTY]: faulty }));
    const message = `The keys of ${FAULTY} cannot be used.`;
    expect(result).toStrictEqual({ sound: 'pipeline', faulty: [503, message] });
  });

  it.each([undefined, '', '{', '[]', 'null'])(
    'verification fails with 503 for every issuer with inline keys when the variable with the keys is %j',
    async (text) => {
      expect(await verified(text)).toStrictEqual({ sound: unusable(SOUND), faulty: unusable(FAULTY) });
    },
  );
});
