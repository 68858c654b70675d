/** The resources of the service's API, as far as the console uses them. */

export interface Deployment {
  id: string;
  name: string;
  groups: string[];
  createdAt: string;
}

export interface ApiKey {
  id: string;
  name: string;
  description: string | null;
  scopes: string[];
  enabled: boolean;
  status: 'active' | 'leaked' | 'disabled' | 'expired' | 'idle';
  /** True if the item of the key is malformed. It can only be disabled and deleted. */
  malformed?: boolean;
  leakedAt?: string;
  createdAt: string;
  createdBy: string;
  expiresAt?: string;
  lastUsedAt?: string;
  lastUsedFrom?: { address?: string; client?: string };
  /** Allowed IP ranges (CIDR). An empty array allows any address. */
  networks: string[];
  /** Which tokens the key accepts instead of a secret. */
  trust?: TrustRule[];
  /**
   * Trust rules that bind no tenant. An ignored one matches nothing; any other keeps matching until someone edits it.
   */
  unboundTrust?: { index: number; detail: string; ignored: boolean }[];
  /** The active secrets, oldest first. */
  credentials: Credential[];
}

/** A secret of a key, without its value. */
export interface Credential {
  createdAt: string;
  retiresAt?: string;
  retiresOnFirstUse?: boolean;
  lastUsedAt?: string;
}

export interface TrustRule {
  issuer: string;
  /** The default is the service's URL. */
  audience?: string;
  claims: Record<string, string | { prefix: string }>;
  singleUse?: boolean;
}

/** When a rotation retires the old secret: after this many seconds, on the first use of the new one, or immediately. */
export type RetireOld = number | 'on_first_use' | 'now';

/** One event of a Deployment, as CloudEvents 1.0. */
export interface ServiceEvent {
  id: string;
  type: string;
  time: string;
  data: {
    actor: { principal: string; type: 'person' | 'iam' | 'system' | 'anonymous'; address: string };
    keyId?: string;
    name?: string;
    [name: string]: unknown;
  };
}

export interface TemporaryToken {
  id: string;
  scope: string;
  createdAt: string;
  createdBy: string;
  expiresAt: string;
}

export interface IssuedToken {
  id: string;
  /** Absent if the answer is to a retry. */
  access_token?: string;
  expiresAt: string;
  scope: string;
}

/** The answer to creating or rotating a key. */
export interface NewKey extends ApiKey {
  /** Absent if the answer is to a retry, because a secret is returned only once, and if the key has trust rules. */
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

/** A field that breaks a rule. */
export interface FieldFault {
  field: string;
  rule: string;
}
