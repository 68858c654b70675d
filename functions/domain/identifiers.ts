import { crc32 } from 'node:zlib';

/** A Deployment's ID, chosen by the platform. At most 64 characters. */
export const DEPLOYMENT_ID = '[A-Za-z0-9][A-Za-z0-9_-]{0,63}';
export const ULID = '[0-7][0-9A-HJKMNP-TV-Z]{25}';
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Length of the random part of a credential, in characters. 62^43 is just over 2^256. */
export const RANDOM_LENGTH = 43;
/** Length of the checksum, in characters. */
export const CHECK_LENGTH = 6;

// Few bundles need this pattern, and esbuild leaves it out of the other bundles only if the expression is marked as
// pure.
const deploymentIdPattern = /* @__PURE__ */ new RegExp(`^${DEPLOYMENT_ID}$`);
const ulidPattern = new RegExp(`^${ULID}$`);
const keyIdPattern = new RegExp(`^dk_(${DEPLOYMENT_ID})_(${ULID})$`);
// The three parts to the right of the Deployment ID have fixed lengths and do not contain `_`, so a Deployment ID can
// contain `_`.
const credentialPattern = new RegExp(
  `^(dks|dkt|dkx)_(${DEPLOYMENT_ID})_(${ULID})_[0-9A-Za-z]{${RANDOM_LENGTH}}[0-9A-Za-z]{${CHECK_LENGTH}}$`,
);

const KINDS = { dks: 'secret', dkt: 'token', dkx: 'temporary' } as const;
const PREFIXES = { secret: 'dks', token: 'dkt', temporary: 'dkx' } as const;

/**
 * Kinds of credential. `secret`: a key's client_secret. `token`: an access token of a key. `temporary`: a person's
 * temporary token.
 */
export type CredentialKind = keyof typeof PREFIXES;

/** The parts of a well-formed secret or token, which is not necessarily valid. */
export interface Credential {
  kind: CredentialKind;
  deploymentId: string;
  /** ULID of the key (for a secret or an access token) or of the temporary token. */
  ulid: string;
}

/** Reports whether text is a Deployment ID: `^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`. */
export function isDeploymentId(text: string): boolean {
  return deploymentIdPattern.test(text);
}

/** Reports whether text is an upper-case ULID that fits in 128 bits. */
export function isUlid(text: string): boolean {
  return ulidPattern.test(text);
}

/** Returns a key's public ID, the OAuth client_id: `dk_<deploymentId>_<ULID>`. */
export function formatKeyId(deploymentId: string, ulid: string): string {
  return `dk_${deploymentId}_${ulid}`;
}

/**
 * Returns the ID that logs use for a presented credential: the ID of its key, or `dkx_<deploymentId>_<ULID>` for a
 * temporary token.
 */
export function publicId({ kind, deploymentId, ulid }: Credential): string {
  return `${kind === 'temporary' ? 'dkx' : 'dk'}_${deploymentId}_${ulid}`;
}

/** Returns the parts of a key ID, or undefined if the text is not a key ID. */
export function parseKeyId(text: string): { deploymentId: string; ulid: string } | undefined {
  const [, deploymentId, ulid] = keyIdPattern.exec(text) ?? [];
  return deploymentId && ulid ? { deploymentId, ulid } : undefined;
}

/**
 * Builds a secret or token from its prefix, Deployment ID, ULID, random part and check.
 * @param random exactly 43 base62 characters
 */
export function formatCredential({ kind, deploymentId, ulid }: Credential, random: string): string {
  const body = `${PREFIXES[kind]}_${deploymentId}_${ulid}_${random}`;
  return body + checkOf(body);
}

/**
 * Returns the parts of a secret or token, or undefined when its prefix, length, alphabet or check is wrong. The check
 * detects typing errors and helps secret scanners. It does not prove that a credential is genuine, because anyone can
 * compute it.
 */
export function parseCredential(text: string): Credential | undefined {
  const [, prefix, deploymentId, ulid] = credentialPattern.exec(text) ?? [];
  if (!prefix || !deploymentId || !ulid) return undefined;
  if (checkOf(text.slice(0, -CHECK_LENGTH)) !== text.slice(-CHECK_LENGTH)) return undefined;
  return { kind: KINDS[prefix as keyof typeof KINDS], deploymentId, ulid };
}

/**
 * Formats a whole number in base62, most significant digit first, left-padded with `0`.
 * @param value not negative
 */
export function base62(value: bigint, length: number): string {
  let digits = '';
  for (let rest = value; rest > 0n; rest /= 62n) digits = BASE62[Number(rest % 62n)] + digits;
  return digits.padStart(length, '0');
}

/** Returns the CRC-32 (as in zlib) of the ASCII bytes, as six base62 characters. */
function checkOf(body: string): string {
  return base62(BigInt(crc32(body)), CHECK_LENGTH);
}

/** Reports whether text has the format of an access token of this key. */
export function isTokenOf(keyId: string, text: string): boolean {
  const [key, credential] = [parseKeyId(keyId), parseCredential(text)];
  const isOfKey = credential?.ulid === key?.ulid && credential?.deploymentId === key?.deploymentId;
  return credential?.kind === 'token' && isOfKey;
}
