import { describe, expect, it } from 'vitest';
import {
  exchangeParameters,
  parseParameters,
  presentedParameters,
  tokenParameters,
} from '../../functions/http/parameters.ts';

const refused = (message: string, code = 'invalid_request') =>
  expect.objectContaining({ status: 400, code, message });
const EXCHANGE = {
  client_id: 'dk',
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  subject_token: 's',
  subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
};
const parse = (schema: Parameters<typeof parseParameters>[0], fields: object) =>
  parseParameters(schema, new Map(Object.entries(fields)));

describe('POST /oauth/token validates its parameters', () => {
  it('POST /oauth/token accepts client_credentials with or without a scope, and ignores unknown parameters', () => {
    expect(parse(tokenParameters, { grant_type: 'client_credentials', x: 'y' })).toEqual({
      grant_type: 'client_credentials',
    });
    const all = {
      grant_type: 'client_credentials',
      client_id: 'a',
      client_secret: 'b',
      scope: 'c',
      audience: 'd',
    };
    expect(parse(tokenParameters, all)).toEqual(all);
  });

  it('POST /oauth/token requires a supported grant_type', () => {
    expect(() => parse(tokenParameters, {})).toThrow(refused('grant_type is missing.'));
    expect(() => parse(tokenParameters, { grant_type: 'password' })).toThrow(
      refused('This grant_type is not supported.', 'unsupported_grant_type'),
    );
  });

  it('POST /oauth/token exchanges a JWT or an ID token for an access token (RFC 8693)', () => {
    const idToken = 'urn:ietf:params:oauth:token-type:id_token';
    const accessToken = 'urn:ietf:params:oauth:token-type:access_token';
    for (const change of [
      {},
      { subject_token_type: idToken },
      { requested_token_type: accessToken },
      { scope: 'a' },
    ])
      expect(parse(exchangeParameters, { ...EXCHANGE, ...change, x: 'y' })).toEqual({
        ...EXCHANGE,
        ...change,
      });
  });

  it.each(['client_id', 'subject_token', 'subject_token_type'])(
    'POST /oauth/token requires the parameter %s for a token exchange',
    (name) => {
      const { [name]: _, ...rest } = EXCHANGE as Record<string, string>;
      expect(() => parse(exchangeParameters, rest)).toThrow(refused(`${name} is missing.`));
    },
  );

  it.each(['subject_token_type', 'requested_token_type'])(
    'POST /oauth/token rejects a token exchange with an unknown %s',
    (name) => {
      expect(() => parse(exchangeParameters, { ...EXCHANGE, [name]: 'x' })).toThrow(
        refused(`${name} is not one that is supported.`),
      );
    },
  );
});

it('introspection and revocation require the parameter token', () => {
  const all = { token: 't', token_type_hint: 'h', client_id: 'a', client_secret: 'b' };
  expect(parse(presentedParameters, { ...all, x: 'y' })).toEqual(all);
  expect(parse(presentedParameters, { token: 't' })).toEqual({ token: 't' });
  expect(() => parse(presentedParameters, {})).toThrow(refused('token is missing.'));
});
