import { type Clock, capped, expiryOfSlide, isLive, type Lifetimes } from './expiry.ts';
import { type Credential, formatKeyId, parseCredential } from './identifiers.ts';
import { isAllowedFrom, type KeyRejection, keyRejection } from './key-status.ts';
import {
  type Caller,
  isUseDue,
  type LastUsedFrom,
  originOf,
  recordedBefore,
  type UseOrigin,
} from './last-use.ts';
import type { CheckedKey, Deployment, Grant, Token } from './records.ts';
import { deploymentScope, effectiveScopes } from './scopes.ts';
import { hashOf } from './secrets.ts';

/** Where a check finds its records. Every method throws when the store gives no certain answer (G7). */
export interface CheckStore {
  /** One strongly consistent read of all that the token stands on. Absent or malformed records are left out. */
  read(credential: Credential, hash: string): Promise<CheckedRecords>;
  /**
   * Make a live token valid until `until`, and never shorten it.
   * @param until epoch seconds
   * @param now epoch milliseconds
   * @param from recorded with it
   * @returns the token's `expiresAt` in epoch seconds: `until`, or a later one that another use has written;
   *   undefined when the token is expired or gone
   */
  slide(
    credential: Credential,
    hash: string,
    until: number,
    now: number,
    from: UseOrigin,
  ): Promise<number | undefined>;
  /**
   * Record the use on the token's key, unless another was recorded later than `before`.
   * @param before epoch milliseconds
   * @param now epoch milliseconds
   */
  touch(credential: Credential, before: number, now: number, from: UseOrigin): Promise<void>;
}

/** What the store holds now for one presented token. */
export interface CheckedRecords {
  deployment?: Pick<Deployment, 'generation'> | undefined;
  /** Only for tokens of a key. */
  key?: CheckedKey | undefined;
  token?: Pick<Token, 'generation' | 'epoch' | 'scopes' | 'issuedAt' | 'expiresAt'> | undefined;
  /** Only for temporary tokens. */
  grant?: Pick<Grant, 'generation' | 'sub' | 'scopes' | 'issuedAt' | 'expiresAt'> | undefined;
}

/** Why a token is denied; for the log and the metric, never for the caller. */
export type Refusal =
  /** It does not have the form of a token. Decided without reading the store. */
  | 'malformed'
  /** There is no such token, or it was revoked, purged or deleted by TTL. */
  | 'unknown'
  /** The token has expired. */
  | 'expired'
  /** Its key or its Deployment cannot be used. An idle key still can: its tokens stay valid. */
  | Exclude<KeyRejection, 'idle'>
  /** The token is valid, but for another Deployment than the call is about. */
  | 'deployment'
  /** The token is valid, but lacks a scope that the call requires. */
  | 'scope'
  /** The token is valid, but the call is malformed, so nobody knows what it requires. */
  | 'request';

/** What a call requires of a token, beyond that it is good. */
export interface Demand extends Caller {
  /** The Deployment that the call is about; undefined: the call names none. */
  deploymentId?: string | undefined;
  /** Scopes that the token must have, all of them. */
  scopes: readonly string[];
  /** Whether the call is malformed. The token is then judged and not used. @default false */
  isMalformed?: boolean;
}

/** A good token is enough. */
const NOTHING_MORE: Demand = { scopes: [] };

/** What a good token may do, and until when. */
export interface Access {
  /** Key ID, or the person's `sub`. */
  principalId: string;
  principalType: 'api_key' | 'person';
  deploymentId: string;
  /** Without the `deployment:<id>` that leads the scope string. */
  scopes: string[];
  /** Epoch seconds. */
  issuedAt: number;
  /** Epoch seconds: when access ends without a further use. */
  expiresAt: number;
}

export type Verdict = { allowed: true; access: Access } | { allowed: false; reason: Refusal };

/** What the stack has decided about all tokens. */
export interface CheckRules extends Lifetimes {
  /** Scopes that the stack knows. */
  scopes: readonly string[];
  lastUsedFrom: LastUsedFrom;
}

/**
 * A use: check a token and slide it when that is due. Keeps no state between calls. A token that is refused, for
 * a lacking scope as for any other reason, has not been used.
 * @param presented what came as the bearer token, untrusted
 * @throws whatever the store throws: the caller must let nobody in
 */
