import { existsSync } from 'node:fs';
import axe from 'axe-core';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, describe, expect } from 'vitest';
import type { LocalStack } from '../../local/local-stack.ts';

/**
 * The paths of Chromium on Debian; the environment variable CHROMIUM sets another path. The headless shell comes first,
 * because it draws no window and uses a third of the CPU time.
 */
const CHROMIUM =
  process.env.CHROMIUM ?? ['/usr/bin/chromium-headless-shell', '/usr/bin/chromium'].find(existsSync);
const hasBrowser = CHROMIUM !== undefined && existsSync(CHROMIUM);

/** The size of a phone in CSS pixels. */
export const PHONE = { width: 360, height: 740 };
/** The size of a desktop window in CSS pixels. */
export const DESKTOP = { width: 1440, height: 900 };
/** The sizes of a small laptop and of a tablet in CSS pixels. */
export const LAPTOP = { width: 1024, height: 768 };
export const TABLET = { width: 768, height: 1024 };

/** Starts a browser that makes no requests of its own. Its profile is in a temporary folder that Playwright removes. */
export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM as string,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-dev-shm-usage',
    ],
  });
}

/**
 * Defines tests that drive a stack's console in a browser. Without a browser, the tests are skipped with a message, or
 * fail if CI is set.
 * @param tests defines the tests; the function that it receives opens a new page in a profile of its own
 */
export function describeInBrowser(
  title: string,
  stack: LocalStack,
  tests: (open: (options?: BrowserContextOptions) => Promise<ConsolePage>) => void,
): void {
  if (!hasBrowser && !process.env.CI) {
    process.stderr.write(
      `\nNOT RUN: ${title}. These tests need a browser, and there is no ${CHROMIUM ?? 'Chromium'}. Install one ` +
        '(on Debian: apt-get install chromium-headless-shell), or set CHROMIUM to the path of a Chromium or Chrome.\n\n',
    );
  }
  // Registers the hook for the whole file instead of this describe block. A hook at import time would fail when the
  // screenshots are taken, because Vitest does not run then.
  afterAll(async () => {
    await (await browser)?.close();
    browser = undefined;
  });
  // A browser and a local stack together are slow on a busy machine, but a hanging test must still end.
  describe.skipIf(!hasBrowser && !process.env.CI)(title, { timeout: 90_000 }, () => {
    afterEach(async () => {
      for (const context of (await browser)?.contexts() ?? []) await context.close();
    });
    tests(async (options) => {
      browser ??= launch();
      return openPage(await browser, stack, options);
    });
  });
}

/** All tests of a file share one browser. Each test has its own profile. */
let browser: Promise<Browser> | undefined;

/** A page of the console in a browser, and what tests do with it. */
type ConsolePage = Awaited<ReturnType<typeof openPage>>;

async function openPage(browser: Browser, stack: LocalStack, options: BrowserContextOptions = {}) {
  const context = await browser.newContext({
    viewport: DESKTOP,
    reducedMotion: 'reduce',
    permissions: ['clipboard-read', 'clipboard-write'],
    ...options,
  });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  /** Errors in the page and violations of its content security policy. */
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    const isOfPage = !message.location().url.endsWith('/favicon.ico');
    if (message.type() === 'error' && isOfPage) faults.push(message.text());
  });
  return {
    page,
    dialog: page.getByRole('dialog'),
    faults,
    signIn: (person: Person, path?: string) => signIn(page, stack, person, path),
    /** Returns the row of a key or Deployment in a table. */
    rowOf: (name: string) => page.getByRole('row').filter({ hasText: name }),
    act: (name: string, action: string) => act(page, name, action),
    takeSecret: () => takeSecret(page),
    holdGets: (url: string) => holdGets(page, url),
    loseFirstResponse: (url: string) => loseFirstResponse(page, url),
    expectCraft: () => expectCraft(page),
    expectCraftInEachSize: () => expectCraftInEachSize(page),
    traces: () => traces(page),
    watchShifts: () => watchShifts(page),
  };
}

const PEOPLE = { admin: 'Ada Admin', member: 'Max Member' };
type Person = keyof typeof PEOPLE;

/** Opens a path in the console and signs in as one of the development issuer's people. */
export async function signIn(page: Page, stack: LocalStack, person: Person, path = '/'): Promise<void> {
  await page.goto(`${stack.url}${path}`);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('link', { name: PEOPLE[person] }).click();
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
}

/** Chooses an action for a key, in the table or on the key's page. */
export async function act(page: Page, name: string, action: string): Promise<void> {
  await page.getByRole('button', { name: `Actions for ${name}`, exact: true }).click();
  await page.getByRole('menuitem', { name: action, exact: true }).click();
}

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

/**
 * Holds the GET requests to a URL from now on.
 * @returns a function that sends the held requests, and holds no further ones
 */
async function holdGets(page: Page, url: string): Promise<() => void> {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await page.route(url, async (route) => {
    if (route.request().method() === 'GET') await released;
    await route.continue();
  });
  return release;
}

