import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { GITHUB } from '../../functions/console/issuers.ts';
import { SUBJECT_NAME } from '../../functions/console/snippets.ts';
import { newEvent } from '../../functions/domain/events.ts';
import { toEvent } from '../../functions/table/schema.ts';
import { describeInBrowser, expectCraft, PHONE, signIn, traces } from '../support/browser.ts';
import { startCiIssuer } from '../support/ci-issuer.ts';
import { callAs, exchange, partition, putItem } from '../support/service.ts';
import { call, makeDeployment, makeKey, runStack, swap, use } from '../support/stack.ts';

const DAY = 24 * 60 * 60;
const logged: string[] = [];
const issuer = await startCiIssuer();
const stack = await runStack({
  context: { maxIdleDays: 30, trustedIssuers: [issuer.url, GITHUB] },
  onLog: ({ text }) => logged.push(text),
});

const cardOf = (page: Page, name: string) => page.getByRole('listitem').filter({ hasText: name });
const clipboard = 'navigator.clipboard.readText()';

/** Reads the secret that a dialog shows once, and closes the dialog. */
async function takeSecret(page: Page): Promise<string> {
  const dialog = page.getByRole('dialog');
  await dialog.getByText('This is the only time that the secret is shown.').waitFor();
  const secret = await dialog.locator('code').nth(1).innerText();
  expect(secret).toMatch(/^dks_\w+$/);
  expect(await traces(page)).not.toContain(secret);
  await dialog.getByRole('button', { name: 'I have saved the secret' }).click();
  await dialog.waitFor({ state: 'detached' });
  return secret;
}

