import { createPublicKey } from 'node:crypto';
import { closestMatch } from 'leven';
import { z } from 'zod';
import { PRESETS, type PresetName, presetOfUrl } from '../functions/domain/issuer-presets.ts';
import { type IssuerEntry, MAX_CLAIMS, RESERVED_CLAIMS, urlOf } from '../functions/domain/trust.ts';

/** A public key as JSON (RFC 7517). */
export type PublicJwk = Readonly<Record<string, unknown>>;

/** An issuer that API keys can trust, and the restrictions on its trust rules and tokens. */
export interface TrustedIssuerInput {
  /** URL of the issuer, exactly as in the `iss` claim of its tokens. */
  readonly issuer: string;
  /** The kind of CI. @default the preset that the URL determines, if there is one */
  readonly preset?: PresetName | undefined;
  /**
   * The issuer's public keys (RFC 7517 §5), for an issuer that the internet cannot reach. The keys are deployed with
   * the stack and never fetched, so redeploy the stack when the issuer changes them. @default fetched from the issuer
   */
  readonly jwks?: { readonly keys: readonly PublicJwk[] } | undefined;
  /** Claims that every rule must bind to exact text. @default the claims of the preset, or `sub` */
  readonly bind?: readonly string[] | undefined;
  /**
   * The `aud` claim that a rule requires if the rule itself does not name an audience. @default the URL of the service
   */
  readonly audience?: string | undefined;
}

/** A valid entry in the setting. */
export type TrustedIssuerSetting = string | TrustedIssuerInput;

const MAX_ISSUERS = 10;
const MAX_KEYS = 10;
const FIELDS = ['issuer', 'preset', 'jwks', 'bind', 'audience'];
const PRESET_NAMES = Object.keys(PRESETS) as PresetName[];
/** JWK members that only a private or symmetric key has (RFC 7518 §6). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
/** JWK members that a public key needs, or that help to select the key. */
const PUBLIC_MEMBERS = ['kty', 'kid', 'alg', 'use', 'n', 'e', 'crv', 'x', 'y'];
const LEAST_RSA_BITS = 2048;
const CURVES = ['prime256v1', 'secp384r1', 'secp521r1'];

/**
 * Issuers whose tokens have the same audience for every service that trusts them, unless a job requests a different
 * audience.
 */
const SHARED_AUDIENCES: readonly [name: string, issuer: RegExp][] = [
  ['Azure DevOps', /^https:\/\/vstoken\.dev\.azure\.com(\/|$)/],
  ['Bitbucket', /^https:\/\/api\.bitbucket\.org(\/|$)/],
];

/** One fault in the setting. */
interface Fault {
  /** Position of the fault, written after `trustedIssuers`: `[1].jwks.keys[0]`. */
  at: string;
  /** The violated rule, and what to do. */
  rule: string;
}

/**
 * The `trustedIssuers` setting.
 * @param isIssuer reports whether text is a valid issuer URL
 */
export const trustedIssuers = (isIssuer: (text: string) => boolean) =>
  z.custom<string | readonly TrustedIssuerSetting[]>().transform((given, context): TrustedIssuerSetting[] => {
    const entries = entriesOf(given);
    const faults = entries && faultsOf(entries, isIssuer);
    const isList = entries !== undefined && entries.length <= MAX_ISSUERS;
    if (!isList) context.issues.push({ code: 'custom', input: given });
    for (const { at, rule } of faults ?? []) {
      context.issues.push({ code: 'custom', input: given, message: `trustedIssuers${at}: ${rule}` });
    }
    return isList && faults?.length === 0 ? (entries as TrustedIssuerSetting[]) : z.NEVER;
  });

/** Returns the entries in the setting; undefined if the setting is not a list. */
function entriesOf(given: unknown): unknown[] | undefined {
  if (Array.isArray(given)) return given.length > 0 ? given : undefined;
  if (typeof given !== 'string') return undefined;
  if (given === 'none') return [];
  if (!given.trimStart().startsWith('[')) return given.split(/[\s,]+/);
  try {
    return entriesOf(JSON.parse(given));
  } catch {
    return undefined;
  }
}

