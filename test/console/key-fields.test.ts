import { describe, expect, it } from 'vitest';
import { actorWords, eventWords } from '../../functions/console/event-words.ts';
import {
  claimsOf,
  fitsPreset,
  GITHUB,
  GITLAB,
  issuerLabel,
  isTenant,
  newRule,
  presetOf,
  presetValue,
  ruleWords,
  type TrustedIssuer,
  withPresetValue,
} from '../../functions/console/issuers.ts';
import {
  changesOf,
  emptyFields,
  expiriesWithin,
  faultOf,
  fieldsOf,
  inputOf,
  type KeyFields,
  ruleFaults,
  stateOf,
} from '../../functions/console/key-fields.ts';
import type { ApiKey } from '../../functions/console/resources.ts';
import { bindingOf, bindsTenant } from '../../functions/domain/trust.ts';

const NOW = Date.parse('2030-01-01T12:00:00Z');
const DAY = 86_400_000;
const SCOPES = ['code:deploy', 'airflow:read'];
const OTHERS = [
  'https://agent.buildkite.com',
  'https://oidc.circleci.com/org/01234567-89ab-cdef-0123-456789abcdef',
];

const GITHUB_SERVER: TrustedIssuer = { issuer: 'https://github.acme.test/_services/token', preset: 'github' };
const SELF_MANAGED: TrustedIssuer = { issuer: 'https://git.acme.test', preset: 'gitlab' };
const UUID = '0184990a-477b-4fa8-9968-496074483ce0';
const ROLE = 'arn:aws:iam::111122223333:role/platform';

const key: ApiKey = {
  id: 'dk_etl_01KEY0000000000000000000ET',
  name: 'ci',
  description: null,
  scopes: SCOPES,
  enabled: true,
  status: 'active',
  createdAt: '2029-01-01T12:00:00Z',
  createdBy: 'ada',
  activeDays: [],
  networks: [],
  credentials: [],
};
const trusting: ApiKey = {
  ...key,
  description: 'Asks Ada',
  expiresAt: '2030-06-01T12:00:00Z',
  networks: ['203.0.113.0/24', '2001:db8::/32'],
  trust: [
    { issuer: GITHUB, claims: { repository_id: '4711', sub: { prefix: 'repo:acme/' } } },
    { issuer: GITLAB, audience: 'https://keys.acme.test', claims: { project_id: '1' }, singleUse: true },
  ],
};

