import type { RequestListener } from 'node:http';
import { SignJWT } from 'jose';
import { beforeEach, describe, expect, it } from 'vitest';
import { mintCredential, parseCredential } from '../../functions/domain/credentials.ts';
import { SUBJECT_REJECTED, startCiIssuer } from '../support/ci-issuer.ts';
import { runStack } from '../support/stack.ts';

const NOON = Date.parse('2030-01-01T12:00:00.500Z');
const GITHUB = 'https://token.actions.githubusercontent.com';
const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';

const issuer = await startCiIssuer();
const broken = await startCiIssuer();
const other = await startCiIssuer();
const strange = await startCiIssuer();
const service = await runStack({ context: { trustedIssuers: [issuer.url, broken.url, other.url, GITHUB] } });
beforeEach(() => service.clock.freeze(NOON));

const SUB = 'repo:acme/etl:ref:refs/heads/main';
const CLAIMS = { repository_id: '4711', ref: 'refs/heads/main', sub: SUB };
interface Signing {
  claims?: object;
  from?: Pick<typeof issuer, 'url' | 'sign'>;
  iss?: string;
  audience?: string;
  expires?: number;
  kid?: string;
}
/** Returns a subject token. Without options, the token is valid. */
function subjectToken({
  claims = CLAIMS,
  from = issuer,
  iss = from.url,
  audience,
  expires,
  kid = 'one',
}: Signing = {}) {
  return from.sign({
    claims,
    iss,
    kid,
    audience: audience ?? service.url,
    expires: expires ?? Math.floor(NOON / 1000) + 300,
  });
}

let count = 0;
async function newKey(rule: object = {}, more: object = {}) {
  const deploymentId = `trust-${++count}`;
  await service.register(deploymentId);
  const trust = [{ issuer: issuer.url, claims: { sub: SUB }, ...rule }];
  const path = `/deployments/${deploymentId}/api-keys`;
  const reply = await service.callAs('member', 'POST', path, { json: { name: 'ci', trust, ...more } });
  return { reply, deploymentId, id: reply.json.id as string, keyPath: `${path}/${reply.json.id}` };
}
const exchange = (id: string, subject: string, more: Record<string, string> = {}) =>
  service.call('POST', '/oauth/token', {
    form: { grant_type: GRANT, client_id: id, subject_token: subject, subject_token_type: JWT, ...more },
  });

