import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Backfill, backfill, type Position } from '../../cli/backfilling.ts';
import { commandLine, tableEnvironment } from '../support/command-line.ts';
import { inProcess, startTable } from '../support/in-process.ts';
import { createPlatformTable, rowOf } from '../support/platform-table.ts';
import { temporaryFolder } from '../support/temporary.ts';

const engine = await startTable();
const platform = await createPlatformTable(engine.endpoint);
const service = inProcess(engine);
const folder = temporaryFolder('backfill');
afterAll(() => engine.stop());
const listed = async () => (await service.partition('DEPLOYMENTS')).map(({ sk }) => sk);

describe('A backfill registers a Deployment for each row of a followed table', () => {
  const OF = 'a into b';
  const IDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  let kept: Position | undefined = { of: OF, part: 'rows', after: undefined };
  const read: number[] = [];
  const run = (more: Partial<Backfill> = {}) =>
    backfill({
      table: service.table,
      from: platform.from,
      clock: () => service.time.now,
      onRejectedRow: () => {},
      most: 100,
      limit: 2,
      prunes: true,
      begin: kept ?? { of: OF, part: 'rows', after: undefined },
      onPosition: (position) => {
        kept = position;
      },
      onProgress: ({ read: n }) => read.push(n),
      ...more,
    });

  it('an interrupted backfill continues without repeating finished work, even if rows are added or deleted in the meantime', async () => {
    for (const id of IDS) await platform.put(rowOf(id));
    let pages = 0;
    const dies = {
      onProgress: () => {
        if (++pages === 2) throw new Error('dead');
      },
    };
    await expect(run(dies)).rejects.toThrow('dead');
    const first = await listed();
    expect(first).toHaveLength(4);
    // The stored position is the page on which the backfill failed, so the next run reads that page again.
    expect(kept).toMatchObject({ of: OF, part: 'rows', after: expect.anything() });
    const events = async () =>
      (await Promise.all(first.map((id) => service.partition(`EVENTS#${id}`)))).flat();
    const before = await events();
    const left = IDS.filter((id) => !first.includes(id));
    await platform.remove(left[0] ?? '');
    await run();
    expect((await listed()).toSorted()).toEqual(IDS.filter((id) => id !== left[0]));
    expect(await events()).toEqual(before);
    expect(kept).toBeUndefined();
  });

  it('a second backfill changes nothing, except that it deletes Deployments without a row if prune is set', async () => {
    await platform.remove('a');
    read.length = 0;
    await run({ prunes: false });
    expect(read.at(-1)).toBeLessThan(IDS.length);
    const had = await listed();
    const repaired: string[] = [];
    await run({ onRepaired: (id, outcome) => repaired.push(`${outcome} ${id}`) });
    expect(repaired).toEqual(had.includes('a') ? ['deleted a'] : []);
    expect(await listed()).not.toContain('a');
  });

  it.each([
    [1, 1],
    [3, 1],
    [4, 2],
    [12, 5],
  ])(
    '#66: without --most, the backfill command deletes at most half of %i Deployments and never more than five: %i',
    async (number, most) => {
      const pruned = (lost: number) =>
        run({ most: undefined, begin: { of: OF, part: 'rows', after: undefined } }).then(
          ({ counts }) => counts.deleted,
          (error) => `${lost}: ${error.message.split(',')[0]}`,
        );
      for (const id of await listed()) await platform.remove(String(id));
      await run();
      const ids = Array.from({ length: number }, (_, n) => `half-${n}`);
      for (const id of ids) await platform.put(rowOf(id));
      await run({ prunes: false });
      if (number > most) {
        for (const id of ids.slice(0, most + 1)) await platform.remove(id);
        expect(await pruned(most + 1)).toBe(`${most + 1}: ${most + 1} Deployments have no row in the source`);
        expect(await listed()).toHaveLength(number);
        await platform.put(rowOf(`half-${most}`));
      } else await platform.remove('half-0');
      expect(await pruned(most)).toBe(most);
      expect(await listed()).toHaveLength(number - most);
    },
  );

  it('#66: a backfill that continues after an interruption deletes no Deployments if too many rows are gone', async () => {
    for (const id of await listed()) await platform.remove(String(id));
    await run();
    const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    for (const id of ids) await platform.put(rowOf(id));
    await run({ prunes: false });
    const dies = () => {
      throw new Error('dead');
    };
    await expect(run({ onProgress: dies })).rejects.toThrow('dead');
    for (const id of ids) await platform.remove(id);
    const begin = { of: OF, part: 'registrations', after: undefined } as const;
    await expect(run({ begin, most: 6 })).rejects.toThrow('7 Deployments have no row in the source');
    expect(await listed()).toEqual(ids);
    kept = undefined;
    await run();
    expect(await listed()).toEqual([]);
  });
});