describe("The console's form for trust rules has a preset for each issuer", () => {
  const fieldOf = (issuer: TrustedIssuer, label: string) => {
    const field = presetOf(issuer)?.fields.find((one) => one.label === label);
    if (!field) throw new Error(`no field ${label}`);
    return field;
  };
  it.each([
    [{ issuer: GITHUB }, 'Repository ID', 'repository_id', 'refs/heads/main'],
    [{ issuer: `${GITHUB}/acme` }, 'Repository ID', 'repository_id', 'refs/heads/main'],
    [GITHUB_SERVER, 'Repository ID', 'repository_id', 'refs/heads/main'],
    [{ issuer: GITLAB }, 'Project ID', 'project_id', 'main'],
    [SELF_MANAGED, 'Project ID', 'project_id', 'main'],
  ])(
    "the preset for $issuer binds the tenant's ID and, if a branch is given, the branch",
    (of, label, claim, ref) => {
      const { issuer } = of;
      const start = newRule(of);
      const named = { ...start, claims: withPresetValue(fieldOf(of, label), start, ' 4711 ') };
      expect(inputOf({ ...emptyFields(), rules: [named] }, NOW).trust).toStrictEqual([
        { issuer, claims: { [claim]: '4711' } },
      ]);
      const branch = fieldOf(of, 'Branch');
      const limited = { ...named, claims: withPresetValue(branch, named, 'main') };
      expect(inputOf({ ...emptyFields(), rules: [limited] }, NOW).trust).toStrictEqual([
        { issuer, claims: { [claim]: '4711', ref, ref_type: 'branch' } },
      ]);
      expect(presetValue(branch, limited)).toBe('main');
      expect(withPresetValue(branch, limited, '')).toStrictEqual(named.claims);
      expect(bindsTenant({ issuer, claims: { [claim]: '4711' } }, of)).toBe(true);
      const preset = presetOf(of);
      expect(preset && [start, named, limited].map((rule) => fitsPreset(preset, rule))).toStrictEqual([
        true,
        true,
        true,
      ]);
    },
  );

  it.each<[TrustedIssuer, string, Record<string, string>, string]>([
    [{ issuer: 'https://agent.buildkite.com' }, UUID, { pipeline_id: UUID }, 'Pipeline ID'],
    [{ issuer: 'https://ci.acme.test', preset: 'buildkite' }, UUID, { pipeline_id: UUID }, 'Pipeline ID'],
    [{ issuer: OTHERS[1] ?? '' }, UUID, { 'oidc.circleci.com/project-id': UUID }, 'Project ID'],
    [
      { issuer: 'https://k8s.acme.test', preset: 'kubernetes' },
      ' ci:deploy',
      { sub: 'system:serviceaccount:ci:deploy' },
      'Service account',
    ],
    [{ issuer: 'https://sts.acme.test', preset: 'aws' }, ROLE, { sub: ROLE }, 'Role ARN'],
  ])('the preset for $issuer asks for the tenant with one field', (of, typed, claims, label) => {
    const field = fieldOf(of, label);
    const start = newRule(of);
    const rule = { ...start, claims: withPresetValue(field, start, typed) };
    const preset = presetOf(of);
    expect(preset && [start, rule].map((one) => fitsPreset(preset, one))).toStrictEqual([true, true]);
    expect(inputOf({ ...emptyFields(), rules: [rule] }, NOW).trust).toStrictEqual([
      { issuer: of.issuer, claims },
    ]);
    expect(presetValue(field, rule)).toBe(typed.trim());
    expect(new RegExp(`^(?:${field.pattern?.[0]})$`, 'v').test(typed.trim())).toBe(true);
    expect(bindsTenant({ issuer: of.issuer, claims }, of)).toBe(true);
    // Emptying the field also removes the part that people do not type.
    expect(withPresetValue(field, rule, ' ')).toStrictEqual(start.claims);
  });

  it.each([
    [{ issuer: GITHUB }, 'gh api repos/acme/etl --jq .id', 'https://api.github.com/repos/acme/etl'],
    [
      GITHUB_SERVER,
      'gh api --hostname github.acme.test repos/acme/etl --jq .id',
      'https://github.acme.test/api/v3/repos/acme/etl',
    ],
    [
      { issuer: 'https://token.actions.acme.ghe.com', preset: 'github' as const },
      'gh api --hostname acme.ghe.com repos/acme/etl --jq .id',
      'https://api.acme.ghe.com/repos/acme/etl',
    ],
    [
      { issuer: GITLAB },
      'glab api projects/acme%2Fetl | jq .id',
      'https://gitlab.com/api/v4/projects/acme%2Fetl',
    ],
    [
      SELF_MANAGED,
      'glab api --hostname git.acme.test projects/acme%2Fetl | jq .id',
      'https://git.acme.test/api/v4/projects/acme%2Fetl',
    ],
  ])(
    "the preset for $issuer says how to find the tenant's number on the issuer's own host",
    (of, command, page) => {
      const lookup = presetOf(of)?.lookup;
      expect([lookup?.command('acme/etl'), lookup?.page('acme/etl')]).toStrictEqual([command, page]);
    },
  );

  it('a trust rule that no preset can represent is shown as a list of claims', () => {
    const preset = presetOf({ issuer: GITHUB });
    if (!preset) throw new Error('no preset');
    for (const claims of [
      [{ name: 'ref', match: 'prefix' as const, value: 'refs/heads/' }],
      [{ name: 'ref', match: 'is' as const, value: 'refs/tags/v1' }],
      [{ name: 'ref_type', match: 'is' as const, value: 'tag' }],
      [{ name: 'sub', match: 'is' as const, value: 'x' }],
    ]) {
      expect(fitsPreset(preset, { claims })).toBe(false);
    }
    expect(presetOf({ issuer: 'https://ci.acme.test' })).toBeUndefined();
  });

  it.each([
    ['acme/etl', true],
    ['group/sub.group/a_b-c', true],
    ['acme', false],
    ['acme/etl; rm -rf ~', false],
    ['acme/$(id)', false],
    ['https://evil.example/x', false],
  ])('a command to copy can contain only the name of a repository: %s', (text, expected) => {
    expect(isTenant(text)).toBe(expected);
  });
});

