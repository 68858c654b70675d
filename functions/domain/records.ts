import type { TrustRule } from './trust.ts';
/** A Deployment in one of its lives. */
export interface Deployment {
  id: string;
  name: string;
  /** People in one of these groups may see it and manage its keys. */
  groups: string[];
  /** ULID of this life: a Deployment made again under the same ID has another. */
  generation: string;
  keyCount: number;
  /** One more with each change of its name or groups; undefined before the first. */
  revision?: number | undefined;
  /** Epoch milliseconds. */
  createdAt: number;
}

/** One generation of a Deployment. */
export type Generation = Pick<Deployment, 'id' | 'generation'>;

/** The hash of a secret that a key accepts. */
export interface SecretHash {
  hash: string;
  /** Epoch milliseconds. */
  createdAt: number;
  /** Epoch milliseconds: from then on it is refused. */
  retiresAt?: number | undefined;
  /** It is refused as soon as the newer one has been used. */
  retiresOnFirstUse?: boolean | undefined;
  /** Epoch milliseconds: its last exchange, as far as it was recorded. */
  lastUsedAt?: number | undefined;
}

/** Somebody has shown a living secret of the key that should have been nowhere. */
export interface Leak {
  /** Epoch milliseconds. */
  reportedAt: number;
  /** Whether the rotation that ends the leak enables the key: it was enabled, and nobody has disabled it since. */
  wasEnabled: boolean;
}

/** An API key. Its ID is `dk_<deploymentId>_<ulid>`. */
export interface ApiKey {
  deploymentId: string;
  ulid: string;
  name: string;
  description?: string | undefined;
  scopes: string[];
  /** Oldest first. Retired ones may still stand here: `livingSecrets` tells. */
  secrets: SecretHash[];
  enabled: boolean;
  /** Set from the report until the key is rotated at once; all the while it is disabled. */
  leak?: Leak | undefined;
  /** The key's own expiry, epoch milliseconds. Not the TTL attribute: an expired key stays listed. */
  validUntil?: number | undefined;
  /** Its tokens copy this number; those of another are dead. */
  epoch: number;
  /** The life of the Deployment that it belongs to. */
  generation: string;
  /** Grows with each edit, so that two edits at once do not lose one. */
  revision: number;
  /** Epoch milliseconds. */
  createdAt: number;
  /** `sub` of the person, or the ARN of the role. */
  createdBy: string;
  /** Epoch milliseconds: as far as it was recorded, at most once a slideInterval. */
  lastUsedAt?: number | undefined;
  /** From where; '' where that is not kept. */
  lastUsedAddress?: string | undefined;
  lastUsedClient?: string | undefined;
  /** Epoch milliseconds: when a key that was idle was taken into use again, or was rotated. */
  activeSince?: number | undefined;
  /** What people were told of it last, and of which moment in epoch milliseconds. */
  notice?: { type: string; of: number } | undefined;
  /** Epoch milliseconds: when the sweep reported trust rules that bind no tenant. */
  unboundReportedAt?: number | undefined;
  /** Whose tokens open it in place of a secret: then it has none. */
  trust?: TrustRule[] | undefined;
  /** CIDRs from which alone it can be used; undefined: from anywhere. */
  networks?: string[] | undefined;
}

/** A key whose item is malformed. It gets no tokens. It can be listed, disabled and deleted. */
export interface MalformedKey {
  malformed: true;
  deploymentId: string;
  ulid: string;
  /** Each of these is undefined where the item does not have it, well-formed. */
  name: string | undefined;
  description: string | undefined;
  scopes: string[] | undefined;
  secrets: SecretHash[] | undefined;
  enabled: boolean | undefined;
  leak: Leak | undefined;
  createdBy: string | undefined;
}

/** What a check needs of a key. */
export type CheckedKey = Pick<
  ApiKey,
  'scopes' | 'enabled' | 'validUntil' | 'epoch' | 'generation' | 'lastUsedAt' | 'networks'
>;

/** An access token that was got with a key. */
export interface Token {
  deploymentId: string;
  /** ULID of the key. */
  ulid: string;
  /** SHA-256 of the token, base64url. */
  hash: string;
  generation: string;
  epoch: number;
  /** Set when the request narrowed the scopes; otherwise the token follows its key. */
  scopes?: string[] | undefined;
  /** Epoch seconds. */
  issuedAt: number;
  /** Epoch seconds: the TTL attribute. */
  expiresAt: number;
}

/** A temporary token of a person. */
export interface Grant {
  deploymentId: string;
  /** ULID of the grant. */
  ulid: string;
  hash: string;
  generation: string;
  /** The person's `sub`. */
  sub: string;
  scopes: string[];
  /** Epoch seconds. */
  issuedAt: number;
  /** Epoch seconds: the TTL attribute. */
  expiresAt: number;
}

/** Who changed something, for the event that the change writes. */
export interface Actor {
  /**
   * `sub` of the person, ARN of the IAM role or user, name of the job, or `anonymous`. A person can have any `sub`: who it
   * is depends on the type too.
   */
  principal: string;
  /** A signed-in person, an IAM principal, a job of the service, or a caller who did not sign in. */
  type: 'person' | 'iam' | 'system' | 'anonymous';
  /** Source address as API Gateway saw it. */
  address: string;
  /** API Gateway's request ID. */
  requestId: string;
}

/** That a call with an Idempotency-Key has made something, so that a retry of it makes nothing. */
export interface IdempotencyRecord {
  deploymentId: string;
  /** The life of the Deployment in which it was made: a record of an earlier one stands for nothing. */
  generation: string;
  /** Hash of principal, route and Idempotency-Key, base64url. */
  hash: string;
  /** Hash of the body, base64url. */
  bodyHash: string;
  /** What was answered, without the secret. */
  answer: { status: number; location?: string | undefined; body: string };
  /** Epoch seconds: the TTL attribute. */
  expiresAt: number;
}

/** A management call that the service rejected with a 4xx status. */
export interface RejectedCall {
  /** Epoch milliseconds. */
  at: number;
  /** Its route, `METHOD /path/{parameter}`. */
  call: string;
  status: number;
  /** The error's code. */
  code: string;
  /** Source address as API Gateway saw it. */
  address: string;
  /** API Gateway's request ID. */
  requestId: string;
}

/** The rejected calls of one caller in one hour. */
export interface RejectedCalls {
  caller: Pick<Actor, 'principal' | 'type'>;
  /** Such as `2030-01-01T12`, in UTC. */
  hour: string;
  /** How many there were, including those about Deployments that are not listed below. */
  callCount: number;
  /** The first Deployments that the caller named in that hour, whether they exist or not. */
  deployments: { deploymentId: string; count: number; last: RejectedCall }[];
}
