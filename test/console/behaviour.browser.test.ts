import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import { beforeEach, expect, it } from 'vitest';
import { describeInBrowser, PHONE } from '../support/browser.ts';
import { runStack } from '../support/stack.ts';

const stack = await runStack();
const LONG_TIMEOUT = { timeout: 20_000 };
beforeEach(() => stack.clock.release());

/** Creates a separate Deployment for each test, in a group of the member. */
let count = 0;
async function newDeployment(groups = ['data-eng']): Promise<string> {
  const id = `page_${++count}`;
  await stack.register(id, { name: `Deployment ${count}`, groups });
  return id;
}

const keysOf = async (id: string): Promise<Record<string, unknown>[]> =>
  (await stack.callAs('admin', 'GET', `/deployments/${id}/api-keys`)).json.items;

/** Returns the text with which a screen reader announces the focused element. */
const focused = (page: Page) =>
  page.evaluate(
    `(() => {
      const { activeElement: it } = document;
      return it.getAttribute('aria-label') ?? it.labels?.[0]?.innerText ?? it.innerText;
    })()`,
  ) as Promise<string>;

/** Presses Tab until the element has the focus, as a keyboard user does. */
async function tabTo(page: Page, name: string | RegExp): Promise<void> {
  const isIt = (text: string) => (typeof name === 'string' ? text.trim() === name : name.test(text));
  for (let press = 0; press < 40; press++) {
    if (isIt((await focused(page)) ?? '')) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`The keyboard does not reach ${name}.`);
}

describeInBrowser('the keyboard', stack, (open) => {
  it('the console can be used without a mouse, from signing in to signing out', {
    timeout: 120_000,
  }, async () => {
    const id = await newDeployment();
    const { page, rowOf } = await open();
    await page.goto(`${stack.url}/console/deployments/${id}`);
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
    await tabTo(page, 'Sign in');
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: 'Max Member' }).waitFor();
    await tabTo(page, /^Max Member/);
    await page.keyboard.press('Enter');

    await page.getByRole('heading', { name: 'No API keys yet' }).waitFor();
    await tabTo(page, 'Create API key');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    expect(await focused(page)).toBe('Name');
    await page.keyboard.type('by hand');
    for (const scope of [/^code:deploy/, /^airflow:read/]) {
      await tabTo(page, scope);
      await page.keyboard.press('Space');
    }
    await tabTo(page, 'Create API key');
    await page.keyboard.press('Enter');

    await page.getByText('This is the only time').waitFor();
    await tabTo(page, /^Copy\s+Secret$/);
    await page.keyboard.press('Enter');
    await page.getByText('Secret copied').waitFor();
    await tabTo(page, 'GitHub Actions');
    await page.keyboard.press('ArrowRight');
    expect(await focused(page)).toBe('GitLab CI');
    await page.keyboard.press('End');
    expect(await focused(page)).toBe('curl');
    await tabTo(page, 'I have saved the secret');
    await page.keyboard.press('Enter');
    await rowOf('by hand').waitFor();

    await tabTo(page, 'Actions for by hand');
    await page.keyboard.press('Enter');
    await expect.poll(() => focused(page), LONG_TIMEOUT).toBe('Edit');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Edit API key' }).waitFor();
    await tabTo(page, 'Enabled');
    await page.keyboard.press('Space');
    await tabTo(page, 'Save');
    await page.keyboard.press('Enter');
    await rowOf('by hand').getByText('Disabled', { exact: true }).waitFor();
    expect(await keysOf(id)).toMatchObject([{ enabled: false, scopes: ['code:deploy', 'airflow:read'] }]);
    // The focus returns to the element that opened the dialog.
    await expect.poll(() => focused(page), LONG_TIMEOUT).toBe('Actions for by hand');

    await page.keyboard.press('Enter');
    await expect.poll(() => focused(page), LONG_TIMEOUT).toBe('Edit');
    await page.keyboard.press('End');
    expect(await focused(page)).toBe('Delete');
    await page.keyboard.press('Enter');
    await page.getByText('This can’t be undone.').waitFor();
    expect(await focused(page)).toBe('Type the key’s name to delete it');
    await page.keyboard.type('by hand');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'No API keys yet' }).waitFor();
    expect(await keysOf(id)).toStrictEqual([]);
    // The deleted key's button is gone, so the focus moves to the page's heading.
    await expect.poll(() => focused(page), LONG_TIMEOUT).toBe(`Deployment ${count}`);

    await tabTo(page, 'Sign out');
    await page.keyboard.press('Enter');
    await page.getByText('You are signed out.').waitFor();
  });

  it('the focus stays within a dialog, and Escape returns the focus to the element that opened the dialog', async () => {
    const id = await newDeployment();
    const { page, signIn } = await open({ viewport: PHONE });
    await signIn('member', `/console/deployments/${id}`);
    await page.getByRole('heading', { name: 'No API keys yet' }).waitFor();
    await tabTo(page, 'Create API key');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    for (let press = 0; press < 15; press++) {
      await page.keyboard.press('Tab');
      // From the last control, the focus moves to the browser's own toolbar, and the page then reports its body as
      // focused.
      const isInside = await page.evaluate(
        `document.activeElement === document.body || !!document.activeElement.closest('dialog')`,
      );
      expect(isInside).toBe(true);
    }
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await expect.poll(() => focused(page), LONG_TIMEOUT).toBe('Create API key');
    expect(new URL(page.url()).pathname).toBe(`/console/deployments/${id}`);
  });
});