describe('The backfill command supports dry runs and can continue after an interruption', {
  timeout: 120_000,
}, () => {
  const cli = commandLine({ env: tableEnvironment(engine) });
  const script = (...args: string[]) =>
    cli.run(['backfill', ...args, '--position', join(folder, 'position.json')]);
  const source = ['--source', JSON.stringify(platform.source)];

  it('the backfill command only prints its plan in a dry run', async () => {
    await platform.put(rowOf('x', { deployment: { S: 'no id' } }));
    await platform.put(rowOf('new'));
    const dry = await script('--table', 'keys', ...source, '--dry-run');
    expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining('registered: new\n') });
    expect(dry.stdout).toMatch(/Dry run: nothing was written.\n$/);
    expect(await listed()).not.toContain('new');
    const done = await script('--table', 'keys', ...source);
    expect(done).toMatchObject({ code: 0, stdout: expect.stringMatching(/^registered: new\n/m) });
    expect(done.stdout).toContain('rejected: row {"key":{"S":"row-x"}}: deployment must be text');
    expect(done.stderr).toMatch(/^\d+ read, 1 registered, 0 changed, 0 deleted, 1 rejected, 0 malformed\n$/);
    expect(await listed()).toContain('new');
    expect(existsSync(join(folder, 'position.json'))).toBe(false);
  });

  it('#66: with --prune and an empty table, the backfill command deletes Deployments only if --most allows it', async () => {
    const ids = Array.from({ length: 6 }, (_, n) => `doomed-${n}`);
    for (const id of ids) await platform.put(rowOf(id));
    expect(await script('--table', 'keys', ...source)).toMatchObject({ code: 0 });
    const all = await listed();
    expect(all).toEqual(expect.arrayContaining(ids));
    for (const id of all) await platform.remove(String(id));

    const stopped = await script('--table', 'keys', ...source, '--prune');
    expect(stopped).toEqual({
      code: 1,
      stdout: expect.stringMatching(/^(rejected: .*\n)*$/),
      stderr: expect.stringContaining(
        `error: ${all.length} Deployments have no row in the source, and 3 deletions are allowed. None was deleted.\n`,
      ),
    });
    expect(stopped.stderr).toContain(`with --most ${all.length}.\n`);
    expect(await listed()).toEqual(all);
    const fewer = await script('--table', 'keys', ...source, '--prune', '--most', String(all.length - 1));
    expect(fewer).toMatchObject({ code: 1 });
    expect(await listed()).toEqual(all);

    const dry = await script('--table', 'keys', ...source, '--prune', '--dry-run');
    expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining('deleted: doomed-0\n') });
    expect(dry.stdout).toMatch(
      new RegExp(`none of the ${all.length} Deployments, because 3 .* add --most ${all.length}.\n$`),
    );
    expect(await listed()).toEqual(all);
    const done = await script('--table', 'keys', ...source, '--prune', '--most', String(all.length));
    expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('deleted: doomed-5\n') });
    expect(await listed()).toEqual([]);
    await platform.put(rowOf('new'));
    expect(await script('--table', 'keys', ...source, '--most', 'x')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--most must be a whole number, not "x".'),
    });
  });

  it('the backfill command lists its required options, and reports which part of the setting is invalid', async () => {
    expect(await script('--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('--dry-run') });
    const [untold, wrong, unknown, nowhere] = await Promise.all([
      script(...source),
      script('--table', 'keys', '--source', '{"table":"platform"}'),
      script('--table', 'keys', '--prun'),
      script('--table', 'no-such-table', ...source, '--dry-run'),
    ]);
    expect(nowhere).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /\nCheck that --table is the stack's output TableName, and that the Region is/,
      ),
    });
    expect(untold).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^error: required option '--table <name>' not specified\n/),
    });
    expect(wrong).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /^error: deploymentsSource must be .* Wrong or missing in it: table, stream, id\.\n$/,
      ),
    });
    expect(unknown).toMatchObject({
      code: 2,
      stderr:
        "error: unknown option '--prun'\n(Did you mean --prune?)\nRun deployment-api-keys backfill --help for usage.\n",
    });
  });

  it('the backfill command rejects a stored position that belongs to a different backfill', async () => {
    const file = join(folder, 'position.json');
    writeFileSync(file, JSON.stringify({ of: 'other', part: 'rows' }));
    const refused = await script('--table', 'keys', ...source);
    expect(refused).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('belongs to another backfill (other)'),
    });
    expect(JSON.parse(readFileSync(file, 'utf8')).of).toBe('other');
  });
});
