/** The resources of the service's API that the console uses. */

export interface Deployment {
  id: string;
  name: string;
  groups: string[];
  createdAt: string;
}

export interface DeploymentChanges {
  name?: string;
  groups?: string[];
}

export interface ApiKey {
  id: string;
  name: string;
  description: string | null;
  scopes: string[];
  enabled: boolean;
  status: 'active' | 'leaked' | 'disabled' | 'expired' | 'idle';
  /** True if the key's item is malformed. Such a key can only be disabled or deleted. */
  malformed?: boolean;
  leakedAt?: string;
  createdAt: string;
  createdBy: string;
  createdByName?: string;
  expiresAt?: string;
  lastUsedAt?: string;
  lastUsedFrom?: Origin;
  /** Dates in UTC of the last 90 days on which a use was recorded, oldest first, like `2030-01-31`. */
  activeDays: string[];
  /** Allowed IP ranges (CIDR). An empty array allows any address. */
  networks: string[];
  /** Rules for the tokens that the key accepts instead of a secret. */
  trust?: TrustRule[];
  /**
   * Trust rules that do not bind a tenant. A rule marked as ignored does not match any token; any other rule keeps
   * matching until someone edits it.
   */
  unboundTrust?: { index: number; detail: string; ignored: boolean }[];
  /** How the key violates the stack's policy, if the key is older than the policy. Such a key keeps working. */
  policyViolations?: ('no_expiry' | 'expiry_too_late' | 'secret')[];
  /** Active secrets of the key, oldest first. */
  credentials: Credential[];
}

/** Source of a call: its address and client. */
export interface Origin {
  address?: string;
  client?: string;
}

/** A key's secret, without its value. */
export interface Credential {
  createdAt: string;
  retiresAt?: string;
  retiresOnFirstUse?: boolean;
  lastUsedAt?: string;
}

export interface TrustRule {
  issuer: string;
  /** Defaults to the service's URL. */
  audience?: string;
  claims: Record<string, string | { prefix: string }>;
  singleUse?: boolean;
}

/**
 * When a rotation retires the old secret: after this many seconds, on the first use of the new secret, or immediately.
 */
export type RetireOld = number | 'on_first_use' | 'now';

/** One event of a Deployment, in the format of CloudEvents 1.0. */
export interface ServiceEvent {
  id: string;
  type: string;
  time: string;
  data: {
    actor: {
      principal: string;
      name?: string;
      type: 'person' | 'iam' | 'system' | 'anonymous';
      address: string;
    };
    keyId?: string;
    name?: string;
    [name: string]: unknown;
  };
}

/** An active access token of a key, without the token itself. */
export interface AccessToken {
  id: string;
  issuedAt: string;
  expiresAt: string;
  /** The token's scopes; absent if the token has all scopes of its key. */
  scope?: string;
  lastUsedAt?: string;
  lastUsedFrom?: Origin;
}

/** A difference between a CI token and a trust rule. */
export interface Difference {
  kind: 'signature' | 'time' | 'issuer' | 'audience' | 'tenant' | 'claim';
  claim?: string;
  expected?: string | { prefix: string };
  /**
   * The claim's value in the token; absent if the token does not have the claim, or if the token's signature is not
   * valid.
   */
  actual?: string;
  /** A sentence. */
  detail: string;
}

/** Result of comparing a CI token with a key's trust rules. */
export interface Explanation {
  status: ApiKey['status'];
  matches: boolean;
  rules: { index: number; issuer: string; matches: boolean; differences: Difference[] }[];
}

/** The job that finds the keys of a person whose access was ended. */
export interface AccessJob {
  /** What the job does with the keys: reports them or disables them. */
  keys: 'report' | 'disable';
  status: 'running' | 'finished';
  found: number;
  disabled: number;
  finishedAt?: string;
}

/** The state of a person's access. */
export interface PersonAccess {
  sub: string;
  /** When access was ended; absent if it was never ended. */
  endedAt?: string;
  /** Whether the service rejects every sign-in of the person. */
  blocked: boolean;
  job?: AccessJob;
}

/** A key that belongs to a person, and the reasons why it belongs to that person. */
export interface HeldKey {
  id: string;
  name: string;
  reasons: ('created' | 'secret' | 'trust')[];
  disabled: boolean;
}

export interface FoundPerson extends PersonAccess {
  /** One page of the keys that the job has found. */
  keys: HeldKey[];
  nextCursor?: string;
}

export interface TemporaryToken {
  id: string;
  scope: string;
  createdAt: string;
  createdBy: string;
  createdByName?: string;
  expiresAt: string;
}

export interface IssuedToken {
  id: string;
  /** The temporary token; absent from the response to a retry. */
  access_token?: string;
  expiresAt: string;
  scope: string;
}

/** The response to creating or rotating a key. */
export interface NewKey extends ApiKey {
  /**
   * The key's secret. It is absent if the key has trust rules, and absent from the response to a retry, because a
   * secret is returned only once.
   */
  secret?: string;
}

/** The request that creates a key. */
export interface KeyInput {
  name: string;
  description?: string;
  scopes: string[];
  /** RFC 3339 */
  expiresAt?: string;
  networks?: string[];
  trust?: TrustRule[];
}

/** Changes to a key. null clears a field. */
export interface KeyChanges extends Partial<Omit<KeyInput, 'description' | 'expiresAt'>> {
  description?: string | null;
  expiresAt?: string | null;
  enabled?: boolean;
}

/** A field that violates a rule. */
export interface FieldFault {
  field: string;
  rule: string;
}
