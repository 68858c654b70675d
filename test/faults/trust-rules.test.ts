import { PutCommand } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import type { TrustRule } from '../../functions/domain/trust.ts';
import { sweepKeys } from '../../functions/jobs/sweep-keys.ts';
import { toApiKey } from '../../functions/table/schema.ts';
import { SUBJECT_REJECTED, subjectForm } from '../support/ci-issuer.ts';
import { type InProcessCall, inProcess, type Reply, startTable } from '../support/in-process.ts';
import { apiKey } from '../support/records.ts';

/** Rows of docs/faults.md about the trust rules of keys. The number in a title is the number of the row. */
const GITHUB = 'https://token.actions.githubusercontent.com';
const ENTERPRISE = `${GITHUB}/acme`;
const GITLAB = 'https://gitlab.com';
const BUILDKITE = 'https://agent.buildkite.com';
const CIRCLECI = 'https://oidc.circleci.com/org/01234567-89ab-cdef-0123-456789abcdef';
const OTHER = 'https://git.acme.test';
const ISSUERS = [GITHUB, ENTERPRISE, GITLAB, BUILDKITE, CIRCLECI, OTHER];
const PROJECT = 'oidc.circleci.com/project-id';
const UUID = '0184990a-477b-4fa8-9968-496074483cee';

const numbers = (...claims: string[]) => ({
  claims,
  isNumber: true,
  rule: `must bind ${claims.join(' or ')} to a number, in digits`,
});
const texts = (...claims: string[]) => ({
  claims,
  isNumber: false,
  rule: `must bind ${claims.join(' or ')} to exact text`,
});
/**
 * The claims that a rule must bind for each issuer, and whether they must be numbers. The table in the contract lists
 * the same claims.
 */
const BINDING: Record<string, ReturnType<typeof numbers>> = {
  [GITHUB]: numbers('repository_id', 'repository_owner_id'),
  [ENTERPRISE]: numbers('repository_id', 'repository_owner_id'),
  [GITLAB]: numbers('project_id', 'namespace_id'),
  [BUILDKITE]: texts('organization_id', 'pipeline_id'),
  [CIRCLECI]: texts(PROJECT),
  [OTHER]: texts('sub'),
};

const engine = await startTable();
afterAll(() => engine.stop());
/** The test has no signing keys of these issuers, so it accepts tokens without a signature. */
const verify = async (_: string, jwt: string) => ({
  claims: JSON.parse(Buffer.from(String(jwt.split('.')[1]), 'base64url').toString()),
});
const service = inProcess(engine, { rules: { slideInterval: 0 }, trust: { issuers: ISSUERS, verify } });
const START = service.time.now;
const admin = { as: 'admin' };

let count = 0;
let deploymentId = '';
let keys = '';
beforeEach(async () => {
  deploymentId = `trust-${++count}`;
  keys = `/deployments/${deploymentId}/api-keys`;
  await service.register(deploymentId);
});
const create = (trust: unknown) => service.call('POST', keys, { ...admin, json: { name: 'ci', trust } });
/** Sends a raw body, because an object literal cannot contain `__proto__`. */
const send = (method: string, path: string, body: string, options: InProcessCall = admin) =>
  service.call(method, path, { ...options, body, headers: { 'content-type': 'application/json' } });
const errorsOf = ({ status, json }: Reply) => [status, json.code, json.errors];
const listed = async () => (await service.call('GET', keys, admin)).json.items;

/** Stores a key as an earlier version wrote it. */
async function putKey(trust: TrustRule[]): Promise<string> {
  const items = await service.partition(`DEPLOYMENT#${deploymentId}`);
  const generation = String(items.find(({ sk }) => sk === 'DEPLOYMENT')?.generation);
  const ulid = newUlid(START);
  const Item = toApiKey(
    apiKey({ deploymentId, ulid, generation, trust, secrets: [], createdAt: START, createdBy: 'admin' }),
  );
  await service.table.client.send(
    new PutCommand({ TableName: service.table.tableName, Item: JSON.parse(JSON.stringify(Item)) }),
  );
  return `dk_${deploymentId}_${ulid}`;
}
function subjectToken(iss: string, claims: object): string {
  const part = (it: object) => Buffer.from(JSON.stringify(it)).toString('base64url');
  const payload = { iss, aud: 'https://service.test', exp: START / 1000 + 300.5, ...claims };
  return `${part({ alg: 'RS256' })}.${part(payload)}.c2ln`;
}
const exchange = (id: string, subject: string) =>
  service.call('POST', '/oauth/token', { form: subjectForm(id, subject) });

