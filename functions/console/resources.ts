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
  leakedAt?: string;
  createdAt: string;
  createdBy: string;
  expiresAt?: string;
  lastUsedAt?: string;
  lastUsedFrom?: { address?: string; client?: string };
  /** CIDRs from which alone it can be used; none: from anywhere. */
  networks: string[];
  /** Whose tokens open it in place of a secret. */
  trust?: TrustRule[];
  /** Rules that bind no tenant: an ignored one matches nothing, any other keeps matching until it is edited. */
  unboundTrust?: { index: number; detail: string; ignored: boolean }[];
  /** The secrets that are accepted now, oldest first. */
  credentials: Credential[];
}

/** One of a key's secrets, without the secret. */
export interface Credential {
  createdAt: string;
  retiresAt?: string;
  retiresOnFirstUse?: boolean;
  lastUsedAt?: string;
}

export interface TrustRule {
  issuer: string;
  /** The service's URL where it is left out. */
  audience?: string;
  claims: Record<string, string | { prefix: string }>;
  singleUse?: boolean;
}

/** When a rotation retires the old secret: after so many seconds, or as the words say. */
export type RetireOld = number | 'on_first_use' | 'now';

/** One entry of a Deployment's history, as CloudEvents has it. */
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
  /** Absent where the answer repeats an earlier one. */
  access_token?: string;
  expiresAt: string;
  scope: string;
}

/** A key as the call that made it, or gave it a new secret, answers. */
export interface NewKey extends ApiKey {
  /** Absent where the answer repeats an earlier one, since a secret is told once; and with trust rules. */
  secret?: string;
}

/** What a key is made with. */
export interface KeyInput {
  name: string;
  description?: string;
  scopes: string[];
  /** RFC 3339 */
  expiresAt?: string;
  networks?: string[];
  trust?: TrustRule[];
}

/** What is to change of a key; null clears. */
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
