import { hashOf } from './secrets.ts';

/** The maximum length of a subject token, in characters. */
const MAX_LENGTH = 16 * 1024;
/** The last second of the year 9999: the latest `exp` that is accepted. */
const LATEST_EXPIRY = 253_402_300_799;
/** How long the service remembers a used subject token beyond its `exp`, in seconds. Clocks may differ by less. */
const REMEMBERED = 60;

/** A JWT that a pipeline presents instead of a secret (RFC 8693), parsed but not yet verified. */
export interface SubjectToken {
  jwt: string;
  /** The `iss` claim. */
  issuer: string;
  /** What the signature covers: the first two parts and the dot between them. */
  signingInput: string;
}

/** The claims of a JWT whose signature, issuer and times have been verified. */
export type VerifiedClaims = Readonly<Record<string, unknown>>;

/** What the service remembers of a subject token, so that it accepts the token only once. */
export interface UsedSubject {
  /** SHA-256 of issuer and signing input, base64url. The signature is left out, because one token can have many. */
  hash: string;
  /** SHA-256 of the whole JWT, base64url: what the previous release remembers. */
  previousHash: string;
  /** Epoch seconds. By then the token has expired, even if clocks differ. */
  until: number;
}

/**
 * Parses a subject token strictly, so that each token has only one form.
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

/** Reports whether text is base64url without padding, white space or unused bits that are set (RFC 4648 §3.5). */
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

/**
 * Reports whether `exp` is a whole number of seconds up to the year 9999. It becomes a TTL, and DynamoDB ignores any
 * other value there.
 */
export function hasWholeExpiry({ exp }: VerifiedClaims): boolean {
  return Number.isSafeInteger(exp) && (exp as number) <= LATEST_EXPIRY;
}

/**
 * Returns what to remember of a verified subject token.
 * @param claims of the token, with a whole `exp`
 */
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
