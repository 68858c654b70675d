import type { Locator, Page } from 'playwright-core';
import { beforeAll, expect, it } from 'vitest';
import { DESKTOP, describeInBrowser, PHONE, TABLET } from '../support/browser.ts';
import { runStack } from '../support/stack.ts';

const stack = await runStack({ context: { nameClaim: 'name' } });

beforeAll(async () => {
  await stack.register('etl', { name: 'Nightly ETL', groups: ['data-eng', 'ml'] });
  for (let index = 0; index < 40; index++) {
    await stack.createKey('etl', { name: `pipeline ${index}`, scopes: ['code:deploy', 'airflow:read'] });
  }
}, 60_000);

const hasFocus = (page: Page, element: Locator) =>
  expect.poll(() => element.and(page.locator(':focus')).count()).toBe(1);

/** Reports whether another element covers the whole focused element. */
const isCovered = (page: Page): Promise<boolean> =>
  page.evaluate(`(() => {
    const it = document.activeElement;
    const { left, right, top, bottom } = it.getBoundingClientRect();
    const at = [top + 2, (top + bottom) / 2, bottom - 2].map((y) => document.elementFromPoint((left + right) / 2, y));
    return !at.some((found) => found && (it.contains(found) || found.contains(it) || it.labels?.[0]?.contains(found)));
  })()`);

