import { describe, expect, it } from 'vitest';
import { hashOf } from '../../functions/domain/credentials.ts';
import {
  MAX_SUBJECT_TOKEN,
  parseSubjectToken,
  type TimeFault,
  timeFaultOf,
  usedSubjectOf,
} from '../../functions/domain/subject-token.ts';

const ISSUER = 'https://ci.test';
const encoded = (text: string) => Buffer.from(text).toString('base64url');
const HEADER = encoded('{"alg":"RS256"}');
const PAYLOAD = encoded(`{"iss":"${ISSUER}"}`);
/** The signature of the samples: four zero bytes. */
const SIGNATURE = 'AAAAAA';

describe('parseSubjectToken', () => {
  it('parseSubjectToken returns the issuer and the signing input of a JWT', () => {
    const jwt = `${HEADER}.${PAYLOAD}.${SIGNATURE}`;
    expect(parseSubjectToken(jwt)).toEqual({ jwt, issuer: ISSUER, signingInput: `${HEADER}.${PAYLOAD}` });
  });

  it('parseSubjectToken accepts a token of 16 KiB, and rejects a longer one', () => {
    const start = `${HEADER}.${PAYLOAD}.`;
    const tokenOf = (length: number) => start.padEnd(length, 'A');
    expect(MAX_SUBJECT_TOKEN).toBe(16_384);
    expect(parseSubjectToken(tokenOf(16_384))?.issuer).toBe(ISSUER);
    expect(parseSubjectToken(tokenOf(16_386))).toBeUndefined();
  });

  it.each<[what: string, jwt: string]>([
    ['an empty text', ''],
    ['two parts', `${HEADER}.${PAYLOAD}`],
    ['four parts', `${HEADER}.${PAYLOAD}.${SIGNATURE}.${SIGNATURE}`],
    ['an empty signature', `${HEADER}.${PAYLOAD}.`],
    ['padding', `${HEADER}.${PAYLOAD}.${SIGNATURE}==`],
    ['white space', `${HEADER}.${PAYLOAD}.${SIGNATURE} `],
    ['characters of base64 instead of base64url', `${HEADER}.${PAYLOAD}.AA+/`],
    ['unused bits that are not zero', `${HEADER}.${PAYLOAD}.AAAAAB`],
    ['a header that is not JSON', `${encoded('x')}.${PAYLOAD}.${SIGNATURE}`],
    ['a header that is a number', `${encoded('1')}.${PAYLOAD}.${SIGNATURE}`],
    ['a header that is null', `${encoded('null')}.${PAYLOAD}.${SIGNATURE}`],
    ['a header that is an array', `${encoded('[]')}.${PAYLOAD}.${SIGNATURE}`],
    ['a payload that is not JSON', `${HEADER}.${encoded('{')}.${SIGNATURE}`],
    ['a payload that is text', `${HEADER}.${encoded('"x"')}.${SIGNATURE}`],
    ['a payload that is null', `${HEADER}.${encoded('null')}.${SIGNATURE}`],
    ['a payload that is an array', `${HEADER}.${encoded('["iss"]')}.${SIGNATURE}`],
    ['a payload without iss', `${HEADER}.${encoded('{"sub":"x"}')}.${SIGNATURE}`],
    ['an iss that is not text', `${HEADER}.${encoded('{"iss":1}')}.${SIGNATURE}`],
  ])('parseSubjectToken rejects a token with %s', (_, jwt) => {
    expect(parseSubjectToken(jwt)).toBeUndefined();
  });
});

describe('timeFaultOf', () => {
  /** The current time in the samples, in seconds. The service's clock is half a second later. */
  const NOW = 1_893_499_200;
  const DAY = 24 * 60 * 60;

  it.each<[claims: Record<string, unknown>, fault: TimeFault | undefined]>([
    [{ exp: NOW + 300 }, undefined],
    [{ exp: NOW + DAY }, undefined],
    [{ exp: NOW + DAY + 1 }, 'expires_too_late'],
    [{ exp: NOW + 300, iat: NOW + 299 }, undefined],
    [{ exp: NOW + 300, iat: NOW + 299.5 }, undefined],
    [{ exp: NOW + 300, iat: NOW + 300 }, 'expires_before_issue'],
    [{ exp: NOW + 300, iat: NOW + 301 }, 'expires_before_issue'],
    [{ exp: NOW + DAY + 1, iat: NOW + DAY + 2 }, 'expires_before_issue'],
    [{ exp: NOW + 300, iat: String(NOW) }, 'malformed_time'],
    [{ exp: NOW + 300, iat: null }, 'malformed_time'],
    [{ exp: NOW + 300.5 }, 'malformed_time'],
    [{ exp: 1e308, iat: NOW }, 'malformed_time'],
    [{ exp: String(NOW + 300), iat: NOW }, 'malformed_time'],
    [{ iat: NOW }, 'malformed_time'],
  ])('timeFaultOf says what is wrong with the times %j: %s', (claims, fault) => {
    expect(timeFaultOf(claims, NOW * 1000 + 500)).toBe(fault);
  });
});

describe('usedSubjectOf', () => {
  const jwt = `${HEADER}.${PAYLOAD}.${SIGNATURE}`;
  const subject = { jwt, issuer: ISSUER, signingInput: `${HEADER}.${PAYLOAD}` };

  it('usedSubjectOf returns the hashes of a token, and its expiry plus 60 seconds', () => {
    expect(usedSubjectOf(subject, { exp: 1_893_499_500 })).toEqual({
      hash: hashOf(`${ISSUER}\0${HEADER}.${PAYLOAD}`),
      previousHash: hashOf(jwt),
      until: 1_893_499_560,
    });
  });

  it('usedSubjectOf returns the same hash for a token with another signature', () => {
    const other = { ...subject, jwt: `${HEADER}.${PAYLOAD}.BBBBBA` };
    expect(usedSubjectOf(other, { exp: 1 }).hash).toBe(usedSubjectOf(subject, { exp: 1 }).hash);
  });
});
