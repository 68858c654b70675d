import { expect, it } from 'vitest';
import { HASH_OF_NOTHING, hashOf, sameHash } from '../../functions/domain/secrets.ts';

it('a secret is stored as SHA-256, base64url', () => {
  // FIPS 180-2, appendix B.1.
  expect(Buffer.from(hashOf('abc'), 'base64url').toString('hex')).toBe(
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
  expect(hashOf('abc')).toHaveLength(43);
});

it('hashes are the same when all their bytes are', () => {
  expect(sameHash(hashOf('abc'), hashOf('abc'))).toBe(true);
  expect(sameHash(hashOf('abc'), hashOf('abd'))).toBe(false);
});

it('what is no SHA-256 is the same as nothing, not even as itself', () => {
  const short = Buffer.alloc(31, 1).toString('base64url');
  const long = Buffer.alloc(33, 1).toString('base64url');
  for (const text of ['', short, long]) expect(sameHash(text, text)).toBe(false);
  for (const text of ['', short, long]) {
    expect(sameHash(text, hashOf('abc'))).toBe(false);
    expect(sameHash(hashOf('abc'), text)).toBe(false);
  }
});

it('the hash that nothing has is as long as any', () => {
  expect(Buffer.from(HASH_OF_NOTHING, 'base64url')).toEqual(Buffer.alloc(32));
});
