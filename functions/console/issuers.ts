import { PRESETS, type PresetName, presetOfUrl } from '../domain/issuer-presets.ts';
import { bindingOf, type IssuerEntry, requiredBinding } from '../domain/trust.ts';
import { type RuleFields, sortedClaims } from './key-fields.ts';
import type { TrustRule } from './resources.ts';

/** An issuer that the stack trusts, without its keys. */
export type TrustedIssuer = Omit<IssuerEntry, 'hasInlineKeys'>;

export const GITHUB = 'https://token.actions.githubusercontent.com';
export const GITLAB = 'https://gitlab.com';
/** Display names of the issuers that all customers of a CI share: the name of the CI is enough. */
const SHARED: Record<string, string> = {
  [GITHUB]: 'GitHub Actions',
  [GITLAB]: 'gitlab.com',
  'https://agent.buildkite.com': 'Buildkite',
};

/** Returns the issuer with this URL. A rule can also name an issuer that the stack no longer trusts. */
export const issuerOf = (trusted: readonly TrustedIssuer[], url: string): TrustedIssuer =>
  trusted.find(({ issuer }) => issuer === url) ?? { issuer: url };

/** Returns the kind of CI; undefined if neither the URL nor the stack's setting names one. */
export const kindOf = ({ issuer, preset }: TrustedIssuer): PresetName | undefined =>
  presetOfUrl(issuer) ?? preset;

/** The claims to suggest for each kind of CI, in addition to those that a rule must bind. */
const SUGGESTED: Partial<Record<PresetName, readonly string[]>> = {
  github: ['ref', 'environment', 'job_workflow_ref', 'sub'],
  gitlab: ['ref', 'ref_protected', 'environment', 'sub'],
  buildkite: ['build_branch', 'step_key', 'sub'],
  circleci: [
    'oidc.circleci.com/pipeline-definition-id',
    'oidc.circleci.com/vcs-origin',
    'oidc.circleci.com/vcs-ref',
    'sub',
  ],
};

/** Where to find the value of the claim that identifies the tenant. */
const WHERE: Partial<Record<PresetName, string>> = {
  github: 'Names can be taken over. To print the number, run gh api repos/OWNER/NAME --jq .id.',
  gitlab:
    'Names can be taken over. The number is on the page of the project or group, in the menu beside its name.',
  buildkite:
    'Both are UUIDs. The job must request the claim: buildkite-agent oidc request-token --claim pipeline_id.',
  circleci: 'The UUID is in Project Settings, under Overview.',
};