describeInBrowser('the address of the console page', stack, (open) => {
  it('the back button closes a dialog, and a closed dialog does not reopen', async () => {
    const id = await newDeployment();
    const { page, signIn } = await open();
    await signIn('member');
    await page.getByRole('link', { name: `Deployment ${count}`, exact: true }).click();
    await page.getByRole('link', { name: 'Create API key' }).first().click();
    expect(new URL(page.url()).pathname).toBe(`/console/deployments/${id}/add-key`);
    await page.goBack();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.getByRole('link', { name: 'Create API key' }).first().click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.goBack();
    await page.getByRole('heading', { name: 'Deployments', level: 1 }).waitFor();
    expect(new URL(page.url()).pathname).toBe('/console');
  });

  it('a view survives a reload, and opens in another tab without a second sign-in', async () => {
    const id = await newDeployment();
    await stack.createKey(id, { name: 'kept' });
    const { page, signIn, act } = await open();
    await signIn('member', `/console/deployments/${id}`);
    await act('kept', 'Edit');
    await page.getByRole('heading', { name: 'Edit API key' }).waitFor();
    const address = page.url();
    await page.reload();
    await page.getByRole('heading', { name: 'Edit API key' }).waitFor();
    expect(page.url()).toBe(address);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });

    // A new tab does not share the first tab's storage. The session at the issuer is enough to sign in.
    const tab = await page.context().newPage();
    await tab.goto(address);
    await tab.getByRole('heading', { name: 'Edit API key' }).waitFor();
    expect(tab.url()).toBe(address);
  });

  it('the console shows "not found" for an unknown page', async () => {
    const { page, signIn, expectCraft } = await open();
    await signIn('member', '/console/nowhere');
    await page.getByRole('heading', { name: 'Page not found' }).waitFor();
    await expectCraft();
  });
});

describeInBrowser('a member in the console', stack, (open) => {
  it("a member cannot see another group's Deployment or find out whether that Deployment exists", async () => {
    const id = await newDeployment(['finance']);
    await stack.createKey(id, { name: 'not yours' });
    const { page, signIn, expectCraft } = await open();
    await signIn('member');
    await page.getByRole('heading', { name: 'Deployments', level: 1 }).waitFor();
    expect(await page.getByText(`Deployment ${count}`, { exact: true }).count()).toBe(0);
    for (const [target, rest] of [
      [id, ''],
      ['absent', ''],
      [id, '/temporary-tokens'],
    ]) {
      await page.goto(`${stack.url}/console/deployments/${target}${rest}`);
      await page.getByRole('heading', { name: 'Deployment not found' }).waitFor();
      await page.getByText(`${target} does not exist, was deleted, or you don’t have access.`).waitFor();
      expect(await page.content()).not.toContain('not yours');
    }
    await expectCraft();
    await page.goto(`${stack.url}/token?deployment=${id}`);
    await page.getByLabel('code:deploy').check();
    await page.getByRole('button', { name: 'Create temporary token' }).click();
    // The list of tokens shows the same error when its response arrives.
    const form = page.getByRole('form', { name: 'Create a temporary token' });
    await form.getByText('Not found, or you don’t have access.').waitFor();
  });
});

