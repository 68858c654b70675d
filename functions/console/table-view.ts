import { isExpiring, stateOf } from './key-fields.ts';
import type { ApiKey } from './resources.ts';
import { type Column, FILTERS, type Filter, suffixOf, type TableQuery } from './table-query.ts';

/** Number of keys on each page of the table. */
export const PAGE_SIZE = 50;

/** The label of each filter, and the rule by which it selects keys. */
export const FILTER_RULES: Record<Filter, { label: string; shows: (key: ApiKey, now: number) => boolean }> = {
  active: { label: 'Active', shows: ({ status, malformed }) => status === 'active' && !malformed },
  expiring: { label: 'Expiring', shows: isExpiring },
  'never-used': { label: 'Never used', shows: ({ lastUsedAt }) => lastUsedAt === undefined },
  idle: { label: 'Idle', shows: ({ status }) => status === 'idle' },
  leaked: { label: 'Leaked', shows: ({ status }) => status === 'leaked' },
  disabled: { label: 'Disabled', shows: ({ status }) => status === 'disabled' },
  expired: { label: 'Expired', shows: ({ status }) => status === 'expired' },
  'violates-policy': {
    label: 'Violates policy',
    shows: ({ policyViolations = [] }) => policyViolations.length > 0,
  },
  malformed: { label: 'Malformed', shows: ({ malformed }) => malformed === true },
};

/** The content of the table for the state that the URL describes. */
export interface TableView {
  /** All keys that match the search and the filter, sorted. */
  matching: ApiKey[];
  /** The keys on the current page. */
  rows: ApiKey[];
  /** Page number, starting at 1. Always in range, even if the page number in the URL is not. */
  number: number;
  /** For each filter, the number of keys that match both the filter and the search. */
  counts: Record<Filter, number>;
  /** Number of keys that match the search. */
  found: number;
  selected: ApiKey[];
}

/**
 * Searches, filters, sorts and pages keys.
 * @param now epoch milliseconds
 */
export function tableView(keys: readonly ApiKey[], query: TableQuery, now: number): TableView {
  const searched = search(keys, query.search);
  const filter = query.filter && FILTER_RULES[query.filter];
  const filtered = filter ? searched.filter((key) => filter.shows(key, now)) : [...searched];
  const matching = sorted(filtered, query.column, query.isDescending);
  const number = Math.min(query.number, Math.max(1, Math.ceil(matching.length / PAGE_SIZE)));
  const counts = Object.fromEntries(
    FILTERS.map((one) => [one, searched.filter((key) => FILTER_RULES[one].shows(key, now)).length]),
  ) as Record<Filter, number>;
  return {
    matching,
    rows: matching.slice((number - 1) * PAGE_SIZE, number * PAGE_SIZE),
    number,
    counts,
    found: searched.length,
    selected: selectedOf(matching, query.selected),
  };
}

/** Returns the new selection after a person selects or deselects one key. */
export function withSelected(view: TableView, keyId: string, isSelected: boolean): string[] {
  const ends = view.selected.map(({ id }) => suffixOf(id)).filter((end) => end !== suffixOf(keyId));
  return isSelected ? [...ends, suffixOf(keyId)] : ends;
}

/** Returns the new selection after a person selects or deselects all keys on the page. */
export function withPageSelected(view: TableView, isSelected: boolean): string[] {
  const ofPage = new Set(view.rows.map(({ id }) => suffixOf(id)));
  const others = view.selected.map(({ id }) => suffixOf(id)).filter((end) => !ofPage.has(end));
  return isSelected ? [...others, ...ofPage] : others;
}

/** Minimum length of a word that the search looks for in IDs, because many IDs contain shorter words by chance. */
const SHORTEST_OF_ID = 4;

/** Returns the keys for which each word of the text occurs in the name, ID or description. */
function search(keys: readonly ApiKey[], text: string): readonly ApiKey[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return keys;
  return keys.filter(({ name, id, description }) => {
    const described = `${name}\n${description ?? ''}`.toLowerCase();
    const isOfId = (word: string) => word.length >= SHORTEST_OF_ID && id.toLowerCase().includes(word);
    return words.every((word) => described.includes(word) || isOfId(word));
  });
}

/** The value by which each column sorts. A missing value is `undefined`, and comes last in both directions. */
const SORTED_BY: Record<Column, (key: ApiKey) => string | undefined> = {
  name: ({ name }) => name,
  status: (key) => stateOf(key, Date.now()).words,
  used: ({ lastUsedAt }) => lastUsedAt,
  expires: ({ expiresAt }) => expiresAt,
  // The ULID in the ID also orders keys that were created in the same second.
  created: ({ id }) => id.slice(-26),
};

const collator = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

function sorted(keys: readonly ApiKey[], column: Column, isDescending: boolean): ApiKey[] {
  const sign = isDescending ? -1 : 1;
  // Compares names by locale, and everything else (RFC 3339 times and ULIDs) by code unit.
  const compare =
    column === 'name'
      ? collator.compare
      : (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0);
  const entries = keys.map((key) => ({ key, value: SORTED_BY[column](key) }));
  entries.sort((one, other) => {
    if (one.value === undefined || other.value === undefined) {
      return Number(one.value === undefined) - Number(other.value === undefined);
    }
    return sign * compare(one.value, other.value);
  });
  return entries.map(({ key }) => key);
}

function selectedOf(matching: ApiKey[], selected: TableQuery['selected']): ApiKey[] {
  if (selected === 'all') return matching;
  const wanted = new Set(selected);
  return wanted.size === 0 ? [] : matching.filter(({ id }) => wanted.has(suffixOf(id)));
}
