import { DAY_MILLIS } from './activity.ts';
import type { ApiKey, FieldFault, KeyChanges, KeyInput, TrustRule } from './resources.ts';
import { counted } from './words.ts';

/**
 * How long before a key's expiry the console shows a warning, in milliseconds. The `api_key.expiring` event uses the
 * same period.
 */
const NOTICE = 7 * DAY_MILLIS;

/** The expiry times that the form offers. */
const EXPIRIES = [
  { value: '7', label: 'In 7 days' },
  { value: '30', label: 'In 30 days' },
  { value: '90', label: 'In 90 days' },
  { value: '365', label: 'In 1 year' },
  { value: 'date', label: 'On a date…' },
  { value: 'never', label: 'Never' },
] as const;

/**
 * The fields of the key form. The console keeps them when a session expires, which is safe because no field holds a
 * secret.
 */
export interface KeyFields {
  name: string;
  description: string;
  scopes: string[];
  enabled: boolean;
  /** The chosen expiry: one of the values in EXPIRIES, or `kept` for the key's existing expiry. */
  expiry: string;
  /** A date, such as `2027-01-31`. Used if `expiry` is `date`. */
  date: string;
  /** Allowed IP ranges, one CIDR range per line. */
  networks: string;
  /** The key's trust rules; empty for a key that has a secret. */
  rules: RuleFields[];
}

/** A trust rule in the form. Its claims are in the order in which they were entered, and can contain duplicates. */
export interface RuleFields {
  issuer: string;
  audience: string;
  claims: { name: string; match: 'is' | 'prefix'; value: string }[];
  singleUse: boolean;
}

/** Sorts claims by name, because the service returns claims in no particular order. */
export const sortedClaims = (claims: TrustRule['claims']): [string, TrustRule['claims'][string]][] =>
  Object.entries(claims).sort(([one], [other]) => (one < other ? -1 : 1));

/** Default lifetime of a new key, in days. */
const DEFAULT_DAYS = 90;

/**
 * Returns the expiry times that the stack allows, including the latest possible time.
 * @param maxKeyDays maximum lifetime of a key in days; undefined if there is no maximum
 */
export function expiriesWithin(maxKeyDays: number | undefined): { value: string; label: string }[] {
  if (maxKeyDays === undefined) return [...EXPIRIES];
  const within = EXPIRIES.filter(({ value }) => value === 'date' || Number(value) < maxKeyDays);
  const label = `In ${counted(maxKeyDays, 'day')} (the maximum)`;
  return [...within, { value: MAXIMUM, label }];
}

/** The expiry option that makes the service set the latest expiry that the stack allows. */
const MAXIMUM = 'maximum';

/**
 * Returns the form fields of a new key. The fields contain an expiry but no scopes, so that people choose what a key
 * can do and for how long.
 * @param maxKeyDays maximum lifetime of a key in days; undefined if there is no maximum
 */
export const emptyFields = (maxKeyDays?: number): KeyFields => ({
  name: '',
  description: '',
  scopes: [],
  enabled: true,
  expiry: maxKeyDays !== undefined && maxKeyDays <= DEFAULT_DAYS ? MAXIMUM : String(DEFAULT_DAYS),
  date: '',
  networks: '',
  rules: [],
});

/** Returns the form fields of a key. */
export const fieldsOf = (key: ApiKey): KeyFields => ({
  name: key.name,
  description: key.description ?? '',
  scopes: key.scopes,
  enabled: key.enabled,
  expiry: key.expiresAt ? 'kept' : 'never',
  date: '',
  networks: key.networks.join('\n'),
  rules: (key.trust ?? []).map(({ issuer, audience = '', claims, singleUse = false }) => ({
    issuer,
    audience,
    claims: sortedClaims(claims).map(([name, rule]) =>
      typeof rule === 'string'
        ? { name, match: 'is' as const, value: rule }
        : { name, match: 'prefix' as const, value: rule.prefix },
    ),
    singleUse,
  })),
});

/**
 * Returns the request that creates a key from the form fields.
 * @param now epoch milliseconds
 */
export function inputOf(fields: KeyFields, now: number): KeyInput {
  const { name, description, scopes, networks, rules } = trimmed(fields);
  const expiresAt = expiryOf(fields, now);
  return {
    name,
    scopes,
    ...(description && { description }),
    ...(expiresAt && { expiresAt }),
    ...(linesOf(networks).length > 0 && { networks: linesOf(networks) }),
    ...(rules.length > 0 && { trust: rules.map(ruleOf) }),
  };
}

/**
 * Returns only the fields that were edited in the form. Sending an unchanged field could undo another person's change,
 * or reactivate an idle key.
 * @param now epoch milliseconds
 */