describe('A key with trust rules exchanges CI tokens for access tokens', () => {
  it('a key with trust rules has no secret and cannot be rotated, and the API shows its rules', async () => {
    const { reply, keyPath } = await newKey();
    expect(reply.status).toBe(201);
    expect(reply.json).not.toHaveProperty('secret');
    expect(reply.json.trust).toEqual([{ issuer: issuer.url, claims: { sub: SUB } }]);
    expect(reply.json.credentials).toEqual([]);
    expect((await service.callAs('member', 'POST', `${keyPath}/rotate`)).status).toBe(409);
  });

  it('a token exchange issues an ordinary access token, which is extended on use and can be revoked', async () => {
    const { id, keyPath, deploymentId } = await newKey();
    const reply = await exchange(id, await subjectToken(), { scope: 'code:deploy' });
    expect(reply.status).toBe(200);
    expect(reply.headers['cache-control']).toBe('no-store');
    expect(reply.json).toEqual({
      access_token: expect.stringMatching(new RegExp(`^dkt_${deploymentId}_`)),
      token_type: 'Bearer',
      expires_in: 86_400,
      scope: `deployment:${deploymentId} code:deploy`,
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    });
    const token = reply.json.access_token;
    for (let day = 0; day < 3; day++) {
      service.clock.advance(86_399);
      expect(await service.use(token)).toBe(200);
    }
    expect((await service.callAs('member', 'GET', keyPath)).json.lastUsedAt).toBeDefined();
    await service.callAs('member', 'PATCH', keyPath, { json: { enabled: false } });
    expect(await service.use(token)).toBe(401);
    service.clock.freeze(NOON);
    expect((await exchange(id, await subjectToken())).json).toEqual(SUBJECT_REJECTED);
  });

  it('a key with trust rules can revoke only its own tokens, and needs no secret to do so', async () => {
    const { id, deploymentId } = await newKey();
    const other = await newKey();
    const [own, foreign] = await Promise.all(
      [id, other.id].map(async (key) => (await exchange(key, await subjectToken())).json.access_token),
    );
    const path = `/deployments/${deploymentId}/api-keys`;
    const withSecret = (await service.callAs('member', 'POST', path, { json: { name: 'secret' } })).json;
    const bySecret = (await service.exchange(withSecret)).json.access_token;
    const revoke = (form: Record<string, string>) => service.call('POST', '/oauth/revoke', { form });

    const { ulid = '' } = parseCredential(own) ?? {};
    const unknown = mintCredential('token', deploymentId, ulid);
    const rejected: Record<string, string>[] = [
      { client_id: id, token: foreign },
      { client_id: other.id, token: own },
      { client_id: withSecret.id, token: bySecret },
      { client_id: id, token: unknown },
      { client_id: id, token: 'x' },
      { client_id: id },
      { token: own },
      { client_id: 'x', token: own },
    ];
    for (const form of rejected) {
      const { status, json } = await revoke(form);
      expect({ status, json }).toEqual({
        status: 401,
        json: { error: 'invalid_client', error_description: 'Client authentication failed.' },
      });
    }
    for (const token of [own, foreign, bySecret]) expect(await service.use(token)).toBe(200);
    expect(await revoke({ client_id: id, token: own })).toMatchObject({ status: 200, text: '' });
    expect(await service.use(own)).toBe(401);
    expect(await service.use(foreign)).toBe(200);
  });

  it('revoking an unknown token takes the same number of reads whether or not the key exists', async () => {
    const { id, deploymentId } = await newKey();
    const ulid = id.slice(-26);
    const costs = async (keyId: string, deployment: string) => {
      const before = service.countCalls('revoke', 'BatchGetItem');
      const form = { client_id: keyId, token: mintCredential('token', deployment, ulid) };
      expect((await service.call('POST', '/oauth/revoke', { form })).status).toBe(401);
      return service.countCalls('revoke', 'BatchGetItem') - before;
    };
    expect(await costs(id, deploymentId)).toBe(1);
    expect(await costs(`dk_none_${ulid}`, 'none')).toBe(1);
  });

  it.each<[string, object, object, boolean]>([
    ['an equal claim', { ref: 'refs/heads/main' }, CLAIMS, true],
    ['a number', { repository_id: '4711' }, { repository_id: 4711 }, true],
    ['a matching prefix', { ref: { prefix: 'refs/heads/' } }, CLAIMS, true],
    ['another claim', { ref: 'refs/heads/dev' }, CLAIMS, false],
    ['a longer claim', { repository_id: '471' }, CLAIMS, false],
    ['another prefix', { ref: { prefix: 'refs/heads-evil/' } }, CLAIMS, false],
    ['a missing claim', { environment: 'production' }, CLAIMS, false],
    ['a claim that is an array', { repository_id: '4711' }, { repository_id: ['4711'] }, false],
    ['one matching claim of two', { repository_id: '4711', ref: 'refs/heads/dev' }, CLAIMS, false],
  ])('a trust rule requires each of its claims: %s', async (_, rule, claims, isAccepted) => {
    const { id } = await newKey({ claims: { sub: SUB, ...rule } });
    const subject = await subjectToken({ claims: { sub: SUB, ...claims } });
    expect((await exchange(id, subject)).status).toBe(isAccepted ? 200 : 400);
  });

  it('every invalid subject token gets the same response', async () => {
    const { id } = await newKey();
    const good = await subjectToken();
    const [header, payload] = good.split('.');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    const secret = new TextEncoder().encode(JSON.stringify(issuer.jwk));
    const hmac = await new SignJWT(CLAIMS)
      .setProtectedHeader({ alg: 'HS256', kid: 'one' })
      .setIssuer(issuer.url)
      .setAudience(service.url)
      .setExpirationTime(NOON / 1000 + 300)
      .sign(secret);
    const bad: Record<string, string> = {
      'without a signature': `${none}.${payload}.`,
      'with a signature cut off': `${header}.${payload}.`,
      'signed with the public key': hmac,
      'of another audience': await subjectToken({ audience: 'sts.amazonaws.com' }),
      expired: await subjectToken({ expires: Math.floor(NOON / 1000) - 60 }),
      'of an issuer that the stack does not trust': await subjectToken({ from: strange }),
      'of an issuer that the key does not trust': await subjectToken({ from: other }),
      'signed by somebody else': await subjectToken({ from: strange, iss: issuer.url }),
      'signed with an unknown key': await subjectToken({ from: strange, iss: issuer.url, kid: 'two' }),
      'no token': 'x',
      'JSON of nothing': `${header}.${Buffer.from('null').toString('base64url')}.x`,
    };
    for (const [name, token] of Object.entries(bad)) {
      const reply = await exchange(id, token);
      expect([reply.status, reply.json], name).toEqual([400, SUBJECT_REJECTED]);
    }
    expect((await exchange(id, good)).status).toBe(200);
    expect(service.logs.text()).not.toContain(payload);
  });

  it('a token exchange with an unknown key gets the same response as with a key that does not trust the token', async () => {
    const { deploymentId } = await newKey();
    const withSecret = await service.callAs('member', 'POST', `/deployments/${deploymentId}/api-keys`, {
      json: { name: 'ci' },
    });
    const other = await newKey({ claims: { sub: 'x' } });
    const unknown = `dk_${deploymentId}_01HFE000000000000000000000`;
    for (const id of [withSecret.json.id, other.id, unknown, 'dk_x', '']) {
      expect((await exchange(id, await subjectToken())).status, id).toBe(400);
    }
  });

  it('a rule with singleUse accepts a subject token only once, and other rules accept it repeatedly', async () => {
    const [often, once] = [await newKey(), await newKey({ singleUse: true })];
    const subject = await subjectToken();
    const statuses: number[] = [];
    for (const id of [often.id, often.id, once.id, once.id])
      statuses.push((await exchange(id, subject)).status);
    expect(statuses).toEqual([200, 200, 200, 400]);
    const next = await subjectToken({ expires: Math.floor(NOON / 1000) + 301 });
    const many = await Promise.all([1, 2, 3, 4].map(() => exchange(once.id, next)));
    expect(many.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400]);
  });

  it('a PATCH replaces all trust rules of a key at once, with effect from the next exchange', async () => {
    const { id, keyPath } = await newKey();
    const edit = (json: object) => service.callAs('member', 'PATCH', keyPath, { json });
    const first = (await exchange(id, await subjectToken())).json.access_token;
    const [main, dev] = ['main', 'dev'].map((branch) => ({
      issuer: issuer.url,
      claims: { sub: SUB, ref: `refs/heads/${branch}` },
    }));
    const edited = await edit({ trust: [main, dev] });
    expect([edited.status, edited.json.trust]).toEqual([200, [main, dev]]);
    expect((await exchange(id, await subjectToken())).status).toBe(200);
    await edit({ trust: [dev] });
    expect((await exchange(id, await subjectToken())).json).toEqual(SUBJECT_REJECTED);
    expect(await service.use(first)).toBe(200);

    const { items } = (await service.callAs('member', 'GET', `${keyPath.split('/api-keys')[0]}/events`)).json;
    const edits = items.filter(({ type }: { type: string }) => type === 'api_key.edited');
    expect(edits).toHaveLength(2);
    expect(edits[0].data.changed).toEqual(['trust']);
  });

  it('the API rejects an edit of trust rules that would not be allowed for a new key', async () => {
    const { deploymentId, keyPath } = await newKey();
    const withSecret = await service.callAs('member', 'POST', `/deployments/${deploymentId}/api-keys`, {
      json: { name: 'ci' },
    });
    const rule = { issuer: issuer.url, claims: { sub: SUB } };
    for (const [path, trust, status, field] of [
      [keyPath, [], 400, 'trust'],
      [keyPath, null, 400, 'trust'],
      [keyPath, [{ ...rule, issuer: strange.url }], 400, 'trust[0].issuer'],
      [keyPath, [rule, { ...rule, claims: {} }], 400, 'trust[1].claims'],
      [`/deployments/${deploymentId}/api-keys/${withSecret.json.id}`, [rule], 409, undefined],
    ] as const) {
      const reply = await service.callAs('member', 'PATCH', path, { json: { trust } });
      expect([reply.status, reply.json.errors?.[0].field]).toEqual([status, field]);
    }
    expect((await service.callAs('member', 'GET', keyPath)).json.trust).toEqual([rule]);
  });

  it("a token exchange is rejected if it sends a secret, comes from outside the key's IP ranges or names another token type", async () => {
    const { id } = await newKey();
    const subject = await subjectToken();
    expect((await exchange(id, subject, { client_secret: 'x' })).status).toBe(400);
    const basic = await service.call('POST', '/oauth/token', {
      basic: [id, 'x'],
      form: { grant_type: GRANT, subject_token: subject, subject_token_type: JWT },
    });
    expect([basic.status, basic.json.error]).toEqual([400, 'invalid_request']);
    const saml = { subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' };
    expect((await exchange(id, subject, saml)).json.error).toBe('invalid_request');
    const bound = await newKey({}, { networks: ['192.0.2.0/24'] });
    expect((await exchange(bound.id, subject)).json).toEqual(SUBJECT_REJECTED);
    const plain = await service.call('POST', '/oauth/token', {
      form: { grant_type: 'client_credentials', client_id: id },
    });
    expect(plain.status).toBe(401);
  });
});

