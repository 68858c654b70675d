import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { type Backfill, backfill, type Position } from '../../cli/backfilling.ts';
import { inProcess, startTable } from '../support/in-process.ts';
import { makePlatformTable, rowOf } from '../support/platform-table.ts';

const engine = await startTable();
const platform = await makePlatformTable(engine.endpoint);
const service = inProcess(engine);
const folder = mkdtempSync(join(tmpdir(), 'backfill-'));
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await engine.stop();
});
const listed = async () => (await service.partition('DEPLOYMENTS')).map(({ sk }) => sk);

describe('a backfill', () => {
  const OF = 'a into b';
  const IDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  let kept: Position | undefined = { of: OF, part: 'rows', after: undefined };
  const looked: number[] = [];
  const run = (more: Partial<Backfill> = {}) =>
    backfill({
      table: service.table,
      from: platform.from,
      clock: () => service.time.now,
      onRefused: () => {},
      mostGone: 100,
      limit: 2,
      prunes: true,
      begin: kept ?? { of: OF, part: 'rows', after: undefined },
      onPosition: (position) => {
        kept = position;
      },
      onProgress: ({ looked: n }) => looked.push(n),
      ...more,
    });

  it('continues after an interruption while rows come and go, and repeats nothing that is done', async () => {
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
    // The position is the page during which it failed, so that page is read again.
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

  it('finds nothing to do in a second run, except deleted rows with prune', async () => {
    await platform.remove('a');
    looked.length = 0;
    await run({ prunes: false });
    expect(looked.at(-1)).toBeLessThan(IDS.length);
    const had = await listed();
    const mended: string[] = [];
    await run({ onMended: (id, outcome) => mended.push(`${outcome} ${id}`) });
    expect(mended).toEqual(had.includes('a') ? ['deleted a'] : []);
    expect(await listed()).not.toContain('a');
  });
});

describe('npm run backfill', () => {
  const script = async (...args: string[]) => {
    const env = { ...process.env, AWS_ENDPOINT_URL_DYNAMODB: engine.endpoint };
    const command = ['cli/backfill.ts', ...args, '--position', join(folder, 'position.json')];
    const run = promisify(execFile)(process.execPath, command, { env });
    return run.then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
    );
  };
  const source = ['--source', JSON.stringify(platform.source)];

  it('prints what it would do, does it, reports rejected rows, and keeps its position until it is done', async () => {
    await platform.put(rowOf('x', { deployment: { S: 'no id' } }));
    await platform.put(rowOf('new'));
    const dry = await script('--table', 'keys', ...source, '--dry-run');
    expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining('registered: new\n') });
    expect(dry.stdout).toMatch(/Dry run: nothing was written.\n$/);
    expect(await listed()).not.toContain('new');
    const done = await script('--table', 'keys', ...source);
    expect(done).toMatchObject({ code: 0, stdout: expect.stringMatching(/^registered: new\n/m) });
    expect(done.stdout).toContain('rejected: row {"key":{"S":"row-x"}}: deployment must be text');
    expect(done.stderr).toMatch(/^\d+ read, 1 registered, 0 changed, 0 deleted, 1 rejected\n$/);
    expect(await listed()).toContain('new');
    expect(existsSync(join(folder, 'position.json'))).toBe(false);
  });

  it('lists its required options, and names the invalid part of the setting', async () => {
    expect(await script('--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('--dry-run') });
    const [untold, wrong, unknown, nowhere] = await Promise.all([
      script(...source),
      script('--table', 'keys', '--source', '{"table":"platform"}'),
      script('--tabel', 'keys'),
      script('--table', 'no-such-table', ...source, '--dry-run'),
    ]);
    expect(nowhere).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /\nCheck that --table is the stack's output TableName, and that the Region is/,
      ),
    });
    expect(untold).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^--table is missing/),
    });
    expect(wrong).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^deploymentsSource must be .* Wrong or missing in it: table, stream, id\.\n$/,
      ),
    });
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('--help for usage') });
  });

  it('rejects the position of another backfill', async () => {
    const file = join(folder, 'position.json');
    writeFileSync(file, JSON.stringify({ of: 'other', part: 'rows' }));
    const refused = await script('--table', 'keys', ...source);
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('belongs to another backfill (other)'),
    });
    expect(JSON.parse(readFileSync(file, 'utf8')).of).toBe('other');
  });
});
