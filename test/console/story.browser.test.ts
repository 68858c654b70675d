import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { SECRET_NAME } from '../../functions/console/snippets.ts';
import { DESKTOP, describeInBrowser, LAPTOP, PHONE, TABLET } from '../support/browser.ts';
import { firstOf } from '../support/generated.ts';
import { runStack } from '../support/stack.ts';

const logged: string[] = [];
const stack = await runStack({ onLog: ({ text }) => logged.push(text) });
await stack.register('etl', { name: 'ETL', groups: ['data-eng'] });
await stack.register('billing', { name: 'Billing', groups: ['finance'] });

/** Runs a shell script with a key's secret in its environment, as a CI system does. */
const shell = (script: string, secret: string) =>
  promisify(execFile)('sh', ['-c', script], { env: { PATH: process.env.PATH, [SECRET_NAME]: secret } });

const clipboard = 'navigator.clipboard.readText()';

describeInBrowser('the console, from sign-in to deletion', stack, (open) => {
  const screens: [string, typeof PHONE][] = [
    ['a desktop', DESKTOP],
    ['a phone', PHONE],
    ['a tablet', TABLET],
    ['a small laptop', LAPTOP],
  ];
  it.each(firstOf(screens))(
    'the console works on %s, and axe finds no violations',
    { timeout: 400_000 },
    async (_, viewport) => {
      const { page, dialog, faults, rowOf, act, expectCraft, traces, watchShifts } = await open({ viewport });
      const shifts = await watchShifts();

      await page.goto(stack.url);
      await page.getByRole('button', { name: 'Sign in' }).waitFor();
      await expectCraft();
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('heading', { name: 'Who do you want to be?' }).waitFor();
      await expectCraft();
      await page.getByRole('link', { name: 'Max Member' }).click();

      await page.getByRole('heading', { name: 'Deployments', level: 1 }).waitFor();
      await page.getByRole('link', { name: 'ETL' }).waitFor();
      await expectCraft();
      await page.getByRole('link', { name: 'ETL' }).click();

      await page.getByRole('heading', { name: 'No API keys yet' }).waitFor();
      await expectCraft();
      const reference = page.getByRole('link', { name: /^API reference/ });
      expect((await stack.call('GET', (await reference.getAttribute('href')) ?? '')).json.openapi).toMatch(
        /^3\.1/,
      );
      await page.getByRole('link', { name: 'Create API key' }).first().click();

      await dialog.getByLabel('Name').fill('Deploy from main');
      await dialog.getByLabel('Description').fill('Asks Ada');
      for (const scope of ['code:deploy', 'airflow:read']) await dialog.getByLabel(scope).check();
      expect(await dialog.getByLabel('airflow:write').isChecked()).toBe(false);
      expect(await dialog.getByLabel('Expires', { exact: true }).inputValue()).toBe('90');
      await expectCraft();
      await dialog.getByRole('button', { name: 'Create API key' }).click();

      await dialog.getByText('This is the only time that the secret is shown.').waitFor();
      await expectCraft();
      const id = await dialog.locator('code').first().innerText();
      expect(id).toMatch(/^dk_etl_[0-9A-Z]{26}$/);
      await dialog.getByRole('button', { name: 'Copy Secret' }).click();
      await dialog.getByText('Secret copied').waitFor();
      const secret = String(await page.evaluate(clipboard));
      expect(secret).toMatch(/^dks_etl_[0-9A-Z]{26}_[0-9A-Za-z]{49}$/);
      for (const name of ['GitHub Actions', 'GitLab CI', 'CircleCI', 'curl']) {
        await dialog.getByRole('tab', { name }).click();
        await expect(dialog.getByRole('tabpanel').innerText()).resolves.toContain(id);
      }
      await expectCraft();
      await dialog.getByRole('button', { name: 'Copy curl snippet' }).click();
      const snippet = String(await page.evaluate(clipboard));
      expect(JSON.parse((await shell(snippet, secret)).stdout)).toMatchObject({
        principalId: id,
        scope: 'deployment:etl code:deploy airflow:read',
      });
      await dialog.getByRole('button', { name: 'I have saved the secret' }).click();
      await dialog.waitFor({ state: 'detached' });

      await rowOf('Deploy from main').getByText('Active').waitFor();
      await expectCraft();
      await page.getByRole('link', { name: 'Deploy from main' }).click();
      await page.getByRole('heading', { name: 'Secrets' }).waitFor();
      await page.getByText('API key “Deploy from main” created').waitFor();
      await page.getByRole('img', { name: /^Used on 1 of the last 90 days, most recently on / }).waitFor();
      await expectCraft();
      await page.getByRole('button', { name: 'Copy ID' }).click();
      await page.getByText('ID copied').waitFor();
      expect(await page.evaluate(clipboard)).toBe(id);
      await page.getByRole('link', { name: 'Edit', exact: true }).click();

      await dialog.getByLabel('Name').fill('Deploy from release');
      await dialog.getByLabel('Expires', { exact: true }).selectOption('Never');
      await expectCraft();
      await dialog.getByRole('button', { name: 'Save' }).click();
      await dialog.waitFor({ state: 'detached' });
      await page.getByRole('heading', { name: 'Deploy from release' }).waitFor();
      await page.getByText('Changes saved').waitFor();

      await page
        .getByRole('navigation', { name: 'Main' })
        .getByRole('link', { name: 'Temporary tokens' })
        .click();
      await page.getByRole('button', { name: 'Create temporary token' }).waitFor();
      await expectCraft();
      // As for a key, no scope is preselected.
      await page.getByRole('button', { name: 'Create temporary token' }).click();
      await page.getByText('Select at least one scope', { exact: true }).waitFor();
      await expectCraft();
      for (const scope of ['code:deploy', 'airflow:write']) await page.getByLabel(scope).check();
      await page.getByRole('button', { name: 'Create temporary token' }).click();
      await page.getByText('This is the only time that the token is shown.').waitFor();
      await expectCraft();
      await page.getByRole('button', { name: 'Copy Token' }).click();
      await page.getByText('Token copied').waitFor();
      const token = String(await page.evaluate(clipboard));
      expect((await stack.call('GET', '/whoami', { token })).json).toMatchObject({
        principalType: 'person',
        deploymentId: 'etl',
        scope: 'deployment:etl code:deploy airflow:write',
      });
      await page.getByRole('button', { name: 'Done' }).click();
      await page.getByRole('button', { name: /^Revoke the token issued/ }).waitFor();
      await expectCraft();
      await page.getByRole('button', { name: /^Revoke the token issued/ }).click();
      await expectCraft();
      await dialog.getByRole('button', { name: 'Revoke token' }).click();
      await page.getByRole('heading', { name: 'No temporary tokens' }).waitFor();
      await expectCraft();
      expect(await stack.use(token)).toBe(401);

      await page.getByRole('link', { name: 'Deployments', exact: true }).click();
      await page.getByRole('link', { name: 'ETL' }).click();
      await act('Deploy from release', 'Delete');
      await dialog.getByText(id).waitFor();
      const confirm = dialog.getByRole('button', { name: 'Delete API key' });
      await dialog.getByLabel('Type the key’s name').fill('Deploy from');
      expect(await confirm.isDisabled()).toBe(true);
      await expectCraft();
      await dialog.getByLabel('Type the key’s name').fill('Deploy from release');
      await confirm.click();
      await page.getByRole('heading', { name: 'No API keys yet' }).waitFor();
      await expect(shell(snippet, secret)).rejects.toMatchObject({
        stderr: expect.stringContaining('The requested URL returned error: 401'),
      });

      // If a button's label changes back, the layout shifts only a little; a line of text would shift it more. A new
      // event moves the older events. A message covers the page and moves nothing.
      const isExpected = (moved: string[]) =>
        moved.every((one) => /^<(li class="event"|div class="toasts")/.test(one));
      expect(
        (await shifts()).filter(({ value, moved }) => value >= 0.001 && !isExpected(moved)),
      ).toStrictEqual([]);
      expect(faults).toStrictEqual([]);
      const kept = `${await traces()}\n${logged.join('')}`;
      for (const canary of [secret, token]) expect(kept).not.toContain(canary);

      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByText('You are signed out.').waitFor();
      await expectCraft();
    },
  );
});

