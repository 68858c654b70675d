import { constants, createHmac, generateKeyPairSync, type KeyObject, sign as signWith } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SUBJECT_REJECTED, startCiIssuer } from '../support/ci-issuer.ts';
import { type Call, type CreatedKey, runStack } from '../support/stack.ts';

/**
 * Attempts to use a key with another tenant's token, to add a trust rule that admits another tenant, and to call GET
 * /whoami without a valid token. The attempts against real proxies and middleware are in test/docs/guards.test.ts.
 */
const NOON = Date.parse('2030-01-01T12:00:00.500Z');
const NOW = Math.floor(NOON / 1000);
const GIT = 'https://git.corp.test';
const BOUND = 'https://bound.corp.test';
const CLUSTER = 'https://cluster.corp.test';
const DEVOPS = 'https://vstoken.dev.azure.com/9a1b2c3d';
const GITHUB = 'https://token.actions.githubusercontent.com';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';

const rsa = (modulusLength = 2048) => generateKeyPairSync('rsa', { modulusLength });
const ec = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const [git, cluster, devops, attacker] = [rsa(), ec(), rsa(), rsa()];
const jwkOf = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid });

/** An issuer that the attacker controls and the stack does not trust. */
const evil = await startCiIssuer();
const stack = await runStack({
  context: {
    trustedIssuers: [
      { issuer: GIT, preset: 'gitlab', jwks: { keys: [jwkOf(git.publicKey, 'git')] } },
      {
        issuer: BOUND,
        preset: 'gitlab',
        bind: ['environment'],
        jwks: { keys: [jwkOf(git.publicKey, 'git')] },
      },
      { issuer: CLUSTER, preset: 'kubernetes', jwks: { keys: [jwkOf(cluster.publicKey, 'cluster')] } },
      {
        issuer: DEVOPS,
        bind: ['prj_id', 'def_id'],
        audience: 'api://AzureADTokenExchange',
        jwks: { keys: [jwkOf(devops.publicKey, 'devops')] },
      },
      GITHUB,
    ],
  },
});
beforeEach(() => stack.clock.freeze(NOON));

const encoded = (part: string | Buffer) => Buffer.from(part).toString('base64url');
type Sign = (input: Buffer) => Buffer;
const rs256: Sign = (input) => signWith('sha256', input, git.privateKey);
const rs512: Sign = (input) => signWith('sha512', input, git.privateKey);
const ps256: Sign = (input) =>
  signWith('sha256', input, {
    key: git.privateKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: 32,
  });
const es256: Sign = (input) =>
  signWith('sha256', input, { key: cluster.privateKey, dsaEncoding: 'ieee-p1363' });
const byAttacker: Sign = (input) => signWith('sha256', input, attacker.privateKey);
const byDevops: Sign = (input) => signWith('sha256', input, devops.privateKey);
const hmac =
  (secret: string | Buffer): Sign =>
  (input) =>
    createHmac('sha256', secret).update(input).digest();
const nothing: Sign = () => Buffer.alloc(0);

/** The claims of a token that the key accepts. */
const OWN = { project_id: '20', namespace_id: '72', ref: 'main', ref_type: 'branch', ref_protected: 'true' };
const STANDARD = { iss: GIT, aud: stack.url, iat: NOW, exp: NOW + 300 };

/** Returns a JWT with the given claims and header. `text` replaces the whole payload. */
function token(claims: object = {}, header: object = {}, sign: Sign = rs256, text?: string): string {
  const head = encoded(JSON.stringify({ alg: 'RS256', kid: 'git', ...header }));
  const payload = encoded(text ?? JSON.stringify({ ...STANDARD, ...OWN, ...claims }));
  return `${head}.${payload}.${encoded(sign(Buffer.from(`${head}.${payload}`)))}`;
}
const ofCluster = (claims: object, header: object = {}, sign: Sign = es256) =>
  token({ iss: CLUSTER, ...claims }, { alg: 'ES256', kid: 'cluster', ...header }, sign);
const ofDevops = (claims: object, audience: unknown = 'api://AzureADTokenExchange') =>
  token({ iss: DEVOPS, aud: audience, ...claims }, { kid: 'devops' }, byDevops);
const SUB = 'system:serviceaccount:ci:deploy';

