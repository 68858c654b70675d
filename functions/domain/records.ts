import type { EpochMillis, EpochSeconds } from './expiry.ts';
import type { TrustRule } from './trust.ts';

/** One generation of a Deployment. */
export interface Deployment {
  id: string;
  name: string;
  /** Groups whose members can see the Deployment and manage its keys. */
  groups: string[];
  /** ULID of the generation. A Deployment that is registered again under the same ID gets a new generation. */
  generation: string;
  keyCount: number;
  /**
   * Revision of the Deployment, which increases by one with each change to the name or groups; undefined before the
   * first change.
   */
  revision?: number | undefined;
  /** When the Deployment was registered, in epoch milliseconds. */
  createdAt: EpochMillis;
}

/** Identifies one generation of a Deployment. */
export type Generation = Pick<Deployment, 'id' | 'generation'>;

/** Hash of a key's secret. */
export interface SecretHash {
  hash: string;
  /** When the secret was created, in epoch milliseconds. */
  createdAt: EpochMillis;
  /** When the service starts to reject the secret, in epoch milliseconds. */
  retiresAt?: EpochMillis | undefined;
  /** Whether the first use of the newer secret retires this secret. */
  retiresOnFirstUse?: boolean | undefined;
  /** When the last recorded exchange with this secret took place, in epoch milliseconds. */
  lastUsedAt?: EpochMillis | undefined;
  /**
   * `sub` of the person, or ARN of the principal, who rotated the key and received this secret; undefined means the
   * key's creator.
   */
  setBy?: string | undefined;
}

/** A report that one of the key's active secrets was exposed. */
export interface Leak {
  /** When the leak was reported, in epoch milliseconds. */
  reportedAt: EpochMillis;
  /**
   * Whether the rotation that ends the leak re-enables the key. True if the key was enabled before the leak and no one
   * has disabled it since.
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
  /** The key's secrets, oldest first. The list can include retired secrets; `activeSecrets` omits them. */
  secrets: SecretHash[];
  enabled: boolean;
  /**
   * The leak report for the key, from the time of the report until a rotation with `retireOld` "now". The key is
   * disabled in the meantime.
   */
  leak?: Leak | undefined;
  /**
   * The key's own expiry, in epoch milliseconds. This is not the TTL attribute, because expired keys stay in the list.
   */
  validUntil?: EpochMillis | undefined;
  /** The key's epoch, which each token copies when it is issued. A token with a different epoch is revoked. */
  epoch: number;
  /** The generation of the Deployment to which the key belongs. */
  generation: string;
  /** Revision of the key, which increases with each edit, so that neither of two concurrent edits is lost. */
  revision: number;
  /** When the key was created, in epoch milliseconds. */
  createdAt: EpochMillis;
  /** Creator: the `sub` of a person, or the ARN of a role. */
  createdBy: string;
  /** Name of the creator; undefined if the stack stored no names, or if the creator's access token had none. */
  createdByName?: string | undefined;
  /** Time of the last recorded use, in epoch milliseconds. A use is recorded at most once per slideInterval. */
  lastUsedAt?: EpochMillis | undefined;
  /** Source address of the last recorded use; '' if addresses are not recorded. */
  lastUsedAddress?: string | undefined;
  lastUsedClient?: string | undefined;
  /**
   * Days on which a use was recorded, as the number of days since 1970 in UTC. The daily sweep removes old days. A JSON
   * text of the key does not contain them.
   */
  activeDays?: Set<number> | undefined;
  /** When the key was last reactivated after being idle, or last rotated, in epoch milliseconds. */
  activeSince?: EpochMillis | undefined;
  /** The last notice that people got about the key, and the time to which the notice refers, in epoch milliseconds. */
  notice?: { type: string; of: EpochMillis } | undefined;
  /** When the sweep reported that the key has trust rules that do not bind a tenant, in epoch milliseconds. */
  unboundReportedAt?: EpochMillis | undefined;
  /** The violations of the key policy that the sweep has reported. */
  reportedViolations?: string[] | undefined;
  /** Rules for the tokens that the key accepts instead of a secret. A key with trust rules has no secret. */
  trust?: TrustRule[] | undefined;
  /** `sub` of the person, or ARN of the principal, who last set the trust rules; undefined means the key's creator. */
  trustSetBy?: string | undefined;
  /**
   * When the key was last enabled, in epoch milliseconds, and the `sub` or ARN of the person or principal who enabled
   * it.
   */
  lastEnabled?: { at: EpochMillis; by: string } | undefined;
  /** Allowed IP ranges (CIDR); undefined means any address. */
  networks?: string[] | undefined;
}

/** A key whose item is malformed. It cannot be exchanged for tokens, but people can list, disable and delete it. */
export interface MalformedKey {
  malformed: true;
  deploymentId: string;
  ulid: string;
  /** Name of the key. The name and all following fields are undefined if the item has no well-formed value for them. */
  name: string | undefined;
  description: string | undefined;
  scopes: string[] | undefined;
  secrets: SecretHash[] | undefined;
  enabled: boolean | undefined;
  leak: Leak | undefined;
  createdBy: string | undefined;
  trustSetBy: string | undefined;
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
  /** SHA-256 hash of the token, base64url. */
  hash: string;
  generation: string;
  epoch: number;
  /** The token's own scopes, if the request narrowed them; undefined for a token that has its key's scopes. */
  scopes?: string[] | undefined;
  /** When the access token was issued, in epoch seconds. */
  issuedAt: EpochSeconds;
  /** Source address of the exchange; undefined if addresses are not recorded. */
  issuedAddress?: string | undefined;
  /** Client of the exchange; undefined if it is not recorded. */
  issuedClient?: string | undefined;
  /** When the item expires, in epoch seconds. This is the TTL attribute. */
  expiresAt: EpochSeconds;
}