describeInBrowser('a secret in the console', stack, (open) => {
  it('the console asks before a reload or the back button loses a secret, and then hides the secret', async () => {
    const { page, signIn, expectCraftInEachSize, traces } = await open();
    const questions: string[] = [];
    page.on('dialog', (question) => {
      questions.push(question.type());
      return question.accept();
    });
    await signIn('admin', '/console/deployments/billing');
    await page.getByRole('link', { name: 'Create API key' }).first().click();
    await page.getByLabel('Name', { exact: true }).fill('once');
    await page.getByLabel('code:deploy').check();
    await page.getByRole('dialog').getByRole('button', { name: 'Create API key' }).click();
    await page.getByText('This is the only time').waitFor();
    const secret = await page.locator('dialog code').nth(1).innerText();
    expect(secret).toMatch(/^dks_billing_/);
    // The URL names the view, not the secret.
    expect(page.url()).toMatch(/\/keys\/dk_billing_[0-9A-Z]{26}\/secret\?from=keys$/);
    expect(await traces()).not.toContain(secret);

    await page.reload();
    expect(questions).toStrictEqual(['beforeunload']);
    await page.getByRole('heading', { name: 'The secret is not shown again' }).waitFor();
    expect(await page.content()).not.toContain(secret);
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click();
    await page.getByRole('link', { name: 'once' }).waitFor();

    await page.getByRole('link', { name: 'Create API key' }).first().click();
    await page.getByLabel('Name', { exact: true }).fill('twice');
    await page.getByLabel('code:deploy').check();
    await page.getByRole('dialog').getByRole('button', { name: 'Create API key' }).click();
    await page.getByText('This is the only time').waitFor();
    const address = page.url();
    const question = page.getByRole('alertdialog');
    for (const choice of ['Show the secret', 'Leave']) {
      // The console stays at the URL of the secret, so page.goBack() could wait for a navigation that never ends.
      await page.evaluate('history.back()');
      await question.getByText('Have you saved the secret?').waitFor();
      expect(page.url()).toBe(address);
      expect(await page.locator('dialog code').nth(1).innerText()).toMatch(/^dks_billing_/);
      if (choice === 'Leave') await expectCraftInEachSize();
      await question.getByRole('button', { name: choice }).click();
      await question.waitFor({ state: 'detached' });
    }
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await page.content()).not.toContain('dks_billing_');
    await page.goto(address);
    await page.getByRole('heading', { name: 'The secret is not shown again' }).waitFor();
    expect(questions).toStrictEqual(['beforeunload']);
  });

  it.each([
    ['the list', '/console/deployments/billing'],
    [
      'another key',
      '/console/deployments/billing/keys/dk_billing_01ARZ3NDEKTSV4RRFFQ69G5FAV/secret?from=keys',
    ],
  ])(
    'the console asks before it hides a secret from a person who goes to %s, even if the browser had not yet painted the secret',
    async (_, elsewhere) => {
      const { page, signIn } = await open();
      await signIn('admin', '/console/deployments/billing/add-key');
      await page.getByLabel('Name', { exact: true }).fill('at once');
      await page.getByLabel('code:deploy').check();
      // Simulates the browser's back event, in the microtask that follows the change of the document.
      await page.evaluate(`
      window.go = (path) => {
        history.replaceState(null, '', path);
        dispatchEvent(new PopStateEvent('popstate'));
      };
      new MutationObserver((_, observer) => {
        if (!document.querySelector('dialog')?.innerText.includes('dks_billing_')) return;
        observer.disconnect();
        window.view = location.pathname + location.search;
        go('${elsewhere}');
      }).observe(document.body, { childList: true, subtree: true });
    `);
      await page.getByRole('dialog').getByRole('button', { name: 'Create API key' }).click();
      await page.getByRole('alertdialog').getByRole('button', { name: 'Leave' }).click();
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await page.evaluate('go(view)');
      await page.getByRole('heading', { name: 'The secret is not shown again' }).waitFor();
      expect(await page.content()).not.toContain('dks_billing_');
    },
  );

  it('a secret stays visible if Escape is pressed by accident', async () => {
    const { page, signIn } = await open();
    await signIn('admin', '/console/deployments/billing/add-key');
    await page.getByLabel('Name', { exact: true }).fill('slip');
    await page.getByLabel('code:deploy').check();
    await page.getByRole('dialog').getByRole('button', { name: 'Create API key' }).click();
    await page.getByText('This is the only time').waitFor();
    for (let press = 0; press < 3; press++) await page.keyboard.press('Escape');
    expect(await page.getByText('This is the only time').isVisible()).toBe(true);
  });

  it('if the response with a secret is lost, the console explains what happened and does not create a second key', async () => {
    const { page, signIn, loseFirstResponse } = await open();
    await signIn('admin', '/console/deployments/billing');
    await page.getByRole('link', { name: 'Create API key' }).first().click();
    await page.getByLabel('Name', { exact: true }).fill('lost answer');
    await page.getByLabel('code:deploy').check();
    await loseFirstResponse('**/api-keys');
    const add = page.getByRole('dialog').getByRole('button', { name: 'Create API key' });
    await add.click();
    await page.getByText('The service cannot be reached.').waitFor();
    await add.click();
    await page.getByRole('heading', { name: 'The secret is not shown again' }).waitFor();
    const token = await stack.signIn('admin');
    const { json } = await stack.call('GET', '/deployments/billing/api-keys', { token });
    const names = json.items.map(({ name }: { name: string }) => name);
    expect(names.filter((name: string) => name === 'lost answer')).toHaveLength(1);
  });
});
