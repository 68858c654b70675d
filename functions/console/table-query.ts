/** The filters for keys. */
export const FILTERS = [
  'active',
  'expiring',
  'never-used',
  'idle',
  'leaked',
  'disabled',
  'expired',
  'violates-policy',
  'malformed',
] as const;
export type Filter = (typeof FILTERS)[number];

const COLUMNS = ['name', 'status', 'used', 'expires', 'created'] as const;
export type Column = (typeof COLUMNS)[number];

/** The state of the table of keys, which the URL stores. */
export interface TableQuery {
  search: string;
  filter: Filter | undefined;
  column: Column;
  isDescending: boolean;
  /** Starts at 1. */
  number: number;
  /** `all` for every matching key, or the ID suffixes of the selected keys. */
  selected: 'all' | readonly string[];
}

/**
 * Number of characters from a selected key's ID that the URL contains. The characters are random, so they identify the
 * key within its table.
 */
const SUFFIX = 8;

/** Returns the suffix of a key's ID that identifies a selected key in the URL. */
export const suffixOf = (keyId: string): string => keyId.slice(-SUFFIX);

export const EMPTY_QUERY: TableQuery = {
  search: '',
  filter: undefined,
  column: 'created',
  isDescending: true,
  number: 1,
  selected: [],
};

/** Reads the table's state from a URL's parameters, which can contain anything. */
export function tableQueryOf(query: Record<string, string>): TableQuery {
  const { q = '', status, sort = '-created', page, selected = '' } = query;
  const column = COLUMNS.find((one) => one === sort.replace(/^-/, ''));
  return {
    search: q.slice(0, 200),
    filter: FILTERS.find((one) => one === status),
    column: column ?? EMPTY_QUERY.column,
    isDescending: column ? sort.startsWith('-') : true,
    number: pageNumber(page),
    selected: selected === 'all' ? 'all' : selected.split('.').filter((one) => /^[0-9A-Z]{8}$/.test(one)),
  };
}

/** Reads a page number from a URL, which can contain any text. */
export const pageNumber = (text = ''): number => (/^[1-9]\d{0,2}$/.test(text) ? Number(text) : 1);

/** Returns the URL parameters for a state of the table. Omits default values. */
export function tableParameters(query: TableQuery): Record<string, string | undefined> {
  const { search, filter, column, isDescending, number, selected } = query;
  const sort = `${isDescending ? '-' : ''}${column}`;
  return {
    q: search || undefined,
    status: filter,
    sort: sort === '-created' ? undefined : sort,
    page: number > 1 ? String(number) : undefined,
    selected: selected === 'all' ? 'all' : selected.join('.') || undefined,
  };
}