describeInBrowser('the page /token', stack, (open) => {
  it('the /token page asks which of several Deployments to use, and keeps the choice in the URL', async () => {
    const [id] = [await newDeployment(), await newDeployment()];
    const { page, signIn, expectCraft, traces } = await open({ viewport: PHONE });
    await signIn('member', '/token');
    const choice = page.getByRole('combobox', { name: 'Deployment' });
    await choice.waitFor();
    expect(await page.getByRole('button', { name: 'Create temporary token' }).count()).toBe(0);
    await expectCraft();
    await choice.fill(`Deployment ${count - 1}`);
    await page.getByRole('option', { name: id ?? '' }).waitFor();
    await expectCraft();
    await page.keyboard.press('Enter');
    expect(page.url()).toBe(`${stack.url}/token?deployment=${id}`);
    await page.getByRole('button', { name: 'Create temporary token' }).waitFor();
    expect(await choice.evaluate((field) => field === field.ownerDocument.activeElement)).toBe(true);
    await page.getByLabel('code:deploy').check();
    await page.getByRole('button', { name: 'Create temporary token' }).click();
    const token = await page.getByRole('dialog').locator('code').first().innerText();
    expect(token).toMatch(new RegExp(`^dkx_${id}_`));
    expect(await traces()).not.toContain(token);
    // A temporary token does not appear again after a reload or after another Deployment is selected.
    await page.reload();
    await page.getByRole('button', { name: 'Create temporary token' }).waitFor();
    expect(await page.content()).not.toContain(token);
  });
});