describeInBrowser('an API key in the console', (open) => {
  it('can be rotated while its old secret stays valid, and again after a lost response', async () => {
    await makeDeployment(stack, 'rotation');
    const key = await makeKey(stack, 'rotation', { name: 'ci' });
    const token = await swap(stack, key);
    const statusOf = async (secret: string) => (await exchange(stack, { ...key, secret })).status;
    const { page, faults } = await open({ viewport: PHONE });
    const dialog = page.getByRole('dialog');
    const rotate = dialog.getByRole('button', { name: 'Rotate key' });
    const when = dialog.getByLabel('Retire the old secret');
    await signIn(page, stack, 'member', '/console/deployments/rotation');

    await page.getByRole('link', { name: 'Rotate ci' }).click();
    expect(await when.inputValue()).toBe(String(7 * DAY));
    expect(await when.evaluate('document.activeElement === document.querySelector("dialog select")')).toBe(
      true,
    );
    await when.selectOption('When the new secret is first used');
    await dialog.getByText('Only for a key with a single user').waitFor();
    await when.selectOption('After 1 day');
    await expectCraft(page);
    await rotate.click();
    await dialog.getByRole('heading', { name: 'ci has a new secret' }).waitFor();
    await dialog.getByText('The old secret retires in 24 hours.').waitFor();
    const second = await takeSecret(page);
    expect([await statusOf(key.secret), await statusOf(second)]).toEqual([200, 200]);
    const card = cardOf(page, 'ci');
    await card.getByText('created just now, never used').waitFor();
    await page.reload();
    await card.getByText('created just now, last used just now', { exact: true }).waitFor();
    await card.getByText('created just now, last used just now, retires in 24 hours').waitFor();
    await expectCraft(page);

    let isLost = false;
    await page.route('**/rotate', async (route) => {
      if (route.request().method() !== 'POST' || isLost) return route.continue();
      isLost = true;
      await route.fetch();
      await route.abort();
    });
    await page.getByRole('link', { name: 'Rotate ci' }).click();
    await dialog.getByText(/already has two secrets, which is the maximum. The older one/).waitFor();
    await rotate.click();
    await dialog.getByText('The service cannot be reached.').waitFor();
    await rotate.click();
    await dialog.getByRole('heading', { name: 'The secret is not shown again' }).waitFor();
    expect([await statusOf(key.secret), await statusOf(second)]).toEqual([401, 200]);
    await rotate.click();
    await dialog.getByText(/has never been used, so the new one replaces it/).waitFor();
    await when.selectOption('Immediately');
    await rotate.click();
    await dialog.getByText('The old secret no longer works.').waitFor();
    const third = await takeSecret(page);
    expect([await statusOf(second), await statusOf(third)]).toEqual([401, 200]);
    // Every rotation so far has kept the tokens valid.
    expect(await use(stack, token)).toBe(200);

    const unexpected = faults.filter((fault) => !fault.includes('ERR_FAILED'));
    expect(unexpected).toStrictEqual([]);
    const kept = `${await traces(page)}\n${logged.join('')}`;
    for (const secret of [second, third]) expect(kept).not.toContain(secret);
  });

  it('is marked when its item is malformed, and can be disabled and deleted, which revokes its tokens', async () => {
    await makeDeployment(stack, 'malformed');
    const key = await makeKey(stack, 'malformed', { name: 'ci' });
    const token = await swap(stack, key);
    const item = (await partition(stack, 'DEPLOYMENT#malformed')).find(({ sk }) =>
      String(sk).startsWith('KEY#'),
    );
    const { createdBy: _, ...damaged } = item ?? {};
    await putItem(stack, damaged);
    const { page, faults } = await open({ viewport: PHONE });
    await signIn(page, stack, 'member', '/console/deployments/malformed');
    const card = cardOf(page, 'ci');
    await card.getByText('Malformed', { exact: true }).waitFor();
    await card.getByText('Its existing tokens may still be valid').waitFor();
    expect(await card.getByRole('link').allInnerTexts()).toEqual(['Delete']);
    expect(await use(stack, token)).toBe(200);
    await expectCraft(page);
    await card.getByRole('button', { name: /^Disable.*ci$/ }).click();
    await card.getByText('Malformed, disabled').waitFor();
    expect(await use(stack, token)).toBe(401);
    expect(await card.getByRole('button', { name: /^Disable.*ci$/ }).count()).toBe(0);

    await card.getByRole('link', { name: 'Delete ci' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Type the key’s name to delete it').fill('ci');
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await card.waitFor({ state: 'detached' });
    const kinds = (await partition(stack, 'DEPLOYMENT#malformed')).map(({ sk }) => String(sk).split('#')[0]);
    expect(kinds).not.toContain('KEY');
    expect(faults).toStrictEqual([]);
  });

  it('gets a new secret after a leak, and its old secret and tokens are rejected', async () => {
    await makeDeployment(stack, 'leak');
    const key = await makeKey(stack, 'leak', { name: 'ci' });
    const { page, faults } = await open();
    const dialog = page.getByRole('dialog');
    const replace = dialog.getByRole('button', { name: 'Replace secret' });
    await signIn(page, stack, 'member', '/console/deployments/leak');
    const replaced = async (secret: string) => {
      const next = await takeSecret(page);
      await cardOf(page, 'ci').getByText('Enabled').waitFor();
      expect((await exchange(stack, { ...key, secret })).status).toBe(401);
      return next;
    };

    const token = await swap(stack, key);
    await page.getByRole('link', { name: 'Report a leak ci' }).click();
    await dialog.getByText('All existing secrets and tokens of this key stop working.').waitFor();
    expect(await use(stack, token)).toBe(200);
    await expectCraft(page);
    await replace.click();
    const second = await replaced(key.secret);
    expect(await use(stack, token)).toBe(401);

    const next = await swap(stack, { ...key, secret: second });
    await call(stack, 'POST', '/leaks', { json: { credential: second } });
    await page.reload();
    const card = cardOf(page, 'ci');
    await card.getByText('Leaked', { exact: true }).waitFor();
    await card.getByText('Reported as leaked just now.').waitFor();
    expect(await card.getByRole('link', { name: 'Rotate ci' }).count()).toBe(0);
    await expectCraft(page);
    expect(await use(stack, next)).toBe(401);
    // The form cannot enable the key, because the leaked secret would be valid again.
    await card.getByRole('link', { name: 'Edit ci' }).click();
    await dialog.getByRole('button', { name: 'Save' }).waitFor();
    expect(await dialog.getByLabel('Enabled').count()).toBe(0);
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await card.getByRole('link', { name: 'Replace the secret', exact: true }).click();
    await dialog.getByText(/was reported as leaked just now and disabled/).waitFor();
    await replace.click();
    const third = await replaced(second);
    expect(await use(stack, next)).toBe(401);
    expect(await use(stack, await swap(stack, { ...key, secret: third }))).toBe(200);
    expect(faults).toStrictEqual([]);
  });

  it('stays listed with its status after it expires or becomes idle, and can be activated again', async () => {
    stack.clock.advance(-45 * DAY);
    const day = (days: number) => new Date(stack.clock.now() + days * DAY * 1000).toISOString();
    await makeDeployment(stack, 'time');
    const idle = await makeKey(stack, 'time', { name: 'wall' });
    const off = await makeKey(stack, 'time', { name: 'spare' });
    stack.clock.advance(20 * DAY);
    const expired = await makeKey(stack, 'time', { name: 'backfill', expiresAt: day(10) });
    await makeKey(stack, 'time', { name: 'audit', expiresAt: day(28) });
    stack.clock.advance(25 * DAY);
    const used = await makeKey(stack, 'time', { name: 'deploy' });
    await swap(stack, used);
    await callAs(stack, 'member', 'PATCH', `/deployments/time/api-keys/${off.id}`, {
      json: { enabled: false },
    });

    const { page, faults } = await open();
    await signIn(page, stack, 'member', '/console/deployments/time');
    for (const [name, state] of [
      ['wall', 'Idle'],
      ['spare', 'Disabled'],
      ['backfill', 'Expired'],
      ['audit', 'Expires soon'],
      ['deploy', 'Enabled'],
    ] as const) {
      await cardOf(page, name).getByText(state, { exact: true }).first().waitFor();
    }
    await cardOf(page, 'deploy').getByText('just now from 127.0.0.1 by node').waitFor();
    await cardOf(page, 'wall').getByText('never').waitFor();
    const expiry = cardOf(page, 'audit').getByText('in 3 days');
    expect(await expiry.getAttribute('title')).toMatch(/ \d{4}, \d\d:\d\d:\d\d/);
    await expectCraft(page);

    expect((await exchange(stack, idle)).status).toBe(401);
    await page.getByRole('button', { name: /^Reactivate key.*wall$/ }).click();
    await cardOf(page, 'wall').getByText('Enabled').waitFor();
    expect((await exchange(stack, idle)).status).toBe(200);

    expect((await exchange(stack, expired)).status).toBe(401);
    await cardOf(page, 'backfill').getByRole('link', { name: 'Set a later expiry' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Expires', { exact: true }).selectOption('In 7 days');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await cardOf(page, 'backfill').getByText('Expires soon').waitFor();
    expect((await exchange(stack, expired)).status).toBe(200);
    expect(faults).toStrictEqual([]);
  });
});

describeInBrowser('an API key without a secret, limited to IP ranges', (open) => {
  it('can be created, shown with its rules and its CI setup, used by a pipeline, and edited', async () => {
    await makeDeployment(stack, 'trust');
    const subject = await issuer.sign({
      claims: { sub: 'etl', ref: 'refs/heads/main' },
      audience: stack.url,
      expires: Math.floor(stack.clock.now() / 1000) + 3600,
    });
    const { page, faults } = await open({ viewport: PHONE });
    const dialog = page.getByRole('dialog');
    await signIn(page, stack, 'member', '/console/deployments/trust');
    await page.getByRole('link', { name: 'Create API key' }).first().click();
    await dialog.getByLabel('Name', { exact: true }).fill('release');
    await dialog.getByLabel('OIDC token from CI (no stored secret)').check();
    await dialog.getByLabel('Allowed IP ranges').fill('127.0.0.0/8\n127.0.0.1/8');
    const claim = dialog.getByLabel('Claim 1', { exact: true });
    const value = dialog.getByLabel('Value of claim 1');
    await dialog.getByLabel('Issuer').selectOption('GitHub Actions');
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
    await expectCraft(page);
    await dialog.getByLabel('Allowed IP ranges').fill('127.0.0.0/8');
    await dialog.getByLabel('Issuer').selectOption(issuer.url);
    expect(await claim.inputValue()).toBe('sub');
    await value.fill('etl');
    await add.click();

    await dialog.getByRole('heading', { name: 'Set up your CI for release' }).waitFor();
    await expectCraft(page);
    await dialog.getByRole('button', { name: /^Copy .* step$/ }).click();
    await dialog.getByText(/step copied/).waitFor();
    const step = String(await page.evaluate(clipboard));
    const id = await dialog.locator('code').first().innerText();
    const run = () =>
      promisify(execFile)('sh', ['-c', step], { env: { PATH: process.env.PATH, [SUBJECT_NAME]: subject } });
    expect(JSON.parse((await run()).stdout)).toMatchObject({ principalId: id, deploymentId: 'trust' });
    await dialog.getByRole('button', { name: 'Done' }).click();
    await dialog.waitFor({ state: 'detached' });

    const card = cardOf(page, 'release');
    await card.getByText(`${new URL(issuer.url).host}: sub is etl`).waitFor();
    await card.getByText('Only from 127.0.0.0/8').waitFor();
    expect(await card.getByRole('link', { name: /^(Rotate|Report a leak)/ }).count()).toBe(0);
    // The CI step contains no secret, so a reload shows it again.
    await card.getByRole('link', { name: 'CI setup release' }).click();
    await page.reload();
    await dialog.getByText(`client_id=${id}`).waitFor();
    await dialog.getByRole('button', { name: 'Done' }).click();

    const keyOf = async () =>
      (await callAs(stack, 'member', 'GET', `/deployments/trust/api-keys/${id}`)).json;
    const before = await keyOf();
    await card.getByRole('link', { name: 'Edit release' }).click();
    await dialog.getByRole('button', { name: 'Add claim' }).click();
    await dialog.getByLabel('Claim 2', { exact: true }).fill('ref');
    await dialog.getByLabel('Condition of claim 2').selectOption('begins with');
    await dialog.getByLabel('Value of claim 2').fill('refs/tags/');
    await dialog.getByRole('button', { name: 'Add rule' }).click();
    await dialog.getByLabel('Value of claim 1').nth(1).fill('x');
    await dialog.getByRole('button', { name: 'Remove rule' }).nth(1).click();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await card.getByText('ref begins with refs/tags/').waitFor();
    const after = await keyOf();
    const claims = { sub: 'etl', ref: { prefix: 'refs/tags/' } };
    expect(after).toEqual({ ...before, trust: [{ issuer: issuer.url, claims }] });
    await expect(run()).rejects.toMatchObject({ code: 1, stderr: 'No access token: HTTP 400\n' });
    await card.getByRole('link', { name: 'Edit release' }).click();
    await dialog.getByRole('button', { name: 'Remove claim 1' }).click();
    await dialog.getByLabel('Allowed IP ranges').fill('');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await run();
    expect(await keyOf()).toMatchObject({ networks: [], trust: before.trust });
    // The form's own rejections were 400 responses.
    expect(faults.filter((fault) => !fault.includes('400'))).toStrictEqual([]);
    expect(`${await traces(page)}\n${logged.join('')}`).not.toContain(subject);
  });
});

describeInBrowser('the events of a Deployment in the console', (open) => {
  it('are described to members, and to administrators even after the Deployment was deleted', async () => {
    await makeDeployment(stack, 'history', { name: 'History', groups: ['data-eng'] });
    await makeKey(stack, 'history', { name: 'ci' });
    const path = '/deployments/history';
    const [{ generation } = {}] = await partition(stack, 'DEPLOYMENT#history');
    // What the sweep writes an hour later.
    const reject = (count: number) => {
      const life = { id: 'history', generation: String(generation) };
      const actor = { principal: 'member', type: 'person', address: '127.0.0.1', requestId: 'r' } as const;
      const data = { call: 'DELETE /deployments/{deploymentId}', status: 403, code: 'forbidden', count };
      return putItem(stack, toEvent(newEvent('call.refused', life, actor, Date.now(), data)));
    };
    await reject(3);

    const { page } = await open({ viewport: PHONE });
    await signIn(page, stack, 'member', '/console/deployments/history');
    await page.getByRole('link', { name: 'Events', exact: true }).click();
    await page.getByText('Rejected 3 calls; the last one was to delete the Deployment (403)').waitFor();
    const rejection = page.getByText('Rejected a call to delete the Deployment (403)');
    await page.getByText('API key “ci” created').waitFor();
    await page.getByText('Deployment registered').waitFor();
    expect(await page.getByText(/^just now by user member\S* from 127\.0\.0\.1$/).count()).toBe(1);
    await expectCraft(page);

    await Promise.all(Array.from({ length: 100 }, () => reject(1)));
    await page.reload();
    await rejection.first().waitFor();
    expect(await page.getByText('Deployment registered').count()).toBe(0);
    await page.getByRole('button', { name: 'Show more' }).click();
    await page.getByText('Deployment registered').waitFor();
    expect(await rejection.count()).toBe(100);
    expect(await page.getByRole('button', { name: 'Show more' }).count()).toBe(0);

    await callAs(stack, 'admin', 'DELETE', path);
    await page.reload();
    await page.getByText('Not found, or you don’t have access.').waitFor();
    expect(await page.content()).not.toContain('registered');

    const other = (await open()).page;
    await signIn(other, stack, 'admin');
    await other.getByText('Events of a deleted Deployment').click();
    await other.getByLabel('Deployment ID').fill('history');
    await expectCraft(other);
    await other.getByRole('button', { name: 'Show' }).click();
    await other.getByText('Deployment deleted', { exact: true }).waitFor();
    expect(new URL(other.url()).pathname).toBe('/console/deployments/history/events');
  });
});
