import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';

/** Where Debian puts it; CHROMIUM names another one. */
export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

export const hasBrowser = existsSync(CHROMIUM);

if (!hasBrowser) {
  process.stderr.write(
    `\nThe browser tests were NOT run: there is no ${CHROMIUM}. To run them, install it ` +
      '(apt-get install chromium), or set CHROMIUM to the path of a Chromium or Chrome.\n\n',
  );
}

/** A browser with a profile of its own, in a temporary folder, that talks to nobody by itself. */
export async function startBrowser() {
  const profile = mkdtempSync(join(tmpdir(), 'console-'));
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-dev-shm-usage',
      `--crash-dumps-dir=${profile}`,
    ],
  });
  const stop = async () => {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { browser, stop };
}

export type { BrowserContext, Page };
