import type { RuleFields } from './key-fields.ts';
import type { TrustRule } from './resources.ts';

interface KnownIssuer {
  label: string;
  /** Claims by which its pipelines are told apart, the first by a number that nobody can take over. */
  claims: readonly string[];
  /** Where to find that number. */
  hint: string;
}

export const GITHUB = 'https://token.actions.githubusercontent.com';
export const GITLAB = 'https://gitlab.com';

const KNOWN: Record<string, KnownIssuer> = {
  [GITHUB]: {
    label: 'GitHub Actions',
    claims: ['repository_id', 'repository_owner_id', 'ref', 'environment', 'job_workflow_ref', 'sub'],
    hint:
      'A rule must name repository_id or repository_owner_id by its number, since names can be taken over. ' +
      'gh api repos/OWNER/NAME --jq .id prints it.',
  },
  [GITLAB]: {
    label: 'gitlab.com',
    claims: ['project_id', 'namespace_id', 'ref', 'ref_protected', 'environment', 'sub'],
    hint: 'The project’s number is on its page, in the menu beside its name.',
  },
};

/** What people call an issuer. */
export const issuerLabel = (issuer: string): string => KNOWN[issuer]?.label ?? new URL(issuer).host;

/** Claims to offer for a rule of an issuer, and where their values are found. */
export const claimsOf = (issuer: string): Omit<KnownIssuer, 'label'> =>
  KNOWN[issuer] ?? { claims: ['sub'], hint: 'Claims as this issuer’s tokens have them.' };

/** A rule to begin with. */
export const newRule = (issuer: string): RuleFields => ({
  issuer,
  audience: '',
  claims: [{ name: claimsOf(issuer).claims[0] ?? '', match: 'is', value: '' }],
  singleUse: false,
});

/** Claims by their names: the service gives them in no order. */
export const sortedClaims = (claims: TrustRule['claims']): [string, TrustRule['claims'][string]][] =>
  Object.entries(claims).sort(([one], [other]) => (one < other ? -1 : 1));

/** `GitHub Actions: repository_id is 4711, ref begins with refs/heads/` */
export function ruleWords({ issuer, audience, claims, singleUse }: TrustRule): string {
  const conditions = sortedClaims(claims).map(([name, rule]) =>
    typeof rule === 'string' ? `${name} is ${rule}` : `${name} begins with ${rule.prefix}`,
  );
  if (audience) conditions.push(`for ${audience}`);
  if (singleUse) conditions.push('each token once');
  return `${issuerLabel(issuer)}: ${conditions.join(', ')}`;
}