describeInBrowser('a sign-in to the console', stack, (open) => {
  it('a form keeps all input if the sign-in expires while the form is open', async () => {
    const id = await newDeployment();
    const { page, signIn, expectCraft } = await open();
    await signIn('member', `/console/deployments/${id}`);
    await page.getByRole('heading', { name: 'No API keys yet' }).waitFor();
    await page.getByRole('link', { name: 'Create API key' }).first().click();
    await page.getByLabel('Name', { exact: true }).fill('typed before');
    await page.getByLabel('Description', { exact: true }).fill('and kept');
    for (const scope of ['code:deploy', 'airflow:write']) await page.getByLabel(scope).check();
    stack.clock.advance(2 * 3600);
    await page.getByRole('dialog').getByRole('button', { name: 'Create API key' }).click();
    await page.getByRole('heading', { name: 'Your session has expired' }).waitFor();
    expect(await keysOf(id)).toStrictEqual([]);
    await expectCraft();
    await page.getByRole('button', { name: 'Sign in again' }).click();

    await page.getByRole('heading', { name: 'Create API key' }).waitFor();
    expect(await page.getByLabel('Name', { exact: true }).inputValue()).toBe('typed before');
    expect(await page.getByLabel('Description', { exact: true }).inputValue()).toBe('and kept');
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
    await page.getByRole('dialog').getByRole('button', { name: 'Create API key' }).click();
    await page.getByText('This is the only time').waitFor();
    expect(await keysOf(id)).toMatchObject([
      { name: 'typed before', description: 'and kept', scopes: ['code:deploy', 'airflow:write'] },
    ]);
  });

  it('a new secret stays visible if the service rejects the sign-in while the console shows the secret', async () => {
    const id = await newDeployment();
    const { page, signIn, holdGets, expectCraft } = await open();
    // The list of keys still loads while the console shows the secret.
    const loadList = await holdGets(`**/deployments/${id}/api-keys*`);
    await signIn('member', `/console/deployments/${id}/add-key`);
    await page.getByLabel('Name', { exact: true }).fill('once');
    await page.getByLabel('code:deploy').check();
    await page.getByRole('dialog').getByRole('button', { name: 'Create API key' }).click();
    await page.getByText('This is the only time').waitFor();
    stack.clock.advance(2 * 3600);
    const rejected = page.waitForResponse((response) => response.status() === 401);
    loadList();
    await rejected;
    await expectCraft();
    expect(await page.locator('dialog code').nth(1).innerText()).toMatch(/^dks_/);
    expect(await page.getByRole('heading', { name: 'Your session has expired' }).count()).toBe(0);

    await page.getByRole('dialog').getByRole('button', { name: 'I have saved the secret' }).click();
    await page.getByRole('heading', { name: 'Your session has expired' }).waitFor();
    await page.getByRole('button', { name: 'Sign in again' }).click();
    await page.getByRole('link', { name: 'once' }).waitFor();
  });

  it('a page shows a message and no content if the sign-in expires while the page loads', async () => {
    await newDeployment();
    const { page, signIn } = await open();
    await signIn('member');
    const link = page.getByRole('link', { name: `Deployment ${count}`, exact: true });
    await link.waitFor();
    stack.clock.advance(2 * 3600);
    await link.click();
    await page.getByRole('heading', { name: 'Your session has expired' }).waitFor();
    expect(await page.getByRole('heading', { name: 'No API keys yet' }).count()).toBe(0);
    await page.getByRole('button', { name: 'Sign in again' }).click();
    await page.getByRole('heading', { name: 'No API keys yet' }).waitFor();
  });

  it('the console shows no earlier content after a person signs out, not even with the back button', async () => {
    const id = await newDeployment();
    await stack.createKey(id, { name: 'private' });
    const { page, signIn } = await open();
    await signIn('member', `/console/deployments/${id}`);
    await page.getByRole('link', { name: 'private' }).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You are signed out.').waitFor();
    expect(await page.evaluate('sessionStorage.length + localStorage.length')).toBe(0);
    await page.goBack();
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
    expect(await page.content()).not.toContain('private');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Who do you want to be?' }).waitFor();
  });

  it.each([
    ['with an unknown state', '?code=abc&state=forged'],
    ['with a response from another issuer', '?code=abc&state=forged&iss=https%3A%2F%2Fevil.example.com'],
    ['rejected by the issuer', '?error=access_denied&state=forged'],
    ['without parameters', ''],
  ])('the console ignores a sign-in response that it did not request: a redirect %s', async (_, query) => {
    const { page, expectCraft } = await open();
    await page.goto(`${stack.url}/console/signed-in${query}`);
    await page.getByText('The sign-in failed. Try again.').waitFor();
    expect(page.url()).toBe(`${stack.url}/console/signed-in`);
    await expectCraft();
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('link', { name: 'Max Member' }).click();
    await page.getByRole('heading', { name: 'Deployments', level: 1 }).waitFor();
  });

  it('the console shows an error if the issuer does not respond', async () => {
    const { page } = await open();
    await page.route(`${stack.issuer}/**`, (route) => route.abort());
    await page.goto(stack.url);
    await page.getByRole('button', { name: 'Sign in' }).click();
    expect(await page.getByRole('alert').innerText()).toContain('Try again');
    await page.unroute(`${stack.issuer}/**`);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('link', { name: 'Max Member' }).waitFor();
  });
});

