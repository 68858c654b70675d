import { expect, it } from 'vitest';
import { bearerToken, contextOf } from '../../functions/routes/authorize.ts';
import { seconds } from '../support/records.ts';

it.each([
  ['Bearer abc', 'abc'],
  ['bEARER abc', 'abc'],
  ['Bearer   abc', 'abc'],
  ['Bearer a.b_c~d+e/f-g==', 'a.b_c~d+e/f-g=='],
])('bearerToken reads the token from the header %s (RFC 6750, section 2.1)', (header, token) => {
  expect(bearerToken(header)).toBe(token);
});

it.each([
  undefined,
  '',
  'Bearer',
  'Bearer ',
  'Bearer\tabc',
  'Bearerabc',
  ' Bearer abc',
  'xBearer abc',
  'Bearer abc ',
  'Bearer abc\n',
  'Bearer a=b',
  'Bearer =',
  'Bearer abc, Bearer def',
  'Bearer abc,Bearer def',
  'Basic abc',
  'Bearer a b',
  'Bearer ä',
])('bearerToken finds no token in the header %j (RFC 6750, section 2.1)', (header) => {
  expect(bearerToken(header)).toBeUndefined();
});

it('the authorizer passes details about the caller to the API as flat strings', () => {
  const access = {
    principalId: 'dk_etl_X',
    principalType: 'api_key' as const,
    deploymentId: 'etl',
    scopes: ['code:deploy'],
    issuedAt: seconds(1_800_000_000),
    expiresAt: seconds(1_800_086_400),
  };
  expect(contextOf(access)).toStrictEqual({
    principalId: 'dk_etl_X',
    principalType: 'api_key',
    deploymentId: 'etl',
    scope: 'deployment:etl code:deploy',
    issuedAt: '2027-01-15T08:00:00.000Z',
    expiresAt: '2027-01-16T08:00:00.000Z',
  });
});
