import { closeSync, existsSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startCiIssuer } from '../support/ci-issuer.ts';
import { commandLine, usageError } from '../support/command-line.ts';
import { runStack } from '../support/stack.ts';
import { temporaryFolder } from '../support/temporary.ts';

const issuer = await startCiIssuer();
const stack = await runStack({ context: { trustedIssuers: [issuer.url], maxKeyDays: 30 } });
/** Run CLI commands as the administrator. */
const { run, json } = commandLine({
  env: { DEPLOYMENT_KEYS_URL: stack.url, DEPLOYMENT_KEYS_ACCESS_TOKEN: await stack.signIn('admin') },
});
const folder = temporaryFolder('keys-and-people');
await stack.register('etl');

describe('The command `keys tokens` lists and revokes the tokens of a key', { timeout: 120_000 }, () => {
  it("the keys tokens command can list a key's active tokens and revoke one or all of them", async () => {
    const key = await stack.createKey('etl');
    expect(await run(['keys', 'tokens', key.id])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'The key has no active tokens.\n',
    });
    const tokens: string[] = [];
    for (let at = 0; at < 3; at++) tokens.push((await stack.exchange(key)).json.access_token);
    const [first = '', second = ''] = tokens;
    const listed: { id: string; issuedAt: string; expiresAt: string }[] = await json([
      'keys',
      'tokens',
      'list',
      key.id,
    ]);
    expect(listed).toHaveLength(3);
    const table = (await run(['keys', 'tokens', key.id])).stdout.split('\n');
    expect(table[0]).toMatch(/^ID +ISSUED +LAST USED +EXPIRES +SCOPE$/);
    for (const { id, issuedAt, expiresAt } of listed) {
      expect(table.find((line) => line.startsWith(id))).toMatch(
        new RegExp(`^${id} +${issuedAt} +never +${expiresAt} +as the key$`),
      );
    }

    const [one] = listed;
    expect(await run(['keys', 'tokens', 'revoke', key.id, one?.id ?? ''])).toEqual({
      code: 0,
      stdout: `Revoked the token ${one?.id}.\n`,
      stderr: '',
    });
    expect((await Promise.all(tokens.map((token) => stack.use(token)))).sort()).toEqual([200, 200, 401]);
    expect(await run(['keys', 'tokens', 'revoke', key.id, one?.id ?? ''])).toMatchObject({ code: 4 });

    expect(await run(['keys', 'tokens', 'revoke-all', key.id])).toEqual(
      usageError(
        'Everything that uses a token of this key is rejected until it exchanges the credentials again. Use --yes to confirm.',
      ),
    );
    expect(await json(['keys', 'tokens', 'revoke-all', key.id, '--yes'])).toEqual({
      id: key.id,
      revoked: true,
    });
    expect([await stack.use(first), await stack.use(second)]).toEqual([401, 401]);
    expect((await stack.exchange(key)).status).toBe(200);
  });

  it('the keys tokens command accepts an ID that begins with a hyphen, and rejects a token without printing it', async () => {
    const key = await stack.createKey('etl');
    const unknown = await run(['keys', 'tokens', 'revoke', key.id, '-abcdefghijklmnopqrst_']);
    expect(unknown).toMatchObject({ code: 4, stdout: '' });
    const token = (await stack.exchange(key)).json.access_token;
    expect(await run(['keys', 'tokens', 'revoke', key.id, token])).toEqual(
      usageError(
        'The argument is a token. Give its ID, which `keys tokens` lists. Revoke the token if somebody else could see it.',
      ),
    );
    expect(await run(['keys', 'tokens', 'revoke', key.id, 'abcdefgh'])).toEqual(
      usageError('The ID of a token has 22 characters: letters, digits, _ and -. `keys tokens` lists it.'),
    );
    expect(await stack.use(token)).toBe(200);
  });
});

