import { existsSync } from 'node:fs';
import axe from 'axe-core';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, describe, expect } from 'vitest';
import type { LocalStack } from '../../local/local-stack.ts';

/**
 * Debian's paths; CHROMIUM sets another path. The headless shell comes first: it draws no window and uses a third of
 * the CPU time.
 */
const CHROMIUM =
  process.env.CHROMIUM ?? ['/usr/bin/chromium-headless-shell', '/usr/bin/chromium'].find(existsSync);
const hasBrowser = CHROMIUM !== undefined && existsSync(CHROMIUM);

/** The size of a phone in CSS pixels. */
export const PHONE = { width: 360, height: 740 };
/** The size of a desktop window in CSS pixels. */
export const DESKTOP = { width: 1440, height: 900 };

/**
 * Starts a browser that makes no requests of its own. Its profile is in a temporary folder, which Playwright removes.
 */
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
 * Defines tests that drive the console in a browser. Without a browser, they are skipped with a message, or fail if
 * CI is set.
 */
export function describeInBrowser(title: string, tests: (open: OpenPage) => void): void {
  if (!hasBrowser && !process.env.CI) {
    process.stderr.write(
      `\nNOT RUN: ${title}. These tests need a browser, and there is no ${CHROMIUM ?? 'Chromium'}. Install one ` +
        '(on Debian: apt-get install chromium-headless-shell), or set CHROMIUM to the path of a Chromium or Chrome.\n\n',
    );
  }
  // Register the hook for the file, not for this describe. Not at import either: the screenshots are taken without
  // Vitest.
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
      return openPage(await browser, options);
    });
  });
}

/** One browser for all tests of a file. Each test has its own profile. */
let browser: Promise<Browser> | undefined;

/** A page of the console in a browser. */
export interface Opened {
  readonly page: Page;
  /** Errors in the page and violations of its content security policy. */
  readonly faults: string[];
}

export type OpenPage = (options?: BrowserContextOptions) => Promise<Opened>;

async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Opened> {
  const context = await browser.newContext({
    viewport: DESKTOP,
    reducedMotion: 'reduce',
    permissions: ['clipboard-read', 'clipboard-write'],
    ...options,
  });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    const isOfPage = !message.location().url.endsWith('/favicon.ico');
    if (message.type() === 'error' && isOfPage) faults.push(message.text());
  });
  return { page, faults };
}

export const PEOPLE = { admin: 'Ada Admin', member: 'Max Member' };

/** Opens a path of the console and signs in as a person of the development issuer. */
export async function signIn(
  page: Page,
  stack: LocalStack,
  person: keyof typeof PEOPLE,
  path = '/',
): Promise<void> {
  await page.goto(`${stack.url}${path}`);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('link', { name: PEOPLE[person] }).click();
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
}

/** The axe rules for each colour scheme. In the dark scheme only contrast can differ. */
const RULES = { dark: { runOnly: ['color-contrast'] }, light: {} };

/**
 * Expects that axe finds no violation of WCAG 2.2 AA or its best practices, with contrast checked in both colour
 * schemes, and that the page does not scroll sideways.
 */
export async function expectCraft(page: Page): Promise<void> {
  // Applies until the page is left. The page has no frames, so nothing else is needed.
  if (!(await page.evaluate('"axe" in window'))) await page.evaluate(axe.source);
  for (const [colorScheme, rules] of Object.entries(RULES)) {
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
}

/** Starts measuring layout shifts that no user input caused. Returns a function that reads the sum. */
export async function watchJumps(page: Page): Promise<() => Promise<number>> {
  await page.addInitScript(`
    window.jumps = 0;
    new PerformanceObserver((list) => {
      for (const shift of list.getEntries()) if (!shift.hadRecentInput) window.jumps += shift.value;
    }).observe({ type: 'layout-shift', buffered: true });
  `);
  return async () => Number(await page.evaluate('window.jumps'));
}

/** Returns everything that a page can store or show outside its memory: storage, cookies and addresses. */
export async function traces(page: Page): Promise<string> {
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