describe("The console's form for an API key sends only what a person changed", () => {
  it('the form for a new key starts without scopes and with an expiry in 90 days', () => {
    expect(inputOf({ ...emptyFields(), name: 'ci' }, NOW)).toStrictEqual({
      name: 'ci',
      scopes: [],
      expiresAt: '2030-04-01T12:00:00.000Z',
    });
  });

  it('the form for a new key sends only the fields that were filled in', () => {
    const fields = { ...emptyFields(), name: 'ci', scopes: SCOPES, expiry: 'never' };
    expect(inputOf(fields, NOW)).toStrictEqual({ name: 'ci', scopes: SCOPES });
  });

  it.each([
    [undefined, '90', ['7', '30', '90', '365', 'date', 'never']],
    [365, '90', ['7', '30', '90', 'date', 'maximum']],
    [90, 'maximum', ['7', '30', 'date', 'maximum']],
    [1, 'maximum', ['date', 'maximum']],
  ])(
    'with a maximum of %s days, the form offers only expiries within this limit and starts with %s',
    (most, first, offered) => {
      expect(emptyFields(most).expiry).toBe(first);
      expect(expiriesWithin(most).map(({ value }) => value)).toStrictEqual(offered);
      expect(inputOf({ ...emptyFields(most), expiry: 'maximum' }, NOW)).not.toHaveProperty('expiresAt');
    },
  );

  it.each([
    ['7', '2030-01-08T12:00:00.000Z'],
    ['30', '2030-01-31T12:00:00.000Z'],
    ['90', '2030-04-01T12:00:00.000Z'],
    ['365', '2031-01-01T12:00:00.000Z'],
    ['never', undefined],
  ])('the form for a key converts the expiry %s to the time %s', (expiry, expected) => {
    expect(inputOf({ ...emptyFields(), expiry }, NOW).expiresAt).toBe(expected);
  });

  it("the form for a key converts an expiry date to the end of that day in the person's time zone", () => {
    const { expiresAt } = inputOf({ ...emptyFields(), expiry: 'date', date: '2030-02-03' }, NOW);
    expect(new Date(expiresAt ?? '').toString()).toContain('Feb 03 2030 23:59:59');
  });

  it('the form for a key accepts IP ranges separated by line breaks, commas or spaces', () => {
    const fields = { ...emptyFields(), networks: ' 10.0.0.0/8,\n\n2001:db8::/32  192.0.2.0/24\n' };
    expect(inputOf(fields, NOW).networks).toStrictEqual(['10.0.0.0/8', '2001:db8::/32', '192.0.2.0/24']);
  });

  it.each<TrustedIssuer>([
    ...['https://ci.acme.test', GITHUB, `${GITHUB}/acme`, GITLAB, ...OTHERS].map((issuer) => ({ issuer })),
    SELF_MANAGED,
    { issuer: 'https://ci.acme.test', bind: ['project', 'pipeline'] },
    { ...SELF_MANAGED, bind: ['ref'] },
  ])('a new trust rule for $issuer starts with the claims that the service accepts as the tenant', (of) => {
    const { issuer } = of;
    const { claims, hint } = claimsOf(of);
    const [rule] = inputOf({ ...emptyFields(), rules: [newRule(of)] }, NOW).trust ?? [];
    const names = Object.keys(rule?.claims ?? {});
    expect(bindsTenant({ issuer, claims: Object.fromEntries(names.map((name) => [name, '4711'])) }, of)).toBe(
      true,
    );
    for (const name of names) {
      expect(claims).toContain(name);
      const others = names.filter((one) => one !== name).map((one) => [one, '4711']);
      expect(bindsTenant({ issuer, claims: Object.fromEntries(others) }, of)).toBe(false);
    }
    // The hint contains the service's error message about a rule without a tenant.
    expect(hint).toContain(bindingOf(of));
  });

  it.each([
    ['with a secret', key],
    ['with trust rules, limits and an expiry', trusting],
  ])('the form for a key %s sends no changes if nothing was edited', (_, of) => {
    expect(changesOf(of, fieldsOf(of), NOW)).toStrictEqual({});
  });

  it('the form for a key shows the claims of a trust rule in a fixed order', () => {
    const claims = { sub: 'a', ref: 'b' };
    const [rule] = fieldsOf({ ...key, trust: [{ issuer: GITLAB, claims }] }).rules;
    expect(rule?.claims.map(({ name }) => name)).toStrictEqual(['ref', 'sub']);
  });

  it.each<[string, Partial<KeyFields>, object]>([
    ['a name', { name: 'new' }, { name: 'new' }],
    ['an emptied description', { description: '' }, { description: null }],
    ['fewer scopes', { scopes: [] }, { scopes: [] }],
    ['disabling', { enabled: false }, { enabled: false }],
    ['the removal of the expiry', { expiry: 'never' }, { expiresAt: null }],
    ['another expiry', { expiry: '7' }, { expiresAt: '2030-01-08T12:00:00.000Z' }],
    ['the removal of all IP ranges', { networks: ' \n' }, { networks: [] }],
    [
      'the removal of one of two rules',
      { rules: fieldsOf(trusting).rules.slice(0, 1) },
      { trust: trusting.trust?.slice(0, 1) },
    ],
  ])('the form for a key sends only %s if only that field changed', (_, typed, expected) => {
    expect(changesOf(trusting, { ...fieldsOf(trusting), ...typed }, NOW)).toStrictEqual(expected);
  });

  it('editing an idle or expired key in the form does not enable the key', () => {
    const idle: ApiKey = { ...trusting, status: 'idle' };
    expect(changesOf(idle, { ...fieldsOf(idle), name: 'new' }, NOW)).toStrictEqual({ name: 'new' });
  });
});

