import { ScanCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, describe, expect, it } from 'vitest';
import { commandLine, tableEnvironment, usageError } from '../support/command-line.ts';
import { inProcess, must, startTable } from '../support/in-process.ts';

const engine = await startTable();
afterAll(() => engine.stop());
const app = inProcess(engine);
const items = async () =>
  (await app.table.client.send(new ScanCommand({ TableName: 'keys', ConsistentRead: true }))).Items;

await app.register('etl');

describe('The erase-person command asks for confirmation', { timeout: 60_000 }, () => {
  const cli = commandLine({ env: tableEnvironment(engine) });
  const run = (...args: string[]) => cli.run(['erase-person', '--table', 'keys', ...args]);

  it('the erase-person command rejects a malformed sub, and does nothing without a confirmation', async () => {
    for (const sub of ['', 'grün', 'erased']) {
      expect(await run(sub)).toEqual(
        usageError('The sub of a person has 1 to 255 printable ASCII characters.'),
      );
    }
    const before = await items();
    expect(await run('ada')).toEqual(
      usageError(
        "ada is erased from keys: their keys keep working but no longer name them, and their temporary tokens lose access immediately. This can't be undone. Use --yes to confirm.",
      ),
    );
    expect(await items()).toEqual(before);
  });

  it('the erase-person command prints what it changed', async () => {
    const made = await app.call('POST', '/deployments/etl/api-keys', {
      as: 'sub-of-noa',
      json: { name: 'noa' },
    });
    must(made, 201);
    const counts = `       1 keys\n       1 events\n       0 temporary tokens\n       0 stored responses\n       0 counts of rejected calls\n       0 records of ended access\n       0 restores\n`;
    expect(await run('sub-of-noa', '--dry-run')).toEqual({
      code: 0,
      stdout: `Dry run: nothing was written.\n${counts}`,
      stderr: '',
    });
    expect(await run('sub-of-noa', '--yes')).toEqual({ code: 0, stdout: `Done.\n${counts}`, stderr: '' });
    expect(JSON.stringify(await items())).not.toContain('sub-of-noa');
  });
});
