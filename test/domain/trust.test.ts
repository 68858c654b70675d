import { describe, expect, it } from 'vitest';
import { decide, matchingRules } from '../../functions/domain/subject-decision.ts';
import {
  algorithmsOf,
  bindingOf,
  bindsTenant,
  broadRules,
  findIssuer,
  GITHUB,
  isPrefix,
  MAX_CLAIMS,
  MAX_RULES,
  RESERVED_CLAIMS,
  type TrustedIssuer,
  type TrustRule,
  unboundRules,
} from '../../functions/domain/trust.ts';

it('a key has at most 10 trust rules, and a trust rule has at most 10 claims', () => {
  expect([MAX_RULES, MAX_CLAIMS]).toEqual([10, 10]);
});

/**
 * Reports whether a token with these claims matches the trust rule. The token has the issuer and audience of the rule.
 */
function satisfies(rule: TrustRule, claims: Record<string, unknown>): boolean {
  const subject = { jwt: 'a.b.c', issuer: rule.issuer, signingInput: 'a.b' };
  return matchingRules(decide([rule], { subject, claims: { aud: 'x', ...claims } }, 'x', [])).length > 0;
}

const BUILDKITE = 'https://agent.buildkite.com';
const CIRCLECI = 'https://oidc.circleci.com/org/01234567-89ab-cdef-0123-456789abcdef';
const PROJECT = 'oidc.circleci.com/project-id';
type Claims = TrustRule['claims'];

const PLAIN = 'https://ci.test';
const BIND: TrustedIssuer = { issuer: PLAIN, bind: ['workspace', 'project'] };
const CLUSTER_WITH_BIND: TrustedIssuer = { issuer: PLAIN, preset: 'kubernetes', bind: ['namespace'] };
const GITHUB_WITH_BIND: TrustedIssuer = { issuer: GITHUB, bind: ['environment'] };
const GITHUB_WITH_PRESET: TrustedIssuer = { issuer: GITHUB, preset: 'kubernetes' };

it('findIssuer returns the trusted issuer with a URL', () => {
  const issuers = [BIND, GITHUB];
  expect(findIssuer(issuers, PLAIN)).toBe(BIND);
  expect(findIssuer(issuers, GITHUB)).toBe(GITHUB);
  expect(findIssuer(issuers, `${PLAIN}/`)).toBeUndefined();
});

it.each<[issuer: TrustedIssuer, algorithms: string[] | undefined]>([
  [GITHUB, ['RS256']],
  [GITHUB_WITH_PRESET, ['RS256']],
  [{ issuer: PLAIN, preset: 'aws' }, ['ES384']],
  [{ issuer: PLAIN, preset: 'kubernetes' }, ['RS256', 'ES256', 'ES384', 'ES512']],
  [PLAIN, undefined],
  [BIND, undefined],
])("algorithmsOf returns the algorithms of the issuer's preset: %j", (issuer, algorithms) => {
  expect(algorithmsOf(issuer)).toEqual(algorithms);
});