describe("The console shows the service's validation errors next to the fields", () => {
  const faults = [
    { field: 'networks[1]', rule: 'must be a network' },
    { field: 'trust[0].claims.sub.prefix', rule: 'must end in / or :' },
    { field: 'trust[1]', rule: 'must bind a number' },
    { field: 'scopesAndMore', rule: 'is unknown' },
  ];
  it.each([
    ['networks', 'line', 'line 2 must be a network'],
    ['trust[0]', undefined, 'must end in / or :'],
    ['trust[1]', undefined, 'must bind a number'],
    ['trust', undefined, 'must end in / or :'],
    ['scopes', undefined, undefined],
    ['name', undefined, undefined],
  ])("the console shows the service's validation errors next to the field %s", (name, counted, expected) => {
    expect(faultOf(faults, name, counted)).toBe(expected);
  });
});

describe("The console shows each key's status", () => {
  it.each([
    [{ status: 'active' }, 'Active', 'good'],
    [{ status: 'active', expiresAt: new Date(NOW + 7 * DAY + 1).toISOString() }, 'Active', 'good'],
    [{ status: 'active', expiresAt: new Date(NOW + 7 * DAY).toISOString() }, 'Expires soon', 'warning'],
    [{ status: 'expired', expiresAt: new Date(NOW - 1).toISOString() }, 'Expired', 'warning'],
    [{ status: 'disabled', expiresAt: new Date(NOW + 1).toISOString() }, 'Disabled', 'warning'],
    [{ status: 'idle' }, 'Idle', 'warning'],
    [{ status: 'leaked' }, 'Leaked', 'bad'],
  ] as const)('the console shows the status of the key %j as %s', (of, words, tone) => {
    expect(stateOf(of, NOW)).toStrictEqual({ words, tone });
  });

  it.each([
    ['active', 'Malformed'],
    ['disabled', 'Malformed, disabled'],
  ] as const)(
    'the console shows "malformed" instead of any other status of a malformed key: %s',
    (status, words) => {
      expect(stateOf({ status, malformed: true }, NOW)).toStrictEqual({ words, tone: 'bad' });
    },
  );
});