describe('A trust rule must name a tenant of its issuer', () => {
  it.each<[issuer: string, TrustRule['claims']]>([
    [GITHUB, { repository_id: 'acme/app' }],
    [GITHUB, { sub: 'repo:acme/app:ref:refs/heads/main' }],
    [GITHUB, { repository_owner_id: { prefix: '42/' } }],
    [ENTERPRISE, { sub: 'repo:acme/app:ref:refs/heads/main' }],
    [ENTERPRISE, { enterprise: 'acme' }],
    [GITLAB, { ref: 'main' }],
    [GITLAB, { project_path: 'acme/app', namespace_path: { prefix: 'acme/' } }],
    [GITLAB, { sub: 'project_path:acme/app:ref_type:branch:ref:main' }],
    [GITLAB, { namespace_id: 'acme' }],
    [BUILDKITE, { organization_slug: 'acme', pipeline_slug: 'app' }],
    [BUILDKITE, { sub: 'organization:acme:pipeline:app' }],
    [BUILDKITE, { pipeline_id: { prefix: '0184990a:' } }],
    [BUILDKITE, { organization_id: ' ' }],
    [CIRCLECI, { sub: 'org/x/project/y/user/z' }],
    [CIRCLECI, { [PROJECT]: { prefix: 'x/' } }],
    [OTHER, { sub: { prefix: 'project_path:' } }],
    [OTHER, { sub: '\u3000' }],
    [OTHER, { project_id: '4711' }],
  ])('#48: rejects a new or edited rule that binds no tenant of %s: %j', async (issuer, claims) => {
    const errors = [{ field: 'trust[0]', rule: BINDING[issuer]?.rule }];
    expect(errorsOf(await create([{ issuer, claims }]))).toEqual([400, 'invalid_request', errors]);
    expect(await listed()).toEqual([]);
    const bound = { issuer: OTHER, claims: { sub: 'x' } };
    const path = `${keys}/${(await create([bound])).json.id}`;
    const trust = [bound, { issuer, claims }];
    const edited = await service.call('PATCH', path, { ...admin, json: { trust } });
    expect(errorsOf(edited)).toEqual([400, 'invalid_request', [{ ...errors[0], field: 'trust[1]' }]]);
    expect((await service.call('GET', path, admin)).json.trust).toEqual([bound]);
  });

  it.each<[issuer: string, TrustRule['claims']]>([
    [GITHUB, { repository_id: '4711' }],
    [GITHUB, { repository_owner_id: '42', ref: { prefix: 'refs/heads/' } }],
    [ENTERPRISE, { repository_id: '4711' }],
    [GITLAB, { project_id: '4711' }],
    [GITLAB, { namespace_id: '42', ref: 'main' }],
    [BUILDKITE, { organization_id: UUID }],
    [BUILDKITE, { pipeline_id: UUID }],
    [CIRCLECI, { [PROJECT]: UUID }],
    [OTHER, { sub: 'project_path:acme/app:ref_type:branch:ref:main' }],
  ])(
    "#48: accepts a rule that binds a tenant of %s, and accepts only that tenant's tokens: %j",
    async (issuer, claims) => {
      const { status, json } = await create([{ issuer, claims }]);
      expect([status, json.trust, json.unboundTrust]).toEqual([201, [{ issuer, claims }], undefined]);
      const own = { ...claims, ref: claims.ref === 'main' ? 'main' : 'refs/heads/main' };
      expect((await exchange(json.id, subjectToken(issuer, own))).status).toBe(200);
      const [name = ''] = Object.keys(claims);
      for (const value of [
        `${claims[name]}0`,
        '1',
        undefined,
        [claims[name]],
        null,
        { prefix: claims[name] },
      ]) {
        const reply = await exchange(json.id, subjectToken(issuer, { ...own, [name]: value }));
        expect([reply.status, reply.json]).toEqual([400, SUBJECT_REJECTED]);
      }
    },
  );

  it('#48: accepts exactly those generated trust rules that bind a tenant of their issuer', async () => {
    const names = [...new Set(Object.values(BINDING).flatMap(({ claims }) => claims)), 'ref', 'repository'];
    const rules = fc.oneof(
      fc.constantFrom(
        '4711',
        '0',
        '007',
        ' 1',
        '1 ',
        '+1',
        '-1',
        '1.0',
        '1e3',
        '0x1',
        'acme/app',
        UUID,
        '４',
      ),
      fc.stringMatching(/^[0-9]{1,30}$/),
      fc.constantFrom('47/', 'acme/', '1:').map((prefix) => ({ prefix })),
    );
    const trust = fc.record({
      issuer: fc.constantFrom(...ISSUERS),
      claims: fc.dictionary(fc.constantFrom(...names), rules, { minKeys: 1, maxKeys: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(trust, async ({ issuer, claims }) => {
        const { claims: bindings = [], isNumber, rule } = BINDING[issuer] ?? {};
        const isBound = bindings.some((name) => {
          const value = claims[name];
          return (
            typeof value === 'string' && (!isNumber || [...value].every((it) => '0123456789'.includes(it)))
          );
        });
        const reply = await create([{ issuer, claims: { ...claims } }]);
        expect(reply.status).toBe(isBound ? 201 : 400);
        if (!isBound) expect(reply.json.errors).toEqual([{ field: 'trust[0]', rule }]);
      }),
      { numRuns: 150 },
    );
  });

  it.each([GITHUB, ENTERPRISE, GITLAB, BUILDKITE])(
    '#48: a rule for %s that an earlier version wrote without a tenant matches nothing',
    async (issuer) => {
      const claims = { sub: 'repo:acme/app', ref: 'main', iss: issuer, aud: 'https://service.test' };
      const rules: TrustRule['claims'][] = [{ ref: 'main' }, { sub: { prefix: 'repo:' } }, { iss: issuer }];
      for (const rule of rules) {
        const id = await putKey([{ issuer, claims: rule }]);
        const before = await everything();
        const reply = await exchange(id, subjectToken(issuer, claims));
        expect([reply.status, reply.json]).toEqual([400, SUBJECT_REJECTED]);
        expect(await everything()).toEqual(before);
      }
      // If the key also has a rule that binds a tenant, only that rule applies to tokens.
      const [name = ''] = BINDING[issuer]?.claims ?? [];
      const id = await putKey([
        { issuer, claims: { ref: 'main' } },
        { issuer, claims: { [name]: '4711' } },
      ]);
      expect((await exchange(id, subjectToken(issuer, claims))).status).toBe(400);
      expect((await exchange(id, subjectToken(issuer, { [name]: '4711' }))).status).toBe(200);
    },
  );

  it.each([CIRCLECI, OTHER])(
    '#48: a rule for %s that an earlier version wrote without a tenant keeps matching until it is edited',
    async (issuer) => {
      const unbound = { issuer, claims: { ref: 'main' } };
      const id = await putKey([unbound]);
      const path = `${keys}/${id}`;
      const subject = subjectToken(issuer, { ref: 'main' });
      expect((await exchange(id, subject)).status).toBe(200);
      // A change to a different field of the key does not count as an edit of its rules.
      expect((await service.call('PATCH', path, { ...admin, json: { name: 'new' } })).status).toBe(200);
      expect((await exchange(id, subject)).status).toBe(200);
      const same = await service.call('PATCH', path, { ...admin, json: { trust: [unbound] } });
      expect(same.status).toBe(400);
      const [name = ''] = BINDING[issuer]?.claims ?? [];
      const trust = [{ issuer, claims: { [name]: UUID } }];
      const edited = await service.call('PATCH', path, { ...admin, json: { trust } });
      expect([edited.status, edited.json.trust, edited.json.unboundTrust]).toEqual([200, trust, undefined]);
      expect((await exchange(id, subject)).status).toBe(400);
    },
  );

  it('#48: the key list marks a trust rule that binds no tenant, and the daily check reports the rule once for each key', async () => {
    const ignored = { issuer: GITLAB, claims: { ref: 'main' } };
    const accepted = { issuer: OTHER, claims: { ref: 'main' } };
    const bound = { issuer: GITLAB, claims: { project_id: '1' } };
    const [good, both] = [await putKey([bound]), await putKey([bound, ignored, accepted])];
    const marks = async () =>
      Object.fromEntries(
        (await listed()).map((key: { id: string; unboundTrust: unknown }) => [key.id, key.unboundTrust]),
      );
    const marked = [
      { index: 1, detail: 'must bind project_id or namespace_id to a number, in digits', ignored: true },
      { index: 2, detail: 'must bind sub to exact text', ignored: false },
    ];
    expect(await marks()).toEqual({ [good]: undefined, [both]: marked });
    expect((await service.call('GET', `${keys}/${both}`, admin)).json.unboundTrust).toEqual(marked);

    const sweep = () =>
      sweepKeys({
        table: service.table,
        clock: () => START,
        maxIdleDays: undefined,
        issuers: [],
        policy: {},
        hasTime: () => true,
      });
    const reports = async () =>
      (await service.partition(`EVENTS#${deploymentId}`))
        .filter(({ type }) => type === 'api_key.trust_unbound')
        .map(({ data }) => data);
    const report = { keyId: both, name: 'ci', ignoredRules: 1, acceptedRules: 1 };
    for (let day = 0; day < 3; day++) {
      await sweep();
      expect(await reports()).toEqual([report]);
      expect(await marks()).toEqual({ [good]: undefined, [both]: marked });
    }
    // An exchange with a rule that binds no tenant writes no event, and other reports have their own events.
    expect((await exchange(both, subjectToken(OTHER, { ref: 'main' }))).status).toBe(200);
    const expiresAt = new Date(START + 1000).toISOString();
    await service.call('PATCH', `${keys}/${both}`, { ...admin, json: { expiresAt } });
    expect(await sweep()).toBe(1);
    expect(await sweep()).toBe(0);
    expect(await reports()).toEqual([report]);
  });

  it('#48: a trust rule never matches a number that JSON cannot represent exactly', async () => {
    const { id } = (await create([{ issuer: GITLAB, claims: { project_id: '9007199254740992' } }])).json;
    const text = (number: string) =>
      subjectToken(GITLAB, { project_id: 'N' })
        .split('.')
        .map((part, at) => {
          const json = Buffer.from(part, 'base64url').toString();
          return at === 1 ? Buffer.from(json.replace('"N"', number)).toString('base64url') : part;
        })
        .join('.');
    for (const number of [
      '9007199254740992',
      '9007199254740993',
      '9007199254740992.0',
      '9.007199254740992e15',
    ]) {
      expect((await exchange(id, text(number))).json).toEqual(SUBJECT_REJECTED);
    }
    expect((await exchange(id, text('"9007199254740992"'))).status).toBe(200);
  });

  /** Returns all items of the Deployment, and its events. */
  const everything = async () => [
    await service.partition(`DEPLOYMENT#${deploymentId}`),
    await service.partition(`EVENTS#${deploymentId}`),
  ];
});

const OF_EVERY_OBJECT = Object.getOwnPropertyNames(Object.prototype);
const REGISTERED = ['iss', 'aud', 'exp', 'nbf', 'iat'];

describe('Requests can contain names that every JavaScript object inherits', () => {
  it.each([...REGISTERED, ...OF_EVERY_OBJECT])(
    '#53: rejects a trust rule that names the claim %s',
    async (name) => {
      const errors = [{ field: 'trust[0].claims', rule: `must not name the claim ${name}` }];
      const { id } = (await create([{ issuer: OTHER, claims: { sub: 'x' } }])).json;
      for (const value of ['"x"', '{"prefix": "x/"}', 'null', '{}']) {
        for (const claims of [`{"sub": "x", "${name}": ${value}}`, `{"${name}": ${value}, "sub": "x"}`]) {
          const trust = `[{"issuer": "${OTHER}", "claims": ${claims}}]`;
          const created = await send('POST', keys, `{"name": "ci", "trust": ${trust}}`);
          expect(errorsOf(created)).toEqual([400, 'invalid_request', errors]);
          const edited = await send('PATCH', `${keys}/${id}`, `{"trust": ${trust}}`);
          expect(errorsOf(edited)).toEqual([400, 'invalid_request', errors]);
        }
      }
      expect((await listed()).map(({ trust }: { trust: unknown }) => trust)).toEqual([
        [{ issuer: OTHER, claims: { sub: 'x' } }],
      ]);
    },
  );

  it('#53: a trust rule is either rejected or stored with all of its claims, whatever their names', async () => {
    const names = fc.oneof(
      fc.constantFrom(
        ...OF_EVERY_OBJECT,
        ...REGISTERED,
        'prototype',
        'length',
        'name',
        '$ref',
        '0',
        '-1',
        'NaN',
      ),
      fc.constantFrom(
        '\u005f_proto__',
        '__proto__ ',
        ' constructor',
        '__PROTO__',
        'then',
        'toJSON',
        'M',
        'S',
      ),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(names, { maxLength: 5 }), async (all) => {
        const members = ['sub', ...all.filter((name) => name !== 'sub')].map(
          (name) => `${JSON.stringify(name)}: "x"`,
        );
        const claims = `{${members.join(', ')}}`;
        const body = `{"name": "ci", "trust": [{"issuer": "${OTHER}", "claims": ${claims}}]}`;
        const { status, json } = await send('POST', keys, body);
        if (status !== 400) {
          expect(status).toBe(201);
          const stored = (await service.call('GET', `${keys}/${json.id}`, admin)).json.trust[0].claims;
          expect(Object.entries(stored).sort()).toEqual(Object.entries(JSON.parse(claims)).sort());
          expect(all.some((name) => [...OF_EVERY_OBJECT, ...REGISTERED].includes(name))).toBe(false);
        }
      }),
      { numRuns: 150 },
    );
  });

  it.each(OF_EVERY_OBJECT)(
    '#53: rejects the field %s in every request body and names the field',
    async (name) => {
      const { id } = (await create([{ issuer: OTHER, claims: { sub: 'x' } }])).json;
      const member = `"${name}": {"name": "x"}`;
      const rule = `"issuer": "${OTHER}", "claims": {"sub": "x"}`;
      for (const [method, path, body, field] of [
        ['PUT', `/deployments/${deploymentId}`, `{${member}}`, name],
        ['POST', keys, `{"name": "ci", ${member}}`, name],
        ['POST', keys, `{"name": "ci", "trust": [{${rule}, ${member}}]}`, `trust[0].${name}`],
        [
          'POST',
          keys,
          `{"name": "ci", "trust": [{"issuer": "${OTHER}", "claims": {"sub": "x", "ref": {"prefix": "x/", ${member}}}}]}`,
          `trust[0].claims.ref.${name}`,
        ],
        ['PATCH', `${keys}/${id}`, `{${member}}`, name],
        ['POST', `${keys}/${id}/rotate`, `{${member}}`, name],
        ['POST', `/deployments/${deploymentId}/temporary-tokens`, `{${member}}`, name],
      ] as const) {
        const errors = [{ field, rule: 'is not a field of this request' }];
        expect(errorsOf(await send(method, path, body)), path).toEqual([400, 'invalid_request', errors]);
      }
    },
  );

  it.each(OF_EVERY_OBJECT)(
    '#53: treats %s as an unknown parameter, an unknown scope and an unknown grant type',
    async (name) => {
      const key = await service.createKey(deploymentId);
      const basic = [key.id, key.secret] as const;
      const token = (json: string) =>
        service.call('POST', '/oauth/token', {
          basic,
          body: json,
          headers: { 'content-type': 'application/json' },
        });
      expect((await token(`{"grant_type": "client_credentials", "${name}": "x"}`)).status).toBe(200);
      const form = { grant_type: 'client_credentials', [name]: 'x' };
      expect((await service.call('POST', '/oauth/token', { basic, form })).status).toBe(200);
      const scope = await service.call('POST', '/oauth/token', {
        basic,
        form: { grant_type: 'client_credentials', scope: name },
      });
      expect([scope.status, scope.json.error]).toEqual([400, 'invalid_scope']);
      const grant = await service.call('POST', '/oauth/token', { basic, form: { grant_type: name } });
      expect([grant.status, grant.json.error]).toEqual([400, 'unsupported_grant_type']);
    },
  );
});