function faultsOf(entries: readonly unknown[], isIssuer: (text: string) => boolean): Fault[] {
  const faults = entries.flatMap((entry, index) => {
    const isUrl = typeof entry === 'string';
    const found = isUrl ? faultsOfUrl(entry, isIssuer) : faultsOfEntry(entry, isIssuer);
    return found.map(({ at, rule }) => ({ at: `[${index}]${isUrl ? '' : at}`, rule }));
  });
  return faults.length > 0 ? faults : repeated(entries as TrustedIssuerSetting[]);
}

function repeated(entries: readonly TrustedIssuerSetting[]): Fault[] {
  const urls = entries.map((entry) => new URL(urlOf(entry as IssuerEntry)).href.replace(/\/$/, ''));
  return urls.flatMap((url, index) => {
    const first = urls.indexOf(url);
    if (first === index) return [];
    const at = typeof entries[index] === 'string' ? `[${index}]` : `[${index}].issuer`;
    return [{ at, rule: `trustedIssuers[${first}] already names the issuer ${url}. Remove one of them.` }];
  });
}

function faultsOfUrl(issuer: string, isIssuer: (text: string) => boolean): Fault[] {
  const rule = issuerRule(issuer, isIssuer) ?? audienceRule(issuer, undefined);
  return rule === undefined ? [] : [{ at: '', rule }];
}

function faultsOfEntry(entry: unknown, isIssuer: (text: string) => boolean): Fault[] {
  if (!isObject(entry)) return [{ at: '', rule: 'must be a URL, or an object with issuer.' }];
  const { issuer, preset, jwks, bind, audience } = entry;
  const unknown = Object.keys(entry).filter((field) => !FIELDS.includes(field));
  const rules: Record<string, string | undefined> = {
    ...Object.fromEntries(
      unknown.map((field) => [field, `is not a field of an issuer. The fields are ${FIELDS.join(', ')}.`]),
    ),
    issuer: issuerRule(issuer, isIssuer),
    preset: presetRule(issuer, preset),
    bind: bindRule(bind),
    audience: audienceRule(issuer, audience),
  };
  return [
    ...Object.entries(rules).flatMap(([field, rule]) => (rule ? [{ at: `.${field}`, rule }] : [])),
    ...keyFaults(jwks).map(({ at, rule }) => ({ at: `.jwks${at}`, rule })),
  ];
}

function issuerRule(issuer: unknown, isIssuer: (text: string) => boolean): string | undefined {
  if (typeof issuer === 'string' && isIssuer(issuer)) return undefined;
  return 'must be an https URL without query, fragment or credentials (http only for a loopback host).';
}

function presetRule(issuer: unknown, preset: unknown): string | undefined {
  if (preset === undefined) return undefined;
  if (!PRESET_NAMES.some((name) => name === preset)) {
    const meant =
      typeof preset === 'string' ? closestMatch(preset, PRESET_NAMES, { maxDistance: 3 }) : undefined;
    const suggestion = meant === undefined ? '' : ` Did you mean ${meant}?`;
    return `${JSON.stringify(preset)} is not a preset.${suggestion} The presets are ${PRESET_NAMES.join(', ')}.`;
  }
  const ofUrl = typeof issuer === 'string' ? presetOfUrl(issuer) : undefined;
  if (ofUrl === undefined || ofUrl === preset) return undefined;
  return `must be ${ofUrl} for this issuer, or left out.`;
}

const isClaim = (name: unknown) =>
  typeof name === 'string' && /^\P{Cc}{1,100}$/u.test(name) && name.trim() !== '';

function bindRule(bind: unknown): string | undefined {
  if (bind === undefined) return undefined;
  const isList = Array.isArray(bind) && bind.length >= 1 && bind.length <= MAX_CLAIMS && bind.every(isClaim);
  if (!isList || new Set(bind).size < bind.length) {
    return `must be an array of 1 to ${MAX_CLAIMS} different names of claims.`;
  }
  const reserved = bind.filter((name) => RESERVED_CLAIMS.includes(name));
  return reserved.length > 0 ? `must not name the claim ${reserved.join(', ')}.` : undefined;
}