describe('The keys explain command shows which trust rule matches a token', {
  timeout: 120_000,
}, async () => {
  const trust = [
    { issuer: issuer.url, audience: 'etl', claims: { sub: 'repo:acme/etl', ref: { prefix: 'refs/tags/' } } },
    { issuer: issuer.url, audience: 'etl', claims: { sub: 'repo:acme/bi' } },
  ];
  const { json: key } = await stack.callAs('admin', 'POST', '/deployments/etl/api-keys', {
    json: { name: 'trusting', trust },
  });
  const sign = (sub: string) =>
    issuer.sign({
      claims: { sub, ref: 'refs/heads/main' },
      audience: 'etl',
      expires: Math.floor(Date.now() / 1000) + 300,
    });

  it('the keys explain command names the trust rule that matches a token, and shows why the other rules do not match', async () => {
    // An empty environment variable counts as unset, so the command reads standard input.
    const running = { typed: `${await sign('repo:acme/bi')}\n`, env: { DEPLOYMENT_KEY_OIDC_TOKEN: '' } };
    expect(await run(['keys', 'explain', key.id], running)).toEqual({
      code: 0,
      stderr: '',
      stdout:
        `✗ Rule 1, ${issuer.url}, does not match.\n` +
        '  - The claim ref does not begin with the expected prefix. Expected: refs/tags/…; actual: refs/heads/main\n' +
        '  - The claim sub is not exactly the expected text. Expected: repo:acme/etl; actual: repo:acme/bi\n' +
        `✓ Rule 2, ${issuer.url}, matches.\n`,
    });
  });

  it('the keys explain command exits with 1 if no rule matches or the key is disabled', async () => {
    const file = join(folder, 'token');
    writeFileSync(file, await sign('repo:other/etl'));
    const rejected = await run(['keys', 'explain', key.id, '--oidc-token-file', file, '--json']);
    expect(rejected.code).toBe(1);
    expect(JSON.parse(rejected.stdout)).toMatchObject({ status: 'active', matches: false });

    const token = await sign('repo:acme/bi');
    const accepted = { env: { DEPLOYMENT_KEY_OIDC_TOKEN: token } };
    expect(await json(['keys', 'explain', key.id], accepted)).toMatchObject({ matches: true });
    await stack.callAs('admin', 'PATCH', `/deployments/etl/api-keys/${key.id}`, {
      json: { enabled: false },
    });
    const disabled = await run(['keys', 'explain', key.id], accepted);
    expect(disabled).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('The key cannot be used: it is disabled.\n'),
    });
  });

  it('the keys explain command rejects a token as an argument, and does not repeat the token in the error', async () => {
    const token = await sign('repo:acme/bi');
    const { code, stdout, stderr } = await run(['keys', 'explain', key.id, token]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain("too many arguments for 'explain'");
    expect(stderr).not.toContain(token.slice(0, 20));
    expect(await run(['keys', 'explain', key.id])).toEqual(
      usageError(
        'The OIDC token is missing. Pass it on standard input, set DEPLOYMENT_KEY_OIDC_TOKEN, or use --oidc-token-file.',
      ),
    );
  });
});

describe('The command keys list --all-deployments covers every Deployment and can continue after an interruption', {
  timeout: 120_000,
}, () => {
  it("keys list --all-deployments lists the keys that violate the stack's key policy", async () => {
    await stack.register('old');
    const old = await stack.createKey('old');
    await stack.createKey('old', { name: 'new' });
    const later = Date.now() + 60 * 24 * 60 * 60 * 1000;
    await stack.setAttribute(['DEPLOYMENT#old', `KEY#${old.id.slice(-26)}`], 'validUntil', later);
    const { code, stdout } = await run(['keys', 'list', '--all-deployments', '--violates-policy']);
    expect([code, stdout.split('\n').map((line) => line.replace(/ {2,}/g, ' | '))]).toEqual([
      0,
      [
        expect.stringMatching(/ \| VIOLATES$/),
        expect.stringMatching(new RegExp(`^${old.id} \\| ci \\| active .* \\| expiry_too_late$`)),
        '',
      ],
    ]);
  });

  it('keys list --all-deployments continues where the previous run stopped, and reports the complete result at the end', async () => {
    const ids: string[] = [];
    for (const id of ['page-1', 'page-2', 'page-3']) {
      await stack.register(id);
      ids.push((await stack.createKey(id, { name: 'audited' })).id);
    }
    const progress = join(folder, 'audit.json');
    const args = [
      'keys',
      'list',
      '--all-deployments',
      '--status',
      'active',
      '--json',
      '--progress-file',
      progress,
    ];
    const limited = [...args, '--max-deployments', '1'];
    const first = await run(limited);
    expect(first).toEqual({
      code: 6,
      stdout: '',
      stderr:
        'error: 1 Deployments have been examined, and others remain. Run the same command again to continue.\n',
    });
    expect(statSync(progress).mode & 0o777).toBe(0o600);
    expect(readFileSync(progress, 'utf8')).not.toMatch(/dk[st]_/);
    expect((await run(limited)).stderr).toContain('2 Deployments have been examined');

    // The command keeps its progress if it cannot write the result to standard output, here because the disk is full.
    const kept = readFileSync(progress, 'utf8');
    const full = openSync('/dev/full', 'w');
    expect(await run(args, { stdout: full })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/error: Cannot write standard output \(ENOSPC\)\.\n$/),
    });
    closeSync(full);
    expect(readFileSync(progress, 'utf8')).toBe(kept);

    // The command also saves the progress if the run fails.
    const rejected = await run(args, { env: { DEPLOYMENT_KEYS_ACCESS_TOKEN: 'expired' } });
    expect(rejected).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/Run the same command again to continue\.\n$/),
    });
    expect(await run(['keys', 'list', '--all-deployments', '--progress-file', progress])).toMatchObject({
      code: 2,
      stderr: `error: ${progress} does not hold the progress of this listing. Use the same options as before, or delete the file to begin again.\n`,
    });

    const last = await run(args);
    expect(last.code).toBe(0);
    const found: { id: string; name: string }[] = JSON.parse(last.stdout);
    expect(found.filter(({ name }) => name === 'audited').map(({ id }) => id)).toEqual(ids);
    expect(new Set(found.map(({ id }) => id)).size).toBe(found.length);
    const whole: unknown[] = await json(['keys', 'list', '--all-deployments', '--status', 'active']);
    expect(found).toEqual(whole);
    expect(existsSync(progress)).toBe(false);
  });

  it('the keys list command rejects --max-deployments without a progress file', async () => {
    expect(await run(['keys', 'list', '--all-deployments', '--max-deployments', '5'])).toEqual(
      usageError('--max-deployments needs --progress-file, so that the next run continues.'),
    );
  });
});

