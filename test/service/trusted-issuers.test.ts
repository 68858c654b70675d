import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { beforeEach, describe, expect, it } from 'vitest';
import { SUBJECT_REJECTED, startCiIssuer, subjectForm } from '../support/ci-issuer.ts';
import { runStack } from '../support/stack.ts';

const NOON = Date.parse('2030-01-01T12:00:00.500Z');
const CLUSTER = 'https://kubernetes.default.svc.cluster.local';
const AWS = 'https://3f1c9a36-1b2c-4d3e-8f90-a1b2c3d4e5f6.tokens.sts.global.api.aws';
const DEVOPS = 'https://vstoken.dev.azure.com/9a1b2c3d';

/** Key pair of an issuer that the service cannot reach. */
async function keyPair(alg: 'RS256' | 'ES256' | 'ES384' | 'EdDSA', kid: string) {
  const { publicKey, privateKey } = await generateKeyPair(alg);
  const sign = (iss: string, claims: object, { aud = stack.url, more = {} as object } = {}) =>
    new SignJWT({ exp: NOON / 1000 + 299.5, ...claims })
      .setProtectedHeader({ alg, kid, ...more })
      .setIssuer(iss)
      .setAudience(aud)
      .sign(privateKey);
  return { jwk: { ...(await exportJWK(publicKey)), kid }, sign };
}
const cluster = await keyPair('ES256', 'cluster');
const edwards = await keyPair('EdDSA', 'edwards');
const [accountEc, accountRsa] = [await keyPair('ES384', 'ec'), await keyPair('RS256', 'rsa')];
const devops = await keyPair('RS256', 'devops');
const unknown = await keyPair('ES256', 'cluster');
const gitlab = await startCiIssuer();

const stack = await runStack({
  context: {
    trustedIssuers: [
      { issuer: CLUSTER, preset: 'kubernetes', jwks: { keys: [cluster.jwk, edwards.jwk] } },
      { issuer: AWS, jwks: { keys: [accountEc.jwk, accountRsa.jwk] } },
      { issuer: DEVOPS, bind: ['prj_id', 'def_id'], audience: 'api://X', jwks: { keys: [devops.jwk] } },
      { issuer: gitlab.url, preset: 'gitlab' },
    ],
  },
});
beforeEach(() => stack.clock.freeze(NOON));

let count = 0;
async function create(rule: object) {
  const deploymentId = `issuers-${++count}`;
  await stack.register(deploymentId);
  const path = `/deployments/${deploymentId}/api-keys`;
  const reply = await stack.callAs('member', 'POST', path, { json: { name: 'ci', trust: [rule] } });
  return { ...reply, id: String(reply.json.id), path: `${path}/${reply.json.id}` };
}
const exchange = (id: string, subject: string) =>
  stack.call('POST', '/oauth/token', { form: subjectForm(id, subject) });
async function outcome(id: string, subject: string | Promise<string>) {
  const { status, json } = await exchange(id, await subject);
  if (status !== 200) expect([status, json]).toEqual([400, SUBJECT_REJECTED]);
  return status;
}
const explained = async ({ path }: { path: string }, subject: string) =>
  (await stack.callAs('member', 'POST', `${path}/explain`, { json: { subject_token: subject } })).json
    .rules[0];

describe('A stack can contain the public keys of an issuer', () => {
  const SUB = 'system:serviceaccount:ci:deploy';
  const rule = { issuer: CLUSTER, claims: { sub: SUB } };

  it('tokens of an issuer with inline keys can be exchanged and explained even if the issuer cannot be reached', async () => {
    const key = await create(rule);
    expect(key.status).toBe(201);
    const subject = await cluster.sign(CLUSTER, { sub: SUB });
    const reply = await exchange(key.id, subject);
    expect([reply.status, reply.json.token_type]).toEqual([200, 'Bearer']);
    expect(await explained(key, subject)).toEqual({
      index: 0,
      issuer: CLUSTER,
      matches: true,
      differences: [],
    });
  });

  it("a token is rejected unless it is signed with the issuer's inline key, even if the key IDs are equal", async () => {
    const { id } = await create(rule);
    expect(await outcome(id, unknown.sign(CLUSTER, { sub: SUB }))).toBe(400);
    expect(await outcome(id, accountEc.sign(CLUSTER, { sub: SUB }))).toBe(400);
    expect(await outcome(id, devops.sign(CLUSTER, { sub: SUB }))).toBe(400);
    const more = { jwk: unknown.jwk };
    expect(await outcome(id, unknown.sign(CLUSTER, { sub: SUB }, { more }))).toBe(400);
    expect(await outcome(id, cluster.sign(CLUSTER, { sub: SUB }))).toBe(200);
  });

  it("the service accepts only the algorithms in an issuer's preset, regardless of the issuer's keys", async () => {
    const { id } = await create(rule);
    expect(await outcome(id, edwards.sign(CLUSTER, { sub: SUB }))).toBe(400);
    const role = 'arn:aws:iam::123456789012:role/Deploy';
    const key = await create({ issuer: AWS, claims: { sub: role } });
    expect(await outcome(key.id, accountEc.sign(AWS, { sub: role }))).toBe(200);
    const other = await accountRsa.sign(AWS, { sub: role });
    expect(await outcome(key.id, other)).toBe(400);
    expect((await explained(key, other)).differences).toMatchObject([{ kind: 'signature' }]);
  });
});

