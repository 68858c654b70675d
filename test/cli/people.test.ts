import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { DEVELOPER } from '../../local/api-gateway/iam-authorizer.ts';
import { awsEnvironment, commandLine, usageError } from '../support/command-line.ts';
import { runStack } from '../support/stack.ts';
import { temporaryFolder } from '../support/temporary.ts';

const stack = await runStack({ context: { platformPrincipals: DEVELOPER.arn } });
const { run, json, home } = commandLine();
const folder = temporaryFolder('people');
const file = join(home, '.config/deployment-api-keys/sign-ins.json');

/** Signs a person in as a browser would. */
async function login(person: string, tamper: (url: URL) => void = () => {}) {
  return run(['login', '--url', stack.url, '--no-browser'], {
    onStart: (child) => {
      let said = '';
      child.stderr?.on('data', async (chunk) => {
        said += chunk;
        const [found] = /http:\S+(?=\n)/.exec(said) ?? [];
        if (!found) return;
        said = '';
        const url = new URL(found);
        url.searchParams.set('as', person);
        tamper(url);
        await fetch(url).catch(() => {});
      });
    },
  });
}

describe('People can sign in from the command line', { timeout: 120_000 }, () => {
  it('the login command stores the tokens in a file that only its owner can read', async () => {
    expect(await run(['deployments', 'list', '--url', stack.url])).toEqual({
      code: 3,
      stdout: '',
      stderr: `error: You are not signed in to ${stack.url}. Run: deployment-api-keys login --url ${stack.url}\n`,
    });
    const { code, stdout } = await login('admin');
    expect([code, stdout]).toEqual([
      0,
      `You are signed in to ${stack.url} as Ada Admin. The tokens are in ${file}.\n`,
    ]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(file, '..')).mode & 0o777).toBe(0o700);
    expect(await json(['whoami'])).toEqual({ url: stack.url, issuer: stack.issuer, person: 'Ada Admin' });
  });

  it('the CLI renews an expired access token, or asks the person to sign in again if the renewal fails', async () => {
    const edit = (change: object) => {
      const signIns = JSON.parse(readFileSync(file, 'utf8'));
      Object.assign(signIns.stacks[stack.url], { expiresAt: 1, ...change });
      writeFileSync(file, JSON.stringify(signIns));
    };
    edit({ accessToken: 'expired' });
    const { code, stderr } = await run(['deployments', 'list']);
    if (JSON.parse(readFileSync(file, 'utf8')).stacks[stack.url].refreshToken) {
      expect([code, stderr]).toEqual([0, 'There are no Deployments that you may see.\n']);
    }
    edit({ refreshToken: undefined });
    expect(await run(['deployments', 'list'])).toEqual({
      code: 3,
      stdout: '',
      stderr: `error: Your sign-in to ${stack.url} has expired. Run: deployment-api-keys login\n`,
    });
  });

  it('the CLI rejects a token file that is malformed or that other people can read', async () => {
    chmodSync(file, 0o644);
    expect((await run(['whoami'])).stderr).toBe(
      `error: Other users can read ${file}, which contains tokens. Run: chmod 600 ${file}\n`,
    );
    chmodSync(file, 0o600);
    writeFileSync(file, '{');
    expect(await run(['whoami'])).toMatchObject({
      code: 2,
      stderr: `error: ${file} is malformed. Delete it, and sign in again.\n`,
    });
    rmSync(file);
  });

  it('the login command stores nothing and reports the error if the issuer rejects the sign-in', async () => {
    const { code, stderr } = await login('admin', (url) =>
      url.searchParams.set('code_challenge', 'x'.repeat(43)),
    );
    expect(code).toBe(3);
    expect(stderr).toContain(`error: ${stack.issuer} rejected the sign-in: `);
    expect(existsSync(file)).toBe(false);
  });

  it('the logout command deletes the stored tokens', async () => {
    await login('member');
    const { stdout } = await run(['logout']);
    expect(stdout).toMatch(new RegExp(`^You are signed out of ${stack.url}\\.`));
    expect(existsSync(file)).toBe(false);
  });
});

