import { hashOf } from './secrets.ts';

/** Most characters of a subject token. */
const MAX_LENGTH = 16 * 1024;
/** The last second of the year 9999: the latest `exp` that is accepted. */
const LATEST_EXPIRY = 253_402_300_799;
/** Seconds for which a used subject token is remembered beyond its `exp`: more than clocks may differ. */
const REMEMBERED = 60;

/** A JWT in place of a secret (RFC 8693), parsed but not yet verified. */
export interface SubjectToken {
  jwt: string;
  /** Its `iss`. */
  issuer: string;
  /** Its first two parts, with the dot between them: what the signature is about. */
  signingInput: string;
}

/** The claims of a JWT whose signature, issuer and times have been verified. */
export type VerifiedClaims = Readonly<Record<string, unknown>>;

/** What is remembered of a subject token so that it is not accepted again. */
export interface UsedSubject {
  /** SHA-256 of issuer and signing input, base64url. The signature is left out: one token can have many. */
  hash: string;
  /** SHA-256 of the whole JWT, base64url: what the previous release remembers. */
  previousHash: string;
  /** Epoch seconds: by then the token has expired, whatever the clocks say. */
  until: number;
}

/**
 * Parse a subject token strictly, so that a token has one form only.
 * @returns undefined unless it is exactly three parts in canonical base64url, of which the first two hold JSON objects
 */
export function parseSubjectToken(jwt: string): SubjectToken | undefined {
  if (jwt.length > MAX_LENGTH) return undefined;
  const parts = jwt.split('.');
  if (parts.length !== 3 || !parts.every(isCanonical)) return undefined;
  const [header, payload] = parts.slice(0, 2).map(objectIn);
  const issuer = payload?.iss;
  if (!header || typeof issuer !== 'string') return undefined;
  return { jwt, issuer, signingInput: jwt.slice(0, jwt.lastIndexOf('.')) };
}

/** Base64url without padding, white space or unused bits that are set (RFC 4648 §3.5). */
function isCanonical(part: string): boolean {
  return part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part;
}

function objectIn(part: string): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether `exp` is a whole number of seconds. It becomes a TTL, and a fraction or a huge number is none. */
export function hasWholeExpiry({ exp }: VerifiedClaims): boolean {
  return Number.isSafeInteger(exp) && (exp as number) <= LATEST_EXPIRY;
}

/** @param claims of the token, with a whole `exp` */
export function usedSubject(
  { jwt, issuer, signingInput }: SubjectToken,
  claims: VerifiedClaims,
): UsedSubject {
  return {
    hash: hashOf(`${issuer}\0${signingInput}`),
    previousHash: hashOf(jwt),
    until: (claims.exp as number) + REMEMBERED,
  };
}
