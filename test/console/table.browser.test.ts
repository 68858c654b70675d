import type { Page } from 'playwright-core';
import { beforeAll, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import { toApiKey } from '../../functions/table/schema.ts';
import { DESKTOP, describeInBrowser, PHONE } from '../support/browser.ts';
import { runStack } from '../support/stack.ts';

const stack = await runStack();
const DAY = 86_400_000;

/** Writes keys directly to the table, as if someone had created one key each hour, the last one an hour ago. */
async function fill(deploymentId: string, keys: number): Promise<void> {
  const [deployment] = await stack.partition(`DEPLOYMENT#${deploymentId}`);
  const now = Date.now();
  const item = (index: number) => {
    const createdAt = now - (keys - index) * 3_600_000;
    return toApiKey({
      deploymentId,
      ulid: newUlid(createdAt),
      name: `pipeline ${index}`,
      ...(index % 100 === 7 && { description: 'Asks Ada' }),
      scopes: ['code:deploy'],
      secrets: [{ hash: 'x'.repeat(43), createdAt }],
      enabled: index % 10 !== 3,
      epoch: 0,
      generation: String(deployment?.generation),
      revision: 0,
      createdAt,
      createdBy: 'member-2f41',
      ...(index % 50 === 5 && { expiresAt: Math.ceil((now + 3 * DAY) / 1000) }),
    });
  };
  for (let from = 0; from < keys; from += 50) {
    const indices = Array.from({ length: Math.min(50, keys - from) }, (_, at) => from + at);
    await Promise.all(indices.map((index) => stack.putItem(item(index))));
  }
}

beforeAll(async () => {
  await stack.register('large');
  await fill('large', 999);
  await stack.register('small');
  await fill('small', 20);
}, 120_000);

const names = (page: Page) => page.locator('tbody .main-cell a').allInnerTexts();
const search = (page: Page) => page.getByRole('searchbox');
const statusOf = (page: Page, words: string) => page.getByRole('status').filter({ hasText: words }).first();

/**
 * Returns the time from typing in the search field until the table shows the result, in milliseconds. It is the
 * shortest of several measurements, because other processes on the machine can only slow a measurement down.
 */
async function timeOfSearch(page: Page): Promise<number> {
  const times = (await page.evaluate(`(async () => {
    const input = document.querySelector('input[type=search]');
    const times = [];
    for (const text of ['p', '', 'pi', '', 'pip', '', 'pipe', '']) {
      const start = performance.now();
      input.value = text;
      input.dispatchEvent(new InputEvent('input', { bubbles: true }));
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
      document.body.getBoundingClientRect();
      times.push(performance.now() - start);
    }
    return times;
  })()`)) as number[];
  return Math.min(...times);
}

describeInBrowser('the table of API keys', stack, (open) => {
  it('the table shows 1,000 keys with at most 1,500 elements, and searches them nearly as fast as 20 keys', {
    timeout: 180_000,
  }, async () => {
    const { page, signIn, expectCraftInEachSize } = await open();
    await signIn('member', '/console/deployments/small');
    await statusOf(page, '20 API keys').waitFor();
    const small = await timeOfSearch(page);
    await page.goto(`${stack.url}/console/deployments/large`);
    await statusOf(page, '999 API keys').waitFor();
    expect(await page.evaluate('document.querySelectorAll("*").length')).toBeLessThanOrEqual(1500);
    expect(await timeOfSearch(page)).toBeLessThanOrEqual(3 * Math.max(small, 16));
    // The table lists the newest keys first, and many of its rows fit into a desktop window.
    expect((await names(page)).slice(0, 2)).toStrictEqual(['pipeline 998', 'pipeline 997']);
    const heights = (await page.evaluate(
      '[...document.querySelectorAll("tbody tr")].slice(0, 20).map((row) => row.getBoundingClientRect().height)',
    )) as number[];
    for (const height of heights) expect(height).toBeLessThanOrEqual(48);
    const visible = (await page.evaluate(
      '[...document.querySelectorAll("tbody tr")].filter((row) => row.getBoundingClientRect().bottom <= innerHeight).length',
    )) as number;
    expect(visible).toBeGreaterThanOrEqual(12);
    await expectCraftInEachSize();
  });

  it('the table shows the newest keys while older keys load, and keeps a key that is created in the meantime', async () => {
    const { page, signIn, rowOf, holdGets, expectCraft } = await open({ viewport: PHONE });
    const calls: string[] = [];
    const loadOlderKeys = await holdGets('**/api-keys?*cursor=*');
    page.on('request', (request) => {
      if (request.url().includes('/api-keys')) calls.push(request.url().replace(stack.url, ''));
    });
    await signIn('member', '/console/deployments/large');
    await statusOf(page, 'Loading: 100 API keys so far').waitFor();
    expect(calls[0]).toBe('/deployments/large/api-keys?order=newest');
    const first = await names(page);
    expect(first.slice(0, 2)).toStrictEqual(['pipeline 998', 'pipeline 997']);
    expect(first).toHaveLength(50);
    await expectCraft();
    const top = async () => (await page.locator('tbody tr').first().boundingBox())?.y;
    const before = await top();
    await page.getByRole('link', { name: 'Create API key' }).click();
    await page.getByLabel('Name', { exact: true }).fill('meanwhile');
    await page.getByLabel('code:deploy').check();
    await page.getByRole('dialog').getByRole('button', { name: 'Create API key' }).click();
    await page.getByRole('button', { name: 'I have saved the secret' }).click();
    loadOlderKeys();
    // The first response does not contain the new key, so the page loads the keys again.
    await statusOf(page, '1,000 API keys').waitFor();
    expect((await names(page)).slice(0, 2)).toStrictEqual(['meanwhile', 'pipeline 998']);
    expect(await top()).toBe(before);
    await page.unrouteAll({ behavior: 'ignoreErrors' });
    const id =
      (await rowOf('meanwhile')
        .getByTitle(/^dk_large_/)
        .getAttribute('title')) ?? '';
    await stack.callAs('member', 'DELETE', `/deployments/large/api-keys/${id}`);
  });

  it('the search field keeps its text and the focus while keys load and if loading fails', async () => {
    const { page, signIn, expectCraft } = await open();
    const held: (() => void)[] = [];
    let isFailing = false;
    await page.route('**/api-keys?*', async (route) => {
      await new Promise<void>((resolve) => held.push(resolve));
      return isFailing ? route.fulfill({ status: 503, body: '{}' }) : route.continue();
    });
    const next = async () => {
      await expect.poll(() => held.length).toBeGreaterThan(0);
      held.shift()?.();
    };
    const expectTyped = async (text: string) => {
      expect(await search(page).inputValue()).toBe(text);
      expect(await page.evaluate('document.activeElement.type')).toBe('search');
    };
    await signIn('member', '/console/deployments/large');
    await search(page).click();
    await page.keyboard.type('pipeline ');
    await statusOf(page, 'Searching…').waitFor();
    await next();
    await statusOf(page, 'Searching: 100 of 100 API keys so far').waitFor();
    await page.keyboard.type('7');
    await statusOf(page, 'Searching: 19 of 100 API keys so far').waitFor();
    // Keys in any order but the newest first cannot be placed before all keys have been loaded.
    expect((await names(page))[0]).toBe('pipeline 997');
    await page.getByRole('columnheader', { name: 'Name' }).getByRole('link').click();
    await page.getByLabel('Loading API keys').waitFor();
    await search(page).click();
    await page.keyboard.type('0');
    await expectTyped('pipeline 70');
    await next();
    await statusOf(page, 'of 200 API keys so far').waitFor();
    await expectTyped('pipeline 70');
    isFailing = true;
    await next();
    await statusOf(page, 'Not all API keys were searched').waitFor();
    await page.getByText('The service is busy. Try again in a moment.').waitFor();
    expect(await page.getByText('No API key matches.').count()).toBe(0);
    await expectTyped('pipeline 70');
    await expectCraft();
    await page.unrouteAll();
    await page.getByRole('button', { name: 'Try again' }).click();
    await statusOf(page, '20 of 999 API keys').waitFor();
    expect((await names(page)).slice(0, 2)).toStrictEqual(['pipeline 70', 'pipeline 170']);
  });

  it("the URL contains the table's search, filter, order, page and selection, and the back button restores them", async () => {
    const { page, signIn } = await open();
    await signIn('member', '/console/deployments/large');
    await statusOf(page, '999 API keys').waitFor();
    await page
      .getByRole('navigation', { name: 'Filter by status' })
      .getByRole('link', { name: /^Disabled/ })
      .click();
    await statusOf(page, '100 of 999 API keys').waitFor();
    await page.getByRole('columnheader', { name: 'Name' }).getByRole('link').click();
    expect((await names(page))[0]).toBe('pipeline 3');
    await page.getByRole('link', { name: 'Next' }).click();
    await search(page).fill('pipeline 9');
    await statusOf(page, '19 of 999 API keys').waitFor();
    await page.getByLabel('Select pipeline 93', { exact: true }).check();
    await page.getByLabel('Select pipeline 903', { exact: true }).check();
    await page.getByText('2 selected').waitFor();
    const address = page.url();
    expect(Object.keys(Object.fromEntries(new URL(address).searchParams)).sort()).toStrictEqual([
      'q',
      'selected',
      'sort',
      'status',
    ]);
    const before = await names(page);

    await page.getByRole('link', { name: 'pipeline 93', exact: true }).click();
    await page.getByRole('heading', { name: 'pipeline 93' }).waitFor();
    await page.goBack();
    await page.getByText('2 selected').waitFor();
    expect(page.url()).toBe(address);
    expect(await names(page)).toStrictEqual(before);
    expect(await search(page).inputValue()).toBe('pipeline 9');
    // The view stays the same in another tab and after a reload.
    await page.reload();
    await page.getByText('2 selected').waitFor();
    expect(await names(page)).toStrictEqual(before);
  });

  it('the next page of the key table starts at the top, and the back button restores the previous position', async () => {
    const { page, signIn } = await open();
    await signIn('member', '/console/deployments/large');
    await statusOf(page, '999 API keys').waitFor();
    const next = page.getByRole('link', { name: 'Next' });
    await next.focus();
    expect(Number(await page.evaluate('scrollY'))).toBeGreaterThan(0);
    for (const range of ['51–100 of 999', '101–150 of 999']) {
      await page.keyboard.press('Enter');
      await page.getByText(range).waitFor();
      expect(await page.evaluate('scrollY')).toBe(0);
      expect(await page.evaluate('document.activeElement.innerText')).toBe('Next');
    }
    // The back button also restores the position in the table.
    await page.evaluate('scrollTo(0, 900)');
    const link = page.getByRole('link', { name: 'pipeline 872', exact: true });
    const before = (await link.boundingBox())?.y;
    await link.click();
    await page.getByRole('heading', { name: 'pipeline 872' }).waitFor();
    await page.goBack();
    await link.waitFor();
    await expect.poll(async () => (await link.boundingBox())?.y).toBe(before);

    await page.getByRole('button', { name: 'Actions for pipeline 898', exact: true }).focus();
    await page.keyboard.press('ArrowDown');
    await expect.poll(() => page.evaluate('document.activeElement.innerText')).toBe('Edit');
  });

  it('at a width of 320 pixels, the key table can still be sorted and all keys can be selected', async () => {
    const { page, signIn, rowOf, expectCraft } = await open({ viewport: { width: 320, height: 640 } });
    await signIn('member', '/console/deployments/large');
    await statusOf(page, '999 API keys').waitFor();
    await expectCraft();
    await page.getByLabel('Sort by').selectOption('Name');
    await rowOf('pipeline 49').waitFor();
    expect((await names(page))[0]).toBe('pipeline 0');
    await page.getByLabel('Select all API keys on this page').check();
    await page.getByText('50 selected').waitFor();
    await expectCraft();
  });

  it('the search above the key table covers names, IDs and descriptions of keys', async () => {
    const { page, signIn, expectCraft } = await open();
    await signIn('member', '/console/deployments/large');
    await statusOf(page, '999 API keys').waitFor();
    await search(page).fill('ASKS ada');
    await statusOf(page, '10 of 999 API keys').waitFor();
    await search(page).fill('ada 107');
    await statusOf(page, '1 of 999 API keys').waitFor();
    const id = await page.locator('tbody code').getAttribute('title');
    await search(page).fill(String(id).slice(-9));
    await statusOf(page, '1 of 999 API keys').waitFor();
    expect(await names(page)).toStrictEqual(['pipeline 107']);
    await search(page).fill('no such key');
    await page.getByText('No API key matches.').waitFor();
    await expectCraft();
    await page.getByRole('link', { name: 'Show all' }).click();
    await statusOf(page, '999 API keys').waitFor();
  });

  it('the table scrolls to a new or edited key and highlights it, regardless of the page or filter', async () => {
    await stack.register('pinned');
    await fill('pinned', 150);
    const { page, dialog, signIn, rowOf, act } = await open();
    await signIn('member', '/console/deployments/pinned?sort=name&status=disabled');
    await statusOf(page, '15 of 150 API keys').waitFor();
    await page.getByRole('link', { name: 'Create API key' }).click();
    await dialog.getByLabel('Name').fill('zeta');
    await dialog.getByLabel('code:deploy').check();
    await dialog.getByRole('button', { name: 'Create API key' }).click();
    await dialog.getByRole('button', { name: 'I have saved the secret' }).click();
    await dialog.waitFor({ state: 'detached' });
    await expect.poll(() => page.locator('tr.changed').innerText()).toContain('zeta');
    expect((await names(page))[0]).toBe('zeta');

    await page.goto(`${stack.url}/console/deployments/pinned?page=2`);
    await rowOf('pipeline 60').waitFor();
    await act('pipeline 60', 'Edit');
    await dialog.getByLabel('Name').fill('renamed');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect(new URL(page.url()).search).toBe('?page=2');
    expect(await page.locator('tr.changed').innerText()).toContain('renamed');
    const box = await page.locator('tr.changed').boundingBox();
    expect(box?.y).toBeGreaterThanOrEqual(0);
    expect(Number(box?.y)).toBeLessThan(DESKTOP.height);
  });

  it('the table can disable, enable and delete many keys at once, and retry the calls that failed', {
    timeout: 180_000,
  }, async () => {
    await stack.register('bulk');
    await fill('bulk', 60);
    const all = async () => {
      const items: { id: string; enabled: boolean }[] = (
        await stack.callAs('member', 'GET', '/deployments/bulk/api-keys')
      ).json.items;
      return items;
    };
    const { page, dialog, signIn, expectCraft } = await open();
    await signIn('member', '/console/deployments/bulk');
    await statusOf(page, '60 API keys').waitFor();
    await page.getByLabel('Select all API keys on this page').check();
    await page.getByText('50 selected').waitFor();
    await page.getByRole('button', { name: 'Select all 60' }).click();
    await page.getByText('60 selected').waitFor();
    await expectCraft();

    let failures = 2;
    await page.route('**/api-keys/*', (route) =>
      route.request().method() === 'PATCH' && failures-- > 0
        ? route.fulfill({ status: 503, body: '{}' })
        : route.continue(),
    );
    await page.getByRole('button', { name: 'Disable' }).click();
    await dialog.getByText('6 API keys already disabled.').waitFor();
    await expectCraft();
    await dialog.getByRole('button', { name: 'Disable 54 API keys' }).click();
    await dialog
      .getByText('2 API keys could not be disabled: The service is busy. Try again in a moment.')
      .waitFor();
    expect((await all()).filter(({ enabled }) => enabled)).toHaveLength(2);
    await dialog.getByRole('button', { name: 'Try again: Disable 2 API keys' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('2 API keys disabled').waitFor();
    expect((await all()).filter(({ enabled }) => enabled)).toHaveLength(0);

    await search(page).fill('pipeline 5');
    await page.getByLabel('Select all API keys on this page').check();
    await page.getByText('15 selected').waitFor();
    await page.getByRole('button', { name: 'Enable' }).click();
    await dialog.getByRole('button', { name: 'Enable 15 API keys' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect((await all()).filter(({ enabled }) => enabled)).toHaveLength(15);

    await page.getByLabel('Select all API keys on this page').check();
    await page.getByRole('button', { name: 'Delete' }).click();
    const confirm = dialog.getByRole('button', { name: 'Delete 15 API keys' });
    expect(await confirm.isDisabled()).toBe(true);
    await dialog.getByLabel('Type bulk to delete them').fill('bulk');
    await confirm.click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('No API key matches.').waitFor();
    expect(await all()).toHaveLength(45);
  });

  it('before a deletion, the console shows how the key differs from other keys with the same name', async () => {
    await stack.register('twins');
    const [one, other] = [
      await stack.createKey('twins', { name: 'twin' }),
      await stack.createKey('twins', { name: 'twin' }),
    ];
    const { page, dialog, signIn, expectCraft } = await open({ viewport: PHONE });
    await signIn('member', '/console/deployments/twins');
    await page
      .locator('tr', { has: page.getByTitle(one.id) })
      .getByRole('button', { name: 'Actions for twin' })
      .click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await dialog.getByText(one.id).waitFor();
    await dialog.getByText('admin-7d0c').waitFor();
    await dialog.getByText('never', { exact: true }).waitFor();
    await expectCraft();
    await dialog.getByLabel('Type the key’s name to delete it').fill('twin');
    await dialog.getByRole('button', { name: 'Delete API key' }).click();
    await dialog.waitFor({ state: 'detached' });
    const { items } = (await stack.callAs('member', 'GET', '/deployments/twins/api-keys')).json;
    expect(items.map(({ id }: { id: string }) => id)).toStrictEqual([other.id]);
  });

  it('the page keeps the loaded keys if the Deployment or the list cannot be loaded again', async () => {
    const { page, signIn, expectCraft } = await open();
    await signIn('member', '/console/deployments/small');
    await statusOf(page, '20 API keys').waitFor();
    await page.getByRole('link', { name: 'Events', exact: true }).click();
    await page.getByText('Deployment registered').waitFor();
    await page.route('**/deployments/small**', (route) => route.fulfill({ status: 500, body: '' }));
    await page.goBack();
    await page.getByRole('alert').first().waitFor();
    expect(await names(page)).toHaveLength(20);
    await page.unroute('**/deployments/small**');
    await page.getByRole('button', { name: 'Try again' }).first().click();
    await expectCraft();
  });
});

describeInBrowser('a form with input that is not saved', stack, (open) => {
  it('a form asks for confirmation before Escape, Cancel or the back button discards unsaved input', async () => {
    const { page, signIn, expectCraft } = await open();
    const question = page.getByRole('alertdialog');
    await signIn('member', '/console/deployments/small');
    await statusOf(page, '20 API keys').waitFor();
    await page.getByRole('link', { name: 'Create API key' }).click();
    const name = page.getByLabel('Name', { exact: true });
    await name.fill('typed');
    const address = page.url();
    for (const leave of [
      () => page.keyboard.press('Escape'),
      () => page.getByRole('button', { name: 'Cancel' }).click(),
      // The console stays at the URL of the form, so page.goBack() could wait for a navigation that never ends.
      () => page.evaluate('history.back()'),
    ]) {
      await leave();
      await question.getByText('Discard your changes?').waitFor();
      await question.getByRole('button', { name: 'Keep editing' }).click();
      await question.waitFor({ state: 'detached' });
      expect(await name.inputValue()).toBe('typed');
      // The focus returns to the form, so that the person can continue to edit.
      expect(await page.locator('dialog form :focus').count()).toBe(1);
      expect(page.url()).toBe(address);
    }
    await page.keyboard.press('Escape');
    await expectCraft();
    await question.getByRole('button', { name: 'Discard changes' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await expect.poll(() => new URL(page.url()).pathname).toBe('/console/deployments/small');
    // The form also asks for confirmation if Escape follows the input before the browser has painted the input.
    await page.getByRole('link', { name: 'Create API key' }).click();
    await name.waitFor();
    await page.evaluate(`(async () => {
      const field = document.querySelector('dialog input');
      field.value = 'typed';
      field.dispatchEvent(new InputEvent('input', { bubbles: true }));
      const { port1, port2 } = new MessageChannel();
      await new Promise((resolve) => {
        port1.onmessage = resolve;
        port2.postMessage(undefined);
      });
      field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
    })()`);
    await question.getByRole('button', { name: 'Discard changes' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    // Without input, Escape closes the form immediately.
    await page.getByRole('link', { name: 'Create API key' }).click();
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  });
});