describeInBrowser('the console on API errors', stack, (open) => {
  it.each([
    ['the service is busy', 503, 'The service is busy. Try again in a moment.'],
    ['there are too many requests', 429, 'Too many requests. Wait a moment and try again.'],
    ['the service fails', 500, 'Something went wrong. Try again in a moment.'],
    [
      'the service cannot be reached',
      0,
      'The service cannot be reached. Check your connection and try again.',
    ],
  ])('the console shows an error and a way to continue if %s', async (_, status, words) => {
    const id = await newDeployment();
    const { page, signIn, expectCraft } = await open();
    await signIn('member');
    await page.getByRole('link', { name: `Deployment ${count}`, exact: true }).waitFor();
    const failing = '**/deployments/*/api-keys*';
    await page.route(failing, (route) =>
      status === 0 ? route.abort() : route.fulfill({ status, contentType: 'text/html', body: '<p>oops' }),
    );
    await page.getByRole('link', { name: `Deployment ${count}`, exact: true }).click();
    await page.getByText(words).waitFor();
    await expectCraft();
    await page.unroute(failing);
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('heading', { name: 'No API keys yet' }).waitFor();

    await page.getByRole('link', { name: 'Create API key' }).first().click();
    await page.getByLabel('Name', { exact: true }).fill('kept');
    await page.getByLabel('code:deploy').check();
    await page.route(failing, (route) =>
      status === 0 ? route.abort() : route.fulfill({ status, contentType: 'text/html', body: '<p>oops' }),
    );
    const add = page.getByRole('dialog').getByRole('button', { name: 'Create API key' });
    await add.click();
    await page.getByRole('dialog').getByText(words).waitFor();
    await page.unroute(failing);
    await add.click();
    await page.getByText('This is the only time').waitFor();
    expect(await keysOf(id)).toHaveLength(1);
  });

  it('a form shows an error of a field next to the field', async () => {
    const id = await newDeployment();
    const { page, signIn, expectCraft } = await open();
    await signIn('member', `/console/deployments/${id}/add-key`);
    await page.getByLabel('Name', { exact: true }).fill('wrong');
    await page.getByLabel('code:deploy').check();
    await page.route('**/api-keys', async (route) => {
      const { scopes } = route.request().postDataJSON();
      await route.continue({ postData: JSON.stringify({ name: '\u0007', scopes }) });
    });
    await page.getByRole('dialog').getByRole('button', { name: 'Create API key' }).click();
    const wrong =
      'Name must be 1 to 100 characters, without control, zero-width and bidirectional formatting characters, and without white space at the start or end';
    await page.getByText(wrong).waitFor();
    const name = page.getByLabel('Name', { exact: true });
    expect(await name.getAttribute('aria-invalid')).toBe('true');
    const describedBy = await name.getAttribute('aria-describedby');
    expect(await page.locator(`[id="${describedBy}"]`).innerText()).toBe(wrong);
    await expectCraft();
  });

  it('a page reserves space for content while the response is pending', async () => {
    const id = await newDeployment();
    const { page, signIn, holdGets, expectCraft } = await open();
    await signIn('member');
    const loadKeys = await holdGets('**/deployments/*/api-keys*');
    await page.getByRole('link', { name: `Deployment ${count}`, exact: true }).click();
    await page.getByRole('status', { name: 'Loading API keys' }).waitFor();
    await expectCraft();
    loadKeys();
    await page.getByRole('heading', { name: 'No API keys yet' }).waitFor();
    expect(new URL(page.url()).pathname).toBe(`/console/deployments/${id}`);
  });
});

