import { expect, it } from 'vitest';
import { HASH_OF_NOTHING, hashOf, sameHash, TOKEN_ID, tokenIdOf } from '../../functions/domain/secrets.ts';

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
