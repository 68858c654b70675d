/** The properties of tokens from one kind of CI. docs/issuers.md has sample claims and rules for each kind. */
export interface Preset {
  /** Display name of the kind of CI. */
  name: string;
  /**
   * A rule must bind at least one of these claims to exact text. Each claim contains an identifier that no one else can
   * register later.
   */
  claims: readonly string[];
  /** Whether the exact text must consist of digits. @default false */
  isNumber?: boolean;
  /** The algorithms with which the issuer signs. */
  algorithms: readonly string[];
  /**
   * Groups of claims that limit the branch. A rule that binds all claims in one group does not accept tokens from every
   * branch.
   * @default tokens have no branch
   */
  branch?: readonly (readonly string[])[];
}

const BRANCH = [['ref', 'ref_type'], ['ref', 'ref_protected'], ['environment'], ['sub']] as const;
/**
 * A cluster's API server signs with the key that the cluster's operator has configured, which is an RSA or ECDSA key.
 */
const CLUSTER = { claims: ['sub'], algorithms: ['RS256', 'ES256', 'ES384', 'ES512'] } as const;

/** The presets for the `trustedIssuers` setting. */
export const PRESETS = {
  // Organizations can customise `sub`, so binding that claim does not bind a tenant.
  github: {
    name: 'GitHub Actions',
    claims: ['repository_id', 'repository_owner_id'],
    isNumber: true,
    algorithms: ['RS256'],
    branch: BRANCH,
  },
  gitlab: {
    name: 'GitLab',
    claims: ['project_id', 'namespace_id'],
    isNumber: true,
    algorithms: ['RS256'],
    branch: BRANCH,
  },
  buildkite: {
    name: 'Buildkite',
    claims: ['organization_id', 'pipeline_id'],
    algorithms: ['RS256'],
    branch: [['build_branch'], ['build_tag']],
  },
  circleci: {
    name: 'CircleCI',
    claims: ['oidc.circleci.com/project-id'],
    algorithms: ['RS256'],
    branch: [['oidc.circleci.com/vcs-ref']],
  },
  kubernetes: { name: 'Kubernetes', ...CLUSTER },
  eks: { name: 'Amazon EKS', ...CLUSTER, algorithms: ['RS256'] },
  aws: { name: 'AWS IAM', claims: ['sub'], algorithms: ['ES384'] },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof PRESETS;

/** Issuers whose URL determines the preset that applies. */
interface HostedIssuer {
  url: RegExp;
  preset: PresetName;
  /** Whether the issuer's customers share this URL. If so, a rule that does not bind a tenant never matches a token. */
  isShared?: boolean;
}

const HOSTED: readonly HostedIssuer[] = [
  // A GitHub enterprise can have its own issuer URL, which ends with the enterprise's slug.
  {
    url: /^https:\/\/token\.actions\.githubusercontent\.com(\/|$)/,
    preset: 'github',
    isShared: true,
  },
  { url: /^https:\/\/gitlab\.com$/, preset: 'gitlab', isShared: true },
  { url: /^https:\/\/agent\.buildkite\.com$/, preset: 'buildkite', isShared: true },
  { url: /^https:\/\/oidc\.circleci\.com\/org\//, preset: 'circleci' },
  { url: /^https:\/\/oidc\.eks\.[a-z0-9-]+\.amazonaws\.com(\.cn)?\/id\/[A-Za-z0-9]+$/, preset: 'eks' },
  { url: /^https:\/\/[a-z0-9-]+\.tokens\.sts\.global\.api\.aws$/, preset: 'aws' },
];

const hosted = (issuer: string) => HOSTED.find(({ url }) => url.test(issuer));

/** Returns the preset that an issuer's URL determines; undefined if the URL determines no preset. */
export const presetOfUrl = (issuer: string): PresetName | undefined => hosted(issuer)?.preset;

/** Reports whether the issuer's customers share its URL. */
export const isShared = (issuer: string): boolean => hosted(issuer)?.isShared === true;
