import { describe, expect, it } from 'vitest';
import type { ApiKey } from '../../functions/console/resources.ts';
import { EMPTY_QUERY, suffixOf, type TableQuery } from '../../functions/console/table-query.ts';
import { PAGE_SIZE, tableView, withPageSelected, withSelected } from '../../functions/console/table-view.ts';

const NOW = Date.parse('2030-01-01T12:00:00Z');
const DAY = 86_400_000;
const at = (days: number) => new Date(NOW + days * DAY).toISOString();

/** Returns a key whose ID sorts according to the given number. */
const keyOf = (number: number, fields: Partial<ApiKey> = {}): ApiKey => ({
  id: `dk_etl_01KEY${String(number).padStart(21, '0')}`,
  name: `key ${number}`,
  description: null,
  scopes: ['code:deploy'],
  enabled: true,
  status: 'active',
  createdAt: at(-1),
  createdBy: 'ada',
  lastUsedAt: at(-1),
  activeDays: [],
  networks: [],
  credentials: [],
  ...fields,
});
const view = (keys: ApiKey[], query: Partial<TableQuery> = {}) =>
  tableView(keys, { ...EMPTY_QUERY, ...query }, NOW);
const namesOf = (keys: ApiKey[], query: Partial<TableQuery>) =>
  view(keys, query).rows.map(({ name }) => name);

describe("The console's key table filters, sorts and selects keys", () => {
  const { lastUsedAt: _, ...unused } = keyOf(6);
  const keys = [
    keyOf(1),
    keyOf(2, { status: 'disabled', enabled: false }),
    keyOf(3, { status: 'expired', expiresAt: at(-1) }),
    keyOf(4, { status: 'leaked' }),
    keyOf(5, { expiresAt: at(7) }),
    unused,
    keyOf(7, { status: 'idle' }),
    keyOf(8, { malformed: true }),
    keyOf(9, { expiresAt: at(8), policyViolations: ['expiry_too_late'] }),
  ];
  it.each([
    ['active', ['key 9', 'key 6', 'key 5', 'key 1']],
    ['expiring', ['key 5']],
    ['never-used', ['key 6']],
    ['idle', ['key 7']],
    ['leaked', ['key 4']],
    ['disabled', ['key 2']],
    ['expired', ['key 3']],
    ['violates-policy', ['key 9']],
    ['malformed', ['key 8']],
  ] as const)(
    'the key table lists the keys that have a given status, newest first, and counts them: %s',
    (filter, expected) => {
      expect(namesOf(keys, { filter })).toStrictEqual(expected);
      expect(view(keys).counts[filter]).toBe(expected.length);
    },
  );

  it.each([
    ['name', false, ['key 2', 'key 10', 'Key 30']],
    ['name', true, ['Key 30', 'key 10', 'key 2']],
    ['expires', false, ['key 10', 'key 2', 'Key 30']],
    ['expires', true, ['key 2', 'key 10', 'Key 30']],
    ['used', true, ['Key 30', 'key 2', 'key 10']],
    ['created', false, ['key 2', 'key 10', 'Key 30']],
  ] as const)(
    'the key table sorts keys by %s (descending: %s) and puts keys without a value last',
    (column, isDescending, expected) => {
      const { lastUsedAt: __, ...never } = keyOf(10, { expiresAt: at(1) });
      const sortable = [
        never,
        keyOf(2, { expiresAt: at(2), lastUsedAt: at(-3) }),
        keyOf(30, { name: 'Key 30', lastUsedAt: at(-2) }),
      ];
      expect(namesOf(sortable, { column, isDescending })).toStrictEqual(expected);
    },
  );

  it.each([
    ['KEY 2', ['key 20', 'key 2']],
    ['2 key', ['key 20', 'key 2']],
    ['ada', ['key 3']],
    ['0000020', ['key 20']],
    // This text occurs in every ID but is too short to identify a key.
    ['01k', []],
  ])(
    'a search in the key table finds keys whose name, ID or description contains every word of %s',
    (text, expected) => {
      const searched = [keyOf(2), keyOf(3, { description: 'Asks Ada' }), keyOf(20)];
      expect(namesOf(searched, { search: text })).toStrictEqual(expected);
    },
  );

  it('the key table shows one page of keys, or the last page if the page number is too high', () => {
    const many = Array.from({ length: PAGE_SIZE + 1 }, (_one, number) => keyOf(number));
    expect(view(many).rows).toHaveLength(PAGE_SIZE);
    expect(view(many, { number: 9 })).toMatchObject({ number: 2, rows: [{ name: 'key 0' }] });
  });

  it('the key table can select individual keys, one page of keys or all matching keys', () => {
    const [one, two, three] = [keyOf(1), keyOf(2), keyOf(3, { status: 'disabled' })];
    const all = [one, two, three];
    expect(withSelected(view(all), one.id, true)).toStrictEqual([suffixOf(one.id)]);
    const selected = withSelected(view(all, { selected: [suffixOf(one.id)] }), two.id, true);
    expect(selected).toStrictEqual([suffixOf(one.id), suffixOf(two.id)]);
    expect(withSelected(view(all, { selected }), one.id, false)).toStrictEqual([suffixOf(two.id)]);
    expect(view(all, { selected, filter: 'disabled' }).selected).toStrictEqual([]);
    expect(view(all, { selected: 'all', filter: 'disabled' }).selected).toStrictEqual([three]);
    expect(withPageSelected(view(all), true)).toHaveLength(3);
    expect(withPageSelected(view(all, { selected: 'all' }), false)).toStrictEqual([]);
  });
});