/** Loses the response to the first POST request to a URL: the service handles the request, but the page sees an error. */
async function loseFirstResponse(page: Page, url: string): Promise<void> {
  let isLost = false;
  await page.route(url, async (route) => {
    if (route.request().method() !== 'POST' || isLost) return route.continue();
    isLost = true;
    await route.fetch();
    await route.abort();
  });
}

/** The axe rules for each colour scheme. In the dark scheme, only the contrast can differ. */
const RULES = { dark: { runOnly: ['color-contrast'] }, light: {} };

/**
 * Asserts that axe finds no violation of WCAG 2.2 AA or of axe's best practices, that the contrast is sufficient in
 * both colour schemes, and that neither the page nor an open dialog scrolls sideways.
 */
async function expectCraft(page: Page): Promise<void> {
  // The emulated colour scheme applies until the browser leaves the page. The page has no frames, so no other frame
  // needs it.
  if (!(await page.evaluate('"axe" in window'))) await page.evaluate(axe.source);
  // In forced colours, the system chooses the colours, and axe measures text in the page's own colours.
  const isForced = await page.evaluate('matchMedia("(forced-colors: active)").matches');
  const all = isForced ? { light: { rules: { 'color-contrast': { enabled: false } } } } : RULES;
  for (const [colorScheme, rules] of Object.entries(all)) {
    await page.emulateMedia({ colorScheme: colorScheme as keyof typeof RULES });
    const options = JSON.stringify({ ...rules, resultTypes: ['violations'] });
    const { violations } = (await page.evaluate(`axe.run(${options})`)) as axe.AxeResults;
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
    expect(found, `axe, ${colorScheme}, ${page.url()}`).toStrictEqual([]);
  }
  const overflow = await page.evaluate(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  );
  expect(overflow, `sideways scrolling at ${page.url()}`).toBe(0);
  const wide = await page.evaluate(
    '[...document.querySelectorAll("dialog[open]")].map((dialog) => dialog.scrollWidth - dialog.clientWidth)',
  );
  expect(wide, `sideways scrolling in a dialog at ${page.url()}`).toStrictEqual(
    (wide as number[]).map(() => 0),
  );
}

/** The sizes of a phone, a tablet, a small laptop and a desktop window. */
const SIZES = [PHONE, TABLET, LAPTOP, DESKTOP];

/** Asserts the same as `expectCraft`, in each of the four window sizes, and keeps the size of the window. */
async function expectCraftInEachSize(page: Page): Promise<void> {
  const before = page.viewportSize();
  for (const size of SIZES) {
    await page.setViewportSize(size);
    await expectCraft(page);
  }
  if (before) await page.setViewportSize(before);
}

/** A layout shift that no user input caused. */
interface Shift {
  /** The shifted share of the window, multiplied by the distance, as in Cumulative Layout Shift. */
  value: number;
  path: string;
  /** The elements that moved. */
  moved: string[];
}

/** Time after an input during which browsers attribute layout shifts to the input, in milliseconds. */
const RECENT = 500;

/**
 * Starts recording layout shifts that the user did not cause. The user causes the shifts within `RECENT` after an
 * input, after the response to a change, and after the responses to the reads that follow the change. Every response of
 * the API arrives later than `RECENT`, so that a slow machine and a fast one record the same shifts.
 * @returns a function that returns the recorded shifts
 */
async function watchShifts(page: Page): Promise<() => Promise<Shift[]>> {
  await page.addInitScript(`
    window.shifts = [];
    let lastChange = -Infinity;
    const isRecent = (time) => time - lastChange < ${RECENT};
    const send = window.fetch;
    window.fetch = async (input, init) => {
      const isChange = new Request(input, init).method !== 'GET' || isRecent(performance.now());
      await new Promise((resolve) => setTimeout(resolve, ${1.2 * RECENT}));
      const response = await send(input, init);
      if (isChange) lastChange = performance.now();
      return response;
    };
    const nameOf = ({ node }) => node && (node.outerHTML ?? node.nodeName + ' ' + node.textContent).slice(0, 80);
    new PerformanceObserver((list) => {
      for (const { hadRecentInput, startTime, value, sources } of list.getEntries()) {
        if (!hadRecentInput && !isRecent(startTime)) window.shifts.push({ value, path: location.pathname, moved: sources.map(nameOf) });
      }
    }).observe({ type: 'layout-shift', buffered: true });
  `);
  return async () => (await page.evaluate('window.shifts')) as Shift[];
}

/** Returns all data that a page can store or show outside its memory: storage, cookies and URLs. */
async function traces(page: Page): Promise<string> {
  const stored = await page.evaluate(
    'JSON.stringify({ ...localStorage, ...sessionStorage, name: window.name, state: history.state })',
  );
  const databases = await page.evaluate('indexedDB.databases().then(JSON.stringify)');
  const cookies = JSON.stringify(await page.context().cookies());
  const session = await page.context().newCDPSession(page);
  const history = JSON.stringify(await session.send('Page.getNavigationHistory'));
  await session.detach();
  return [stored, databases, cookies, history, page.url(), await page.title()].join('\n');
}
