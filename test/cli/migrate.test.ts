import { once } from 'node:events';
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { csvField, parseCsv } from '../../cli/csv.ts';
import { createKey, readWanted } from '../../cli/migration.ts';
import { commandLine, type Running } from '../support/command-line.ts';
import { runStack } from '../support/stack.ts';
import { temporaryFolder } from '../support/temporary.ts';

const folder = temporaryFolder('migrate');
const stack = await runStack();
const token = await stack.signIn('admin');
await stack.register('etl');
const cli = commandLine();

const at = (name: string) => join(folder, name);
const file = (name: string, text: string) => {
  writeFileSync(at(name), text);
  return at(name);
};

/** Runs the migrate command with the token. */
const run = (args: string[], { env = { MIGRATE_TOKEN: token }, ...running }: Running = {}) =>
  cli.run(['migrate', ...args], { env, ...running });

const listed = async (id: string) =>
  (await stack.callAs('admin', 'GET', `/deployments/${id}/api-keys`)).json.items;
const madeIn = (path: string) => parseCsv(readFileSync(path, 'utf8')).map(({ fields }) => fields);

const KEYS = `deployment,name,oldId,description,scopes,expiresAt
etl,nightly,old-1,"Deploys, at night",code:deploy airflow:read,
etl,"say ""hi""",old-2,,,2040-01-01T00:00:00Z
`;

