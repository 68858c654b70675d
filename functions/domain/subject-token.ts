import { hashOf } from './credentials.ts';
import type { EpochMillis, EpochSeconds } from './expiry.ts';

/** The maximum length of a subject token, in characters. */
export const MAX_SUBJECT_TOKEN = 16 * 1024;
/** How far in the future the `exp` of a subject token can be, in seconds. CI tokens are valid for minutes or hours. */
const LONGEST_LIFETIME = 24 * 60 * 60;
/**
 * How long the service remembers a used subject token beyond its `exp`, in seconds. This is more than the largest
 * possible difference between the clocks.
 */
const REMEMBERED = 60;

/** A JWT that a pipeline presents instead of a secret (RFC 8693), parsed but not yet verified. */
export interface SubjectToken {
  jwt: string;
  /** The `iss` claim. */
  issuer: string;
  /** The text that the signature covers: the first two parts and the dot between them. */
  signingInput: string;
}

/** The claims of a JWT whose signature has been verified. */
export type VerifiedClaims = Readonly<Record<string, unknown>>;

/** The reason why the times in a correctly signed token are not plausible for a CI job. */
export type TimeFault =
  | 'no_expiry'
  /** `exp`, `nbf` or `iat` is not a number, or `exp` is not a whole number. */
  | 'malformed_time'
  | 'expired'
  | 'not_yet_valid'
  | 'expires_before_issue'
  | 'expires_too_late';

/** The result of verifying a JWT. The token is valid only if the result has no fault. */
export type Verification =
  | { claims: VerifiedClaims; fault?: undefined }
  | { claims: VerifiedClaims; fault: TimeFault }
  | InvalidSignature;

/** The result of verifying a JWT whose signature is not valid. */
export interface InvalidSignature {
  claims?: undefined;
  fault: 'signature';
  /** The algorithms with which the issuer can sign, if the token's `alg` is not one of them. */
  allowedAlgorithms?: readonly string[];
}

/** Data that the service stores about a used subject token, so that it accepts the token only once. */
export interface UsedSubject {
  /**
   * SHA-256 hash of the issuer and the signing input, base64url. The hash does not cover the signature, because one
   * token can have many valid signatures.
   */
  hash: string;
  /** SHA-256 hash of the whole JWT, base64url. The previous release stores this hash. */
  previousHash: string;
  /**
   * When the service can forget the token. By then, the token has expired even if the clocks differ.
   */
  until: EpochSeconds;
}

/**
 * Parses a subject token strictly, so that each token has only one form.
 * @returns undefined unless the text has exactly three parts in canonical base64url, and the first two parts hold JSON
 * objects
 */
export function parseSubjectToken(jwt: string): SubjectToken | undefined {
  if (jwt.length > MAX_SUBJECT_TOKEN) return undefined;
  const parts = jwt.split('.');
  if (parts.length !== 3 || !parts.every(isCanonical)) return undefined;
  const [header, payload] = parts.slice(0, 2).map(objectIn);
  const issuer = payload?.iss;
  if (!header || typeof issuer !== 'string') return undefined;
  return { jwt, issuer, signingInput: jwt.slice(0, jwt.lastIndexOf('.')) };
}

/** Reports whether text is base64url without padding or white space, and with all unused bits zero (RFC 4648 §3.5). */
function isCanonical(part: string): boolean {
  return part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part;
}

function objectIn(part: string): Record<string, unknown> | null | undefined {
  try {
    const json: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    const isObject = typeof json === 'object' && !Array.isArray(json);
    return isObject ? (json as Record<string, unknown> | null) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Returns what is wrong with the times in a subject token, except that the token has expired or is not yet valid. `exp`
 * must be a whole number of seconds, because it becomes a TTL, and DynamoDB ignores a TTL in any other form. `exp` must
 * be at most 24 hours in the future, and later than `iat`, if the token has it.
 * @param now epoch milliseconds
 * @returns undefined if the times are plausible for a CI job
 */
export function timeFaultOf(
  { exp, iat = Number.NEGATIVE_INFINITY }: VerifiedClaims,
  now: EpochMillis,
): TimeFault | undefined {
  if (!Number.isSafeInteger(exp) || typeof iat !== 'number') return 'malformed_time';
  const expiry = exp as number;
  if (expiry <= iat) return 'expires_before_issue';
  return expiry <= Math.floor(now / 1000) + LONGEST_LIFETIME ? undefined : 'expires_too_late';
}

/**
 * Returns the data to store about a verified subject token.
 * @param claims the token's claims; `exp` must be a whole number
 */
export function usedSubjectOf(
  { jwt, issuer, signingInput }: SubjectToken,
  claims: VerifiedClaims,
): UsedSubject {
  return {
    hash: hashOf(`${issuer}\0${signingInput}`),
    previousHash: hashOf(jwt),
    until: ((claims.exp as number) + REMEMBERED) as EpochSeconds,
  };
}
