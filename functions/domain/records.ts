import type { TrustRule } from './trust.ts';
/** One generation of a Deployment. */
export interface Deployment {
  id: string;
  name: string;
  /** Members of these groups may see the Deployment and manage its keys. */
  groups: string[];
  /** A ULID. A Deployment registered again under the same ID gets a new one. */
  generation: string;
  keyCount: number;
  /** Grows by one with each change of the name or groups; undefined before the first change. */
  revision?: number | undefined;
  /** Epoch milliseconds. */
  createdAt: number;
}

/** Identifies one generation of a Deployment. */
export type Generation = Pick<Deployment, 'id' | 'generation'>;

/** The hash of a secret of a key. */
export interface SecretHash {
  hash: string;
  /** Epoch milliseconds. */
  createdAt: number;
  /** Epoch milliseconds. From then on the service rejects the secret. */
  retiresAt?: number | undefined;
  /** Whether the first use of the newer secret retires this one. */
  retiresOnFirstUse?: boolean | undefined;
  /** Epoch milliseconds: the last recorded exchange with this secret. */
  lastUsedAt?: number | undefined;
}

/** A report that an active secret of the key was exposed. */
export interface Leak {
  /** Epoch milliseconds. */
  reportedAt: number;
  /**
   * Whether the rotation that ends the leak enables the key again: true if it was enabled and no one has disabled it
   * since.
   */
  wasEnabled: boolean;
}

/** An API key. Its ID is `dk_<deploymentId>_<ulid>`. */
export interface ApiKey {
  deploymentId: string;
  ulid: string;
  name: string;
  description?: string | undefined;
  scopes: string[];
  /** Oldest first. May include retired secrets; `livingSecrets` leaves them out. */
  secrets: SecretHash[];
  enabled: boolean;
  /** Set from the report of a leak until a rotation with `retireOld` "now". Meanwhile the key is disabled. */
  leak?: Leak | undefined;
  /** The key's own expiry, in epoch milliseconds. Not the TTL attribute, because an expired key stays listed. */
  validUntil?: number | undefined;
  /** Each token copies this number when it is issued. A token with another number is revoked. */
  epoch: number;
  /** The generation of the Deployment to which the key belongs. */
  generation: string;
  /** Grows with each edit, so that of two concurrent edits neither is lost. */
  revision: number;
  /** Epoch milliseconds. */
  createdAt: number;
  /** `sub` of the person, or the ARN of the role. */
  createdBy: string;
  /** Epoch milliseconds: the last recorded use, recorded at most once per slideInterval. */
  lastUsedAt?: number | undefined;
  /** Source address of the last recorded use; '' where addresses are not recorded. */
  lastUsedAddress?: string | undefined;
  lastUsedClient?: string | undefined;
  /** Epoch milliseconds: when an idle key was reactivated, or when the key was last rotated. */
  activeSince?: number | undefined;
  /** The last notice that people got about the key, and the time that it was about in epoch milliseconds. */
  notice?: { type: string; of: number } | undefined;
  /** Epoch milliseconds: when the sweep reported trust rules that bind no tenant. */
  unboundReportedAt?: number | undefined;
  /** Which tokens the key accepts instead of a secret. A key with trust rules has no secret. */
  trust?: TrustRule[] | undefined;
  /** Allowed IP ranges (CIDR); undefined means any address. */
  networks?: string[] | undefined;
}

/** A key whose item is malformed. It gets no tokens, but people can list, disable and delete it. */
export interface MalformedKey {
  malformed: true;
  deploymentId: string;
  ulid: string;
  /** This and the following fields are undefined where the item has no well-formed value. */
  name: string | undefined;
  description: string | undefined;
  scopes: string[] | undefined;
  secrets: SecretHash[] | undefined;
  enabled: boolean | undefined;
  leak: Leak | undefined;
  createdBy: string | undefined;
}

/** The fields of a key that a check needs. */
export type CheckedKey = Pick<
  ApiKey,
  'scopes' | 'enabled' | 'validUntil' | 'epoch' | 'generation' | 'lastUsedAt' | 'networks'
>;

/** An access token that was issued for a key. */
export interface Token {
  deploymentId: string;
  /** ULID of the key. */
  ulid: string;
  /** SHA-256 of the token, base64url. */
  hash: string;
  generation: string;
  epoch: number;
  /** Set when the request narrowed the scopes; otherwise the token has its key's scopes. */
  scopes?: string[] | undefined;
  /** Epoch seconds. */
  issuedAt: number;
  /** Epoch seconds: the TTL attribute. */
  expiresAt: number;
}

/** A temporary token of a person. */
export interface Grant {
  deploymentId: string;
  /** ULID of the temporary token. */
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

/** Who changed something, as the change's event records it. */
export interface Actor {
  /**
   * The person's `sub`, the ARN of the IAM role or user, the name of the job, or `anonymous`. Only together with the
   * type does it identify an actor, because a person can have any `sub`.
   */
  principal: string;
  /** A signed-in person, an IAM principal, a job of the service, or an anonymous caller. */
  type: 'person' | 'iam' | 'system' | 'anonymous';
  /** Source address as API Gateway saw it. */
  address: string;
  /** API Gateway's request ID. */
  requestId: string;
}

/** Records that a call with an Idempotency-Key created something, so that a retry of it creates nothing. */
export interface IdempotencyRecord {
  deploymentId: string;
  /** The generation of the Deployment in which it was created. A record of another generation does not count. */
  generation: string;
  /** Hash of principal, route and Idempotency-Key, base64url. */
  hash: string;
  /** Hash of the body, base64url. */
  bodyHash: string;
  /** The answer to the call, without the secret. */
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
  /** The hour in UTC, such as `2030-01-01T12`. */
  hour: string;
  /** The number of calls, including those about Deployments that are not listed below. */
  callCount: number;
  /** The first Deployments that the caller named in that hour, whether or not they exist. */
  deployments: { deploymentId: string; count: number; last: RejectedCall }[];
}