describe("The events command lists a Deployment's events", { timeout: 120_000 }, () => {
  it('the events command can filter events by type and by key', async () => {
    await stack.register('history');
    const [one, other] = [await stack.createKey('history'), await stack.createKey('history')];
    await stack.callAs('admin', 'PATCH', `/deployments/history/api-keys/${one.id}`, {
      json: { enabled: false },
    });
    const found = async (...options: string[]) =>
      (await json(['events', 'history', ...options])).map(
        ({ type, data: { keyId } }: { type: string; data: { keyId?: string } }) => [type, keyId],
      );
    expect(await found('--type', 'api_key.created')).toEqual([
      ['api_key.created', other.id],
      ['api_key.created', one.id],
    ]);
    expect(await found('--key', one.id)).toEqual([
      ['api_key.disabled', one.id],
      ['api_key.created', one.id],
    ]);
    expect(await found('--key', one.id, '--type', 'api_key.disabled')).toEqual([
      ['api_key.disabled', one.id],
    ]);
    expect(await run(['events', 'history', '--type', 'token.created'])).toEqual(
      usageError('--type must be the type of an event, such as token.revoked, token.leaked.'),
    );
    expect(await run(['events', 'etl', '--key', one.id])).toEqual(
      usageError('--key is the ID of a key of another Deployment than etl.'),
    );
  });
});

