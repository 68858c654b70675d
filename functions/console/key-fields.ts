import type { ApiKey, FieldFault, KeyChanges, KeyInput, TrustRule } from './resources.ts';

const DAY = 86_400_000;
/** How long people are told before it that a key expires, as its event is. */
const NOTICE = 7 * DAY;

/** When a key shall expire. */
export const EXPIRIES = [
  { value: 'never', label: 'Never' },
  { value: '7', label: 'In 7 days' },
  { value: '30', label: 'In 30 days' },
  { value: '90', label: 'In 90 days' },
  { value: '365', label: 'In a year' },
  { value: 'date', label: 'On a date…' },
] as const;

/** What the form of a key holds; all of it survives a sign-in that ends in between. No secret is typed here. */
export interface KeyFields {
  name: string;
  description: string;
  scopes: string[];
  enabled: boolean;
  /** One of EXPIRIES, or `kept` for the expiry that the key has. */
  expiry: string;
  /** `2027-01-31`, for `date`. */
  date: string;
  /** One CIDR a line. */
  networks: string;
  /** Empty for a key with a secret. */
  rules: RuleFields[];
}

/** A trust rule as it is typed: claims in their order, twice the same perhaps. */
export interface RuleFields {
  issuer: string;
  audience: string;
  claims: { name: string; match: 'is' | 'prefix'; value: string }[];
  singleUse: boolean;
}

/** Claims by their names: the service gives them in no order. */
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

/** A key as its form shows it. */
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

/** The key that the form asks for. @param now epoch milliseconds */
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
 * What the form changes of the key, and nothing else: to send what is as it was could undo what somebody else has
 * changed, or take an idle key into use again. @param now epoch milliseconds
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

/** The fields without white space around the name and the description, which the service rejects. */
const trimmed = (fields: KeyFields): KeyFields => ({
  ...fields,
  name: fields.name.trim(),
  description: fields.description.trim(),
});

/** @returns RFC 3339, the end of the day for a date; null for never */
function expiryOf({ expiry, date }: KeyFields, now: number): string | null {
  if (expiry === 'never') return null;
  if (expiry === 'date') return new Date(`${date}T23:59:59`).toISOString();
  return new Date(now + Number(expiry) * DAY).toISOString();
}

/** One value a line, or between commas or spaces. */
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
 * What is wrong with a field or a part of it, in words for the person: `trust` is about `trust[0].claims` too.
 * @param names what a number in brackets counts: `line`
 */
export function faultOf(faults: readonly FieldFault[], name: string, counted?: string): string | undefined {
  const isAbout = (field: string) => ['', '[', '.'].includes(field.slice(name.length, name.length + 1));
  const fault = faults.find(({ field }) => field.startsWith(name) && isAbout(field));
  const [, index] = /^\[(\d+)\]/.exec(fault?.field.slice(name.length) ?? '') ?? [];
  return fault && (counted && index ? `${counted} ${Number(index) + 1} ${fault.rule}` : fault.rule);
}

/** How a key is, in a word: whether it can be used, or why not. @param now epoch milliseconds */
export function stateOf(
  { status, expiresAt }: Pick<ApiKey, 'status' | 'expiresAt'>,
  now: number,
): { words: string; tone: 'good' | 'warning' | 'bad' } {
  const isExpiring = expiresAt !== undefined && Date.parse(expiresAt) - now <= NOTICE;
  if (status === 'active') {
    return isExpiring ? { words: 'Expires soon', tone: 'warning' } : { words: 'Enabled', tone: 'good' };
  }
  const words = { leaked: 'Leaked', disabled: 'Disabled', expired: 'Expired', idle: 'Idle' };
  return { words: words[status], tone: status === 'leaked' ? 'bad' : 'warning' };
}