const RULES = [
  { issuer: GIT, claims: { project_id: '20', ref: 'main', ref_type: 'branch' } },
  { issuer: GIT, claims: { namespace_id: '90', ref: { prefix: 'release/' }, ref_protected: 'true' } },
  { issuer: CLUSTER, claims: { sub: SUB } },
  { issuer: DEVOPS, claims: { prj_id: 'p', def_id: '42' }, singleUse: true },
];
const KEYS = '/deployments/target/api-keys';
let key = '';
let secretKey: CreatedKey;
beforeAll(async () => {
  await stack.register('target');
  await stack.register('closed', { groups: ['others'] });
  const created = await stack.callAs('member', 'POST', KEYS, { json: { name: 'ci', trust: RULES } });
  key = String(created.json.id);
  secretKey = await stack.createKey('target', { name: 'secret' });
});
const formOf = (subject: string, more: Record<string, string> = {}) => ({
  grant_type: TOKEN_EXCHANGE,
  client_id: key,
  subject_token: subject,
  subject_token_type: JWT,
  ...more,
});
const send = (form: Record<string, string> | string) => stack.call('POST', '/oauth/token', { form });
/** Returns the access tokens and used subject tokens in the table. */
const opened = async () =>
  (await stack.partition('DEPLOYMENT#target')).filter(({ sk }) => /^(TOKEN|SUBJECT)#/.test(String(sk)));

describe('The service accepts no token of another tenant', () => {
  const other = { project_id: '21', namespace_id: '73' };
  const jwkOfAttacker = jwkOf(attacker.publicKey, 'git');
  const pem = git.publicKey.export({ type: 'spki', format: 'pem' });
  const [header, payload, signature] = token().split('.');

  it.each<[attempt: string, subject: () => string]>([
    // Tokens with a forged or missing signature.
    ['no signature and the algorithm none', () => token({}, { alg: 'none' }, nothing)],
    ['no signature and the algorithm nOnE', () => token({}, { alg: 'nOnE' }, nothing)],
    ['a valid signature and the algorithm none', () => token({}, { alg: 'none' })],
    ['no signature', () => token({}, {}, nothing)],
    ["the issuer's public key in PEM as an HMAC secret", () => token({}, { alg: 'HS256' }, hmac(pem))],
    [
      "the issuer's public key in JSON as an HMAC secret",
      () => token({}, { alg: 'HS256' }, hmac(JSON.stringify(jwkOf(git.publicKey, 'git')))),
    ],
    ['an empty HMAC secret', () => token({}, { alg: 'HS256' }, hmac(''))],
    ["an attacker's key with the issuer's key ID", () => token({}, {}, byAttacker)],
    ["an attacker's key in the header", () => token({}, { jwk: jwkOfAttacker }, byAttacker)],
    ['a link to keys in the header', () => token({}, { jku: `${evil.url}/keys` }, byAttacker)],
    ['a link to a certificate in the header', () => token({}, { x5u: `${evil.url}/keys` }, byAttacker)],
    ['a certificate in the header', () => token({}, { x5c: [pem] }, byAttacker)],
    ['no key ID', () => token({}, { kid: undefined }, byAttacker)],
    ['a path as the key ID', () => token({}, { kid: '../../../dev/null' }, hmac(''))],
    ['a property of every object as the key ID', () => token({}, { kid: '__proto__' }, byAttacker)],
    ['RS512, which the preset does not allow', () => token({}, { alg: 'RS512' }, rs512)],
    ['PS256, which the preset does not allow', () => token({}, { alg: 'PS256' }, ps256)],
    ['an algorithm that differs from the signature', () => token({}, { alg: 'RS256' }, ps256)],
    ['a signature of zeros', () => ofCluster({ sub: SUB }, {}, () => Buffer.alloc(64))],
    ['a critical header that nobody knows', () => token({}, { crit: ['exp2'], exp2: 1 })],
    ['a payload that is not encoded', () => token({}, { crit: ['b64'], b64: false })],
    ['the signature of another token', () => `${header}.${token(other).split('.')[1]}.${signature}`],
    // Tokens whose issuer is wrong.
    ["another trusted issuer's signature", () => token({}, { kid: 'devops' }, byDevops)],
    [
      "another trusted issuer's signature and key ID",
      () => token({}, { alg: 'ES256', kid: 'cluster' }, es256),
    ],
    ['an issuer that the stack does not trust', () => token({ iss: evil.url }, {}, byAttacker)],
    ['an issuer below the trusted one', () => token({ iss: `${GIT}/evil` })],
    ['an issuer with a slash at its end', () => token({ iss: `${GIT}/` })],
    ['an issuer in upper case', () => token({ iss: GIT.toUpperCase() })],
    ['an issuer with credentials in its URL', () => token({ iss: 'https://git.corp.test@evil.test' })],
    ['an issuer with a NUL', () => token({ iss: `${GIT}\0` })],
    ['a list of issuers', () => token({ iss: [GIT] })],
    ['no issuer', () => token({ iss: undefined })],
    ['the rule of another issuer', () => ofCluster({ sub: 'x', ...OWN })],
    // Tokens whose project is wrong.
    ["another project's ID", () => token(other)],
    ['a project ID with a leading zero', () => token({ project_id: '020' })],
    ['a project ID with a space', () => token({ project_id: '20 ' })],
    ['a project ID in full-width digits', () => token({ project_id: '２０' })],
    ['a project ID with a line break', () => token({ project_id: '20\n' })],
    ['a list of project IDs', () => token({ project_id: ['20'] })],
    ['an object as the project ID', () => token({ project_id: { prefix: '20' } })],
    ['a project ID that is almost 20', () => token({ project_id: 20.000001 })],
    ['no project ID', () => token({ project_id: undefined })],
    ['a claim in another case', () => token({ project_id: undefined, Project_ID: '20' })],
    [
      'claims in the prototype',
      () =>
        token(
          {},
          {},
          rs256,
          `{"iss":"${GIT}","aud":"${stack.url}","exp":${NOW + 300},"__proto__":${JSON.stringify(OWN)}}`,
        ),
    ],
    [
      'two project IDs, of which the last one counts',
      () =>
        token(
          {},
          {},
          rs256,
          `{"iss":"${GIT}","aud":"${stack.url}","exp":${NOW + 300},"project_id":"20","ref":"main","ref_type":"branch","project_id":"21"}`,
        ),
    ],
    ['another branch', () => token({ ref: 'dev' })],
    ['a branch that begins alike', () => token({ ref: 'main-evil' })],
    ['a branch with a similar letter', () => token({ ref: 'mаin' })],
    ['a tag with the name of the branch', () => token({ ref_type: 'tag' })],
    ['a prefix without its end', () => token({ ...other, namespace_id: '90', ref: 'release' })],
    ['a prefix within a name', () => token({ ...other, namespace_id: '90', ref: 'release-evil/1' })],
    [
      'a branch that is not protected',
      () => token({ ...other, namespace_id: '90', ref: 'release/1', ref_protected: 'false' }),
    ],
    ['another service account', () => ofCluster({ sub: 'system:serviceaccount:ci:deploy2' })],
    ['a service account of another namespace', () => ofCluster({ sub: 'system:serviceaccount:ci2:deploy' })],
    ['a service account with a wildcard', () => ofCluster({ sub: 'system:serviceaccount:*:*' })],
    ['only one of the bound claims', () => ofDevops({ prj_id: 'p', def_id: '43' })],
    // Tokens whose audience is wrong.
    ['another audience', () => token({ aud: 'https://other.example.com' })],
    ['an audience that begins alike', () => token({ aud: `${stack.url}.evil.test` })],
    ['an audience with a slash at its end', () => token({ aud: `${stack.url}/` })],
    ['a list of other audiences', () => token({ aud: ['https://a.test', 'https://b.test'] })],
    ['a list in a list of audiences', () => token({ aud: [[stack.url]] })],
    ['an object as the audience', () => token({ aud: { [stack.url]: stack.url } })],
    ['no audience', () => token({ aud: undefined })],
    [
      "the service's URL where the issuer's entry has another audience",
      () => ofDevops({ prj_id: 'p', def_id: '42' }, stack.url),
    ],
    // Tokens whose times are wrong.
    ['an exp in the past', () => token({ iat: NOW - 900, exp: NOW - 600 })],
    ['an exp more than 24 hours ahead', () => token({ exp: NOW + 86_401 })],
    ['no exp', () => token({ exp: undefined })],
    ['an exp in text', () => token({ exp: String(NOW + 300) })],
    ['an nbf in the future', () => token({ nbf: NOW + 60 })],
    ['an iat after the exp', () => token({ iat: NOW + 301 })],
    // Malformed tokens.
    ['five parts, as an encrypted token has', () => `${header}.${payload}.${signature}.AAAA.AAAA`],
    ['a token in a token', () => token({}, { cty: 'JWT' }, rs256, token())],
    [
      'a signature in JSON',
      () => JSON.stringify({ payload, signatures: [{ protected: header, signature }] }),
    ],
    ['a list as the payload', () => token({}, {}, rs256, `[${JSON.stringify({ ...STANDARD, ...OWN })}]`)],
    ['a secret of the Deployment', () => secretKey.secret],
  ])('the token exchange rejects a foreign or forged CI token: %s', async (_, subject) => {
    const before = await opened();
    const reply = await send(formOf(subject()));
    expect([reply.status, reply.json]).toEqual([400, SUBJECT_REJECTED]);
    expect(await opened()).toEqual(before);
    expect(evil.requestCount).toBe(0);
  });

  it.each<[attempt: string, form: () => Record<string, string> | string, status: number, error: string]>([
    ['with a secret too', () => formOf(token(), { client_secret: 'x' }), 400, 'invalid_request'],
    [
      'with the secret of another key',
      () => formOf(token(), { client_secret: secretKey.secret }),
      400,
      'invalid_request',
    ],
    ['for a key with a secret', () => formOf(token(), { client_id: secretKey.id }), 400, 'invalid_request'],
    ['without a client_id', () => formOf(token(), { client_id: '' }), 400, 'invalid_request'],
    [
      'for a client_id in lower case',
      () => formOf(token(), { client_id: key.toLowerCase() }),
      400,
      'invalid_request',
    ],
    [
      'for the same key in another Deployment',
      () => formOf(token(), { client_id: key.replace('target', 'closed') }),
      400,
      'invalid_request',
    ],
    [
      'as a refresh token',
      () => ({ grant_type: 'refresh_token', client_id: key, refresh_token: token() }),
      401,
      'invalid_client',
    ],
    [
      'as an assertion (RFC 7523)',
      () => ({
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        client_id: key,
        assertion: token(),
      }),
      401,
      'invalid_client',
    ],
    [
      'as a client assertion (RFC 7523)',
      () => ({
        grant_type: 'client_credentials',
        client_id: key,
        client_assertion: token(),
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      }),
      401,
      'invalid_client',
    ],
    [
      'as a client_secret',
      () => ({ grant_type: 'client_credentials', client_id: key, client_secret: token() }),
      401,
      'invalid_client',
    ],
    [
      'as another type of token',
      () => formOf(token(), { subject_token_type: 'urn:ietf:params:oauth:token-type:access_token' }),
      400,
      'invalid_request',
    ],
    [
      'twice in one call',
      () => `${new URLSearchParams(formOf(token()))}&subject_token=${token()}`,
      400,
      'invalid_request',
    ],
    [
      'for a scope that the key does not have',
      () => formOf(token(), { scope: 'admin' }),
      400,
      'invalid_scope',
    ],
    [
      'for another Deployment in the scope',
      () => formOf(token(), { scope: 'deployment:closed code:deploy' }),
      400,
      'invalid_scope',
    ],
  ])('the token exchange rejects a valid CI token that is sent %s', async (_, form, status, error) => {
    const before = await opened();
    const reply = await send(form());
    expect([reply.status, reply.json.error, reply.json.access_token]).toEqual([status, error, undefined]);
    expect(await opened()).toEqual(before);
  });

  it('the token exchange rejects a valid CI token in the query of the URL', async () => {
    const query = new URLSearchParams(formOf(token()));
    const reply = await stack.call('POST', `/oauth/token?${query}`, { form: {} });
    expect([reply.status, reply.json.error]).toEqual([400, 'invalid_request']);
  });

  it('the token exchange accepts each CI token that matches a trust rule, and a single-use token only once', async () => {
    const once = ofDevops({ prj_id: 'p', def_id: '42' });
    const valid = [
      token(),
      token({ ...other, namespace_id: '90', ref: 'release/1' }),
      token({ project_id: 20, aud: ['https://other.example.com', stack.url] }),
      ofCluster({ sub: SUB }),
      once,
    ];
    for (const subject of valid) expect((await send(formOf(subject))).status).toBe(200);
    expect((await send(formOf(once))).status).toBe(400);
  });
});

describe('The API rejects trust rules that would admit other tenants', () => {
  const rule = (claims: object, issuer = GIT) => [{ issuer, claims }];

  it.each<[attempt: string, trust: unknown]>([
    ['only the name of a project', rule({ project_path: 'my-group/my-project' })],
    ['only a branch', rule({ ref: 'main', ref_type: 'branch' })],
    ['only sub, where the preset needs an ID', rule({ sub: 'project_path:my-group/my-project' })],
    ['only sub for GitHub', rule({ sub: 'repo:octo-org@65/octo-repo@74:ref:refs/heads/main' }, GITHUB)],
    ['a prefix of an ID', rule({ project_id: { prefix: '2/' } })],
    ['an empty prefix', rule({ project_id: { prefix: '' } })],
    ['an ID with a wildcard', rule({ project_id: '*' })],
    ['an ID that is not a number', rule({ project_id: '20 or 21' })],
    ['an ID as a number', rule({ project_id: 20 })],
    ['a list of IDs', rule({ project_id: ['20', '21'] })],
    ['a prefix of a service account', rule({ sub: { prefix: 'system:serviceaccount:' } }, CLUSTER)],
    ['sub instead of the claims of bind', rule({ sub: 'p://x/y/z' }, DEVOPS)],
    ['only one of the claims of bind', rule({ prj_id: 'p' }, DEVOPS)],
    ['a prefix for one of the claims of bind', rule({ prj_id: 'p', def_id: { prefix: '4/' } }, DEVOPS)],
    ['only the claims of bind, where the preset also needs an ID', rule({ environment: 'live' }, BOUND)],
    ['only the ID of the preset, where bind names another claim', rule({ project_id: '20' }, BOUND)],
    ['the claim iss', rule({ project_id: '20', iss: GIT })],
    ['the claim constructor', rule({ project_id: '20', constructor: 'x' })],
    ["an attacker's issuer", rule({ sub: 'x' }, evil.url)],
    ['an issuer with a slash at its end', rule({ project_id: '20' }, `${GIT}/`)],
    ['an issuer in upper case', rule({ project_id: '20' }, GIT.toUpperCase())],
    ["the issuer of another customer's enterprise", rule({ repository_id: '74' }, `${GITHUB}/acme`)],
    ['an empty audience', [{ ...rule({ project_id: '20' })[0], audience: '' }]],
    [
      'keys of its own',
      [{ ...rule({ project_id: '20' })[0], jwks: { keys: [jwkOf(attacker.publicKey, 'x')] } }],
    ],
    ['no claims', rule({})],
    ['no rule', []],
  ])('the API rejects a trust rule that has %s', async (_, trust) => {
    const created = await stack.callAs('member', 'POST', KEYS, { json: { name: 'open', trust } });
    expect([created.status, created.json.code]).toEqual([400, 'invalid_request']);
    const edited = await stack.callAs('member', 'PATCH', `${KEYS}/${key}`, { json: { trust } });
    expect([edited.status, edited.json.code]).toEqual([400, 'invalid_request']);
    expect((await stack.callAs('member', 'GET', `${KEYS}/${key}`)).json.trust).toEqual(RULES);
  });
});

it("the API accepts a trust rule with the claims of both the issuer's preset and its bind setting", async () => {
  const trust = [{ issuer: BOUND, claims: { project_id: '20', environment: 'live' } }];
  const created = await stack.callAs('member', 'POST', KEYS, { json: { name: 'both', trust } });
  expect([created.status, created.json.trust]).toEqual([201, trust]);
});

describe('POST …/explain reveals nothing to people who may not see the key', () => {
  const explain = async (path: string, options: Call = {}) =>
    stack.call('POST', path, { json: { subject_token: token() }, ...options });

  it.each<[attempt: string, options: () => Promise<Call>]>([
    ['nobody', async () => ({})],
    ["the key's own token of its CI", async () => ({ token: token() })],
    ['an access token of the Deployment', async () => ({ token: await stack.exchangeForToken(secretKey) })],
    ['a secret as a bearer token', async () => ({ token: secretKey.secret })],
    ['a secret in a Basic header', async () => ({ basic: [secretKey.id, secretKey.secret] })],
    ['an ID token', async () => ({ token: await stack.signIn('member', 'id') })],
  ])('the explain call returns 401 to %s', async (_, options) => {
    expect((await explain(`${KEYS}/${key}/explain`, await options())).status).toBe(401);
  });

  it('the explain call returns 404 for a key of a Deployment that the person may not see', async () => {
    const trust = [{ issuer: GIT, claims: { project_id: '20' } }];
    const hidden = await stack.createKey('closed', { name: 'ci', trust });
    const asMember = { token: await stack.signIn('member') };
    for (const path of [
      `/deployments/closed/api-keys/${hidden.id}/explain`,
      `/deployments/target/api-keys/${hidden.id}/explain`,
      `/deployments/closed/api-keys/${key}/explain`,
      `/platform${KEYS}/${key}/explain`,
    ]) {
      const reply = await explain(path, asMember);
      expect([404, 403], path).toContain(reply.status);
      expect(reply.text).not.toMatch(/project_id|git\.corp/);
    }
  });

  it('the response of the explain call contains no claims of an unsigned or already used token', async () => {
    const asMember = { token: await stack.signIn('member') };
    const forged = { ...asMember, json: { subject_token: token({ project_id: 'CANARY' }, {}, byAttacker) } };
    const { json, text } = await explain(`${KEYS}/${key}/explain`, forged);
    expect(json.matches).toBe(false);
    expect(text).not.toContain('CANARY');
    const before = await opened();
    const valid = await explain(`${KEYS}/${key}/explain`, asMember);
    expect([valid.json.matches, valid.json.access_token]).toEqual([true, undefined]);
    expect(await opened()).toEqual(before);
  });
});

describe('GET /whoami accepts only valid access tokens', () => {
  const PATH = '/whoami?scope=code:deploy&deployment=target';
  type Attempt = (tokens: {
    own: string;
    reader: string;
    foreign: string;
    revoked: string;
  }) => [path: string, options?: Call];

  it.each<[attempt: string, request: Attempt, status: number]>([
    ['no token', () => [PATH], 401],
    ['a token of a CI', () => [PATH, { token: token() }], 401],
    ['a secret', () => [PATH, { token: secretKey.secret }], 401],
    ['a secret in a Basic header', () => [PATH, { basic: [secretKey.id, secretKey.secret] }], 401],
    ['a token in the query', ({ own }) => [`${PATH}&access_token=${own}`], 401],
    ['a token in a cookie', ({ own }) => [PATH, { headers: { cookie: `token=${own}` } }], 401],
    [
      'a token in another header',
      ({ own }) => [PATH, { headers: { 'x-authorization': `Bearer ${own}` } }],
      401,
    ],
    [
      'a token in the header of a proxy',
      ({ own }) => [PATH, { headers: { 'proxy-authorization': `Bearer ${own}` } }],
      401,
    ],
    ['a token without a scheme', ({ own }) => [PATH, { headers: { authorization: own } }], 401],
    ['another scheme', ({ own }) => [PATH, { headers: { authorization: `Token ${own}` } }], 401],
    [
      'two tokens',
      ({ own, reader }) => [PATH, { headers: { authorization: `Bearer ${reader}, Bearer ${own}` } }],
      401,
    ],
    ['a token that was revoked', ({ revoked }) => [PATH, { token: revoked }], 401],
    [
      'a token with a changed Deployment',
      ({ foreign }) => [PATH, { token: foreign.replace('closed', 'target') }],
      401,
    ],
    ['a token of another Deployment', ({ foreign }) => [PATH, { token: foreign }], 403],
    [
      'a token of another Deployment and forged headers',
      ({ foreign }) => [
        PATH,
        { token: foreign, headers: { 'x-deployment-id': 'target', 'x-scope': 'code:deploy' } },
      ],
      403,
    ],
    ['a token without the scope', ({ reader }) => [PATH, { token: reader }], 403],
    ['two Deployments in the query', ({ foreign }) => [`${PATH}&deployment=closed`, { token: foreign }], 400],
    ['two scopes in the query', ({ reader }) => [`${PATH}&scope=airflow:read`, { token: reader }], 400],
    ['an encoded parameter', ({ foreign }) => [`${PATH}&%64eployment=closed`, { token: foreign }], 400],
    ['a misspelt scope', ({ own }) => ['/whoami?scopes=code:deploy', { token: own }], 400],
    ['an empty scope', ({ reader }) => ['/whoami?scope=', { token: reader }], 400],
  ])('GET /whoami rejects %s', async (_, request, status) => {
    const closed = await stack.createKey('closed');
    const revoked = await stack.exchangeForToken(secretKey);
    const form = { token: revoked };
    await stack.call('POST', '/oauth/revoke', { basic: [secretKey.id, secretKey.secret], form });
    const [own, reader, foreign] = [
      await stack.exchangeForToken(secretKey),
      await stack.exchangeForToken(secretKey, 'airflow:read'),
      await stack.exchangeForToken(closed),
    ];
    const [path, options = {}] = request({ own, reader, foreign, revoked });
    const reply = await stack.call('GET', path, options);
    expect(reply.status).toBe(status);
    expect(reply.headers['x-principal-id']).toBeUndefined();
    expect((await stack.call('GET', PATH, { token: own })).status).toBe(200);
  });
});