describe('The service tolerates failures of trusted issuers', () => {
  const ofBroken = () => newKey({ issuer: broken.url });
  const exchangeBroken = async () => exchange((await ofBroken()).id, await subjectToken({ from: broken }));
  let cases = 0;

  it.each<[string, RequestListener]>([
    ['redirects', (_, response) => response.writeHead(302, { location: `${issuer.url}/keys` }).end()],
    ['returns more than 64 KiB', (_, response) => response.end(JSON.stringify({ x: 'x'.repeat(70_000) }))],
    ['returns no JSON', (_, response) => response.end('<html>')],
    [
      'names another issuer',
      (_, response) => response.end(JSON.stringify({ issuer: issuer.url, jwks_uri: `${issuer.url}/keys` })),
    ],
    [
      'has its keys on a private address',
      (_, response) =>
        response.end(JSON.stringify({ issuer: broken.url, jwks_uri: 'https://10.0.0.1/keys' })),
    ],
    ['fails', (_, response) => response.writeHead(500).end()],
    ['does not respond for 2 s', () => {}],
  ])('a token exchange returns 503 if the trusted issuer %s', async (_, answer) => {
    broken.answer = answer;
    // The service caches a failed request for an issuer's keys for 5 s.
    service.clock.freeze(NOON + ++cases * 6000);
    const { requestCount: requestsBefore } = broken;
    const reply = await exchangeBroken();
    expect([reply.status, reply.headers['retry-after']]).toEqual([503, '1']);
    expect(broken.requestCount).toBeGreaterThan(requestsBefore);
  });

  it("the service requests a trusted issuer's keys only rarely, no matter which tokens arrive", async () => {
    broken.answer = undefined;
    const { id } = await newKey();
    await exchange(id, await subjectToken());
    const { requestCount: requestsBefore } = issuer;
    for (let n = 0; n < 12; n++) {
      await exchange(id, await subjectToken());
      await exchange(id, await subjectToken({ from: strange, iss: issuer.url, kid: 'two' }));
    }
    // Each of the four workers fetches the issuer's keys once.
    expect(issuer.requestCount - requestsBefore).toBeLessThanOrEqual(2 * 4);
  });
});

