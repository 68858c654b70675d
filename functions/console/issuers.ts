import { type RuleFields, sortedClaims } from './key-fields.ts';
import type { TrustRule } from './resources.ts';

interface KnownIssuer {
  label: string;
  /**
   * Claims that distinguish the issuer's pipelines. The first claim identifies a tenant by a value that no one else can
   * register later.
   */
  claims: readonly string[];
  /** Text that says which claim a rule must bind, and where to find the claim's value. */
  hint: string;
}

export const GITHUB = 'https://token.actions.githubusercontent.com';
export const GITLAB = 'https://gitlab.com';
const BUILDKITE = 'https://agent.buildkite.com';
const CIRCLECI = 'https://oidc.circleci.com/org/';

/**
 * Reports whether an issuer is GitHub Actions. This includes the issuer of a GitHub enterprise, whose URL ends with the
 * enterprise's slug.
 */
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

/** Returns the display name of an issuer. */
export const issuerLabel = (issuer: string): string => {
  const label = knownIssuer(issuer)?.label ?? new URL(issuer).host;
  const isOfEnterprise = isGitHub(issuer) && issuer !== GITHUB;
  return isOfEnterprise ? `${label} (${issuer.slice(GITHUB.length + 1)})` : label;
};

/** Returns the claims to suggest for an issuer's rule, and where to find their values. */
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

/** A field in a preset. Each field stands for one claim. */
export interface PresetField {
  claim: string;
  label: string;
  hint?: string;
  placeholder: string;
  isRequired?: boolean;
  /** Prefix of the claim's value that people do not have to type, such as `refs/heads/`. */
  prefix?: string;
  /** Another claim to add together with this claim. */
  also?: readonly [name: string, value: string];
}

/** A form for an issuer's rules that asks for values that people know. */
export interface Preset {
  /** The name by which people know the tenant, such as `owner/repo`, and how to find its number. */
  lookup: {
    label: string;
    placeholder: string;
    /** Command that prints the tenant's number. */
    command: (tenant: string) => string;
    /** Web page that shows the tenant's number. */
    page: (tenant: string) => string;
  };
  fields: readonly PresetField[];
  /** Warning to show while none of the optional fields is set. */
  warning: string;
}

const GITHUB_PRESET: Preset = {
  lookup: {
    label: 'Repository',
    placeholder: 'owner/repo',
    command: (tenant) => `gh api repos/${tenant} --jq .id`,
    page: (tenant) => `https://api.github.com/repos/${tenant}`,
  },
  fields: [
    {
      claim: 'repository_id',
      label: 'Repository ID',
      placeholder: '123456789',
      hint: 'A number that GitHub never gives to another repository. Anyone can register a name again after you rename or delete a repository.',
      isRequired: true,
    },
    {
      claim: 'ref',
      label: 'Branch',
      placeholder: 'main',
      prefix: 'refs/heads/',
      also: ['ref_type', 'branch'],
    },
    { claim: 'environment', label: 'Environment', placeholder: 'production' },
  ],
  warning:
    'Every workflow on every branch of the repository can use this key. Set a branch or an environment to limit it.',
};

const GITLAB_PRESET: Preset = {
  lookup: {
    label: 'Project',
    placeholder: 'group/project',
    command: (tenant) => `glab api projects/${encodeURIComponent(tenant)} | jq .id`,
    page: (tenant) => `${GITLAB}/api/v4/projects/${encodeURIComponent(tenant)}`,
  },
  fields: [
    {
      claim: 'project_id',
      label: 'Project ID',
      placeholder: '12345678',
      hint: 'A number that GitLab never gives to another project. Anyone can register a path again after you rename or delete a project.',
      isRequired: true,
    },
    { claim: 'ref', label: 'Branch', placeholder: 'main', also: ['ref_type', 'branch'] },
    { claim: 'environment', label: 'Environment', placeholder: 'production' },
  ],
  warning:
    'Every job on every branch of the project can use this key. Set a branch or an environment to limit it.',
};

/** Returns the preset for an issuer; undefined if the issuer has no preset. */
export function presetOf(issuer: string): Preset | undefined {
  if (isGitHub(issuer)) return GITHUB_PRESET;
  return issuer === GITLAB ? GITLAB_PRESET : undefined;
}

/**
 * Reports whether a tenant's name is well-formed. The console puts only a well-formed name into a command or a link.
 */
export const isTenant = (text: string): boolean => /^[\w.-]+(\/[\w.-]+)+$/.test(text);

/** Reports whether a preset has a field for each of a rule's claims. */
export function fitsPreset({ fields }: Preset, { claims }: Pick<RuleFields, 'claims'>): boolean {
  const also = new Map(fields.flatMap((field) => (field.also ? [field.also] : [])));
  return claims.every(({ name, match, value }) => {
    const field = fields.find(({ claim }) => claim === name);
    if (match !== 'is') return false;
    return field ? value.startsWith(field.prefix ?? '') || value === '' : also.get(name) === value;
  });
}

/** Returns the value that a field of a preset shows for a rule. */
export const presetValue = (
  { claim, prefix = '' }: PresetField,
  { claims }: Pick<RuleFields, 'claims'>,
): string => (claims.find(({ name }) => name === claim)?.value ?? '').slice(prefix.length);

/** Returns the claims of a rule after a change to a field of its preset. An empty optional field adds no claim. */
export function withPresetValue(
  field: PresetField,
  { claims }: RuleFields,
  value: string,
): RuleFields['claims'] {
  const { claim, prefix = '', isRequired, also } = field;
  const others = claims.filter(({ name }) => name !== claim && name !== also?.[0]);
  const entry = (name: string, text: string) => ({ name, match: 'is' as const, value: text });
  if (isRequired) return [entry(claim, value.trim()), ...others];
  if (value === '') return others;
  return [...others, entry(claim, `${prefix}${value}`), ...(also ? [entry(...also)] : [])];
}
