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

/** Where a check reads and writes records. Every method throws when the store gives no certain answer (G7). */
export interface CheckStore {
  /**
   * Reads everything that the token depends on, in one strongly consistent read. Leaves out absent and malformed
   * records.
   */
  read(credential: Credential, hash: string): Promise<CheckedRecords>;
  /**
   * Extends a valid token to `until`. Never shortens it.
   * @param until epoch seconds
   * @param now epoch milliseconds
   * @param from recorded with the use
   * @returns the token's `expiresAt` in epoch seconds: `until`, or a later time that another use has written; undefined
   *   when the token has expired or does not exist
   */
  slide(
    credential: Credential,
    hash: string,
    until: number,
    now: number,
    from: UseOrigin,
  ): Promise<number | undefined>;
  /**
   * Records the use in the token's key, unless a use later than `before` is recorded.
   * @param before epoch milliseconds
   * @param now epoch milliseconds
   */
  touch(credential: Credential, before: number, now: number, from: UseOrigin): Promise<void>;
}

/** The current records of a presented token. */
export interface CheckedRecords {
  deployment?: Pick<Deployment, 'generation'> | undefined;
  /** Only for access tokens. */
  key?: CheckedKey | undefined;
  token?: Pick<Token, 'generation' | 'epoch' | 'scopes' | 'issuedAt' | 'expiresAt'> | undefined;
  /** Only for temporary tokens. */
  grant?: Pick<Grant, 'generation' | 'sub' | 'scopes' | 'issuedAt' | 'expiresAt'> | undefined;
}

/** Why a call is denied. For the log and the metric, never for the caller. */
export type Refusal =
  /** The token does not have the form of a token. This is decided without reading the store. */
  | 'malformed'
  /** The token does not exist, or it was revoked, purged or deleted by TTL. */
  | 'unknown'
  /** The token has expired. */
  | 'expired'
  /** The token's key or Deployment cannot be used. Never `idle`, because the tokens of an idle key stay valid. */
  | Exclude<KeyRejection, 'idle'>
  /** The token is valid, but the call is about another Deployment. */
  | 'deployment'
  /** The token is valid, but lacks a scope that the call requires. */
  | 'scope'
  /** The token is valid, but the call is malformed, so that its requirements are unknown. */
  | 'request';

/** What a call requires in addition to a valid token. */
export interface Demand extends Caller {
  /** The Deployment that the call is about; undefined if it names none. */
  deploymentId?: string | undefined;
  /** Scopes that the token must have. All of them are required. */
  scopes: readonly string[];
  /**
   * Whether the call is malformed. The token is then checked, but the call is denied and is not a use. @default false
   */
  isMalformed?: boolean;
}

/** Requires only a valid token. */
const NOTHING_MORE: Demand = { scopes: [] };

/** What a valid token gives access to, and until when. */
export interface Access {
  /** Key ID, or the person's `sub`. */
  principalId: string;
  principalType: 'api_key' | 'person';
  deploymentId: string;
  /** Without the first scope, `deployment:<id>`. */
  scopes: string[];
  /** Epoch seconds. */
  issuedAt: number;
  /** Epoch seconds: when the token expires unless it is used again. */
  expiresAt: number;
}

export type Verdict = { allowed: true; access: Access } | { allowed: false; reason: Refusal };

/** The settings of the stack for all tokens. */
export interface CheckRules extends Lifetimes {
  /** Scopes that the stack defines. */
  scopes: readonly string[];
  lastUsedFrom: LastUsedFrom;
}

/**
 * Checks a token, and extends it when that is due. A call that it allows is a use; a denied call is not. Keeps no state
 * between calls.
 * @param presented the text presented as the bearer token, untrusted
 * @param demand what the call requires in addition to a valid token
 * @throws whatever the store throws. The caller must then deny the call.
 * @example
 * ```
 * const verdict = await check(token, { store, clock: Date.now, rules }, { deploymentId: 'etl', scopes: ['airflow:read'] });
 * if (verdict.allowed) console.log(verdict.access.principalId);
 * ```
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
  // Runs concurrently with the extension, whether or not that succeeds. It is awaited, because Lambda runs nothing
  // after the answer.
  const before = recordedBefore(rules.slideInterval, now);
  const touched = isUseDue(records.key?.lastUsedAt, before)
    ? store.touch(credential, before, now, from).catch(() => {})
    : undefined;
  const expiresAt = await store.slide(credential, hash, until, now, from).finally(() => touched);
  // The token was revoked, or deleted by TTL, between the read and the write.
  if (expiresAt === undefined) return refused('unknown');
  return judge(credential, { ...records, token: { ...records.token, expiresAt } }, now, rules);
}

/**
 * Returns the parts of an access token or a temporary token; undefined for any other text, including a key's secret.
 */
export function parseToken(presented: string): Credential | undefined {
  const credential = parseCredential(presented);
  return credential?.kind === 'secret' ? undefined : credential;
}

/**
 * Reports whether a token is valid now. Used by the check, and by introspection, which is not a use.
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
  // Allowed IP ranges are checked last, so that only a valid token is denied because of its address.
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

/** Returns the scope string: `deployment:<id>` and the scopes (RFC 6749 §3.3). */
export function scopeOf({ deploymentId, scopes }: Pick<Access, 'deploymentId' | 'scopes'>): string {
  return [deploymentScope(deploymentId), ...scopes].join(' ');
}

function refused(reason: Refusal): Verdict {
  return { allowed: false, reason };
}
