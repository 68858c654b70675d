import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { expect, it, onTestFinished } from 'vitest';
import { GITHUB } from '../../functions/console/issuers.ts';
import { SUBJECT_NAME } from '../../functions/console/snippets.ts';
import { newEvent } from '../../functions/domain/events.ts';
import { toEvent } from '../../functions/table/schema.ts';
import { describeInBrowser, PHONE } from '../support/browser.ts';
import { startCiIssuer } from '../support/ci-issuer.ts';
import { runStack } from '../support/stack.ts';

const DAY = 24 * 60 * 60;
const logged: string[] = [];
const issuer = await startCiIssuer();
const stack = await runStack({
  context: { maxIdleDays: 30, trustedIssuers: [issuer.url, GITHUB] },
  onLog: ({ text }) => logged.push(text),
});

/** Opens a key's page from the table. */
const openKey = (page: Page, name: string) => page.getByRole('link', { name, exact: true }).click();
const clipboard = 'navigator.clipboard.readText()';

describeInBrowser('an API key in the console', stack, (open) => {
  it('a key can be rotated while its old secret stays valid, and rotated again after a lost response', async () => {
    await stack.register('rotation');
    const key = await stack.createKey('rotation', { name: 'ci' });
    const token = await stack.exchangeForToken(key);
    const statusOf = async (secret: string) => (await stack.exchange({ ...key, secret })).status;
    const {
      page,
      dialog,
      faults,
      signIn,
      takeSecret,
      loseFirstResponse,
      expectCraft,
      expectCraftInEachSize,
      traces,
    } = await open({ viewport: PHONE });
    const rotate = dialog.getByRole('button', { name: 'Rotate secret' });
    const when = dialog.getByLabel('Retire the old secret');
    await signIn('member', '/console/deployments/rotation');

    await openKey(page, 'ci');
    await page.getByRole('link', { name: 'Rotate secret' }).click();
    expect(await when.inputValue()).toBe(String(7 * DAY));
    expect(await when.evaluate('document.activeElement === document.querySelector("dialog select")')).toBe(
      true,
    );
    await when.selectOption('When the new secret is first used');
    await dialog.getByText('Only for a key with a single user').waitFor();
    await when.selectOption('After 1 day');
    await expectCraftInEachSize();
    await rotate.click();
    await dialog.getByRole('heading', { name: 'New secret of ci' }).waitFor();
    await dialog.getByText('The old secret retires in 24 hours.').waitFor();
    await expectCraftInEachSize();
    const second = await takeSecret();
    expect([await statusOf(key.secret), await statusOf(second)]).toEqual([200, 200]);
    const secrets = page.getByRole('region', { name: 'Secrets' });
    await secrets.getByText('never used').waitFor();
    await page.reload();
    await secrets.getByText('last used just now').nth(1).waitFor();
    await secrets.getByText('retires in 24 hours').waitFor();
    await expectCraft();

    await loseFirstResponse('**/rotate');
    await page.getByRole('link', { name: 'Rotate secret' }).click();
    await dialog.getByText(/already has two secrets, which is the maximum. The older one/).waitFor();
    await rotate.click();
    await dialog.getByText('The service cannot be reached.').waitFor();
    await rotate.click();
    await dialog.getByRole('heading', { name: 'The secret is not shown again' }).waitFor();
    expect([await statusOf(key.secret), await statusOf(second)]).toEqual([401, 200]);
    await dialog.getByRole('button', { name: 'Rotate secret' }).click();
    await dialog.getByText(/has never been used, so the new one replaces it/).waitFor();
    await when.selectOption('Immediately');
    await rotate.click();
    await dialog.getByText('The old secret no longer works.').waitFor();
    const third = await takeSecret();
    expect([await statusOf(second), await statusOf(third)]).toEqual([401, 200]);
    // All rotations up to this point have kept the tokens valid.
    expect(await stack.use(token)).toBe(200);

    const unexpected = faults.filter((fault) => !fault.includes('ERR_FAILED'));
    expect(unexpected).toStrictEqual([]);
    const kept = `${await traces()}\n${logged.join('')}`;
    for (const secret of [second, third]) expect(kept).not.toContain(secret);
  });

  it("a key's page lists its active tokens and can revoke one or all of them", async () => {
    await stack.register('active');
    const key = await stack.createKey('active', { name: 'ci' });
    const narrowed = await stack.exchangeForToken(key, 'airflow:read');
    const used = await stack.exchangeForToken(key);
    stack.clock.advance(600);
    // The browsers of other tests use the machine's clock, so this test sets the stack's clock back.
    onTestFinished(() => void stack.clock.advance(-600));
    expect(await stack.use(used)).toBe(200);
    const { page, dialog, faults, signIn, expectCraft } = await open({ viewport: PHONE });
    const tokens = page.getByRole('region', { name: 'Active tokens' });
    const rows = tokens.getByRole('listitem').filter({ hasText: 'Issued' });
    await signIn('member', `/console/deployments/active/keys/${key.id}`);

    // The most recently used token comes first.
    await rows.first().getByText('from 127.0.0.1 by node').waitFor();
    expect(await rows.nth(1).innerText()).toMatch(
      /No use recorded since it was issued\s+airflow:read\s+Revoke$/,
    );
    await tokens.getByRole('heading', { name: 'Active tokens 2' }).waitFor();
    await expectCraft();
    await rows
      .nth(1)
      .getByRole('button', { name: /^Revoke the token issued/ })
      .click();
    await dialog.getByText('The key keeps working').waitFor();
    await expectCraft();
    await dialog.getByRole('button', { name: 'Revoke token' }).click();
    await page.getByText('Access token of API key “ci” revoked').waitFor();
    expect(await rows.count()).toBe(1);
    expect([await stack.use(narrowed), await stack.use(used)]).toEqual([401, 200]);

    await tokens.getByRole('link', { name: 'Revoke all tokens' }).click();
    await dialog.getByText(key.id).waitFor();
    await expectCraft();
    await dialog.getByRole('button', { name: 'Revoke all tokens' }).click();
    await tokens.getByText('No pipeline has an active access token from this key.').waitFor();
    await page.getByText('All access tokens of API key “ci” revoked').waitFor();
    expect(await stack.use(used)).toBe(401);
    expect(await stack.use(await stack.exchangeForToken(key))).toBe(200);

    // If a call fails, the rest of the page stays unchanged. Further pages are loaded on request.
    await page.route('**/tokens?limit=25', (route) => route.fulfill({ status: 503, body: '' }));
    await page.reload();
    await tokens.getByText('The service is busy.').waitFor();
    await page.getByText('API key “ci” created').waitFor();
    await page.unroute('**/tokens?limit=25');
    await Promise.all(Array.from({ length: 26 }, () => stack.exchangeForToken(key)));
    await tokens.getByRole('button', { name: 'Try again' }).click();
    await tokens.getByRole('heading', { name: 'Active tokens 25+' }).waitFor();
    await tokens.getByRole('button', { name: 'Show more tokens' }).click();
    await tokens.getByRole('heading', { name: /^Active tokens 27$/ }).waitFor();
    // The tokens of the second page stay when a revocation reloads the list.
    await rows
      .first()
      .getByRole('button', { name: /^Revoke the token issued/ })
      .click();
    const reloaded = page.waitForResponse(/tokens\?limit=25&cursor=/);
    await dialog.getByRole('button', { name: 'Revoke token' }).click();
    await reloaded;
    await tokens.getByRole('heading', { name: /^Active tokens 26$/ }).waitFor();
    expect(await rows.count()).toBe(26);
    expect(faults.filter((fault) => !fault.includes('503'))).toStrictEqual([]);
  });

  it('the console marks a malformed key, which can still be disabled and deleted', async () => {
    await stack.register('malformed');
    const key = await stack.createKey('malformed', { name: 'ci' });
    const token = await stack.exchangeForToken(key);
    const item = (await stack.partition('DEPLOYMENT#malformed')).find(({ sk }) =>
      String(sk).startsWith('KEY#'),
    );
    const { createdBy: _, ...damaged } = item ?? {};
    await stack.putItem(damaged);
    const { page, dialog, faults, signIn, rowOf, act, expectCraft } = await open({ viewport: PHONE });
    await signIn('member', '/console/deployments/malformed');
    await rowOf('ci').getByText('Malformed', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Actions for ci' }).click();
    expect(await page.getByRole('menuitem').allInnerTexts()).toEqual([
      'Revoke all tokens',
      'Disable',
      'Delete',
    ]);
    await page.keyboard.press('Escape');
    await openKey(page, 'ci');
    await page.getByText('Its existing tokens may still be valid').waitFor();
    expect(await stack.use(token)).toBe(200);
    await expectCraft();
    await page.getByRole('link', { name: 'disable the key' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Disable API key' }).click();
    await page.getByText('Malformed, disabled').waitFor();
    expect(await stack.use(token)).toBe(401);
    expect(await page.getByRole('link', { name: 'disable the key' }).count()).toBe(0);

    await act('ci', 'Delete');
    await dialog.getByLabel('Type the key’s name to delete it').fill('ci');
    await dialog.getByRole('button', { name: 'Delete API key' }).click();
    await page.getByRole('heading', { name: 'No API keys yet' }).waitFor();
    const kinds = (await stack.partition('DEPLOYMENT#malformed')).map(({ sk }) => String(sk).split('#')[0]);
    expect(kinds).not.toContain('KEY');
    expect(faults).toStrictEqual([]);
  });

  it('a leaked key gets a new secret, and the service rejects its old secret and tokens', async () => {
    await stack.register('leak');
    const key = await stack.createKey('leak', { name: 'ci' });
    const { page, dialog, faults, signIn, act, takeSecret, expectCraft } = await open();
    const replace = dialog.getByRole('button', { name: 'Replace secret' });
    await signIn('member', '/console/deployments/leak');
    const replaced = async (secret: string) => {
      const next = await takeSecret();
      await page.locator('.titles').getByText('Active').waitFor();
      expect((await stack.exchange({ ...key, secret })).status).toBe(401);
      return next;
    };

    const token = await stack.exchangeForToken(key);
    await openKey(page, 'ci');
    await act('ci', 'Report a leak');
    await dialog.getByText('All existing secrets and tokens of this key stop working.').waitFor();
    expect(await stack.use(token)).toBe(200);
    await expectCraft();
    await replace.click();
    const second = await replaced(key.secret);
    expect(await stack.use(token)).toBe(401);

    const next = await stack.exchangeForToken({ ...key, secret: second });
    await stack.call('POST', '/leaks', { json: { credential: second } });
    await page.reload();
    await page.getByText('Leaked', { exact: true }).waitFor();
    await page.getByText('Reported as leaked just now.').waitFor();
    expect(await page.getByRole('link', { name: 'Rotate secret' }).count()).toBe(0);
    await expectCraft();
    expect(await stack.use(next)).toBe(401);
    // The form cannot enable the key, because that would make the leaked secret valid again.
    await page.getByRole('link', { name: 'Edit', exact: true }).click();
    await dialog.getByRole('button', { name: 'Save' }).waitFor();
    expect(await dialog.getByLabel('Enabled').count()).toBe(0);
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('link', { name: 'Replace the secret', exact: true }).click();
    await dialog.getByText(/was reported as leaked just now and disabled/).waitFor();
    await replace.click();
    const third = await replaced(second);
    expect(await stack.use(next)).toBe(401);
    expect(await stack.use(await stack.exchangeForToken({ ...key, secret: third }))).toBe(200);
    expect(faults).toStrictEqual([]);
  });

  it('an expired or idle key stays in the list and can be activated again', async () => {
    stack.clock.advance(-45 * DAY);
    const day = (days: number) => new Date(stack.clock.now() + days * DAY * 1000).toISOString();
    await stack.register('time');
    const idle = await stack.createKey('time', { name: 'wall' });
    const off = await stack.createKey('time', { name: 'spare' });
    stack.clock.advance(20 * DAY);
    const expired = await stack.createKey('time', { name: 'backfill', expiresAt: day(10) });
    await stack.createKey('time', { name: 'audit', expiresAt: day(28) });
    stack.clock.advance(25 * DAY);
    const used = await stack.createKey('time', { name: 'deploy' });
    await stack.exchangeForToken(used);
    await stack.callAs('member', 'PATCH', `/deployments/time/api-keys/${off.id}`, {
      json: { enabled: false },
    });

    const { page, dialog, faults, signIn, rowOf, act, expectCraft } = await open();
    await signIn('member', '/console/deployments/time');
    for (const [name, state] of [
      ['wall', 'Idle'],
      ['spare', 'Disabled'],
      ['backfill', 'Expired'],
      ['audit', 'Expires soon'],
      ['deploy', 'Active'],
    ] as const) {
      await rowOf(name).getByText(state, { exact: true }).waitFor();
    }
    await rowOf('wall').getByText('never').first().waitFor();
    const expiry = rowOf('audit').getByText('in 3 days');
    expect(await expiry.getAttribute('title')).toMatch(/ \d{4}, \d\d:\d\d:\d\d/);
    // The exact times are also available without a mouse.
    await page.getByRole('button', { name: 'Exact times' }).click();
    await rowOf('audit')
      .getByText(/ \d{4}, \d\d:\d\d:\d\d/)
      .first()
      .waitFor();
    await page.getByRole('button', { name: 'Exact times' }).click();
    await expectCraft();
    await openKey(page, 'deploy');
    await page.getByText('from 127.0.0.1 by node').waitFor();
    await page.goBack();

    expect((await stack.exchange(idle)).status).toBe(401);
    await act('wall', 'Reactivate');
    await rowOf('wall').getByText('Active').waitFor();
    expect((await stack.exchange(idle)).status).toBe(200);

    expect((await stack.exchange(expired)).status).toBe(401);
    await openKey(page, 'backfill');
    await page.getByRole('link', { name: 'Set a later expiry' }).click();
    await dialog.getByLabel('Expires', { exact: true }).selectOption('In 7 days');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Expires soon').waitFor();
    expect((await stack.exchange(expired)).status).toBe(200);
    expect(faults).toStrictEqual([]);
  });
});

describeInBrowser('an API key without a secret, limited to IP ranges', stack, (open) => {
  it('the console can create, show and edit a key without a secret, and shows how to use the key in CI', async () => {
    await stack.register('trust');
    const subject = await issuer.sign({
      claims: { sub: 'etl', ref: 'refs/heads/main' },
      audience: stack.url,
      expires: Math.floor(stack.clock.now() / 1000) + 3600,
    });
    const { page, dialog, faults, signIn, expectCraft, traces } = await open({ viewport: PHONE });
    await signIn('member', '/console/deployments/trust');
    await page.getByRole('link', { name: 'Create API key' }).first().click();
    await dialog.getByLabel('Name', { exact: true }).fill('release');
    await dialog.getByLabel('code:deploy').check();
    await dialog.getByLabel('OIDC token from CI (no stored secret)').check();
    await dialog.getByLabel('Allowed IP ranges').fill('127.0.0.0/8\n127.0.0.1/8');
    const claim = dialog.getByLabel('Claim 1', { exact: true });
    const value = dialog.getByLabel('Value of claim 1');
    await dialog.getByLabel('Issuer').selectOption('GitHub Actions');
    await dialog.getByText('Every workflow on every branch of the repository can use this key.').waitFor();
    await dialog.getByLabel('Repository', { exact: true }).fill('acme/etl');
    await dialog.getByText('gh api repos/acme/etl --jq .id').waitFor();
    await dialog.getByLabel('Repository ID').fill('4711');
    await dialog.getByLabel('Branch (optional)').fill('main');
    expect(await dialog.getByText('Every workflow on every branch').count()).toBe(0);
    await expectCraft();
    await dialog.getByRole('button', { name: 'Edit claims' }).click();
    expect(await dialog.getByLabel('Claim 3', { exact: true }).inputValue()).toBe('ref_type');
    await dialog.getByRole('button', { name: 'Remove claim 3' }).click();
    await dialog.getByRole('button', { name: 'Remove claim 2' }).click();
    expect(await claim.inputValue()).toBe('repository_id');
    await claim.fill('ref');
    await value.fill('refs/heads/main');
    const add = dialog.getByRole('button', { name: 'Create API key' });
    await add.click();
    await dialog
      .getByText('Allowed IP ranges line 2 must be a CIDR range such as 203.0.113.0/24 or 2001:db8::/32')
      .waitFor();
    await dialog.getByText('The rule must bind repository_id or repository_owner_id').waitFor();
    expect(await dialog.getByLabel('Allowed IP ranges').getAttribute('aria-invalid')).toBe('true');
    expect(await value.getAttribute('aria-invalid')).toBe('true');
    await expectCraft();
    await dialog.getByLabel('Allowed IP ranges').fill('127.0.0.0/8');
    await dialog.getByLabel('Issuer').selectOption(issuer.url);
    expect(await claim.inputValue()).toBe('sub');
    await value.fill('etl');
    await add.click();

    await dialog.getByRole('heading', { name: 'Set up your CI for release' }).waitFor();
    await expectCraft();
    await dialog.getByRole('button', { name: /^Copy (?!hardened).* snippet$/ }).click();
    await dialog.getByText(/snippet copied/).waitFor();
    const step = String(await page.evaluate(clipboard));
    const id = await dialog.locator('code').first().innerText();
    const run = () =>
      promisify(execFile)('sh', ['-ec', step], { env: { PATH: process.env.PATH, [SUBJECT_NAME]: subject } });
    expect(JSON.parse((await run()).stdout)).toMatchObject({ principalId: id, deploymentId: 'trust' });
    await dialog.getByRole('button', { name: 'Done' }).click();
    await dialog.waitFor({ state: 'detached' });

    await openKey(page, 'release');
    const rules = page.getByRole('region', { name: 'Trust rules' });
    await rules.getByText(`${new URL(issuer.url).host}: sub is etl`).waitFor();
    await page.getByText('127.0.0.0/8').waitFor();
    expect(await page.getByRole('link', { name: 'Rotate secret' }).count()).toBe(0);
    // The CI step contains no secret, so a reload shows the CI step again.
    await page.getByRole('link', { name: 'CI setup' }).click();
    await page.reload();
    await dialog.getByText(`client_id=${id}`).first().waitFor();
    await dialog.getByRole('button', { name: 'Done' }).click();

    const keyOf = async () => (await stack.callAs('member', 'GET', `/deployments/trust/api-keys/${id}`)).json;
    const before = await keyOf();
    await page.getByRole('link', { name: 'Edit', exact: true }).click();
    await dialog.getByRole('button', { name: 'Add claim' }).click();
    await dialog.getByLabel('Claim 2', { exact: true }).fill('ref');
    await dialog.getByLabel('Condition of claim 2').selectOption('begins with');
    await dialog.getByLabel('Value of claim 2').fill('refs/tags/');
    await dialog.getByRole('button', { name: 'Add rule' }).click();
    await dialog.getByLabel('Value of claim 1').nth(1).fill('x');
    await dialog.getByRole('button', { name: 'Remove rule' }).nth(1).click();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await rules.getByText('ref begins with refs/tags/').waitFor();
    const after = await keyOf();
    const claims = { sub: 'etl', ref: { prefix: 'refs/tags/' } };
    expect(after).toEqual({ ...before, trust: [{ issuer: issuer.url, claims }] });
    await expect(run()).rejects.toMatchObject({
      code: expect.any(Number),
      stderr: expect.stringContaining('The requested URL returned error: 400'),
    });
    await page.getByRole('link', { name: 'Edit', exact: true }).click();
    await dialog.getByRole('button', { name: 'Remove claim 1' }).click();
    await dialog.getByLabel('Allowed IP ranges').fill('');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await run();
    expect(await keyOf()).toMatchObject({ networks: [], trust: before.trust });
    // The browser also logs the 400 responses that the form caused.
    expect(faults.filter((fault) => !fault.includes('400'))).toStrictEqual([]);
    expect(`${await traces()}\n${logged.join('')}`).not.toContain(subject);
  });
});

describeInBrowser('the explanation of a token of a CI', stack, (open) => {
  it('the dialog that explains a CI token shows which claim differs, and discards the token when it closes', async () => {
    await stack.register('explain');
    const claims = { sub: 'etl', ref: 'refs/heads/main' };
    const trust = [
      { issuer: issuer.url, claims },
      { issuer: issuer.url, claims: { sub: 'etl', ref: { prefix: 'refs/tags/' } } },
    ];
    const key = await stack.createKey('explain', { name: 'release', trust });
    const expires = Math.floor(stack.clock.now() / 1000) + 3600;
    const sign = (ref: string) => issuer.sign({ claims: { sub: 'etl', ref }, audience: stack.url, expires });
    const other = await sign('refs/heads/feature');
    const { page, dialog, faults, signIn, expectCraftInEachSize, traces } = await open({ viewport: PHONE });
    const field = dialog.getByLabel('OIDC token');
    const explain = dialog.getByRole('button', { name: 'Explain token' });
    const rules = dialog.getByRole('listitem');
    const bodies: string[] = [];
    page.on('request', (request) => {
      if (`${request.url()} ${JSON.stringify(request.headers())}`.includes(other))
        bodies.push('a URL or a header');
      else if (request.postData()?.includes(other)) bodies.push(new URL(request.url()).pathname);
    });
    await signIn('member', `/console/deployments/explain/keys/${key.id}`);
    await page.getByRole('link', { name: 'Explain a token' }).click();
    await field.fill('not a token');
    await explain.click();
    await dialog.getByText('OIDC token must be a JWT: three parts').waitFor();
    await expectCraftInEachSize();
    await field.fill(` ${other}\n`);
    await explain.click();
    await dialog.getByText('The token satisfies none of the trust rules.').waitFor();
    await rules.nth(0).getByText('The claim ref is not exactly the expected text.').waitFor();
    await rules.nth(0).getByText('refs/heads/main', { exact: true }).waitFor();
    await rules.nth(0).getByText('refs/heads/feature', { exact: true }).waitFor();
    await rules.nth(1).getByText('does not begin with the expected prefix').waitFor();
    await expectCraftInEachSize();
    expect(bodies).toStrictEqual([`/deployments/explain/api-keys/${key.id}/explain`]);
    const kept = `${await traces()}\n${logged.join('')}`;
    for (const part of [other, ...other.split('.')]) expect(kept).not.toContain(part);

    // Leaving the dialog in any way discards the token.
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await page.goForward();
    await dialog.waitFor();
    expect(await field.inputValue()).toBe('');
    await field.fill(other);
    await page.evaluate('dispatchEvent(new PageTransitionEvent("pagehide"))');
    await expect.poll(() => field.inputValue()).toBe('');
    await field.fill(other);
    await page.reload();
    await dialog.waitFor();
    expect(await field.inputValue()).toBe('');

    await field.fill(await sign('refs/heads/main'));
    await explain.click();
    await rules.nth(0).getByText('Matches', { exact: true }).waitFor();
    expect(await dialog.getByRole('link', { name: 'Edit trust rules' }).count()).toBe(0);
    await stack.callAs('member', 'PATCH', `/deployments/explain/api-keys/${key.id}`, {
      json: { enabled: false },
    });
    await explain.click();
    await dialog.getByText('rejects every token for this key while its status is “Disabled”').waitFor();
    await field.fill(other);
    await explain.click();
    await dialog.getByRole('link', { name: 'Edit trust rules' }).click();
    await dialog.getByRole('heading', { name: 'Edit API key' }).waitFor();
    expect(await page.content()).not.toContain(other);
    expect(faults.filter((fault) => !fault.includes('400'))).toStrictEqual([]);
  });
});

describeInBrowser('the events of a Deployment in the console', stack, (open) => {
  it("members see a Deployment's events, and administrators see them even after the Deployment was deleted", async () => {
    await stack.register('history', { name: 'History', groups: ['data-eng'] });
    await stack.createKey('history', { name: 'ci' });
    const path = '/deployments/history';
    const [{ generation } = {}] = await stack.partition('DEPLOYMENT#history');
    // The daily check of all keys writes these events one hour later.
    const reject = (count: number) => {
      const deployment = { id: 'history', generation: String(generation) };
      const actor = { principal: 'member', type: 'person', address: '127.0.0.1', requestId: 'r' } as const;
      const data = { call: 'DELETE /deployments/{deploymentId}', status: 403, code: 'forbidden', count };
      return stack.putItem(toEvent(newEvent('call.refused', deployment, actor, Date.now(), data)));
    };
    await reject(3);

    const { page, signIn, expectCraft } = await open({ viewport: PHONE });
    await signIn('member', '/console/deployments/history');
    await page.getByRole('link', { name: 'Events', exact: true }).click();
    await page.getByText('Rejected 3 calls; the last one was to delete the Deployment (403)').waitFor();
    const rejection = page.getByText('Rejected a call to delete the Deployment (403)');
    await page.getByText('API key “ci” created').waitFor();
    await page.getByText('Deployment registered').waitFor();
    expect(await page.getByText(/^just now by user member\S* from 127\.0\.0\.1$/).count()).toBe(1);
    await expectCraft();

    await Promise.all(Array.from({ length: 100 }, () => reject(1)));
    await page.reload();
    await rejection.first().waitFor();
    expect(await page.getByText('Deployment registered').count()).toBe(0);
    await page.getByRole('button', { name: 'Show more' }).click();
    await page.getByText('Deployment registered').waitFor();
    expect(await rejection.count()).toBe(100);
    expect(await page.getByRole('button', { name: 'Show more' }).count()).toBe(0);

    await stack.callAs('admin', 'DELETE', path);
    await page.reload();
    await page.getByText('Not found, or you don’t have access.').first().waitFor();
    expect(await page.content()).not.toContain('registered');

    const other = await open();
    await other.signIn('admin');
    await other.page.getByText('Events of a deleted Deployment').click();
    await other.page.getByLabel('Deployment ID').fill('history');
    await other.expectCraft();
    await other.page.getByRole('button', { name: 'Show events' }).click();
    await other.page.getByText('Deployment deleted', { exact: true }).waitFor();
    expect(new URL(other.page.url()).pathname).toBe('/console/deployments/history/events');
  });
});