describe('A trusted issuer can require claims and an audience of every trust rule', () => {
  const claims = { prj_id: 'p', def_id: '42' };

  it('the API rejects a trust rule that does not bind all claims that the issuer requires', async () => {
    for (const less of [{ sub: 'x' }, { prj_id: 'p', sub: 'x' }, { prj_id: 'p', def_id: { prefix: 'x/' } }]) {
      const { status, json } = await create({ issuer: DEVOPS, claims: less });
      expect([status, json.errors]).toEqual([
        400,
        [{ field: 'trust[0]', rule: 'must bind prj_id and def_id to exact text' }],
      ]);
    }
    expect((await create({ issuer: DEVOPS, claims })).status).toBe(201);
  });

  it("the service requires the issuer's audience instead of its own URL, unless the trust rule names another audience", async () => {
    const { id } = await create({ issuer: DEVOPS, claims });
    expect(await outcome(id, devops.sign(DEVOPS, claims, { aud: 'api://X' }))).toBe(200);
    expect(await outcome(id, devops.sign(DEVOPS, claims))).toBe(400);
    const own = await create({ issuer: DEVOPS, audience: stack.url, claims });
    expect(await outcome(own.id, devops.sign(DEVOPS, claims))).toBe(200);
    expect(await outcome(own.id, devops.sign(DEVOPS, claims, { aud: 'api://X' }))).toBe(400);
  });
});

describe('A preset of a trusted issuer determines algorithms and claims', () => {
  it("the API requires the claims in the issuer's preset, and marks a rule that accepts every branch", async () => {
    const { json } = await create({ issuer: gitlab.url, claims: { sub: 'project_path:a/b' } });
    expect(json.errors).toEqual([
      { field: 'trust[0]', rule: 'must bind project_id or namespace_id to a number, in digits' },
    ]);
    const broad = await create({ issuer: gitlab.url, claims: { project_id: '20' } });
    const detail =
      'accepts every branch; to limit it, add ref with ref_type, or ref with ref_protected, or environment';
    expect([broad.status, broad.json.broadTrust]).toEqual([201, [{ index: 0, detail }]]);
    for (const more of [
      { ref: 'main', ref_type: 'branch' },
      { ref: { prefix: 'release/' }, ref_protected: 'true' },
      { environment: 'production' },
    ]) {
      const narrow = await create({ issuer: gitlab.url, claims: { project_id: '20', ...more } });
      expect([narrow.status, narrow.json.broadTrust]).toEqual([201, undefined]);
    }
    for (const more of [
      { ref: 'main' },
      { ref: { prefix: 'refs/heads/' }, ref_type: 'branch' },
      { ref_type: 'tag' },
    ]) {
      const still = await create({ issuer: gitlab.url, claims: { project_id: '20', ...more } });
      expect(still.json.broadTrust).toEqual([{ index: 0, detail }]);
    }
  });

  it('with a preset, the service exchanges only tokens from the project that the rule binds', async () => {
    const { id } = await create({
      issuer: gitlab.url,
      claims: { project_id: '20', environment: 'production' },
    });
    const sign = (claims: object) =>
      gitlab.sign({
        claims: { environment: 'production', ...claims },
        audience: stack.url,
        expires: NOON / 1000 + 299.5,
      });
    expect(await outcome(id, sign({ project_id: '20' }))).toBe(200);
    for (const project_id of ['21', 20.5, '020', ['20'], undefined]) {
      expect(await outcome(id, sign({ project_id }))).toBe(400);
    }
  });
});