export function changesOf(key: ApiKey, fields: KeyFields, now: number): KeyChanges {
  const before = fieldsOf(key);
  const { name, description, scopes, enabled, networks, rules } = trimmed(fields);
  const isChanged = (field: keyof KeyFields) =>
    JSON.stringify(fields[field]) !== JSON.stringify(before[field]);
  return {
    ...(isChanged('name') && { name }),
    ...(isChanged('description') && { description: description || null }),
    ...(isChanged('scopes') && { scopes }),
    ...(isChanged('enabled') && { enabled }),
    ...(isChanged('expiry') && { expiresAt: expiryOf(fields, now) }),
    ...(isChanged('networks') && { networks: linesOf(networks) }),
    ...(isChanged('rules') && { trust: rules.map(ruleOf) }),
  };
}

/** Trims the name and the description, because the service rejects surrounding white space. */
const trimmed = (fields: KeyFields): KeyFields => ({
  ...fields,
  name: fields.name.trim(),
  description: fields.description.trim(),
});

/**
 * Returns the expiry in RFC 3339: for a date, the end of that day. Returns null for "never" and for "maximum", because
 * the service then sets the expiry.
 */
function expiryOf({ expiry, date }: KeyFields, now: number): string | null {
  if (expiry === 'never' || expiry === MAXIMUM) return null;
  if (expiry === 'date') return new Date(`${date}T23:59:59`).toISOString();
  return new Date(now + Number(expiry) * DAY_MILLIS).toISOString();
}

/** Splits text at line breaks, commas and spaces. */
const linesOf = (text: string): string[] => text.split(/[\s,]+/).filter((line) => line !== '');

const ruleOf = ({ issuer, audience, claims, singleUse }: RuleFields): TrustRule => ({
  issuer,
  ...(audience && { audience }),
  claims: Object.fromEntries(
    claims.map(({ name, match, value }) => [name, match === 'is' ? value : { prefix: value }]),
  ),
  ...(singleUse && { singleUse }),
});

/**
 * Returns the error message for a field, or for a part of that field: `trust` also matches `trust[0].claims`.
 * @param counted what the index in brackets refers to, such as `line`
 */
export function faultOf(faults: readonly FieldFault[], name: string, counted?: string): string | undefined {
  const isAbout = (field: string) => ['', '[', '.'].includes(field.slice(name.length, name.length + 1));
  const fault = faults.find(({ field }) => field.startsWith(name) && isAbout(field));
  const [, index] = /^\[(\d+)\]/.exec(fault?.field.slice(name.length) ?? '') ?? [];
  return fault && (counted && index ? `${counted} ${Number(index) + 1} ${fault.rule}` : fault.rule);
}

/**
 * Returns the error messages for a trust rule. Each one names the part of the rule that is wrong.
 * @param at the rule's field, such as `trust[0]`
 */
export function ruleFaults(faults: readonly FieldFault[], at: string): string[] {
  return faults.flatMap(({ field, rule }) => {
    if (field === at) return [`The rule ${rule}`];
    if (!field.startsWith(`${at}.`)) return [];
    const [, claim] = /^claims\.(.+?)(?:\.prefix)?$/.exec(field.slice(at.length + 1)) ?? [];
    return [`The ${claim === undefined ? field.slice(at.length + 1) : `claim ${claim}`} ${rule}`];
  });
}

/**
 * Reports whether an active key expires within a week.
 * @param now epoch milliseconds
 */
export const isExpiring = (
  { status, expiresAt }: Pick<ApiKey, 'status'> & { expiresAt?: string | undefined },
  now: number,
): boolean => status === 'active' && expiresAt !== undefined && Date.parse(expiresAt) - now <= NOTICE;

/**
 * Returns the status of a key as the console displays it.
 * @param now epoch milliseconds
 */
export function stateOf(
  { status, expiresAt, malformed }: Pick<ApiKey, 'status' | 'malformed'> & { expiresAt?: string | undefined },
  now: number,
): { words: string; tone: 'good' | 'warning' | 'bad' } {
  if (malformed) return { words: status === 'active' ? 'Malformed' : 'Malformed, disabled', tone: 'bad' };
  if (status === 'active') {
    return isExpiring({ status, expiresAt }, now)
      ? { words: 'Expires soon', tone: 'warning' }
      : { words: 'Active', tone: 'good' };
  }
  const words = { leaked: 'Leaked', disabled: 'Disabled', expired: 'Expired', idle: 'Idle' };
  return { words: words[status], tone: status === 'leaked' ? 'bad' : 'warning' };
}