/** Returns the display name of an issuer, which differs from the names of the stack's other issuers. */
export function issuerLabel(of: TrustedIssuer): string {
  const { issuer } = of;
  const shared = SHARED[issuer];
  if (shared !== undefined) return shared;
  const kind = kindOf(of);
  const address = issuer.replace(/^https?:\/\//, '');
  if (!kind) return address;
  const [host = '', ...path] = address.split('/');
  const isHosted = presetOfUrl(issuer) !== undefined;
  const detail = isHosted ? (path.at(-1) ?? host.split('.')[0]) : address.replace('/_services/token', '');
  return `${PRESETS[kind].name} (${detail})`;
}

/** Returns the claims to suggest for an issuer's rule, and text that says which claims the rule must bind. */
export function claimsOf(issuer: TrustedIssuer): { claims: readonly string[]; hint: string } {
  const kind = kindOf(issuer);
  const { anyOf, all } = requiredBinding(issuer);
  const suggested = (kind && SUGGESTED[kind]) ?? ['sub'];
  return {
    claims: [...new Set([...anyOf, ...all, ...suggested])],
    hint: [`A rule ${bindingOf(issuer)}.`, kind && WHERE[kind]].filter(Boolean).join(' '),
  };
}

/** Returns a new rule for an issuer, with the claims that it must bind. */
export function newRule(issuer: TrustedIssuer): RuleFields {
  const { anyOf, all } = requiredBinding(issuer);
  // Start the rule with the identifier for which the preset has a field, such as the ID of a pipeline instead of that
  // of its organization.
  const tenant = presetOf(issuer)?.fields.find(({ claim }) => anyOf.includes(claim))?.claim ?? anyOf[0];
  const names = new Set([...(tenant === undefined ? [] : [tenant]), ...all]);
  return {
    issuer: issuer.issuer,
    audience: '',
    claims: [...names].map((name) => ({ name, match: 'is', value: '' })),
    singleUse: false,
  };
}

/** Describes a rule: `GitHub Actions: repository_id is 4711, ref begins with refs/heads/` */
export function ruleWords(
  { issuer, audience, claims, singleUse }: TrustRule,
  trusted: readonly TrustedIssuer[],
): string {
  const conditions = sortedClaims(claims).map(([name, rule]) =>
    typeof rule === 'string' ? `${name} is ${rule}` : `${name} begins with ${rule.prefix}`,
  );
  if (audience) conditions.push(`audience is ${audience}`);
  if (singleUse) conditions.push('each token only once');
  return `${issuerLabel(issuerOf(trusted, issuer))}: ${conditions.join(', ')}`;
}

/** A field in a preset. Each field stands for one claim. */
export interface PresetField {
  claim: string;
  label: string;
  hint?: string;
  placeholder: string;
  isRequired?: boolean;
  /** Regular expression that the input must match, and the rule to show if the input does not match. */
  pattern?: readonly [expression: string, rule: string];
  /** Prefix of the claim's value that people do not have to type, such as `refs/heads/`. */
  prefix?: string;
  /** Another claim to add together with this claim. */
  also?: readonly [name: string, value: string];
}

/** A form for an issuer's rules that asks for values that people know. */
export interface Preset {
  /** The name by which people know the tenant, such as `owner/repo`, and how to find its number, if there is a way. */
  lookup?: {
    label: string;
    placeholder: string;
    /** Command that prints the tenant's number. */
    command: (tenant: string) => string;
    /** Web page that shows the tenant's number. */
    page: (tenant: string) => string;
  };
  fields: readonly PresetField[];
  /** Warning to show while none of the optional fields is set. */
  warning?: string;
}

const DIGITS = ['[0-9]+', 'Digits only'] as const;
const UUID = ['[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}', 'A UUID'] as const;

/** Returns the base URL of a GitHub's API, and the option with which the GitHub CLI selects a host of its own. */
function gitHubApi(issuer: string): { api: string; option: string } {
  if (presetOfUrl(issuer) === 'github') return { api: 'https://api.github.com', option: '' };
  const { origin, host } = new URL(issuer);
  const enterprise = /^token\.actions\.(.+\.ghe\.com)$/.exec(host)?.[1];
  return enterprise
    ? { api: `https://api.${enterprise}`, option: `--hostname ${enterprise} ` }
    : { api: `${origin}/api/v3`, option: `--hostname ${host} ` };
}

function gitHubPreset(issuer: string): Preset {
  const { api, option } = gitHubApi(issuer);
  return {
    lookup: {
      label: 'Repository',
      placeholder: 'owner/repo',
      command: (tenant) => `gh api ${option}repos/${tenant} --jq .id`,
      page: (tenant) => `${api}/repos/${tenant}`,
    },
    fields: [
      {
        claim: 'repository_id',
        label: 'Repository ID',
        placeholder: '123456789',
        hint: 'A number that GitHub never gives to another repository. Anyone can register a name again after you rename or delete a repository.',
        isRequired: true,
        pattern: DIGITS,
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
}

function gitLabPreset(issuer: string): Preset {
  const option = issuer === GITLAB ? '' : `--hostname ${new URL(issuer).host} `;
  return {
    lookup: {
      label: 'Project',
      placeholder: 'group/project',
      command: (tenant) => `glab api ${option}projects/${encodeURIComponent(tenant)} | jq .id`,
      page: (tenant) => `${issuer}/api/v4/projects/${encodeURIComponent(tenant)}`,
    },
    fields: [
      {
        claim: 'project_id',
        label: 'Project ID',
        placeholder: '12345678',
        hint: 'A number that GitLab never gives to another project. Anyone can register a path again after you rename or delete a project.',
        isRequired: true,
        pattern: DIGITS,
      },
      { claim: 'ref', label: 'Branch', placeholder: 'main', also: ['ref_type', 'branch'] },
      { claim: 'environment', label: 'Environment', placeholder: 'production' },
    ],
    warning:
      'Every job on every branch of the project can use this key. Set a branch or an environment to limit it.',
  };
}

const BRANCH_WARNING = 'Every branch of the project can use this key. Set a branch to limit it.';

const BUILDKITE_PRESET: Preset = {
  fields: [
    {
      claim: 'pipeline_id',
      label: 'Pipeline ID',
      placeholder: '0184990a-477b-4fa8-9968-496074483ce0',
      hint: 'A UUID, which the jobs of the pipeline have in BUILDKITE_PIPELINE_ID. A job must request its token with --claim pipeline_id.',
      isRequired: true,
      pattern: UUID,
    },
    { claim: 'build_branch', label: 'Branch', placeholder: 'main' },
  ],
  warning: BRANCH_WARNING,
};

const CIRCLECI_PRESET: Preset = {
  fields: [
    {
      claim: 'oidc.circleci.com/project-id',
      label: 'Project ID',
      placeholder: '0d7d8a1c-4c1c-4a71-8f31-4f1f2c0e9a22',
      hint: 'A UUID. It is in Project Settings, under Overview.',
      isRequired: true,
      pattern: UUID,
    },
    { claim: 'oidc.circleci.com/vcs-ref', label: 'Branch', placeholder: 'main', prefix: 'refs/heads/' },
  ],
  warning: BRANCH_WARNING,
};

const CLUSTER_PRESET: Preset = {
  fields: [
    {
      claim: 'sub',
      label: 'Service account',
      placeholder: 'namespace:name',
      hint: 'Anyone who can create pods in the namespace can use the service account.',
      isRequired: true,
      prefix: 'system:serviceaccount:',
      pattern: [
        '[a-z0-9\\-]+:[a-z0-9.\\-]+',
        'The namespace and the name of a service account, such as ci:deploy',
      ],
    },
  ],
};

const AWS_PRESET: Preset = {
  fields: [
    {
      claim: 'sub',
      label: 'Role ARN',
      placeholder: 'arn:aws:iam::123456789012:role/DataProcessing',
      hint: 'Anyone who can assume the role can use the key.',
      isRequired: true,
      pattern: ['arn:aws[a-z\\-]*:iam::[0-9]{12}:role/.+', 'The ARN of an IAM role'],
    },
  ],
};

const FORMS: Record<PresetName, (issuer: string) => Preset> = {
  github: gitHubPreset,
  gitlab: gitLabPreset,
  buildkite: () => BUILDKITE_PRESET,
  circleci: () => CIRCLECI_PRESET,
  kubernetes: () => CLUSTER_PRESET,
  eks: () => CLUSTER_PRESET,
  aws: () => AWS_PRESET,
};

/** Returns the preset for an issuer; undefined if neither its URL nor the stack's setting names the kind of CI. */
export function presetOf(issuer: TrustedIssuer): Preset | undefined {
  const kind = kindOf(issuer);
  return kind && FORMS[kind](issuer.issuer);
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
  if (isRequired) return [entry(claim, value.trim() && `${prefix}${value.trim()}`), ...others];
  if (value === '') return others;
  return [...others, entry(claim, `${prefix}${value}`), ...(also ? [entry(...also)] : [])];
}