describe('bindsTenant', () => {
  it.each<[issuer: string, Claims, boolean]>([
    [GITHUB, { repository_id: '123456789' }, true],
    [GITHUB, { repository_owner_id: '1', ref: 'refs/heads/main' }, true],
    [GITHUB, { repository_id: 'acme/app' }, false],
    [GITHUB, { repository_id: '1 ' }, false],
    [GITHUB, { repository_id: '-1' }, false],
    [GITHUB, { repository_id: '1e3' }, false],
    [GITHUB, { repository_id: '1\n' }, false],
    [GITHUB, { repository_id: '٤' }, false],
    [GITHUB, { repository_id: '' }, false],
    [GITHUB, { repository_id: { prefix: '1:' } }, false],
    [GITHUB, { sub: 'repo:acme/app:ref:refs/heads/main' }, false],
    [GITHUB, { repository: 'acme/app', repository_owner: 'acme' }, false],
    [`${GITHUB}/acme`, { repository_id: '1' }, true],
    [`${GITHUB}/acme`, { sub: 'repo:acme/app' }, false],
    [`${GITHUB}/`, { sub: 'repo:acme/app' }, false],
    [`${GITHUB}.evil.test`, { repository_id: '1' }, false],
    [`${GITHUB}.evil.test`, { sub: 'x' }, true],
    ['https://gitlab.com', { project_id: '1' }, true],
    ['https://gitlab.com', { namespace_id: '1' }, true],
    ['https://gitlab.com', { project_id: 'acme' }, false],
    ['https://gitlab.com', { ref: 'main' }, false],
    ['https://gitlab.com', { sub: 'project_path:acme/app:ref_type:branch:ref:main' }, false],
    ['https://gitlab.com', { project_path: 'acme/app', namespace_path: 'acme' }, false],
    ['https://gitlab.com', { iss: 'https://gitlab.com' }, false],
    ['https://gitlab.com', { aud: { prefix: 'https:/' } }, false],
    [BUILDKITE, { organization_id: '0184990a-477b-4fa8-9968-496074483cee' }, true],
    [BUILDKITE, { pipeline_id: '0184990a-477b-4fa8-9968-496074483cee' }, true],
    [BUILDKITE, { organization_slug: 'acme', pipeline_slug: 'app' }, false],
    [BUILDKITE, { organization_id: { prefix: 'x:' } }, false],
    [BUILDKITE, { sub: 'organization:acme:pipeline:app' }, false],
    [CIRCLECI, { [PROJECT]: '0184990a-477b-4fa8-9968-496074483cee' }, true],
    [CIRCLECI, { [PROJECT]: { prefix: 'x/' } }, false],
    [CIRCLECI, { sub: 'org/x/project/y/user/z' }, false],
    ['https://git.acme.test', { sub: 'project_path:acme/app' }, true],
    ['https://git.acme.test', { sub: { prefix: 'project_path:' } }, false],
    ['https://git.acme.test', { project_id: '1' }, false],
    ['https://oidc.eks.eu-west-1.amazonaws.com/id/X', { sub: 'system:serviceaccount:ci:deploy' }, true],
  ])(
    'bindsTenant reports whether a trust rule binds a tenant: issuer %s, claims %j: %s',
    (issuer, claims, isBound) => {
      expect(bindsTenant({ issuer, claims })).toBe(isBound);
    },
  );

  it.each<[issuer: TrustedIssuer, Claims, boolean]>([
    [BIND, { workspace: 'acme', project: 'app' }, true],
    [BIND, { workspace: 'acme', project: 'the app', sub: { prefix: 'x:' } }, true],
    [BIND, { workspace: 'acme' }, false],
    [BIND, { workspace: 'acme', project: ' ' }, false],
    [BIND, { workspace: 'acme', project: { prefix: 'app/' } }, false],
    [BIND, { sub: 'x' }, false],
    [CLUSTER_WITH_BIND, { namespace: 'ci' }, true],
    [CLUSTER_WITH_BIND, { sub: 'system:serviceaccount:ci:deploy' }, false],
    [GITHUB_WITH_BIND, { repository_id: '1', environment: 'production' }, true],
    [GITHUB_WITH_BIND, { repository_id: '1' }, false],
    [GITHUB_WITH_BIND, { environment: 'production' }, false],
    [GITHUB_WITH_PRESET, { sub: 'x' }, false],
  ])(
    "bindsTenant considers the issuer's entry in the setting: issuer %j, claims %j: %s",
    (issuer, claims, isBound) => {
      const url = typeof issuer === 'string' ? issuer : issuer.issuer;
      expect(bindsTenant({ issuer: url, claims }, issuer)).toBe(isBound);
    },
  );

  it('bindsTenant ignores inherited properties of the claims', () => {
    expect(bindsTenant({ issuer: GITHUB, claims: Object.create({ repository_id: '1' }) })).toBe(false);
  });

  it.each<[issuer: TrustedIssuer, words: string]>([
    [GITHUB, 'repository_id or repository_owner_id to a number, in digits'],
    [
      GITHUB_WITH_BIND,
      'repository_id or repository_owner_id to a number, in digits, and environment to exact text',
    ],
    ['https://gitlab.com', 'project_id or namespace_id to a number, in digits'],
    [BUILDKITE, 'organization_id or pipeline_id to exact text'],
    [CIRCLECI, 'oidc.circleci.com/project-id to exact text'],
    [PLAIN, 'sub to exact text'],
    [BIND, 'workspace and project to exact text'],
    [CLUSTER_WITH_BIND, 'namespace to exact text'],
  ])('bindingOf names the claims that trust rules for an issuer must bind: %j', (issuer, words) => {
    expect(bindingOf(issuer)).toBe(`must bind ${words}`);
  });
});

