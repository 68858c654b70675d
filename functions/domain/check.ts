import { type Credential, formatKeyId, hashOf, parseCredential, publicId } from './credentials.ts';
import {
  type Clock,
  capped,
  type EpochMillis,
  type EpochSeconds,
  expiryOfExtension,
  isUnexpired,
  type Lifetimes,
} from './expiry.ts';
import {
  type CallSource,
  isUseDue,
  type LastUsedFrom,
  originOf,
  recordedBefore,
  type UseOrigin,
} from './last-use.ts';
import { isWithin } from './networks.ts';
import { precedesEnd } from './people.ts';
import type { ApiKey, CheckedKey, Deployment, TemporaryToken, Token } from './records.ts';
import { deploymentScope, effectiveScopes } from './scopes.ts';

/** The store in which a check reads and writes records. Every method throws if the outcome is uncertain (G7). */
export interface CheckStore {
  /**
   * Reads all records on which the token depends, in one strongly consistent read. Omits absent and malformed records.
   */
  read(credential: Credential, hash: string): Promise<CheckedRecords>;
  /**
   * Extends the expiry of a valid token to `until`. Never shortens it.
   * @param from client and address to record with the use
   * @returns the token's `expiresAt`: `until`, or a later time that another use has written; undefined
   *   when the token has expired or does not exist
   */
  extend(
    credential: Credential,
    hash: string,
    until: EpochSeconds,
    now: EpochMillis,
    from: UseOrigin,
  ): Promise<EpochSeconds | undefined>;
  /**
   * Records the use in the item of the token's key, unless a use later than `before` is already recorded.
   */
  recordUse(credential: Credential, before: EpochMillis, now: EpochMillis, from: UseOrigin): Promise<void>;
}

/** The fields of a temporary token that a check needs. */
export type CheckedTemporaryToken = Pick<
  TemporaryToken,
  'generation' | 'sub' | 'signedInAt' | 'scopes' | 'issuedAt' | 'expiresAt'
>;

/** The current records of a presented token. */
export interface TokenRecords {
  deployment?: Pick<Deployment, 'generation'> | undefined;
  /** The token's key; present only for an access token. */
  key?: CheckedKey | undefined;
  token?: Pick<Token, 'generation' | 'epoch' | 'scopes' | 'issuedAt' | 'expiresAt'> | undefined;
  /** The temporary token; present only for a temporary token. */
  temporaryToken?: CheckedTemporaryToken | undefined;
}

/** All records on which a check bases its decision. */
export interface CheckedRecords extends TokenRecords {
  /**
   * Returns when the access of the temporary token's holder was ended. Uses one strongly consistent read, within the
   * check's time budget.
   * @returns `Infinity` for a blocked person or a malformed record; undefined if access was never
   *   ended
   */
  readEnd: (temporaryToken: CheckedTemporaryToken) => Promise<EpochMillis | undefined>;
}

/** Why a key cannot be used. */
export type KeyRejection =
  /** The Deployment was deleted, or it was registered again after the key was created or the token was issued. */
  | 'generation'
  /**
   * All tokens of the key were revoked: someone disabled the key, revoked its tokens, extended the key after it had
   * expired, rotated it with `retireOld` "now", or reported a leak.
   */
  | 'revoked'
  /** The key is disabled. A leaked key is disabled until someone rotates it. */
  | 'disabled'
  /** The key has expired. */
  | 'expired'
  /** The key has not been used for too long. */
  | 'idle'
  /** The call comes from outside the key's allowed IP ranges. */
  | 'network';

/** Why a call is denied. The reason appears only in the log and the metric; the caller never sees it. */
export type DenialReason =
  /** The text does not have the format of a token. The check decides this without reading the store. */
  | 'malformed'
  /** The token does not exist, or it was revoked, purged or deleted by TTL. */
  | 'unknown'
  /** The token has expired. */
  | 'expired'
  /** The token's key was deleted, or its item is malformed. */
  | 'deleted'
  /**
   * The token's key or Deployment cannot be used. The reason is never `idle`, because an idle key's tokens stay valid.
   */
  | Exclude<KeyRejection, 'idle'>
  /** The token is valid, but does not belong to the Deployment that the call names. */
  | 'deployment'
  /** The token is valid, but lacks a scope that the call requires. */
  | 'scope'
  /** The token is valid, but the call is malformed, so its requirements are unknown. */
  | 'request';

/** A call's requirements in addition to a valid token. */
export interface CallRequirements extends CallSource {
  /** The Deployment that the call names; undefined if the call does not name a Deployment. */
  deploymentId?: string | undefined;
  /** Scopes that the token must have. All of them are required. */
  scopes: readonly string[];
  /**
   * Why the call is denied even with a valid token, if that is known before the check. Such a call does not extend the
   * token.
   */
  denial?: DenialReason | undefined;
}