describe('The CLI manages Deployments and keys for a person who is signed in', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    expect((await login('admin')).code).toBe(0);
  }, 120_000);

  it('the CLI registers, changes, lists and deletes Deployments', async () => {
    const registered = await run(['deployments', 'register', 'etl', '--group', 'data-eng', '--group', 'bi']);
    expect(registered).toEqual({
      code: 0,
      stdout: 'Registered etl, name "etl", groups: data-eng, bi.\n',
      stderr: '',
    });
    const changed = await run(['deployments', 'set', 'etl', '--name', 'Nightly']);
    expect(changed.stdout).toBe('Changed etl, name "Nightly", groups: data-eng, bi.\n');
    expect(await json(['deployments', 'set', 'etl', '--no-groups'])).toMatchObject({
      name: 'Nightly',
      groups: [],
    });
    expect((await run(['deployments', 'list'])).stdout).toMatch(
      /^ID +NAME +GROUPS +REGISTERED\netl +Nightly +\d{4}-/,
    );
    expect(await run(['deployments', 'set', 'none', '--name', 'x'])).toMatchObject({ code: 4, stdout: '' });
    expect((await run(['deployments', 'delete', 'etl'])).code).toBe(2);
    expect((await run(['deployments', 'delete', 'etl', '--yes'])).stdout).toBe('Deleted etl.\n');
    expect(await json(['deployments', 'list'])).toEqual([]);
  });

  it('the token command needs no --url after a sign-in, because it uses the stack of the sign-in', async () => {
    await stack.register('signed');
    const { id, secret } = await stack.createKey('signed');
    const { code, stdout } = await run(['token', '--key-id', id], { env: { DEPLOYMENT_KEY_SECRET: secret } });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^dkt_signed_\w+\n$/);
    await run(['deployments', 'delete', 'signed', '--yes']);
  });

  it('the CLI manages keys and writes secrets only to the given file or pipe', async () => {
    await stack.register('keys');
    const secretFile = join(folder, 'secret.txt');
    const created = await run([
      'keys',
      'create',
      'keys',
      '--name',
      'ci',
      '--expires',
      '90d',
      '--secret-file',
      secretFile,
    ]);
    expect([created.code, created.stdout]).toEqual([0, '']);
    expect(statSync(secretFile).mode & 0o777).toBe(0o600);
    const [id = ''] = /dk_keys_\w{26}/.exec(created.stderr) ?? [];
    const secret = readFileSync(secretFile, 'utf8').trim();
    expect(created.stderr).not.toContain('dks_');
    const token = (await stack.exchange({ id, secret, scopes: [] })).json.access_token;
    expect(await stack.use(token)).toBe(200);

    const again = await run(['keys', 'create', 'keys', '--name', 'no', '--secret-file', secretFile]);
    expect(again).toEqual(usageError('--secret-file: the file exists already. Give another name.'));
    expect(readFileSync(secretFile, 'utf8').trim()).toBe(secret);

    expect(await run(['keys', 'disable', id])).toMatchObject({ code: 0, stdout: `${id} is disabled.\n` });
    expect(await stack.use(token)).toBe(401);
    expect(await run(['keys', 'enable', id])).toMatchObject({ code: 0, stdout: `${id} is active.\n` });
    const rotated = await run(['keys', 'rotate', id, '--retire-old', 'now']);
    expect(rotated.stdout).toMatch(/^dks_keys_\w+\n$/);
    expect((await stack.exchange({ id, secret, scopes: [] })).status).toBe(401);
    expect((await stack.exchange({ id, secret: rotated.stdout.trim(), scopes: [] })).status).toBe(200);
    expect(rotated.stderr).toBe(`The key "ci" has the ID ${id}. Its secret is in standard output.\n`);
    const onUse = await run(['keys', 'rotate', id, '--retire-old', 'on-first-use']);
    expect(onUse.stderr).toMatch(/ The old secret works until the new one is used\.\n$/);
    const later = await run(['keys', 'rotate', id]);
    expect(later.stderr).toMatch(/ The old secret works until \S+Z\.\n$/);

    const edited = [
      'keys',
      'edit',
      id,
      '--name',
      'nightly',
      '--scope',
      'airflow:read',
      '--no-expiry',
      '--network',
      '10.0.0.0/8',
    ];
    const key = await json(edited);
    expect(key).toMatchObject({ name: 'nightly', scopes: ['airflow:read'], networks: ['10.0.0.0/8'] });
    expect(key.expiresAt).toBeUndefined();
    expect(await json(['keys', 'edit', id, '--no-networks'])).toMatchObject({ networks: [] });
    expect((await run(['keys', 'show', id])).stdout).toContain('Expires    never\n');
    expect((await run(['keys', 'delete', id, '--yes'])).stdout).toBe(`Deleted ${id}.\n`);
    expect(await run(['keys', 'show', id])).toMatchObject({ code: 4 });
    expect(
      (await json(['events', 'keys', '--limit', '2'])).map(({ type }: { type: string }) => type),
    ).toEqual(['api_key.deleted', 'api_key.edited']);
  });

  it('the keys list command can list the keys of all Deployments, or only unused keys or those without an expiry', async () => {
    await stack.register('one');
    await stack.register('two');
    const ids: string[] = [];
    for (const args of [
      ['one', '--name', 'a'],
      ['two', '--name', 'b', '--expires', '30d'],
    ]) {
      ids.push((await json(['keys', 'create', ...args])).id);
    }
    const list = async (...options: string[]) =>
      (await json(['keys', 'list', '--all-deployments', ...options])).map(({ id }: { id: string }) => id);
    expect(await list()).toEqual(ids);
    expect(await list('--no-expiry')).toEqual(ids.slice(0, 1));
    expect(await list('--unused', '1h')).toEqual([]);
    expect(await run(['keys', 'list'])).toMatchObject({ code: 2 });
    expect(await run(['keys', 'list', 'one', '--unused', '90'])).toMatchObject({
      code: 2,
      stderr: 'error: --unused must be a number of hours, days or weeks, such as 12h, 90d or 4w.\n',
    });
  });

  it('the CLI leaves no empty file behind if the secret is not created', async () => {
    const path = join(folder, 'never.txt');
    expect(await run(['keys', 'create', 'nowhere', '--name', 'x', '--secret-file', path])).toMatchObject({
      code: 4,
    });
    expect(existsSync(path)).toBe(false);
  });

  it('the CLI can create a temporary token', async () => {
    await stack.register('tmp');
    const { stdout, stderr } = await run(['temporary-token', 'tmp', '--scope', 'airflow:read']);
    expect(stdout).toMatch(/^dkx_tmp_\w+\n$/);
    expect(stderr).toMatch(/^The token expires at \S+Z\. Its scope is: deployment:tmp airflow:read\.\n$/);
    expect((await stack.call('GET', '/whoami', { token: stdout.trim() })).json.principalType).toBe('person');
  });

  it('the CLI signs calls with AWS credentials, and accepts an access token from the environment', async () => {
    const env = awsEnvironment(DEVELOPER);
    const signed = ['--url', stack.url, '--sigv4'];
    expect(await json(['deployments', 'register', 'iam', '--name', 'a b', ...signed], { env })).toMatchObject(
      { id: 'iam' },
    );
    expect((await json(['keys', 'create', 'iam', '--name', 'ci', ...signed], { env })).secret).toMatch(
      /^dks_iam_/,
    );
    expect(
      await run(['deployments', 'list', ...signed], { env: { ...env, AWS_SECRET_ACCESS_KEY: 'x' } }),
    ).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('Check the credentials, the Region'),
    });
    const token = await stack.signIn('member');
    const items = await json(['deployments', 'list', '--url', stack.url], {
      env: { DEPLOYMENT_KEYS_ACCESS_TOKEN: token },
    });
    expect(items.map(({ id }: { id: string }) => id)).toEqual(['keys', 'one', 'tmp', 'two']);
  });
});