describe("The people command ends and restores people's access", { timeout: 120_000 }, () => {
  it('the people command reports that only administrators may use it', async () => {
    const member = { env: { DEPLOYMENT_KEYS_ACCESS_TOKEN: await stack.signIn('member') } };
    expect(await run(['people', 'list'], member)).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('Only an administrator may do this.'),
    });
  });

  it("the people command ends a person's access, shows the progress of the job, and restores access", async () => {
    await stack.register('people', { groups: ['data-eng'] });
    const { json: key } = await stack.callAs('member', 'POST', '/deployments/people/api-keys', {
      json: { name: 'theirs' },
    });
    const { json: temporary } = await stack.callAs('member', 'POST', '/deployments/people/temporary-tokens');
    const sub: string = key.createdBy;
    expect(await run(['people', 'list'])).toEqual({
      code: 0,
      stdout: '',
      stderr: "Nobody's access was ended.\n",
    });
    expect(await json(['people', 'find', sub])).toEqual({ sub, blocked: false, keys: [] });

    const end = ['people', 'end-access', sub, '--keys', 'disable', '--block'];
    expect(await run(end)).toEqual(
      usageError(
        `${sub} loses access immediately: temporary tokens and earlier sign-ins are rejected. Every later sign-in is rejected too, until you restore their access. All keys that they hold are disabled, and pipelines that use them stop working. Use --yes to confirm.`,
      ),
    );
    expect(await stack.use(temporary.access_token)).toBe(200);

    const ended = await run([...end, '--yes']);
    expect(ended.code).toBe(0);
    const [, endedAt = ''] = /^The access of \S+ was ended at (\S+Z)\.\n/.exec(ended.stderr) ?? [];
    expect(ended.stdout.split('\n').map((line) => line.replace(/ {2,}/g, ' | '))).toEqual([
      `Person | ${sub}`,
      `Access ended | ${endedAt}`,
      'Blocked | yes',
      'Job | finished: 1 key found, 1 disabled',
      '',
      expect.stringMatching(/^KEY \| NAME \| HELD BECAUSE OF \| DISABLED BY THE JOB$/),
      `${key.id} | theirs | created, secret | yes`,
      '',
    ]);
    expect(await stack.use(temporary.access_token)).toBe(401);
    expect(await json(['people', 'show', sub])).toMatchObject({
      sub,
      blocked: true,
      keys: [{ id: key.id, disabled: true }],
    });
    expect((await run(['people', 'list'])).stdout).toMatch(
      new RegExp(`^PERSON .*\\n${sub} +${endedAt} +yes +finished: 1 key found, 1 disabled\\n$`),
    );
    expect(await json(['people', 'restore', sub])).toMatchObject({ sub, endedAt, blocked: false });
  });

  it("the people events command lists changes of people's access, newest first and optionally of only one type", async () => {
    const types = async (...options: string[]) =>
      (await json(['people', 'events', ...options])).map(({ type }: { type: string }) => type);
    expect(await types()).toEqual(['person.access_restored', 'person.keys_found', 'person.access_ended']);
    expect(await types('--limit', '2')).toEqual(['person.access_restored', 'person.keys_found']);
    expect(await types('--type', 'person.access_ended')).toEqual(['person.access_ended']);
    expect(await types('--type', 'person.access_ended', '--limit', '1')).toEqual(['person.access_ended']);
    const { stdout } = await run(['people', 'events', '--type', 'person.keys_found']);
    expect(stdout).toMatch(
      /^TIME +TYPE +SUBJECT +ACTOR +ADDRESS\n\S+Z +person\.keys_found +people\/\S+ +\S+.*\n$/,
    );
    expect(await run(['people', 'events', '--type', 'person.ended'])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: --type must be the type of an event, such as person\.access_ended, person\.access_restored, person\.keys_found/,
      ),
    });
    expect(await run(['people', 'events', '--limit', '0'])).toMatchObject({ code: 2, stdout: '' });
  });

  it('the people command does not wait for the job if --no-wait is set, and rejects an invalid sub', async () => {
    const ended = await json(['people', 'end-access', 'someone', '--no-wait', '--yes']);
    expect(ended).toMatchObject({ sub: 'someone', blocked: false, job: { keys: 'report' } });
    expect(await run(['people', 'find', 'Zoë'])).toEqual(
      usageError('The sub of a person has 1 to 255 printable ASCII characters.'),
    );
  });
});

describe('The command line shows and deletes what is malformed in the table', { timeout: 120_000 }, () => {
  it('the commands keys list and keys show mark a malformed key', async () => {
    await stack.register('damaged-key');
    const key = await stack.createKey('damaged-key');
    await stack.setAttribute(['DEPLOYMENT#damaged-key', `KEY#${key.id.slice(-26)}`], 'name', 7);
    const { stdout: list } = await run(['keys', 'list', 'damaged-key']);
    expect(list.split('\n')[1]).toMatch(/ active, malformed /);
    expect((await run(['keys', 'show', key.id])).stdout).toMatch(/^Status +active, malformed$/m);
  });

  it('the command deployments delete deletes a malformed Deployment', async () => {
    await stack.register('damaged');
    await stack.setAttribute(['DEPLOYMENT#damaged', 'DEPLOYMENT'], 'keyCount', 'many');
    expect((await stack.callAs('admin', 'GET', '/deployments/damaged')).status).toBe(404);
    expect(await run(['deployments', 'delete', 'damaged', '--yes'])).toEqual({
      code: 0,
      stdout: 'Deleted damaged.\n',
      stderr: '',
    });
    expect(await run(['deployments', 'delete', 'damaged', '--yes'])).toMatchObject({ code: 4 });
  });
});