/** Requirements that any valid token meets. */
const NOTHING_MORE: CallRequirements = { scopes: [] };

/** The access that a valid token gives, and when that access expires. */
export interface Access {
  /** ID of the token's key, or `sub` of the person. */
  principalId: string;
  principalType: 'api_key' | 'person';
  deploymentId: string;
  /** The token's scopes without the first one, `deployment:<id>`. */
  scopes: string[];
  issuedAt: EpochSeconds;
  /** When the token expires unless it is used again. */
  expiresAt: EpochSeconds;
}

export type Verdict = { allowed: true; access: Access } | Denial;

interface Denial {
  allowed: false;
  reason: DenialReason;
  /** The public ID of the presented token, for the log. Undefined if the text does not have the format of a token. */
  id?: string;
}

/** The stack's settings for all tokens. */
export interface CheckRules extends Lifetimes {
  /** Scopes that the stack defines. */
  scopes: readonly string[];
  lastUsedFrom: LastUsedFrom;
}

/**
 * Checks a token, and extends its expiry when an extension is due. Only an allowed call counts as a use of the token.
 * The check keeps no state between calls.
 * @param presented the text that was presented as the bearer token, which cannot be trusted
 * @param requirements what the call requires in addition to a valid token
 * @throws any error from the store. The caller must then deny the call.
 * @example
 * ```
 * const verdict = await check(token, { store, clock: Date.now, rules }, { deploymentId: 'etl', scopes: ['airflow:read'] });
 * if (verdict.allowed) console.log(verdict.access.principalId);
 * ```
 */
export async function check(
  presented: string,
  { store, clock, rules }: { store: CheckStore; clock: Clock; rules: CheckRules },
  requirements: CallRequirements = NOTHING_MORE,
): Promise<Verdict> {
  const credential = parseToken(presented);
  if (!credential) return denied('malformed');
  const deniedToken = (reason: DenialReason): Denial => ({
    allowed: false,
    reason,
    id: publicId(credential),
  });
  const isForAnother =
    requirements.deploymentId !== undefined && requirements.deploymentId !== credential.deploymentId;
  if (isForAnother) return deniedToken('deployment');
  const now = clock();
  const hash = hashOf(presented);
  const records = await store.read(credential, hash);
  const verdict = await evaluate(credential, records, now, rules);
  if (!verdict.allowed) return deniedToken(verdict.reason);
  if (records.key && !isAllowedFrom(records.key, requirements.address)) return deniedToken('network');
  if (requirements.denial) return deniedToken(requirements.denial);
  if (!requirements.scopes.every((scope) => verdict.access.scopes.includes(scope)))
    return deniedToken('scope');
  const until = records.token && expiryOfExtension(records.token, now, rules);
  if (!until || !records.token) return verdict;

  const from = originOf(requirements, rules.lastUsedFrom);
  // Record the key's last use at the same time as the extension, whether or not the extension succeeds. Wait for the
  // record, because Lambda runs nothing after the response.
  const before = recordedBefore(rules.slideInterval, now);
  const recorded = isUseDue(records.key?.lastUsedAt, before)
    ? store.recordUse(credential, before, now, from).catch(() => {})
    : undefined;
  const expiresAt = await store.extend(credential, hash, until, now, from).finally(() => recorded);
  // The token was revoked, or deleted by TTL, between the read and the write.
  if (expiresAt === undefined) return deniedToken('unknown');
  return evaluate(credential, { ...records, token: { ...records.token, expiresAt } }, now, rules);
}

/**
 * Returns the parts of an access token or a temporary token; undefined for any other text, including a key's secret.
 */
export function parseToken(presented: string): Credential | undefined {
  const credential = parseCredential(presented);
  return credential?.kind === 'secret' ? undefined : credential;
}

/**
 * Reports whether a token is currently valid. The check uses this, and so does introspection, which does not count as a
 * use of the token.
 * @param now epoch milliseconds
 * @throws any error from reading the end of the holder's access
 */
export async function evaluate(
  credential: Credential,
  records: CheckedRecords,
  now: EpochMillis,
  rules: CheckRules,
): Promise<Verdict> {
  return credential.kind === 'temporary'
    ? evaluateTemporaryToken(credential, records, now, rules)
    : evaluateAccessToken(credential, records, now, rules);
}