describeInBrowser('the craft of the console', stack, (open) => {
  it('a person can copy the hardened script of each CI system, on a desktop and on a phone', async () => {
    const { page, dialog, signIn, expectCraft } = await open();
    await signIn('member', '/console/deployments/etl/add-key');
    await dialog.getByLabel('Name').fill('scripts');
    await dialog.getByLabel('code:deploy').check();
    await dialog.getByRole('button', { name: 'Create API key' }).click();
    for (const name of ['GitHub Actions', 'GitLab CI', 'CircleCI', 'curl']) {
      await dialog.getByRole('tab', { name }).click();
      // The script stays open when the person chooses another tab.
      if (name === 'GitHub Actions') await dialog.getByText('Hardened shell script').click();
      for (const size of [PHONE, DESKTOP]) {
        await page.setViewportSize(size);
        await expectCraft();
        await dialog.getByRole('button', { name: `Copy hardened ${name} script` }).click();
        await dialog.getByText(`hardened ${name} script copied`).waitFor({ state: 'attached' });
        // The button that closes the dialog stays in sight, however long the script is.
        const button = await dialog.getByRole('button', { name: 'I have saved the secret' }).boundingBox();
        expect((button?.y ?? Number.POSITIVE_INFINITY) + (button?.height ?? 0)).toBeLessThan(size.height);
      }
      expect(await page.evaluate('navigator.clipboard.readText()')).toContain('client_credentials');
    }
  });

  it('neither the buttons of a dialog nor the selection bar covers the focused element', async () => {
    const { page, signIn } = await open({ viewport: { width: 720, height: 450 } });
    await signIn('member', '/console/deployments/etl/add-key');
    await page.getByRole('dialog').getByLabel('OIDC token from CI').check();
    for (let press = 0; press < 24; press++) {
      expect(await isCovered(page), `after Tab ${press}`).toBe(false);
      await page.keyboard.press('Tab');
    }
    for (const size of [PHONE, TABLET, DESKTOP]) {
      await page.setViewportSize(size);
      await page.goto(`${stack.url}/console/deployments/etl`);
      await page.getByLabel('Select all API keys on this page').check();
      await page.getByRole('button', { name: 'Actions for pipeline 5', exact: true }).focus();
      for (let press = 0; press < 40; press++) {
        expect(await isCovered(page), `after Shift+Tab ${press} at ${size.width} pixels`).toBe(false);
        await page.keyboard.press('Shift+Tab');
      }
    }
  });

  it('a form says next to the field what is missing or has the wrong format', async () => {
    const { page, dialog, signIn, expectCraftInEachSize } = await open();
    await signIn('member', '/console/deployments/etl/add-key');
    const create = dialog.getByRole('button', { name: 'Create API key' });
    await create.click();
    const name = dialog.getByLabel('Name', { exact: true });
    await dialog.getByText('Name is required', { exact: true }).waitFor();
    await hasFocus(page, name);
    expect(await name.getAttribute('aria-invalid')).toBe('true');
    await name.fill('trusting');
    expect(await dialog.getByText('Name is required').count()).toBe(0);
    await dialog.getByLabel('OIDC token from CI').check();
    const number = dialog.getByLabel('Repository ID');
    await number.fill('acme/etl');
    await dialog.getByLabel('Expires').selectOption('On a date…');
    await create.click();
    await dialog.getByText('Repository ID has the wrong format. Digits only.', { exact: true }).waitFor();
    await dialog.getByText('Expires needs a date', { exact: true }).waitFor();
    await hasFocus(page, number);
    await expectCraftInEachSize();
  });

  it('the focus returns to the button that created a temporary token', async () => {
    const { page, signIn, expectCraftInEachSize } = await open();
    await signIn('member', '/token?deployment=etl');
    const create = page.getByRole('button', { name: 'Create temporary token' });
    await page.getByLabel('code:deploy').check();
    await create.focus();
    await page.keyboard.press('Enter');
    await page.getByText('This is the only time that the token is shown.').waitFor();
    await expectCraftInEachSize();
    await page.getByRole('button', { name: 'Done' }).focus();
    await page.keyboard.press('Enter');
    await hasFocus(page, create);
    await page.getByRole('button', { name: /^Revoke the token issued/ }).waitFor();
    await expectCraftInEachSize();
  });

  it('at a width of 768 pixels, the table can be sorted by the time of creation', async () => {
    const { page, signIn } = await open({ viewport: TABLET });
    await signIn('member', '/console/deployments/etl');
    await page.getByRole('columnheader', { name: 'Name' }).getByRole('link').click();
    await expect.poll(() => page.getByLabel('Sort by').inputValue()).toBe('2');
    await page.getByLabel('Sort by').selectOption('Oldest first');
    await expect.poll(() => page.locator('tbody .main-cell a').first().innerText()).toBe('pipeline 0');
    expect(new URL(page.url()).search).toBe('?sort=created');
    await page.goBack();
    await expect.poll(() => page.getByLabel('Sort by').inputValue()).toBe('2');
  });

  it('exact times neither break words nor make the rows of the table higher', async () => {
    const { page, signIn, rowOf, expectCraftInEachSize } = await open();
    await signIn('member', '/console/deployments/etl');
    await rowOf('pipeline 1').first().waitFor();
    await page.getByRole('button', { name: 'Exact times' }).click();
    await rowOf('UTC').first().waitFor();
    const heights = (await page.evaluate(
      '[...document.querySelectorAll("tbody tr")].map((row) => row.getBoundingClientRect().height)',
    )) as number[];
    expect(Math.max(...heights)).toBeLessThanOrEqual(48);
    await expectCraftInEachSize();
  });

  it('in forced colours, the selected page, tab and filter look different from the others, and so does a pressed button', async () => {
    const { page, signIn, expectCraft } = await open({ forcedColors: 'active' });
    await signIn('member', '/console/deployments/etl');
    await page.getByRole('link', { name: /^Never used/ }).waitFor();
    const border = (selector: string) =>
      page.evaluate(`getComputedStyle(document.querySelector('${selector}')).borderBottomColor`);
    for (const link of ['.top nav a', '.sections a', '.chip']) {
      expect(await border(`${link}[aria-current]`)).not.toBe(await border(`${link}:not([aria-current])`));
    }
    const before = await border('[aria-pressed]');
    await page.getByRole('button', { name: 'Exact times' }).click();
    await expect.poll(() => border('[aria-pressed=true]')).not.toBe(before);
    await page.getByLabel('Select all API keys on this page').check();
    await expectCraft();
    await page.goto(`${stack.url}/console/deployments/etl/add-key`);
    await page.getByRole('dialog').getByLabel('OIDC token from CI').check();
    await expectCraft();
  });

  it('a dialog removes the toast of an earlier action, which it would half cover', async () => {
    await stack.register('toasted');
    await stack.createKey('toasted', { name: 'renamed' });
    const { page, signIn, act } = await open();
    await signIn('member', '/console/deployments/toasted');
    await act('renamed', 'Edit');
    await page.getByRole('dialog').getByLabel('Description').fill('Changed');
    await page.getByRole('button', { name: 'Save' }).click();
    const toast = page.getByText('Changes saved', { exact: true });
    await toast.waitFor();
    // A dialog that opens within half a second of the toast belongs to the same action, and would keep the toast.
    const shownAt = Number(await page.evaluate('performance.now()'));
    await expect.poll(() => page.evaluate('performance.now()')).toBeGreaterThan(shownAt + 500);
    expect(await toast.count()).toBe(1);
    await act('renamed', 'Rotate secret');
    await page.getByRole('dialog').waitFor();
    expect(await toast.count()).toBe(0);
  });

  it('the form of a trust rule explains what *Edit claims* does, and shows the whole name of a branch', async () => {
    const { dialog, signIn, expectCraftInEachSize } = await open();
    await signIn('member', '/console/deployments/etl/add-key');
    await dialog.getByLabel('OIDC token from CI').check();
    await dialog.getByLabel('Repository ID').fill('4711');
    await dialog.getByLabel('Branch (optional)').fill('main');
    await dialog.getByText('Edit claims shows the rule as claims of the token').waitFor();
    await dialog.getByRole('button', { name: 'Edit claims' }).click();
    await dialog.getByText('A token must have all these claims.').waitFor();
    const value = dialog.getByLabel('Value of claim 2');
    expect(await value.inputValue()).toBe('refs/heads/main');
    expect(await value.evaluate((field) => field.scrollWidth - field.clientWidth)).toBe(0);
    await expectCraftInEachSize();
  });

  it('a card of a key on a phone names the creator', async () => {
    const { signIn, rowOf, expectCraftInEachSize } = await open({ viewport: PHONE });
    await signIn('member', '/console/deployments/etl');
    await rowOf('pipeline 39').getByText('by Ada Admin').waitFor();
    await expectCraftInEachSize();
  });

  it('the console shows the names of people, and "you" for the person who is signed in', async () => {
    await stack.register('named');
    const json = { name: 'of the member', scopes: ['code:deploy'] };
    await stack.callAs('member', 'POST', '/deployments/named/api-keys', { json });
    await stack.createKey('named', { name: 'of the administrator' });
    const { page, signIn, rowOf, expectCraftInEachSize } = await open();
    await signIn('member', '/console/deployments/named');
    await rowOf('of the administrator').getByText('by Ada Admin').waitFor();
    await rowOf('of the member').getByText('by you').waitFor();
    await page.getByRole('link', { name: 'Events', exact: true }).click();
    await page
      .getByText(/ by user Ada Admin from /)
      .first()
      .waitFor();
    await page.getByText(/ by you from /).waitFor();
    await expectCraftInEachSize();
  });

  it('the page of a deleted key says that the key was not found, and links to its events', async () => {
    const { id } = await stack.createKey('etl', { name: 'short-lived' });
    await stack.callAs('admin', 'DELETE', `/deployments/etl/api-keys/${id}`);
    const { page, signIn, expectCraftInEachSize } = await open();
    await signIn('member', `/console/deployments/etl/keys/${id}`);
    await page.getByRole('heading', { name: 'API key not found' }).waitFor();
    await page.getByText(`${id} does not exist, was deleted, or you don’t have access.`).waitFor();
    await expectCraftInEachSize();
    await page.getByRole('link', { name: 'Events of this key' }).click();
    await page.getByText('API key “short-lived” deleted').waitFor();
  });

  it('a disabled key can be enabled from the notice on its page', async () => {
    const { id } = await stack.createKey('etl', { name: 'paused' });
    await stack.callAs('admin', 'PATCH', `/deployments/etl/api-keys/${id}`, { json: { enabled: false } });
    const { page, signIn, expectCraftInEachSize } = await open();
    await signIn('member', `/console/deployments/etl/keys/${id}`);
    await page.getByText('This key is disabled.').waitFor();
    await expectCraftInEachSize();
    await page.getByRole('note').getByRole('button', { name: 'Enable' }).click();
    await page.getByText('“paused” enabled', { exact: true }).waitFor();
    expect((await stack.callAs('admin', 'GET', `/deployments/etl/api-keys/${id}`)).json.enabled).toBe(true);
  });

  it('the dialogs that rotate, replace, disable and delete show which key they change', async () => {
    const { id } = await stack.createKey('etl', { name: 'twin' });
    await stack.createKey('etl', { name: 'twin' });
    const { page, dialog, signIn, act, expectCraftInEachSize } = await open();
    await signIn('member', `/console/deployments/etl/keys/${id}`);
    await page.getByRole('heading', { name: 'Active tokens' }).waitFor();
    await page.getByRole('link', { name: 'Rotate secret' }).click();
    await dialog.getByText(id).waitFor();
    await expectCraftInEachSize();
    await page.keyboard.press('Escape');
    for (const action of ['Report a leak', 'Revoke all tokens', 'Disable', 'Delete']) {
      await act('twin', action);
      await dialog.getByText(id).waitFor();
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'detached' });
    }
  });

  it('a filter finds an event that is not among the latest 100', async () => {
    await stack.register('busy');
    const { id } = await stack.createKey('busy', { name: 'changing' });
    for (let index = 0; index < 110; index++) {
      await stack.callAs('admin', 'PATCH', `/deployments/busy/api-keys/${id}`, {
        json: { description: `Change ${index}` },
      });
    }
    const { page, signIn, expectCraftInEachSize } = await open();
    await signIn('member', '/console/deployments/busy/events');
    await page.getByRole('link', { name: 'Deployment', exact: true }).click();
    await page.getByText('Deployment registered').waitFor();
    expect(await page.locator('.event').count()).toBe(1);
    await expectCraftInEachSize();
  });

  it('if access was ended, the console says so and lets the person sign out', async () => {
    const { page, dialog, signIn, rowOf, expectCraftInEachSize } = await open();
    await signIn('member', '/console/deployments/etl');
    // The service must not reject the requests with which the page loads, because the dialog would cover the link.
    await rowOf('pipeline 1').first().waitFor();
    await stack.callAs('admin', 'POST', '/people/end-access', {
      json: { sub: 'member-2f41', block: true },
    });
    await page.getByRole('link', { name: 'Events', exact: true }).click();
    await dialog.getByRole('heading', { name: 'The service rejected your sign-in' }).waitFor();
    await dialog.getByText('Your access was ended. Sign in again, or ask an administrator.').waitFor();
    await expectCraftInEachSize();
    await dialog.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You are signed out.').waitFor();
    await stack.callAs('admin', 'POST', '/people/restore-access', { json: { sub: 'member-2f41' } });
  });
});
