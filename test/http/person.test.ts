import type { APIGatewayProxyEventV2WithJWTAuthorizer } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { personOf } from '../../functions/http/person.ts';

const CONFIG = {
  issuer: 'https://login.test',
  groupsClaim: 'groups',
  adminGroup: 'admins',
  adminScope: 'keys:admin',
};
const part = (claims: unknown) => Buffer.from(JSON.stringify(claims)).toString('base64url');
const jwt = (claims: object, header: object = { alg: 'RS256', typ: 'at+jwt' }) =>
  `${part(header)}.${part(claims)}.c2lnbmF0dXJl`;

function personBehind(authorization: string | undefined, config = CONFIG, isVerified = true) {
  const authorizer = isVerified ? { jwt: { claims: {}, scopes: null } } : undefined;
  const event = { headers: { authorization }, requestContext: { authorizer } };
  return personOf(event as unknown as APIGatewayProxyEventV2WithJWTAuthorizer, config);
}
const signedIn = (claims: object, header?: object) => personBehind(`Bearer ${jwt(claims, header)}`);
const refused = (message: string) =>
  expect.objectContaining({
    status: 401,
    code: 'invalid_token',
    message,
    headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
  });
const notAnAccessToken = refused('Send an access token, not an ID token.');

describe("A person's access token determines their name, groups and rights", () => {
  it("takes a signed-in person's sub and groups from their access token", () => {
    expect(signedIn({ sub: 'ada', groups: ['a', 'x admins', 7, null] })).toStrictEqual({
      sub: 'ada',
      groups: ['a', 'x admins'],
      isAdministrator: false,
      signIn: { issuer: 'https://login.test', sub: 'ada', at: 0 },
    });
  });

  it("takes a person's name from their access token only if the stack stores names and the name is plain text", () => {
    const nameIn = (claims: object, nameClaim: string | undefined) =>
      personBehind(`Bearer ${jwt({ sub: 'ada', ...claims })}`, { ...CONFIG, nameClaim } as never).name;
    expect(nameIn({ name: ' Ada Lovelace ' }, 'name')).toBe('Ada Lovelace');
    expect(nameIn({ 'https://example.com/name': 'Ada' }, 'https://example.com/name')).toBe('Ada');
    expect(nameIn({ name: 'Ada', undefined: 'Ada' }, undefined)).toBeUndefined();
    for (const name of ['', ' ', 7, ['Ada'], null, 'a'.repeat(101), 'Ada\nAdmin', 'Ada\u202eadA'])
      expect(nameIn({ name }, 'name')).toBeUndefined();
  });

  it("takes a person's groups only from the configured claim, and only if it is an array", () => {
    const config = { ...CONFIG, groupsClaim: 'cognito:groups' };
    const bearer = `Bearer ${jwt({ sub: 'ada', 'cognito:groups': ['b'], groups: ['admins'] })}`;
    expect(personBehind(bearer, config)).toMatchObject({ groups: ['b'], isAdministrator: false });
    for (const groups of ['admins', '[x admins]', { 0: 'admins', length: 1 }, undefined, null])
      expect(signedIn({ sub: 'ada', groups })).toMatchObject({ groups: [], isAdministrator: false });
  });

  it.each<[string, object]>([
    ["in the administrators' group", { groups: ['a', 'admins'] }],
    ["with the administrators' scope among others", { scope: 'openid keys:admin' }],
    ["with the administrators' scope in scp", { scp: ['openid', 'keys:admin'] }],
  ])('recognises an administrator: a person %s', (_, claims) => {
    expect(signedIn({ sub: 'ada', ...claims })).toMatchObject({ isAdministrator: true });
  });

  it.each<[string, object]>([
    ["in a group whose name contains the administrators' group", { groups: ['x admins', 'admins2'] }],
    ["with a scope that contains the administrators' scope", { scope: 'keys:administer xkeys:admin' }],
    ['with the scope in another claim', { permissions: ['keys:admin'], aud: 'keys:admin' }],
    ['with both scope and scp, where only scp contains it', { scope: 'openid', scp: ['keys:admin'] }],
  ])('does not treat a person %s as an administrator', (_, claims) => {
    expect(signedIn({ sub: 'ada', ...claims })).toMatchObject({ isAdministrator: false });
  });

  it("no one is an administrator when the stack configures neither an administrators' group nor a scope", () => {
    const config = { groupsClaim: 'groups', adminGroup: undefined, adminScope: undefined } as never;
    const bearer = `Bearer ${jwt({ sub: 'ada', groups: [undefined, 'undefined'], scope: 'undefined' })}`;
    expect(personBehind(bearer, config)).toMatchObject({ isAdministrator: false });
  });
});