/** Reports whether an access token is currently valid. @param now epoch milliseconds */
export function evaluateAccessToken(
  credential: Credential,
  { deployment, key, token }: TokenRecords,
  now: EpochMillis,
  rules: CheckRules,
): Verdict {
  if (!token) return denied('unknown');
  if (!key) return denied('deleted');
  // Check the allowed IP ranges last, so that this reason applies only to tokens that are otherwise valid.
  const rejection = keyRejection(key, { deployment, token, now, isIdle: false, from: 'anywhere' });
  if (rejection) return denied(rejection);
  const keyEndsAt = (key.validUntil ?? Infinity) / 1000;
  const expiresAt = Math.min(capped(token.expiresAt, token.issuedAt, rules), keyEndsAt) as EpochSeconds;
  if (!isUnexpired(expiresAt, now)) return denied('expired');
  const scopes = effectiveScopes(token.scopes, key.scopes, rules.scopes);
  const keyId = formatKeyId(credential.deploymentId, credential.ulid);
  return allowed('api_key', keyId, credential, scopes, {
    ...token,
    expiresAt: Math.floor(expiresAt) as EpochSeconds,
  });
}

async function evaluateTemporaryToken(
  credential: Credential,
  { deployment, temporaryToken, readEnd }: CheckedRecords,
  now: EpochMillis,
  rules: CheckRules,
): Promise<Verdict> {
  if (!temporaryToken) return denied('unknown');
  if (temporaryToken.generation !== deployment?.generation) return denied('generation');
  if (!isUnexpired(temporaryToken.expiresAt, now)) return denied('expired');
  if (precedesEnd(await readEnd(temporaryToken), temporaryToken.signedInAt)) return denied('revoked');
  const scopes = effectiveScopes(temporaryToken.scopes, undefined, rules.scopes);
  return allowed('person', temporaryToken.sub, credential, scopes, temporaryToken);
}

function allowed(
  principalType: Access['principalType'],
  principalId: string,
  { deploymentId }: Credential,
  scopes: string[],
  { issuedAt, expiresAt }: Pick<Access, 'issuedAt' | 'expiresAt'>,
): Verdict {
  return {
    allowed: true,
    access: { principalId, principalType, deploymentId, scopes, issuedAt, expiresAt },
  };
}

function denied(reason: DenialReason): Denial {
  return { allowed: false, reason };
}

/** Returns the scope string: `deployment:<id>` followed by the scopes (RFC 6749 §3.3). */
export function scopeOf({ deploymentId, scopes }: Pick<Access, 'deploymentId' | 'scopes'>): string {
  return [deploymentScope(deploymentId), ...scopes].join(' ');
}

/** The fields of a key that decide whether it can be used. */
type UsableKey = Pick<ApiKey, 'generation' | 'enabled' | 'epoch' | 'validUntil' | 'networks'>;

/** A use of a key: with its secret, with a subject token, or with an access token that was issued for it. */
export interface KeyUse {
  /** The key's Deployment; undefined if it was deleted. */
  deployment: Pick<Deployment, 'generation'> | undefined;
  /** The presented access token; undefined if the client presented a secret or a subject token. */
  token?: Pick<Token, 'generation' | 'epoch'>;
  /** Current time in epoch milliseconds. */
  now: EpochMillis;
  /** Whether the key has been unused for too long: the result of `isIdle`. */
  isIdle: boolean;
  /** Source address of the call as API Gateway saw it; `anywhere` to ignore the allowed IP ranges. */
  from: { address?: string | undefined } | 'anywhere';
}

/**
 * Returns the first reason why a key cannot be used; undefined if the key can be used. Only this function decides
 * whether a key can be used.
 */
export function keyRejection(
  key: UsableKey,
  use: KeyUse & { isIdle: false },
): Exclude<KeyRejection, 'idle'> | undefined;
export function keyRejection(key: UsableKey, use: KeyUse): KeyRejection | undefined;
export function keyRejection(
  key: UsableKey,
  { deployment, token = key, now, isIdle, from }: KeyUse,
): KeyRejection | undefined {
  const generation = deployment?.generation;
  if (key.generation !== generation || token.generation !== generation) return 'generation';
  // Disabling a key also changes its epoch, so both reasons apply. "Disabled" is the more specific reason.
  if (!key.enabled) return 'disabled';
  if (token.epoch !== key.epoch) return 'revoked';
  if (hasExpired(key, now)) return 'expired';
  if (isIdle) return 'idle';
  return from === 'anywhere' || isAllowedFrom(key, from.address) ? undefined : 'network';
}

/**
 * Reports whether the key has expired.
 * @param now epoch milliseconds
 */
export function hasExpired({ validUntil }: Pick<ApiKey, 'validUntil'>, now: EpochMillis): boolean {
  return validUntil !== undefined && validUntil <= now;
}

/**
 * Reports whether the key can be used from this address. A key without allowed IP ranges can be used from any address.
 */
function isAllowedFrom({ networks }: Pick<ApiKey, 'networks'>, address: string | undefined): boolean {
  return !networks || isWithin(address, networks);
}