describe('unboundRules', () => {
  it.each([
    [GITHUB, { ref: 'main' }, true],
    [`${GITHUB}/acme`, { ref: 'main' }, true],
    ['https://gitlab.com', { ref: 'main' }, true],
    [BUILDKITE, { ref: 'main' }, true],
    [CIRCLECI, { ref: 'main' }, false],
    ['https://git.acme.test', { ref: 'main' }, false],
  ])(
    'unboundRules lists a trust rule that binds no tenant: issuer %s, claims %j, ignored %s',
    (issuer, claims, ignored) => {
      const bound = { issuer: 'https://x.test', claims: { sub: 'x' } };
      expect(satisfies({ issuer, claims }, { ref: 'main' })).toBe(!ignored);
      expect(unboundRules([bound, { issuer, claims }], [])).toEqual([
        { index: 1, detail: bindingOf(issuer), ignored },
      ]);
    },
  );

  it('unboundRules returns an empty list for a key without trust rules', () => {
    expect([unboundRules(undefined, []), unboundRules([], [])]).toEqual([[], []]);
  });
});

describe('broadRules', () => {
  const GITLAB = 'https://gitlab.com';
  const SELF_MANAGED: TrustedIssuer = { issuer: 'https://git.acme.test', preset: 'gitlab' };
  const EKS = 'https://oidc.eks.eu-west-1.amazonaws.com/id/X';
  const AWS = 'https://01234567.tokens.sts.global.api.aws';
  const CLUSTER: TrustedIssuer = { issuer: 'https://cluster.acme.test', preset: 'kubernetes' };
  const ID = '0184990a-477b-4fa8-9968-496074483cee';
  const repository = { repository_id: '1' };
  const project = { project_id: '1' };
  const [pipeline, circle] = [{ pipeline_id: ID }, { [PROJECT]: ID }];
  const VCS_REF = 'oidc.circleci.com/vcs-ref';
  const REFS = 'add ref with ref_type, or ref with ref_protected, or environment';
  const HOW = {
    refs: `accepts every branch; to limit it, ${REFS}`,
    build: 'accepts every branch; to limit it, add build_branch, or build_tag',
    vcs: `accepts every branch; to limit it, add ${VCS_REF}`,
  };

  it.each<[issuer: TrustedIssuer, Claims, detail: string]>([
    [GITHUB, repository, HOW.refs],
    [GITHUB, { repository_owner_id: '1' }, HOW.refs],
    [GITHUB, { ...repository, ref: 'refs/heads/main' }, HOW.refs],
    [GITHUB, { ...repository, ref: { prefix: 'refs/heads/' }, ref_type: 'branch' }, HOW.refs],
    [GITHUB, { ...repository, ref: { prefix: 'refs/' }, ref_protected: 'true' }, HOW.refs],
    [GITHUB, { ...repository, sub: { prefix: 'repo:acme/' } }, HOW.refs],
    [GITHUB, { ...repository, sub: { prefix: 'repo:acme/app:' } }, HOW.refs],
    [GITHUB, { ...repository, sub: { prefix: 'repo:acme/app:ref:' } }, HOW.refs],
    [GITHUB, { ...repository, sub: { prefix: 'repo:acme/app:ref:refs/' } }, HOW.refs],
    [GITHUB, { ...repository, sub: { prefix: 'repo:acme/app:ref:refs/heads/' } }, HOW.refs],
    [GITHUB, { ...repository, sub: { prefix: 'repo:acme/app:environment:' } }, HOW.refs],
    [GITLAB, project, HOW.refs],
    [GITLAB, { ...project, ref_type: 'branch', ref_protected: 'true' }, HOW.refs],
    [GITLAB, { ...project, sub: { prefix: 'project_path:acme/' } }, HOW.refs],
    [GITLAB, { ...project, sub: { prefix: 'project_path:acme/app:' } }, HOW.refs],
    [GITLAB, { ...project, sub: { prefix: 'project_path:acme/app:ref_type:branch:' } }, HOW.refs],
    [GITLAB, { ...project, sub: { prefix: 'project_path:acme/app:ref_type:branch:ref:' } }, HOW.refs],
    [SELF_MANAGED, { namespace_id: '1' }, HOW.refs],
    [BUILDKITE, pipeline, HOW.build],
    [BUILDKITE, { organization_id: ID }, HOW.build],
    [BUILDKITE, { ...pipeline, sub: { prefix: 'organization:acme:pipeline:app:' } }, HOW.build],
    [CIRCLECI, circle, HOW.vcs],
    [CIRCLECI, { ...circle, [VCS_REF]: { prefix: 'refs/heads/' } }, HOW.vcs],
  ])(
    'broadRules lists a trust rule that accepts every branch: issuer %j, claims %j',
    (issuer, claims, detail) => {
      const url = typeof issuer === 'string' ? issuer : issuer.issuer;
      const other = { issuer: 'https://x.test', claims: { sub: 'x' } };
      expect(broadRules([other, { issuer: url, claims }], [issuer])).toStrictEqual([{ index: 1, detail }]);
      expect(unboundRules([other, { issuer: url, claims }], [issuer])).toStrictEqual([]);
    },
  );

  it.each<[issuer: TrustedIssuer, Claims]>([
    [GITHUB, { ...repository, ref: 'refs/heads/main', ref_type: 'branch' }],
    [GITHUB, { ...repository, ref: { prefix: 'refs/heads/release/' }, ref_protected: 'true' }],
    [GITHUB, { ...repository, environment: 'production' }],
    [GITHUB, { ...repository, sub: 'repo:acme/app:ref:refs/heads/main' }],
    [GITHUB, { ...repository, sub: { prefix: 'repo:acme/app:ref:refs/heads/release/' } }],
    [GITHUB, { ...repository, sub: { prefix: 'repo:acme/app:environment:production/' } }],
    [GITHUB, { ...repository, sub: { prefix: 'ref:refs/heads/main:repository:' } }],
    [GITLAB, { ...project, ref: 'main', ref_type: 'branch' }],
    [GITLAB, { ...project, sub: { prefix: 'project_path:acme/app:ref_type:branch:ref:release/' } }],
    [SELF_MANAGED, { ...project, ref: { prefix: 'release/' }, ref_protected: 'true' }],
    [BUILDKITE, { ...pipeline, build_branch: 'main' }],
    [BUILDKITE, { ...pipeline, build_tag: { prefix: 'release/' } }],
    [CIRCLECI, { ...circle, [VCS_REF]: 'refs/heads/main' }],
    // The tokens of these issuers do not contain a branch.
    [CLUSTER, { sub: 'system:serviceaccount:ci:deploy' }],
    [EKS, { sub: 'system:serviceaccount:ci:deploy' }],
    [AWS, { sub: 'arn:aws:iam::123456789012:role/deploy' }],
    ['https://x.test', { sub: 'x' }],
  ])(
    'broadRules omits a trust rule that limits the branch, and rules of issuers without branches: issuer %j, claims %j',
    (issuer, claims) => {
      const url = typeof issuer === 'string' ? issuer : issuer.issuer;
      expect(broadRules([{ issuer: url, claims }], [issuer])).toStrictEqual([]);
    },
  );

  it.each<[issuer: TrustedIssuer, Claims]>([
    [GITHUB, { sub: { prefix: 'repo:acme/app:' } }],
    [GITLAB, { project_path: 'acme/app' }],
    [SELF_MANAGED, { project_path: 'acme/app' }],
    [BUILDKITE, { pipeline_slug: 'app' }],
    [CIRCLECI, { sub: 'org/x/project/y/user/z' }],
    [CLUSTER, { sub: { prefix: 'system:' } }],
    [EKS, { sub: { prefix: 'system:' } }],
    [AWS, { sub: { prefix: 'arn:' } }],
    [{ issuer: GITHUB, bind: ['environment'] }, repository],
  ])('only unboundRules lists a trust rule that binds no tenant: issuer %j, claims %j', (issuer, claims) => {
    const rules = [{ issuer: typeof issuer === 'string' ? issuer : issuer.issuer, claims }];
    expect(broadRules(rules, [issuer])).toStrictEqual([]);
    expect(unboundRules(rules, [issuer])).toMatchObject([{ index: 0 }]);
  });

  it('broadRules returns an empty list for a key without trust rules', () => {
    expect([broadRules(undefined, []), broadRules([], [])]).toEqual([[], []]);
  });
});