export async function check(
  presented: string,
  { store, clock, rules }: { store: CheckStore; clock: Clock; rules: CheckRules },
  demand: Demand = NOTHING_MORE,
): Promise<Verdict> {
  const credential = parseToken(presented);
  if (!credential) return refused('malformed');
  const isForAnother = demand.deploymentId !== undefined && demand.deploymentId !== credential.deploymentId;
  if (isForAnother) return refused('deployment');
  const now = clock();
  const hash = hashOf(presented);
  const records = await store.read(credential, hash);
  const verdict = judge(credential, records, now, rules);
  if (!verdict.allowed) return verdict;
  if (records.key && !isAllowedFrom(records.key, demand.address)) return refused('network');
  if (demand.isMalformed) return refused('request');
  if (!demand.scopes.every((scope) => verdict.access.scopes.includes(scope))) return refused('scope');
  const until = records.token && expiryOfSlide(records.token, now, rules);
  if (!until || !records.token) return verdict;

  const from = originOf(demand, rules.lastUsedFrom);
  // Beside the slide, and whatever becomes of it, but never left behind: nothing runs after the answer.
  const before = recordedBefore(rules.slideInterval, now);
  const touched = isUseDue(records.key?.lastUsedAt, before)
    ? store.touch(credential, before, now, from).catch(() => {})
    : undefined;
  const expiresAt = await store.slide(credential, hash, until, now, from).finally(() => touched);
  // Revoked, or swept by TTL, between the read and the write.
  if (expiresAt === undefined) return refused('unknown');
  return judge(credential, { ...records, token: { ...records.token, expiresAt } }, now, rules);
}

/** The parts of an access token or a temporary token; undefined for all else, a key's secret included. */
export function parseToken(presented: string): Credential | undefined {
  const credential = parseCredential(presented);
  return credential?.kind === 'secret' ? undefined : credential;
}

/**
 * Is this token good at this moment? Used by the check, and by introspection, which is not a use.
 * @param now epoch milliseconds
 */
export function judge(
  credential: Credential,
  records: CheckedRecords,
  now: number,
  rules: CheckRules,
): Verdict {
  return credential.kind === 'temporary'
    ? judgeGrant(credential, records, now, rules)
    : judgeToken(credential, records, now, rules);
}

function judgeToken(
  { deploymentId, ulid }: Credential,
  { deployment, key, token }: CheckedRecords,
  now: number,
  rules: CheckRules,
): Verdict {
  if (!token) return refused('unknown');
  if (!key) return refused('revoked');
  // Allowed IP ranges are checked last: only a valid token is denied for its network.
  const rejection = keyRejection(key, { deployment, token, now, isIdle: false, from: 'anywhere' });
  if (rejection) return refused(rejection);
  const keyEndsAt = key.validUntil === undefined ? Number.POSITIVE_INFINITY : key.validUntil / 1000;
  const expiresAt = Math.min(capped(token.expiresAt, token.issuedAt, rules), keyEndsAt);
  if (!isLive(expiresAt, now)) return refused('expired');
  return {
    allowed: true,
    access: {
      principalId: formatKeyId(deploymentId, ulid),
      principalType: 'api_key',
      deploymentId,
      scopes: effectiveScopes(token.scopes, key.scopes, rules.scopes),
      issuedAt: token.issuedAt,
      expiresAt: Math.floor(expiresAt),
    },
  };
}

function judgeGrant(
  { deploymentId }: Credential,
  { deployment, grant }: CheckedRecords,
  now: number,
  rules: CheckRules,
): Verdict {
  if (!grant) return refused('unknown');
  if (grant.generation !== deployment?.generation) return refused('revoked');
  if (!isLive(grant.expiresAt, now)) return refused('expired');
  return {
    allowed: true,
    access: {
      principalId: grant.sub,
      principalType: 'person',
      deploymentId,
      scopes: effectiveScopes(grant.scopes, undefined, rules.scopes),
      issuedAt: grant.issuedAt,
      expiresAt: grant.expiresAt,
    },
  };
}

/** The scope string: `deployment:<id>` and then the words, RFC 6749 §3.3. */
export function scopeOf({ deploymentId, scopes }: Pick<Access, 'deploymentId' | 'scopes'>): string {
  return [deploymentScope(deploymentId), ...scopes].join(' ');
}

function refused(reason: Refusal): Verdict {
  return { allowed: false, reason };
}
