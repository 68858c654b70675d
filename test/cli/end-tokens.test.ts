import { afterAll, describe, expect, it } from 'vitest';
import { commandLine, tableEnvironment, usageError } from '../support/command-line.ts';
import { inProcess, startTable } from '../support/in-process.ts';

const engine = await startTable();
afterAll(() => engine.stop());
const app = inProcess(engine);

describe('The end-tokens command validates its options', { timeout: 60_000 }, () => {
  const cli = commandLine({ env: tableEnvironment(engine) });
  const run = (...args: string[]) => cli.run(['end-tokens', '--table', 'keys', ...args]);

  it.each([
    [[], 'Give either --issued-before or --longer-than.'],
    [
      ['--issued-before', '2030-01-01T12:00:00Z', '--longer-than', '1'],
      'Give either --issued-before or --longer-than.',
    ],
    [
      ['--issued-before', '1d'],
      '--issued-before must be a moment in RFC 3339, such as 2030-01-01T12:00:00Z.',
    ],
    [['--longer-than', '1h'], '--longer-than must be a number of seconds, such as 3900.'],
    [['--longer-than', '1', '--deployment', 'a#b'], '--deployment must be the ID of a Deployment.'],
    [['--longer-than', '1', '--write-units', '0'], '--write-units must be a whole number from 1 to 99999.'],
    [
      ['--longer-than', '1', '--deployment', 'etl'],
      "All access tokens that stay valid for more than 1 seconds are revoked in Deployment etl. Anything that uses them loses access immediately. This can't be undone. Use --yes to confirm.",
    ],
  ])('the end-tokens command rejects the options %j', async (args, error) => {
    expect(await run(...args)).toEqual({ code: 2, stdout: '', stderr: `error: ${error}\n` });
  });

  it('the end-tokens command prints how many tokens each key loses, and the total', async () => {
    const id = 'etl';
    await app.register(id);
    const key = await app.createKey(id);
    await app.exchangeForToken(key);
    const args = ['--deployment', id, '--issued-before', '2099-01-01T00:00:00Z'];
    expect(await run(...args, '--dry-run')).toEqual({
      code: 0,
      stdout: `       1 ${key.id}\nDry run: 1 tokens would be revoked.\n`,
      stderr: '',
    });
    expect(await run(...args, '--yes')).toEqual({
      code: 0,
      stdout: `       1 ${key.id}\nDone: 1 tokens revoked.\n`,
      stderr: '',
    });
    const left = await app.partition(`DEPLOYMENT#${id}`);
    expect(left.filter(({ sk }) => String(sk).startsWith('TOKEN#'))).toEqual([]);
  });
});

describe('Commands that work on the table require a Region', { timeout: 60_000 }, () => {
  const { AWS_REGION, ...env } = tableEnvironment(engine);
  const { run } = commandLine({ env });
  const source =
    '{"table":"arn:aws:dynamodb:eu-west-1:111122223333:table/platform","stream":"arn:aws:dynamodb:eu-west-1:111122223333:table/platform/stream/2026-01-01T00:00:00.000","id":"deploymentId"}';

  it.each([
    ['end-tokens', '--table', 'keys', '--longer-than', '1'],
    ['erase-person', '--table', 'keys', 'ada'],
    ['restore', '--from', 'old', '--into', 'keys', '--point', '2030-01-01T12:00:00Z'],
    ['backfill', '--table', 'keys', '--source', source],
  ])('the command %s exits with 2 and names AWS_REGION if no Region is set', async (...args) => {
    expect(await run([...args, '--dry-run'])).toEqual(
      usageError("The Region is missing: set AWS_REGION to the stack's Region."),
    );
  });
});