describe('ruleWords', () => {
  it('ruleWords describes a trust rule by its issuer, its tenant and the other claims', () => {
    expect((trusting.trust ?? []).map((rule) => ruleWords(rule, []))).toStrictEqual([
      'GitHub Actions: repository_id is 4711, sub begins with repo:acme/',
      'gitlab.com: project_id is 1, audience is https://keys.acme.test, each token only once',
    ]);
    const rule = { issuer: SELF_MANAGED.issuer, claims: { project_id: '1' } };
    expect(ruleWords(rule, [{ issuer: GITLAB }, SELF_MANAGED])).toBe(
      'GitLab (git.acme.test): project_id is 1',
    );
    expect(ruleWords(rule, [])).toBe('git.acme.test: project_id is 1');
  });

  it.each<[TrustedIssuer, string]>([
    [{ issuer: `${GITHUB}/acme` }, 'GitHub Actions (acme)'],
    [GITHUB_SERVER, 'GitHub Actions (github.acme.test)'],
    [{ issuer: 'https://ci.acme.test/b', preset: 'buildkite' }, 'Buildkite (ci.acme.test/b)'],
    [{ issuer: 'https://oidc.circleci.com/org/4ad5e3a7' }, 'CircleCI (4ad5e3a7)'],
    [{ issuer: 'https://oidc.eks.eu-west-1.amazonaws.com/id/A1B2' }, 'Amazon EKS (A1B2)'],
    [{ issuer: 'https://3f1c9a36.tokens.sts.global.api.aws' }, 'AWS IAM (3f1c9a36)'],
    [{ issuer: 'https://ci.acme.test:8443/x' }, 'ci.acme.test:8443/x'],
  ])(
    'ruleWords gives the issuer $issuer a label that differs from those of other issuers of its kind',
    (of, label) => {
      expect(issuerLabel(of)).toBe(label);
    },
  );
});

describe('ruleFaults', () => {
  it.each([
    ['', 'The rule must be a text'],
    ['.issuer', 'The issuer must be a text'],
    ['.claims', 'The claims must be a text'],
    ['.claims.oidc.circleci.com/vcs-ref', 'The claim oidc.circleci.com/vcs-ref must be a text'],
    ['.claims.ref.prefix', 'The claim ref must be a text'],
  ])('ruleFaults names the part of the trust rule that the service rejects: trust[1]%s', (part, expected) => {
    expect(ruleFaults([{ field: `trust[1]${part}`, rule: 'must be a text' }], 'trust[1]')).toStrictEqual([
      expected,
    ]);
  });

  it.each(['name', 'trust[0]', 'trust[10].audience'])(
    'ruleFaults of trust[1] ignores a fault of %s',
    (field) => {
      expect(ruleFaults([{ field, rule: 'must be a text' }], 'trust[1]')).toStrictEqual([]);
    },
  );

  it('ruleFaults lists all faults of a trust rule in the order of the response', () => {
    const faults = [
      { field: 'trust[1].issuer', rule: 'must be one that the stack trusts' },
      { field: 'trust[1]', rule: 'must bind sub to exact text' },
    ];
    expect(ruleFaults(faults, 'trust[1]')).toStrictEqual([
      'The issuer must be one that the stack trusts',
      'The rule must bind sub to exact text',
    ]);
  });
});

