import { readFileSync } from 'node:fs';
import { ScanCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, describe, expect, it } from 'vitest';
import { erasePerson } from '../../cli/erase-person.ts';
import { inProcess, must, startTable } from '../support/in-process.ts';

const page = readFileSync(new URL('../../docs/data.md', import.meta.url), 'utf8');
const engine = await startTable();
afterAll(() => engine.stop());
const app = inProcess(engine, { countsRejectedCalls: true });
const TableName = 'keys';
/** A string that occurs nowhere else in the table. */
const WHO = 'sub-of-grace-4711';

await app.register('etl');
const keys = '/deployments/etl/api-keys';
const made = await app.call('POST', keys, {
  as: WHO,
  json: { name: 'ci' },
  headers: { 'idempotency-key': 'once' },
});
const key = must(made, 201).json;
const temporary = must(
  await app.call('POST', '/deployments/etl/temporary-tokens', { as: WHO, json: {} }),
  201,
);
const used = await app.call('GET', '/whoami', {
  token: await app.exchangeForToken(key),
  headers: { 'user-agent': 'curl/8.5' },
});
must(await app.call('GET', '/deployments/not-theirs', { as: WHO }), 404);
await app.leak(temporary.json.access_token);
must(await app.call('POST', '/deployments/etl/temporary-tokens', { as: WHO, json: {} }), 201);

type Item = Record<string, unknown>;
const scan = async (input: object = {}): Promise<Item[]> =>
  (await app.table.client.send(new ScanCommand({ TableName, ...input }))).Items ?? [];

/** Returns the name that docs/data.md uses for this kind of item. */
function kindOf({ pk, sk }: Item): string {
  if (pk === 'REJECTED_CALLS') return pk;
  return String(pk).startsWith('EVENTS#') ? 'EVENTS' : (String(sk).split('#')[0] ?? '');
}

/** Returns the places in the table that contain one of these strings. An example of a place is `KEY#…: createdBy`. */
function placesOf(items: Item[], holds: (value: string) => boolean): Set<string> {
  const found = new Set<string>();
  const walk = (kind: string, path: string, value: unknown) => {
    if (typeof value === 'string' && holds(value)) found.add(`${kind}: ${path.replace(/#[\w-]+/, '#…')}`);
    else if (value && typeof value === 'object') {
      for (const [name, of] of Object.entries(value)) walk(kind, path ? `${path}.${name}` : name, of);
    }
  };
  for (const { pk, sk, ...attributes } of items) walk(kindOf({ pk, sk }), '', attributes);
  return found;
}

/** The places in the table that docs/data.md lists. */
const documented = new Set(
  [...page.matchAll(/^\| [^|]* \| (`[A-Z_]+#?…?`: .*?) \|/gm)].flatMap(([, cell = '']) =>
    cell.split('; ').flatMap((part) => {
      const [, kind, attributes = ''] = /^`([A-Z_]+)#?…?`: (.*)$/.exec(part) ?? [];
      return [...attributes.matchAll(/`([^`]+)`/g)].map(([, path]) => `${kind}: ${path}`);
    }),
  ),
);

describe('docs/data.md describes all personal data', () => {
  it('personal data is stored only where docs/data.md says', async () => {
    expect(used.status).toBe(200);
    const items = await scan();
    const places = placesOf(items, (value) => /sub-of-grace|192\.0\.2\.|curl|^test$/.test(value));
    expect([...places].filter((place) => !documented.has(place))).toEqual([]);
    const ofPeople = placesOf(items, (value) => value.includes(WHO));
    expect([...ofPeople].sort()).toEqual([
      'EVENTS: actor.principal',
      'EVENTS: data.sub',
      'GRANT: sub',
      'IDEM: answer.body',
      'KEY: createdBy',
      'REJECTED_CALLS: principal',
    ]);
  });

  const [, filter = ''] = /--filter-expression '(.*)'/.exec(page) ?? [];
  const [, names = '{}'] = /--expression-attribute-names '(.*)'/.exec(page) ?? [];
  const found = () =>
    scan({
      FilterExpression: filter,
      ExpressionAttributeNames: JSON.parse(names),
      ExpressionAttributeValues: { ':who': WHO, ':system': 'system' },
    });

  it('the command in docs/data.md finds each item that identifies the person', async () => {
    const naming = (await scan()).filter((item) => JSON.stringify(item).includes(WHO));
    const idsOf = (items: Item[]) => items.map(({ pk, sk }) => `${pk} ${sk}`).sort();
    expect(idsOf(await found())).toEqual(idsOf(naming));
    expect(naming.length).toBeGreaterThan(4);
  });

  it('erase-person, as docs/data.md describes it, erases the personal data without breaking the key', async () => {
    await erasePerson(app.table, WHO, { clock: () => app.time.now, isDryRun: false });
    expect(await found()).toEqual([]);
    expect([...placesOf(await scan(), (value) => value.includes(WHO))]).toEqual([]);
    expect(await app.use(await app.exchangeForToken(key))).toBe(200);
    expect((await app.call('GET', `${keys}/${key.id}`, { as: WHO })).json.createdBy).toBe('erased');
  });

  it('docs/data.md says what erase-person does with each kind of item', () => {
    const [, table = ''] = page.split('| item | what the command does |');
    for (const kind of [
      'KEY#',
      'EVENTS#',
      'GRANT#',
      'REJECTED_CALLS',
      'IDEM#',
      'PERSON#',
      'PEOPLE',
      'RESTORES',
    ]) {
      expect(table).toContain(`\`${kind}`);
    }
  });
});