function audienceRule(issuer: unknown, audience: unknown): string | undefined {
  if (audience !== undefined) {
    const isText = typeof audience === 'string' && /^\P{Cc}{1,256}$/u.test(audience);
    return isText ? undefined : 'must be a text of 1 to 256 characters, without control characters.';
  }
  const shared = SHARED_AUDIENCES.find(([, url]) => typeof issuer === 'string' && url.test(issuer));
  if (!shared) return undefined;
  return (
    `${shared[0]} needs an entry with audience, because its tokens do not name this service by themselves. ` +
    'Set audience to the aud claim of its tokens.'
  );
}

function keyFaults(jwks: unknown): Fault[] {
  if (jwks === undefined) return [];
  const keys = isObject(jwks) ? jwks.keys : undefined;
  if (!Array.isArray(keys) || keys.length < 1 || keys.length > MAX_KEYS) {
    return [{ at: '', rule: `must be a JSON Web Key Set: {"keys": […]} with 1 to ${MAX_KEYS} public keys.` }];
  }
  const ids = keys.map((key) => (isObject(key) ? key.kid : undefined));
  return keys.flatMap((key, index) => {
    const rule = keyRule(key) ?? idRule(ids, index);
    return rule === undefined ? [] : [{ at: `.keys[${index}]`, rule }];
  });
}

/**
 * Returns the rule that a key violates. The text never contains a value from the key, because the key may be private.
 */
function keyRule(key: unknown): string | undefined {
  if (!isObject(key)) return 'must be a JSON Web Key.';
  const secret = PRIVATE_MEMBERS.filter((member) => Object.hasOwn(key, member));
  if (key.kty === 'oct' || secret.length > 0) {
    const found = secret.length > 0 ? ` It has ${secret.join(', ')}.` : '';
    return `must be a public key, not a private or symmetric one.${found} Replace the key at the issuer: it is no longer secret.`;
  }
  if (key.use !== undefined && key.use !== 'sig')
    return 'must be a key for signatures: use is sig, or absent.';
  return isStrong(key)
    ? undefined
    : `must be a public key of RSA with ${LEAST_RSA_BITS} bits or more, of P-256, P-384 or P-521, or of Ed25519.`;
}

function isStrong(key: Record<string, unknown>): boolean {
  try {
    const { asymmetricKeyType: type, asymmetricKeyDetails: details } = createPublicKey({
      key,
      format: 'jwk',
    });
    if (type === 'rsa') return (details?.modulusLength ?? 0) >= LEAST_RSA_BITS;
    return type === 'ec' ? CURVES.includes(details?.namedCurve ?? '') : type === 'ed25519';
  } catch {
    return false;
  }
}

/**
 * Returns the rule that a key's ID violates. The IDs must be unique; otherwise, a token could not identify the key that
 * signed it.
 */
function idRule(ids: readonly unknown[], index: number): string | undefined {
  const id = ids[index];
  if (id === undefined && ids.length === 1) return undefined;
  if (typeof id !== 'string' || id === '') return 'must have a kid.';
  return ids.indexOf(id) === index ? undefined : `must have another kid than keys[${ids.indexOf(id)}].`;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Returns the issuers in the form in which functions read them, without their keys. */
export const entriesWithoutKeys = (issuers: readonly TrustedIssuerSetting[]): (string | IssuerEntry)[] =>
  issuers.map((issuer) => {
    if (typeof issuer === 'string') return issuer;
    const { jwks, ...entry } = issuer;
    return jwks ? { ...entry, hasInlineKeys: true } : entry;
  });

/**
 * Returns the inline keys by issuer, with only the members that are needed to verify a signature; undefined if there
 * are no inline keys.
 */
export function inlineKeys(
  issuers: readonly TrustedIssuerSetting[],
): Record<string, { keys: PublicJwk[] }> | undefined {
  const sets = issuers.flatMap((issuer) =>
    typeof issuer === 'string' || !issuer.jwks
      ? []
      : [[issuer.issuer, { keys: issuer.jwks.keys.map(publicPart) }] as const],
  );
  return sets.length > 0 ? Object.fromEntries(sets) : undefined;
}

const publicPart = (key: PublicJwk): PublicJwk =>
  Object.fromEntries(Object.entries(key).filter(([member]) => PUBLIC_MEMBERS.includes(member)));