describe("A person's access token determines when they signed in", () => {
  const signedInAt = (claims: object) => signedIn({ sub: 'ada', ...claims }).signIn?.at;
  const LATEST = 100_000_000_000;

  it.each([
    ['auth_time, which is earlier than iat', { auth_time: 1000, iat: 2000 }, 1000],
    ['iat, if auth_time is later', { auth_time: 2_000_000, iat: 2000 }, 2000],
    ['iat, if there is no auth_time', { iat: 2000 }, 2000],
    ['auth_time, if there is no iat', { auth_time: 1000 }, 1000],
    ['the whole seconds of iat', { iat: 2000.9 }, 2000],
    ['the latest plausible time', { iat: LATEST }, LATEST],
  ])("takes the time of a person's sign-in from %s", (_, claims, at) => {
    expect(signedInAt(claims)).toBe(at);
  });

  it.each([
    ['no time', {}],
    ['an iat that is text', { iat: '2000' }],
    ['an iat that is null', { iat: null }],
    ['an iat below 0', { iat: -1 }],
    ['an iat that is not in seconds', { iat: LATEST + 1 }],
    ['an invalid auth_time and a valid iat', { auth_time: '1000', iat: 2000 }],
    ['a valid auth_time and an invalid iat', { auth_time: 1000, iat: -1 }],
    ['an auth_time of 0', { auth_time: 0, iat: 2000 }],
  ])(
    "a person's sign-in counts as older than any end of access if their access token has %s",
    (_, claims) => {
      expect(signedInAt(claims)).toBe(0);
    },
  );
});

describe('The service accepts only a verified access token from a person', () => {
  it.each<[string, object, object]>([
    ['by its typ', {}, { typ: 'at+jwt' }],
    ['by its typ in any case or as a media type', {}, { typ: 'Application/AT+JWT' }],
    ['by token_use, as Cognito sets it', { token_use: 'access' }, {}],
    ['by its scope', { scope: '' }, {}],
    ['by its scp', { scp: [] }, { typ: 'JWT' }],
  ])("recognises a person's access token %s", (_, claims, header) => {
    expect(signedIn({ sub: 'ada', ...claims }, header)).toMatchObject({ sub: 'ada' });
  });

  it.each<[string, object, object]>([
    ['says that it is an ID token', { token_use: 'id', scope: 'openid' }, { typ: 'at+jwt' }],
    ['has a nonce', { nonce: 'n', scope: 'openid' }, { typ: 'at+jwt' }],
    ['has an at_hash', { at_hash: 'h', scope: 'openid' }, { typ: 'at+jwt' }],
    ['has a c_hash', { c_hash: 'h', scope: 'openid' }, { typ: 'at+jwt' }],
    ['has nothing that marks it as an access token', {}, { typ: 'JWT' }],
    ['has a typ that contains the right one', {}, { typ: 'xat+jwt' }],
    ['has a typ that starts with the right one', {}, { typ: 'at+jwtx' }],
    ['has another media type', {}, { typ: 'text/at+jwt' }],
  ])("rejects a person's access token that %s", (_, claims, header) => {
    expect(() => signedIn({ sub: 'ada', ...claims }, header)).toThrow(notAnAccessToken);
  });

  it("rejects a person's access token unless its sub is 1 to 255 printable ASCII characters", () => {
    const rule = 'The sub of the access token must be 1 to 255 printable ASCII characters.';
    for (const sub of [
      undefined,
      null,
      '',
      7,
      ['ada'],
      'ad\u00e4',
      'a\n',
      '\t',
      'a\u0000',
      '\u007f',
      'a'.repeat(256),
    ])
      expect(() => signedIn({ sub })).toThrow(refused(rule));
    for (const sub of [' ', '~', 'ada lovelace', 'a'.repeat(255), 'auth0|5f7c', 'ada@example.com'])
      expect(signedIn({ sub })).toMatchObject({ sub });
  });

  it("rejects a person's access token that the gateway has not verified", () => {
    expect(() => personBehind(`Bearer ${jwt({ sub: 'ada' })}`, CONFIG, false)).toThrow(
      refused('The request is not signed in.'),
    );
    const event = { headers: {}, requestContext: { authorizer: {} } };
    expect(() => personOf(event as never, CONFIG)).toThrow(refused('The request is not signed in.'));
  });

  const good = jwt({ sub: 'ada' });
  it.each([
    ['no header', undefined],
    ['no scheme', good],
    ['another scheme', `Basic ${good}`],
    ['two tokens', `Bearer ${good}, Bearer ${good}`],
    ['two segments', `Bearer ${good.split('.').slice(0, 2).join('.')}`],
    ['four segments', `Bearer ${good}.x`],
    ['no signature', `Bearer ${good.split('.').slice(0, 2).join('.')}.`],
    ['text before it', `x Bearer ${good}`],
    ['text after it', `Bearer ${good} `],
    ['characters that are not base64url', `Bearer ${good.replace('.', '=.')}`],
    ['a payload that is not JSON', `Bearer ${part({ typ: 'at+jwt' })}.eHh4.c2ln`],
    ['an empty payload', `Bearer ${part({ typ: 'at+jwt' })}.${part(null)}.c2ln`],
    ['an empty header', `Bearer ${part(null)}.${part({ sub: 'ada', scope: '' })}.c2ln`],
    ['a header that is not JSON', `Bearer eHh4.${part({ sub: 'ada', scope: '' })}.c2ln`],
  ])("rejects a person's access token that is sent with %s", (_, header) => {
    expect(() => personBehind(header)).toThrow(notAnAccessToken);
  });

  it("accepts a person's access token with the scheme Bearer in any case, followed by any number of spaces", () => {
    expect(personBehind(`bEARER   ${good}`)).toMatchObject({ sub: 'ada' });
  });
});