describe('The API rejects invalid trust rules', () => {
  it.each<[string, object, string]>([
    ['with an issuer that the stack does not trust', { issuer: strange.url }, 'trust[0].issuer'],
    ['without a claim', { claims: {} }, 'trust[0].claims'],
    [
      'with a prefix that ends within a name',
      { claims: { sub: { prefix: 'repo:acme' } } },
      'trust[0].claims.sub.prefix',
    ],
    [
      'for GitHub without a number',
      { issuer: GITHUB, claims: { sub: { prefix: 'repo:acme/' } } },
      'trust[0]',
    ],
    [
      'for GitHub with a number as a prefix',
      { issuer: GITHUB, claims: { repository_id: { prefix: '47/' } } },
      'trust[0]',
    ],
    ['with an unknown field', { audiences: 'x' }, 'trust[0].audiences'],
  ])('the API rejects a trust rule %s', async (_, rule, field) => {
    const { reply } = await newKey(rule);
    expect([reply.status, reply.json.errors[0].field]).toEqual([400, field]);
  });

  it("the API accepts a trust rule for GitHub that contains an owner's ID", async () => {
    const { reply } = await newKey({
      issuer: GITHUB,
      claims: { repository_owner_id: '1', ref: 'refs/heads/main' },
    });
    expect(reply.status).toBe(201);
  });
});