describe('The console describes events and actors in words', () => {
  const event = (type: string, data: object = {}) => ({
    id: '01',
    type,
    time: '2030-01-01T12:00:00Z',
    data: {
      actor: { principal: 'ada', type: 'person' as const, address: '192.0.2.1', requestId: 'r' },
      name: 'ci',
      ...data,
    },
  });
  it.each([
    ['deployment.registered', {}, 'Deployment registered'],
    ['deployment.edited', {}, 'Deployment changed'],
    ['deployment.deleted', {}, 'Deployment deleted'],
    ['deployment.purged', { deleted: 7 }, 'Data of the deleted Deployment permanently deleted: 7 items'],
    ['deployment.restored', {}, 'Deployment restored from a backup; all earlier tokens revoked'],
    ['api_key.created', {}, 'API key “ci” created'],
    [
      'api_key.edited',
      { changed: ['name', 'expiresAt', 'trust'] },
      'API key “ci” edited: name, expiry, trust rules',
    ],
    ['api_key.edited', {}, 'API key “ci” edited'],
    [
      'api_key.rotated',
      { retireOld: 604_800 },
      'API key “ci” rotated; the old secret stays valid for 7 days',
    ],
    ['api_key.rotated', { retireOld: 3600 }, 'API key “ci” rotated; the old secret stays valid for 1 hour'],
    ['api_key.rotated', { retireOld: 90 }, 'API key “ci” rotated; the old secret stays valid for 90 seconds'],
    ['api_key.rotated', { retireOld: 0 }, 'API key “ci” rotated; the old secret revoked immediately'],
    [
      'api_key.rotated',
      { retireOld: 'now' },
      'API key “ci” rotated; the old secret and all earlier tokens revoked immediately',
    ],
    [
      'api_key.rotated',
      { retireOld: 'on_first_use' },
      'API key “ci” rotated; the old secret stays valid until the new one is used',
    ],
    [
      'api_key.secret_retired',
      { secretCreatedAt: '2030-01-01T12:00:00Z' },
      'API key “ci”: the first use of its new secret retired the old one',
    ],
    [
      'api_key.secret_retiring',
      { secretCreatedAt: '2029-12-01T12:00:00Z', retiresAt: '2030-01-08T12:00:00Z' },
      'API key “ci”: its old secret is still in use and stops working on 8 Jan 2030',
    ],
    ['api_key.disabled', {}, 'API key “ci” disabled'],
    ['api_key.enabled', {}, 'API key “ci” enabled'],
    ['api_key.deleted', {}, 'API key “ci” deleted'],
    ['api_key.leaked', {}, 'API key “ci” reported as leaked, and disabled'],
    ['api_key.expiring', { expiresAt: '2030-01-08T12:00:00Z' }, 'API key “ci” expires on 8 Jan 2030'],
    ['api_key.expired', {}, 'API key “ci” has expired'],
    [
      'api_key.idle',
      { lastActiveAt: '2029-12-01T12:00:00Z' },
      'API key “ci” is idle: unused since 1 Dec 2029',
    ],
    [
      'api_key.trust_unbound',
      { ignoredRules: 1, acceptedRules: 0 },
      'API key “ci” has trust rules that bind no tenant and match nothing',
    ],
    [
      'api_key.trust_unbound',
      { ignoredRules: 0, acceptedRules: 1 },
      'API key “ci” has trust rules that bind no tenant',
    ],
    ['api_key.policy_violated', { violations: ['secret'] }, 'API key “ci” violates the key policy'],
    ['api_key.tokens_revoked', {}, 'All access tokens of API key “ci” revoked'],
    ['token.revoked', {}, 'Access token of API key “ci” revoked'],
    ['token.leaked', {}, 'Access token reported as leaked, and revoked'],
    ['temporary_token.leaked', {}, 'Temporary token reported as leaked, and revoked'],
    ['temporary_token.issued', {}, 'Temporary token issued'],
    ['temporary_token.revoked', {}, 'Temporary token revoked'],
    [
      'call.refused',
      { call: 'DELETE /deployments/{deploymentId}', status: 403 },
      'Rejected a call to delete the Deployment (403)',
    ],
    [
      'call.refused',
      { call: 'GET /platform/deployments/{deploymentId}/api-keys', status: 404 },
      'Rejected a call to list the API keys (404)',
    ],
    [
      'call.refused',
      { call: 'DELETE /deployments/{deploymentId}', status: 403, count: 1 },
      'Rejected a call to delete the Deployment (403)',
    ],
    [
      'call.refused',
      { call: 'GET /deployments/{deploymentId}', status: 404, count: 120 },
      'Rejected 120 calls; the last one was to read the Deployment (404)',
    ],
    ['call.refused', { count: 30, callers: 15 }, 'Rejected 30 calls by 15 other callers'],
    ['call.refused', { call: 'GET /new', status: 404 }, 'Rejected a call to GET /new (404)'],
    ['of.a.later.version', {}, 'of.a.later.version'],
  ])('eventWords describes the event %s %j', (type, data, expected) => {
    expect(eventWords(event(type, data))).toBe(expected);
  });

  it.each([
    ['person', 'ada', { words: 'by user', principal: 'ada' }],
    ['iam', ROLE, { words: 'by IAM principal', principal: ROLE }],
    ['anonymous', 'anonymous', { words: 'by an anonymous caller' }],
    ['system', 'purge', { words: 'by the service: the purge of a deleted Deployment' }],
    ['system', 'restore', { words: 'by the service: a restore from a backup' }],
    ['system', 'source', { words: 'by the service: a change of the followed table' }],
    ['system', 'sweep', { words: 'by the service: the check of keys and rejected calls' }],
    ['system', 'of-a-later-version', { words: 'by the service: of-a-later-version' }],
  ] as const)('actorWords describes the actor: %s %s', (type, principal, expected) => {
    expect(actorWords({ type, principal })).toStrictEqual(expected);
  });

  it('#57: actorWords describes a person as a user, regardless of the sub', () => {
    for (const principal of [
      'purge',
      'restore',
      'source',
      'sweep',
      'anonymous',
      'system',
      '__proto__',
      'the service',
    ]) {
      const actor = { type: 'person', principal } as const;
      expect(actorWords(actor)).toStrictEqual({ words: 'by user', principal });
    }
  });
});