describeInBrowser('the security of the console page', stack, (open) => {
  const SCRIPT = `<img src=x onerror="window.hit=1"><script>window.hit=1</script>"'&{{7*7}}`;

  it('the console shows scripts in names and descriptions as plain text', async () => {
    const id = `page_${++count}`;
    await stack.register(id, { name: SCRIPT, groups: ['data-eng'] });
    await stack.createKey(id, { name: SCRIPT, description: SCRIPT });
    const { page, faults, signIn, act } = await open();
    await signIn('member', `/console/deployments/${id}`);
    await page.getByRole('heading', { name: SCRIPT, level: 1 }).waitFor();
    await page.getByRole('link', { name: SCRIPT }).click();
    await page.getByRole('heading', { name: 'Secrets' }).waitFor();
    // These are the fields for the name and the description.
    expect(await page.getByText(SCRIPT, { exact: true }).count()).toBe(2);
    await page.getByRole('link', { name: 'Edit', exact: true }).click();
    expect(await page.getByLabel('Name', { exact: true }).inputValue()).toBe(SCRIPT);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await act(SCRIPT, 'Delete');
    await page.getByRole('dialog').getByText(SCRIPT).waitFor();
    expect(await page.title()).toContain(SCRIPT);
    await page.goto(`${stack.url}/token`);
    await page.getByRole('heading', { name: 'Temporary tokens' }).waitFor();
    expect(await page.evaluate('window.hit')).toBeUndefined();
    expect(faults).toStrictEqual([]);
  });

  it("the console's content security policy blocks injected script and markup", async () => {
    const { page, faults } = await open();
    await page.goto(stack.url);
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
    const outcome = await page.evaluate(`(async () => {
      const script = document.createElement('script');
      let thrown = '';
      try { script.textContent = 'window.hit = 1'; } catch (error) { thrown += error.name + ' '; }
      document.head.append(script);
      try { document.body.innerHTML = '<b>'; } catch (error) { thrown += error.name; }
      const reached = await fetch('https://evil.example.com/').then(() => true, () => false);
      const styled = document.createElement('style');
      styled.textContent = 'body { display: none }';
      document.head.append(styled);
      return { hit: window.hit, thrown, reached, display: getComputedStyle(document.body).display };
    })()`);
    expect(outcome).toStrictEqual({
      thrown: 'TypeError TypeError',
      reached: false,
      hit: undefined,
      display: 'block',
    });
    expect(faults.join('\n')).toContain('Content Security Policy');
  });

  it('no other site can show the console in a frame', async () => {
    const thief = createServer((_, response) =>
      response.setHeader('content-type', 'text/html').end(`<iframe src="${stack.url}/console"></iframe>`),
    );
    await new Promise<void>((resolve) => thief.listen(0, '127.0.0.1', resolve));
    const { page, faults } = await open();
    await page.goto(`http://127.0.0.1:${(thief.address() as AddressInfo).port}`);
    await expect.poll(() => faults.join('\n'), LONG_TIMEOUT).toContain('frame-ancestors');
    for (const frame of page.frames()) expect(await frame.content()).not.toContain('id="app"');
    thief.close();
  });

  it('the console sends no cookie to the API, and the API accepts none', async () => {
    const id = await newDeployment();
    const { page, signIn } = await open();
    const sent: (string | undefined)[] = [];
    page.on('request', async (request) => {
      if (request.url().includes('/deployments/') && request.resourceType() === 'fetch') {
        sent.push((await request.allHeaders()).cookie);
      }
    });
    await signIn('member', `/console/deployments/${id}`);
    await page.getByRole('heading', { name: 'No API keys yet' }).waitFor();
    expect(sent.length).toBeGreaterThan(0);
    expect(new Set(sent)).toStrictEqual(new Set([undefined]));
    const status = await page.evaluate(
      `fetch('/deployments', { credentials: 'include' }).then((it) => it.status)`,
    );
    expect(status).toBe(401);
  });

  it('the browser stores neither the access token nor the sign-in code', async () => {
    const { page, signIn, traces } = await open();
    const secrets: string[] = [];
    page.on('request', (request) => {
      const { authorization } = request.headers();
      if (authorization) secrets.push(authorization.replace('Bearer ', ''));
      const code = new URL(request.url()).searchParams.get('code');
      if (code) secrets.push(code);
    });
    await signIn('member');
    await page.getByRole('heading', { name: 'Deployments', level: 1 }).waitFor();
    await expect.poll(() => secrets.length, LONG_TIMEOUT).toBeGreaterThan(1);
    const kept = await traces();
    for (const secret of secrets) expect(kept).not.toContain(secret);
    expect(await page.evaluate('Object.keys(sessionStorage)')).toStrictEqual([]);
  });
});

describeInBrowser('reduced motion', stack, (open) => {
  it.each([
    ['reduce', 'none'],
    ['no-preference', 'rise'],
  ] as const)(
    'with prefers-reduced-motion set to %s, a dialog opens with the animation %s',
    async (reducedMotion, animation) => {
      const id = await newDeployment();
      const { page, signIn } = await open({ reducedMotion });
      await signIn('member', `/console/deployments/${id}/add-key`);
      await page.getByRole('dialog').waitFor();
      expect(await page.evaluate(`getComputedStyle(document.querySelector('dialog')).animationName`)).toBe(
        animation,
      );
    },
  );
});
