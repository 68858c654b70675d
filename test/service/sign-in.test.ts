import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { runStack } from '../support/stack.ts';

const service = await runStack({ context: { adminGroup: 'admins' } });

const NOT_SIGNED_IN_BY_GATEWAY = { message: 'Unauthorized' };
const notSignedIn = (detail: string) => ({
  type: '/errors#invalid_token',
  title: 'Unauthorized',
  status: 401,
  code: 'invalid_token',
  detail,
});
const list = (token: string) => service.call('GET', '/deployments', { token });
const register = async (groups: unknown) => {
  const token = await service.signIn('member', 'access', ({ payload }) => Object.assign(payload, { groups }));
  return (await service.call('PUT', '/deployments/etl', { token, json: {} })).status;
};

describe("Management calls require a person's access token", () => {
  it('a management call without an access token returns 401', async () => {
    const { status, json } = await service.call('GET', '/deployments');
    expect([status, json]).toEqual([401, NOT_SIGNED_IN_BY_GATEWAY]);
  });

  it("the gateway rejects a person's access token that is expired, comes from another issuer or has another audience", async () => {
    const now = Math.floor(Date.now() / 1000);
    for (const claims of [
      { exp: now - 60 },
      { iss: 'https://other.example' },
      { aud: 'other' },
      { nbf: now + 3600 },
    ]) {
      const token = await service.signIn('admin', 'access', ({ payload }) => Object.assign(payload, claims));
      const { status, json } = await list(token);
      expect([status, json], JSON.stringify(claims)).toEqual([401, NOT_SIGNED_IN_BY_GATEWAY]);
    }
  });

  it("the gateway rejects a person's access token that is unsigned or signed with another key", async () => {
    const [header = '', payload = '', signature = ''] = (await service.signIn('admin')).split('.');
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const { privateKey, publicKey } = await generateKeyPair('RS256');
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString());
    const foreign = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'RS256', kid, typ: 'at+jwt', jwk: await exportJWK(publicKey) })
      .sign(privateKey);
    const forged = [
      `${encode({ alg: 'none', typ: 'at+jwt' })}.${payload}.`,
      `${encode({ alg: 'none', typ: 'at+jwt' })}.${payload}.${signature}`,
      `${header}.${encode({ ...claims, sub: 'other' })}.${signature}`,
      foreign,
    ];
    for (const token of forged) {
      const { status, json } = await list(token);
      expect([status, json]).toEqual([401, NOT_SIGNED_IN_BY_GATEWAY]);
    }
  });

  it('the service rejects an ID token, which the gateway accepts', async () => {
    const idToken = await service.signIn('admin', 'id', ({ payload }) => {
      payload.aud = 'deployment-api-keys';
    });
    const { status, json, headers } = await list(idToken);
    expect([status, json]).toEqual([401, notSignedIn('Send an access token, not an ID token.')]);
    expect(headers['www-authenticate']).toBe('Bearer error="invalid_token"');
  });

  it("the service rejects a person's token if anything marks it as an ID token", async () => {
    for (const mark of [{ token_use: 'id' }, { nonce: 'n' }, { at_hash: 'h' }, { c_hash: 'h' }]) {
      const token = await service.signIn('admin', 'access', ({ payload }) => Object.assign(payload, mark));
      expect((await list(token)).status, JSON.stringify(mark)).toBe(401);
    }
  });

  it("the service accepts people's access tokens in the formats of Cognito, Auth0, Okta and RFC 9068", async () => {
    const shapes: [string, Record<string, unknown>][] = [
      ['JWT', { token_use: 'access', scope: undefined, aud: undefined, client_id: 'deployment-api-keys' }],
      ['JWT', { scope: 'openid profile' }],
      ['JWT', { scope: undefined, scp: ['openid'] }],
      ['at+jwt', { scope: undefined }],
      ['application/at+jwt', { scope: undefined }],
    ];
    for (const [typ, claims] of shapes) {
      const token = await service.signIn('member', 'access', ({ header, payload }) => {
        header.typ = typ;
        Object.assign(payload, claims);
      });
      expect((await list(token)).status, JSON.stringify([typ, claims])).toBe(200);
    }
  });

  it("the service rejects a person's access token without a sub claim", async () => {
    const token = await service.signIn('admin', 'access', ({ payload }) =>
      Object.assign(payload, { sub: undefined }),
    );
    const { status, json } = await list(token);
    expect([status, json]).toEqual([
      401,
      notSignedIn('The sub of the access token must be 1 to 255 printable ASCII characters.'),
    ]);
  });
});

describe("Members of the administrators' group are administrators", () => {
  it("a person is an administrator if the name of one of their groups exactly matches the administrators' group", async () => {
    expect(await register(['x', 'admins'])).toBe(201);
  });

  it("a person is not an administrator if the group's name only appears inside the gateway's flattened claim", async () => {
    for (const groups of [
      ['x admins'],
      ['admins x'],
      'admins',
      '[admins]',
      ['[admins]'],
      { admins: true },
      ['Admins'],
      [['admins']],
      undefined,
    ]) {
      expect(await register(groups), JSON.stringify(groups)).toBe(404);
    }
  });
});

describe("People with the administrators' scope are administrators", () => {
  it("a person with the administrators' scope is an administrator, regardless of groups", async () => {
    const scoped = await runStack({
      context: { issuer: service.issuer, audience: 'deployment-api-keys', adminScope: 'keys:admin' },
    });
    const put = async (claims: object) => {
      const token = await service.signIn('member', 'access', ({ payload }) => Object.assign(payload, claims));
      return (await scoped.call('PUT', '/deployments/etl', { token, json: {} })).status;
    };
    expect(await put({ groups: ['admins', 'platform-admins'] })).toBe(404);
    expect(await put({ scope: 'openid keys:administrator' })).toBe(404);
    expect(await put({ scope: 'openid keys:admin' })).toBe(201);
    expect(await put({ scope: undefined, scp: ['keys:admin'] })).toBe(200);
  });
});
