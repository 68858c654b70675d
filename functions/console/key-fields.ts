import type { ApiKey, FieldFault, KeyChanges, KeyInput, TrustRule } from './resources.ts';

const DAY = 86_400_000;
/** How long before a key expires the console warns, in milliseconds. The same as for the event `api_key.expiring`. */
const NOTICE = 7 * DAY;

/** The expiry times that the form offers. */
export const EXPIRIES = [
  { value: 'never', label: 'Never' },
  { value: '7', label: 'In 7 days' },
  { value: '30', label: 'In 30 days' },
  { value: '90', label: 'In 90 days' },
  { value: '365', label: 'In 1 year' },
  { value: 'date', label: 'On a date…' },
] as const;

/** The fields of the key form. They are kept when a session expires. No one types a secret here. */
export interface KeyFields {
  name: string;
  description: string;
  scopes: string[];
  enabled: boolean;
  /** A value of EXPIRIES, or `kept` for the key's existing expiry. */
  expiry: string;
  /** Such as `2027-01-31`. Used if `expiry` is `date`. */
  date: string;
  /** One CIDR range per line. */
  networks: string;
  /** Empty for a key with a secret. */
  rules: RuleFields[];
}

/** A trust rule in the form. Claims are in the order in which they were typed, and may contain duplicates. */
export interface RuleFields {
  issuer: string;
  audience: string;
  claims: { name: string; match: 'is' | 'prefix'; value: string }[];
  singleUse: boolean;
}

/** Sorts claims by name, because the service returns them in no particular order. */
export const sortedClaims = (claims: TrustRule['claims']): [string, TrustRule['claims'][string]][] =>
  Object.entries(claims).sort(([one], [other]) => (one < other ? -1 : 1));

export const emptyFields = (scopes: readonly string[]): KeyFields => ({
  name: '',
  description: '',
  scopes: [...scopes],
  enabled: true,
  expiry: 'never',
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
 * Returns the request that creates the key in the form.
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
 * Returns only the fields that the form changes. Sending an unchanged field could undo another person's change, or
 * reactivate an idle key.
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

/** Removes white space around the name and the description, which the service rejects. */
const trimmed = (fields: KeyFields): KeyFields => ({
  ...fields,
  name: fields.name.trim(),
  description: fields.description.trim(),
});

/** Returns the expiry as RFC 3339: for a date, the end of that day. Returns null for never. */
function expiryOf({ expiry, date }: KeyFields, now: number): string | null {
  if (expiry === 'never') return null;
  if (expiry === 'date') return new Date(`${date}T23:59:59`).toISOString();
  return new Date(now + Number(expiry) * DAY).toISOString();
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
 * Returns the error message of a field or of a part of it: `trust` also matches `trust[0].claims`.
 * @param counted what a number in brackets counts, such as `line`
 */
export function faultOf(faults: readonly FieldFault[], name: string, counted?: string): string | undefined {
  const isAbout = (field: string) => ['', '[', '.'].includes(field.slice(name.length, name.length + 1));
  const fault = faults.find(({ field }) => field.startsWith(name) && isAbout(field));
  const [, index] = /^\[(\d+)\]/.exec(fault?.field.slice(name.length) ?? '') ?? [];
  return fault && (counted && index ? `${counted} ${Number(index) + 1} ${fault.rule}` : fault.rule);
}

/**
 * Returns the status of a key as people see it.
 * @param now epoch milliseconds
 */
export function stateOf(
  { status, expiresAt, malformed }: Pick<ApiKey, 'status' | 'expiresAt' | 'malformed'>,
  now: number,
): { words: string; tone: 'good' | 'warning' | 'bad' } {
  if (malformed) return { words: status === 'active' ? 'Malformed' : 'Malformed, disabled', tone: 'bad' };
  const isExpiring = expiresAt !== undefined && Date.parse(expiresAt) - now <= NOTICE;
  if (status === 'active') {
    return isExpiring ? { words: 'Expires soon', tone: 'warning' } : { words: 'Enabled', tone: 'good' };
  }
  const words = { leaked: 'Leaked', disabled: 'Disabled', expired: 'Expired', idle: 'Idle' };
  return { words: words[status], tone: status === 'leaked' ? 'bad' : 'warning' };
}