describe('The migrate command creates a key for each row of a CSV file', { timeout: 120_000 }, () => {
  const keys = file('keys.csv', KEYS);
  const secrets = at('new-keys.csv');
  const usual = [keys, '--url', stack.url, '--secrets', secrets];

  it('the migrate command with --dry-run prints the keys that would be created, and creates nothing', async () => {
    const { code, stdout } = await run([...usual, '--dry-run']);
    expect(code).toBe(0);
    expect(stdout).toBe(
      `2 keys would be created, 0 would be rotated, 0 are already in ${secrets}.\n  line 2: nightly, for etl\n  line 3: say "hi", for etl\n`,
    );
    expect(await listed('etl')).toEqual([]);
    expect(() => statSync(secrets)).toThrow('ENOENT');
  });

  it('the migrate command writes the secrets of the new keys only to a file with mode 0600', async () => {
    const { code, stdout, stderr } = await run(usual);
    expect([code, stdout, stderr]).toEqual([
      0,
      '2 keys created, 0 rotated, 0 already existed.\n',
      '2 of 2 keys\n',
    ]);
    expect(statSync(secrets).mode & 0o777).toBe(0o600);
    const made = madeIn(secrets);
    expect(made).toEqual([
      {
        deployment: 'etl',
        name: 'nightly',
        oldId: 'old-1',
        id: expect.any(String),
        secret: expect.any(String),
      },
      {
        deployment: 'etl',
        name: 'say "hi"',
        oldId: 'old-2',
        id: expect.any(String),
        secret: expect.any(String),
      },
    ]);
    expect(stdout + stderr).not.toMatch(/dks_/);
    const [nightly, hi] = await listed('etl');
    expect(nightly).toMatchObject({
      description: 'Deploys, at night',
      scopes: ['code:deploy', 'airflow:read'],
    });
    expect(hi).toMatchObject({ expiresAt: '2040-01-01T00:00:00.000Z' });
    for (const { id = '', secret = '' } of made) {
      expect(await stack.use(await stack.exchangeForToken({ id, secret, scopes: [] }))).toBe(200);
    }
  });

  it('a second migration creates nothing and leaves the secrets file unchanged', async () => {
    const before = readFileSync(secrets, 'utf8');
    expect((await run(usual)).stdout).toBe('0 keys created, 0 rotated, 2 already existed.\n');
    expect(readFileSync(secrets, 'utf8')).toBe(before);
    expect(await listed('etl')).toHaveLength(2);
  });

  it('the migrate command rotates a key whose secret an earlier, failed run did not store', async () => {
    const text = `${KEYS}etl,third,,,,\n`;
    const [, , third] = readWanted(text);
    // This is the state that the interrupted run leaves behind.
    const lost = await createKey({ url: stack.url, token }, third as never);
    const options = [file('more.csv', text), ...usual.slice(1)];
    expect((await run([...options, '--dry-run'])).stdout).toBe(
      `0 keys would be created, 1 would be rotated, 2 are already in ${secrets}.\n  line 4: third, for etl, would be rotated: ${lost.id}\n`,
    );
    expect(madeIn(secrets)).toHaveLength(2);
    expect((await run(options)).stdout).toBe(
      `Line 4: third, for etl, rotated: ${lost.id}\n0 keys created, 1 rotated, 2 already existed.\n`,
    );
    expect(await listed('etl')).toHaveLength(3);
    const { id = '', secret = '' } = madeIn(secrets)[2] ?? {};
    expect(id).toBe(lost.id);
    expect((await stack.exchange({ id, secret: lost.secret ?? '', scopes: [] })).status).toBe(401);
    expect((await stack.exchange({ id, secret, scopes: [] })).status).toBe(200);
  });

  it('the migrate command stops if a key was used whose secret is not in the secrets file', async () => {
    await stack.register('used');
    const rows = file('used.csv', 'deployment,name\nused,idle\nused,busy\n');
    const options = [rows, '--url', stack.url, '--secrets', at('used-keys.csv')];
    expect((await run(options)).code).toBe(0);
    const [idle, busy] = madeIn(at('used-keys.csv')).map(({ id = '', secret = '' }) => ({
      id,
      secret,
      scopes: [],
    }));
    if (!idle || !busy) throw new Error('The run created fewer than two keys.');
    expect((await stack.exchange(busy)).status).toBe(200);
    rmSync(at('used-keys.csv'));

    const stderr = `error: 1 keys of an earlier run are in use, but not in ${at('used-keys.csv')}. The command rotates no key, because their pipelines would get 401:
Line 3: busy, for used: ${busy.id}
Restore the lines of the earlier secrets file, or remove these rows from the CSV file. To replace a secret, run: deployment-api-keys keys rotate <key>
`;
    expect(await run([...options, '--dry-run'])).toEqual({
      code: 1,
      stdout: `0 keys would be created, 0 would be rotated, 0 are already in ${at('used-keys.csv')}.
  line 2: idle, for used, unused: ${idle.id}
  line 3: busy, for used, in use, stops the run: ${busy.id}
`,
      stderr,
    });
    expect(await run(options)).toEqual({
      code: 1,
      stdout: '0 keys created, 0 rotated, 0 already existed.\n',
      stderr: `2 of 2 keys\n${stderr}`,
    });
    expect(() => statSync(at('used-keys.csv'))).toThrow('ENOENT');
    for (const key of [idle, busy]) expect((await stack.exchange(key)).status).toBe(200);
  });

  it('the migrate command can register Deployments with their groups, and reads the token from standard input', async () => {
    const rows = file('new.csv', 'deployment,name,groups\nbi,ci,data-eng; platform\n');
    const without = await run([rows, '--url', stack.url, '--secrets', at('bi.csv')]);
    expect([without.code, without.stderr]).toEqual([
      2,
      'error: These Deployments are not registered: bi. Register them, or use --register.\n',
    ]);
    const options = { env: {}, typed: `${token}\n` };
    const { code } = await run([rows, '--url', stack.url, '--secrets', at('bi.csv'), '--register'], options);
    expect(code).toBe(0);
    expect((await stack.callAs('admin', 'GET', '/deployments/bi')).json.groups).toEqual([
      'data-eng',
      'platform',
    ]);
    expect(madeIn(at('bi.csv'))).toHaveLength(1);
  });

  it('the migrate command registers a Deployment with the groups from all its rows', async () => {
    const rows = file('union.csv', 'deployment,name,groups\nunion,a,one;two\nunion,b,\nunion,c,two;three\n');
    const options = [rows, '--url', stack.url, '--secrets', at('union-keys.csv'), '--register'];
    const { stdout } = await run([...options, '--dry-run']);
    expect(stdout).toContain('  union would be registered, with the groups one, two, three\n');
    expect((await run(options)).code).toBe(0);
    const { json } = await stack.callAs('admin', 'GET', '/deployments/union');
    expect(json.groups).toEqual(['one', 'two', 'three']);
  });

  it('#61: the migrate command registers a Deployment with its groups unchanged, even if the groups contain spaces', async () => {
    const rows = file('spaces.csv', 'deployment,name,groups\nspaces,ci,"Data Platform;x admins; on call "\n');
    const { code } = await run([rows, '--url', stack.url, '--secrets', at('spaces-keys.csv'), '--register']);
    expect(code).toBe(0);
    const { json } = await stack.callAs('admin', 'GET', '/deployments/spaces');
    expect(json.groups).toEqual(['Data Platform', 'x admins', 'on call']);
  });

  it('the migrate command reports each rejected row and creates keys for all other rows', async () => {
    const rows = file('some.csv', 'deployment,name,expiresAt\netl,good,\netl,bad,2001-01-01T00:00:00Z\n');
    const { code, stdout, stderr } = await run([rows, '--url', stack.url, '--secrets', at('some-keys.csv')]);
    expect([code, stdout]).toEqual([1, '1 keys created, 0 rotated, 0 already existed.\n']);
    expect(stderr).toMatch(/1 rejected:\nLine 3: 400 expiresAt/);
    expect(madeIn(at('some-keys.csv'))).toHaveLength(1);
  });

  it('the migrate command creates nothing if a row names a scope that the stack does not know', async () => {
    const before = (await listed('etl')).length;
    const rows = file('scopes.csv', 'deployment,name,scopes\netl,good,code:deploy\netl,bad,no:such\n');
    for (const more of [['--dry-run'], []]) {
      const outcome = await run([rows, '--url', stack.url, '--secrets', at('scopes-keys.csv'), ...more]);
      expect(outcome).toEqual({
        code: 1,
        stdout: '',
        stderr:
          'error: Line 3: unknown scope no:such. Scopes of the stack: code:deploy, airflow:read, airflow:write.\n',
      });
    }
    expect(await listed('etl')).toHaveLength(before);
  });

  it.each([
    [
      'a secrets file that others can read',
      () => chmodSync(file('open.csv', 'a\n'), 0o644),
      'open.csv',
      2,
      /must be a file with mode 0600/,
    ],
    ['a token that is invalid', () => {}, 'x.csv', 3, /^error: The service rejected the token/],
  ])('the migrate command creates nothing if it finds %s', async (_, prepare, name, exitCode, says) => {
    prepare();
    const before = (await listed('etl')).length;
    const rows = file('one.csv', `deployment,name\netl,${name}\n`);
    const { code, stderr } = await run([rows, '--url', stack.url, '--secrets', at(name)], {
      env: { MIGRATE_TOKEN: 'x' },
    });
    expect(code).toBe(exitCode);
    expect(stderr).toMatch(says);
    expect(await listed('etl')).toHaveLength(before);
  });

  it.each([
    [['--url', 'https://keys.example.com', '--secrets', 'x'], /^error: missing required argument 'file'\n/],
    [
      ['keys.csv', '--url', 'http://keys.example.com', '--secrets', 'x'],
      /^error: --url \(or DEPLOYMENT_KEYS_URL\) must begin with https:\/\//,
    ],
    [
      ['keys.csv', '--url', 'https://keys.example.com'],
      /^error: required option '--secrets <file>' not specified\n/,
    ],
  ])('the migrate command names the missing option: %j', async (args, says) => {
    expect((await run(args)).stderr).toMatch(says);
  });

  it('the migrate command repeats a call whose connection was closed, and does not follow a redirect', async () => {
    let calls = 0;
    const server = createServer((request, response) => {
      calls += 1;
      if (calls === 1) request.destroy();
      else response.writeHead(302, { location: 'https://elsewhere.example/' }).end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const rows = file('closed.csv', 'deployment,name\netl,ci\n');
    const { code, stdout, stderr } = await run([rows, '--url', `http://${host}`, '--secrets', at('no.csv')]);
    server.close();
    expect([code, stdout, calls]).toEqual([1, '', 2]);
    const [repeated = '', ...rest] = stderr.split('\n');
    expect(repeated.replace(/[\d.]+ s\.$/, 'N s.')).toBe(
      `Cannot reach ${host}: the connection was closed (UND_ERR_SOCKET). Attempt 2 of 8 follows in N s.`,
    );
    expect(rest).toEqual([
      `error: ${host} redirects to https://elsewhere.example/. Credentials are not sent there. Is the URL right? Give the stack's output ApiUrl.`,
      '',
    ]);
  });

  it('the migrate command prints its options with --help', async () => {
    expect((await run(['--help'])).stdout).toContain('deployment-api-keys migrate keys.csv --url');
  });
});

const RULE =
  'without control, zero-width and bidirectional formatting characters, and without white space at the start or end';

describe('The migrate command parses its CSV file strictly', () => {
  it('#61: groups in the CSV file are separated by semicolons and read unchanged, whatever characters they contain', () => {
    const group = fc
      .string({
        unit: fc.constantFrom('a', 'Z', ' ', ';', ',', '"', "'", '/', ':', '|', 'é', '漢', '\u00a0'),
        minLength: 1,
        maxLength: 20,
      })
      .filter((text) => text.trim() === text && text !== '');
    const quoted = (text: string) => (/[;"]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    fc.assert(
      fc.property(fc.array(group, { maxLength: 20 }), (groups) => {
        const text = `deployment,name,groups\netl,ci,${csvField(groups.map(quoted).join(';'))}\n`;
        expect(readWanted(text)[0]?.groups).toEqual(groups);
      }),
    );
  });

  it.each([
    [
      'a name with leading or trailing white space',
      'name',
      'ci ',
      `name must be 1 to 100 characters, ${RULE}.`,
    ],
    ['a blank name', 'name', ' ', `name must be 1 to 100 characters, ${RULE}.`],
    [
      'an invisible character in a description',
      'description',
      'a\u200bb',
      `description must be 0 to 500 characters, ${RULE}.`,
    ],
    [
      'blank scopes',
      'scopes',
      ' ',
      'scopes contains only white space. Leave it empty for all scopes of the stack.',
    ],
    [
      'a group with an invisible character',
      'groups',
      'ok;a\u202eb',
      `groups: "a\u202eb" must be 1 to 128 characters, ${RULE}.`,
    ],
    [
      'a group that is too long',
      'groups',
      'a'.repeat(129),
      `groups: "${'a'.repeat(129)}" must be 1 to 128 characters, ${RULE}.`,
    ],
    ['21 groups', 'groups', Array(21).fill('a').join(';'), 'groups must have at most 20 entries.'],
    ['a quote in the middle of a group', 'groups', 'a"b', 'groups has a misplaced or unclosed quote.'],
  ])('the migrate command rejects a CSV file with %s', (_, column, value, fault) => {
    const fields = { deployment: 'etl', name: 'ci', [column]: value };
    const text = [Object.keys(fields), Object.values(fields).map(csvField)]
      .map((row) => row.join(','))
      .join('\n');
    expect(() => readWanted(text)).toThrow(`Line 2: ${fault}`);
  });

  it('the migrate command rejects the whole CSV file if rows are malformed, and reports each error with its line number', () => {
    const text = 'deployment,name,colour\n-x,ci,red\netl,,red\netl,a,\netl,a,\n';
    expect(() => readWanted(text)).toThrow(
      [
        'Line 1: unknown column colour. Allowed columns: deployment, name, oldId, description, scopes, expiresAt, groups.',
        'Line 2: deployment must be an ID: letters, digits, _ and -, at most 64.',
        `Line 3: name must be 1 to 100 characters, ${RULE}.`,
        'Line 5: same key as line 4. Give one of them another name or oldId.',
      ].join('\n'),
    );
    expect(() => readWanted('deployment\netl\n')).toThrow('Line 1: the column name is missing.');
    expect(() => readWanted('deployment,name\n')).toThrow('The file has no rows below the first line.');
  });

  it.each([
    ['a,b\n1,"x, ""y""\nz"\n', [{ a: '1', b: 'x, "y"\nz' }]],
    [
      '\uFEFFa,b\r\n1,2\r\n\r\n3,4',
      [
        { a: '1', b: '2' },
        { a: '3', b: '4' },
      ],
    ],
    ['a,b\n1,\n', [{ a: '1', b: '' }]],
    ['a,b\n,2', [{ a: '', b: '2' }]],
    ['a\n', []],
    ['', []],
  ])('the migrate command parses the CSV file according to RFC 4180: %j', (text, rows) => {
    expect(parseCsv(text).map(({ fields }) => fields)).toEqual(rows);
  });

  it.each([
    ['a\n"x', 'Line 2 has a misplaced or unclosed quote.'],
    ['a\nx"y"\n', 'Line 2 has a misplaced or unclosed quote.'],
    ['a,b\n\n1\n', 'Line 3 has 1 fields, but the first line has 2.'],
  ])('the migrate command rejects a malformed CSV file: %j', (text, says) => {
    expect(() => parseCsv(text)).toThrow(says);
  });
});