it('trust rules cannot use registered claims or the property names that every object has', () => {
  expect(RESERVED_CLAIMS).toEqual([
    ...['iss', 'aud', 'exp', 'nbf', 'iat', 'constructor', '__defineGetter__', '__defineSetter__'],
    ...['hasOwnProperty', '__lookupGetter__', '__lookupSetter__', 'isPrototypeOf', 'propertyIsEnumerable'],
    ...['toString', 'valueOf', '__proto__', 'toLocaleString'],
  ]);
});

it('isPrefix requires a prefix to end with / or :', () => {
  expect(['acme/', 'repo:', 'acme', 'a/b', 'a:b', ''].map(isPrefix)).toEqual([
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});

describe('satisfies', () => {
  const ok = (claims: Parameters<typeof satisfies>[0]['claims'], of: Record<string, unknown>) =>
    satisfies({ issuer: 'https://ci.test', claims }, of);

  it("a token matches a trust rule if each claim equals the rule's text or starts with its prefix", () => {
    expect(ok({ a: 'x', b: { prefix: 'acme/' } }, { a: 'x', b: 'acme/etl', c: 1 })).toBe(true);
    expect(ok({ a: 'x', b: { prefix: 'acme/' } }, { a: 'x', b: 'evil/acme/' })).toBe(false);
    expect(ok({ a: 'x', b: { prefix: 'acme/' } }, { a: 'y', b: 'acme/etl' })).toBe(false);
    expect(ok({ a: 'x' }, { a: 'xy' })).toBe(false);
  });

  it('a trust rule compares claims that are numbers or booleans as text', () => {
    expect(ok({ a: '7', b: 'true', c: { prefix: '1' } }, { a: 7, b: true, c: 12 })).toBe(true);
  });

  it('a trust rule never matches a numeric claim that is not a safe integer', () => {
    for (const value of [2 ** 53, -(2 ** 53), 1e21, 1.5, 0.1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(ok({ a: String(value) }, { a: value })).toBe(false);
    }
    expect(ok({ a: String(Number.MAX_SAFE_INTEGER) }, { a: Number.MAX_SAFE_INTEGER })).toBe(true);
    // JSON.parse returns the same number for two different identifiers.
    expect(ok({ a: '9007199254740992' }, JSON.parse('{"a": 9007199254740993}'))).toBe(false);
  });

  it('a trust rule never matches a claim that is missing, inherited or not a single value', () => {
    expect(ok({ a: 'undefined' }, {})).toBe(false);
    expect(ok({ toString: { prefix: 'function' } }, {})).toBe(false);
    expect(ok({ a: 'x' }, Object.create({ a: 'x' }))).toBe(false);
    for (const value of [null, ['x'], { x: 1 }]) {
      expect(ok({ a: String(value) }, { a: value })).toBe(false);
      expect(ok({ a: { prefix: '' } }, { a: value })).toBe(false);
    }
  });
});

describe('decide', () => {
  it('decide lists differing claims by name, regardless of their order in the stored rule', () => {
    for (const claims of [
      { a: 'x', b: 'x', c: 'x' },
      { c: 'x', a: 'x', b: 'x' },
    ]) {
      const subject = { jwt: 'a.b.c', issuer: BUILDKITE, signingInput: 'a.b' };
      const [decision] = decide([{ issuer: BUILDKITE, claims }], { subject, claims: { aud: 'x' } }, 'x', []);
      const named = decision?.differences.flatMap((one) => (one.kind === 'claim' ? one.claim : []));
      expect(named).toEqual(['a', 'b', 'c']);
    }
  });
});