/** A person's temporary token. */
export interface TemporaryToken {
  deploymentId: string;
  /** ULID of the temporary token. */
  ulid: string;
  hash: string;
  generation: string;
  /** The person's `sub`. */
  sub: string;
  /** The person's name; undefined if the stack stored no names, or if the person's access token had none. */
  name?: string | undefined;
  /** When the person signed in, in epoch seconds; undefined for tokens that earlier versions issued. */
  signedInAt?: EpochSeconds | undefined;
  scopes: string[];
  /** When the temporary token was issued, in epoch seconds. */
  issuedAt: EpochSeconds;
  /** When the item expires, in epoch seconds. This is the TTL attribute. */
  expiresAt: EpochSeconds;
}

/** A person's identity. A `sub` is unique only together with its issuer. */
export interface PersonId {
  issuer: string;
  sub: string;
}

/** The sign-in on which a person's call is based. */
export interface SignIn extends PersonId {
  /**
   * Time of the sign-in, in epoch seconds. A refreshed session keeps the time of the original sign-in if the issuer's
   * tokens have `auth_time`.
   */
  at: EpochSeconds;
}

/** What the job does with the keys of a person whose access was ended. */
type KeysOfPerson = 'report' | 'disable';

/** The job that finds the keys of a person whose access was ended. */
export interface AccessJob {
  /** ID of the job: a new ULID each time access is ended, later than the ID of the job that it replaces. */
  id: string;
  keys: KeysOfPerson;
  /**
   * A job that disables keys leaves the keys enabled that someone else enabled after this time, in epoch milliseconds.
   * @default the time at which access was ended
   */
  keepsEnabledAfter?: EpochMillis | undefined;
  /** ID of the last Deployment whose keys the job has read. */
  after?: string | undefined;
  /**
   * True if the job must read all keys again, because other calls kept changing one of them; false if it has started to
   * do so. @default neither has happened
   */
  hasSkipped?: boolean | undefined;
  found: number;
  disabled: number;
  /** When the job finished, in epoch milliseconds. */
  finishedAt?: EpochMillis | undefined;
}

/** The record of a person whose access was ended. */
export interface AccessRecord extends PersonId {
  /**
   * When access was ended, in epoch milliseconds. The service rejects sign-ins and temporary tokens up to this time,
   * which never decreases.
   */
  endedAt: EpochMillis;
  /** Whether the service rejects all sign-ins until an administrator restores access. */
  blocked: boolean;
  /** Revision of the record, which increases with each change by an administrator. */
  revision: number;
  job: AccessJob;
}

/** A key that the job has found to belong to the person. */
export interface HeldKey {
  keyId: string;
  /** The job that last found the key. */
  jobId: string;
  name: string;
  /** Why the key belongs to the person: they created it, last set its trust rules, or received one of its secrets. */
  reasons: ('created' | 'secret' | 'trust')[];
  /** Whether the job disabled the key. */
  disabled: boolean;
}

/** The actor who made a change, as recorded in the event about that change. */
export interface Actor {
  /**
   * The person's `sub`, the ARN of the IAM role or user, the name of the job, or `anonymous`. This ID identifies an
   * actor only together with the type, because a person can have any `sub`.
   */
  principal: string;
  /** Name of the person; undefined if the stack stored no names, or if the person's access token had none. */
  name?: string | undefined;
  /** Type of the actor: a signed-in person, an IAM principal, a job of the service, or an anonymous caller. */
  type: 'person' | 'iam' | 'system' | 'anonymous';
  /** Source address of the call, as API Gateway saw it. */
  address: string;
  /** Request ID of the call, from API Gateway. */
  requestId: string;
}

/**
 * Proof that a call with an Idempotency-Key has already created something, so that a retry of the call creates nothing
 * else.
 */
export interface IdempotencyRecord {
  deploymentId: string;
  /**
   * The generation of the Deployment in which the call created something. The service ignores a record from another
   * generation.
   */
  generation: string;
  /** Hash of the principal, the route and the Idempotency-Key, base64url. */
  hash: string;
  /** Hash of the request body, base64url. */
  bodyHash: string;
  /** The response to the call, without the secret. */
  answer: { status: number; location?: string | undefined; body: string };
  /** When the item expires, in epoch seconds. This is the TTL attribute. */
  expiresAt: EpochSeconds;
}

/** A management call that the service rejected with a 4xx status. */
export interface RejectedCall {
  /** When the call was rejected, in epoch milliseconds. */
  at: EpochMillis;
  /** Route of the call, `METHOD /path/{parameter}`. */
  call: string;
  status: number;
  /** Code of the error. */
  code: string;
  /** Source address of the call, as API Gateway saw it. */
  address: string;
  /** Request ID of the call, from API Gateway. */
  requestId: string;
}

/** The rejected calls of one caller in one hour. */
export interface RejectedCalls {
  caller: Pick<Actor, 'principal' | 'type'>;
  /** The hour in UTC, such as `2030-01-01T12`. */
  hour: string;
  /** Number of calls, including calls about Deployments that the list does not contain. */
  callCount: number;
  /** The first Deployments that the caller named in this hour, whether or not they exist. */
  deployments: { deploymentId: string; count: number; last: RejectedCall }[];
}
