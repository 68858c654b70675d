import { type RuleFields, sortedClaims } from './key-fields.ts';
import type { TrustRule } from './resources.ts';

interface KnownIssuer {
  label: string;
  /**
   * Claims that distinguish its pipelines. The first one identifies a tenant, and no one else can register it later.
   */
  claims: readonly string[];
  /** What a rule must bind, and where people find the value. */
  hint: string;
}

export const GITHUB = 'https://token.actions.githubusercontent.com';
export const GITLAB = 'https://gitlab.com';
const BUILDKITE = 'https://agent.buildkite.com';
const CIRCLECI = 'https://oidc.circleci.com/org/';

/** Includes an enterprise's own issuer, whose URL ends in its slug. */
export const isGitHub = (issuer: string): boolean => `${issuer}/`.startsWith(`${GITHUB}/`);

const KNOWN: readonly [isIt: (issuer: string) => boolean, KnownIssuer][] = [
  [
    isGitHub,
    {
      label: 'GitHub Actions',
      claims: ['repository_id', 'repository_owner_id', 'ref', 'environment', 'job_workflow_ref', 'sub'],
      hint:
        'A rule must bind repository_id or repository_owner_id to its number, because names can be taken over. ' +
        'To print it, run gh api repos/OWNER/NAME --jq .id.',
    },
  ],
  [
    (issuer) => issuer === GITLAB,
    {
      label: 'gitlab.com',
      claims: ['project_id', 'namespace_id', 'ref', 'ref_protected', 'environment', 'sub'],
      hint:
        'A rule must bind project_id or namespace_id to its number, because names can be taken over. ' +
        'The number is on the page of the project or group, in the menu beside its name.',
    },
  ],
  [
    (issuer) => issuer === BUILDKITE,
    {
      label: 'Buildkite',
      claims: ['pipeline_id', 'organization_id', 'build_branch', 'step_key', 'sub'],
      hint:
        'A rule must bind pipeline_id or organization_id, both UUIDs. The job must ask for that claim: ' +
        'buildkite-agent oidc request-token --claim pipeline_id.',
    },
  ],
  [
    (issuer) => issuer.startsWith(CIRCLECI),
    {
      label: 'CircleCI',
      claims: [
        'oidc.circleci.com/project-id',
        'oidc.circleci.com/pipeline-definition-id',
        'oidc.circleci.com/vcs-ref',
        'sub',
      ],
      hint: 'A rule must bind oidc.circleci.com/project-id. The UUID is in Project Settings, under Overview.',
    },
  ],
];

const knownIssuer = (issuer: string) => KNOWN.find(([isIt]) => isIt(issuer))?.[1];

/** Returns the name of an issuer for people. */
export const issuerLabel = (issuer: string): string => {
  const label = knownIssuer(issuer)?.label ?? new URL(issuer).host;
  const isOfEnterprise = isGitHub(issuer) && issuer !== GITHUB;
  return isOfEnterprise ? `${label} (${issuer.slice(GITHUB.length + 1)})` : label;
};

/** Returns the claims to suggest for a rule of an issuer, and where to find their values. */
export const claimsOf = (issuer: string): Omit<KnownIssuer, 'label'> =>
  knownIssuer(issuer) ?? {
    claims: ['sub'],
    hint: 'A rule must bind sub to the exact text that this issuer’s tokens have.',
  };

/** Returns a new rule for an issuer. */
export const newRule = (issuer: string): RuleFields => ({
  issuer,
  audience: '',
  claims: [{ name: claimsOf(issuer).claims[0] ?? '', match: 'is', value: '' }],
  singleUse: false,
});

/** Describes a rule: `GitHub Actions: repository_id is 4711, ref begins with refs/heads/` */
export function ruleWords({ issuer, audience, claims, singleUse }: TrustRule): string {
  const conditions = sortedClaims(claims).map(([name, rule]) =>
    typeof rule === 'string' ? `${name} is ${rule}` : `${name} begins with ${rule.prefix}`,
  );
  if (audience) conditions.push(`audience is ${audience}`);
  if (singleUse) conditions.push('each token only once');
  return `${issuerLabel(issuer)}: ${conditions.join(', ')}`;
}
