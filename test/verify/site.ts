import { once } from 'node:events';
import { existsSync, globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { DESKTOP, launch, PHONE } from '../support/browser.ts';
import { readOptions } from '../support/options.ts';

const HELP = `Checks the built documentation site in a browser: every page loads without an error, without a request to another host and
without sideways scrolling on a phone; the drawings, the navigation, the search, the dark colours and the API reference work.
Run \`npm run site\` first.

  npm run verify:site [-- --site <folder>]

  --site     folder with the built site. Default: site/dist`;
const BUILT = fileURLToPath(new URL('../../site/dist', import.meta.url));
const { site } = readOptions(HELP, { site: { type: 'string', default: BUILT } });
const SECTIONS = ['Get started', 'Guides', 'Reference', 'Operate', 'Concepts', 'Decisions'];
const TYPES: Record<string, string> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
};

if (!existsSync(join(site, 'index.html')))
  throw new Error(`There is no site in ${site}. Run npm run site first.`);
const server = createServer(async (request, response) => {
  const path = decodeURI(new URL(request.url ?? '/', 'http://site').pathname);
  const found = [path, `${path}.html`, join(path, 'index.html')].find(
    (name) => extname(name) !== '' && existsSync(join(site, name)),
  );
  response.writeHead(found ? 200 : 404, {
    'content-type': TYPES[extname(found ?? '')] ?? 'application/octet-stream',
  });
  response.end(found && (await readFile(join(site, found))));
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const faults: string[] = [];
const browser = await launch();
try {
  const paths = globSync('**/*.html', { cwd: site })
    .map((path) => `/${path}`)
    .toSorted();
  const pages = await Promise.all([newPage(PHONE), newPage(PHONE), newPage(PHONE)]);
  await Promise.all(
    pages.map(async (page, index) => {
      for (const path of paths.filter((_, at) => at % pages.length === index)) await checkPage(page, path);
    }),
  );
  for (const colorScheme of ['light', 'dark'] as const) {
    // A fault on a page can cause a timeout, so the timeout is reported in addition to the faults.
    await checkFeatures(colorScheme).catch((error) => faults.push(`in ${colorScheme} colours: ${error}`));
  }
  console.log(`${paths.length} pages checked in a browser.`);
} finally {
  await browser.close();
  server.close();
}
if (faults.length > 0) {
  console.error(`The site has faults:\n${[...new Set(faults)].join('\n')}`);
  process.exitCode = 1;
}

async function newPage(viewport: typeof PHONE, colorScheme: 'light' | 'dark' = 'light'): Promise<Page> {
  const context = await browser.newContext({ viewport, colorScheme, reducedMotion: 'reduce' });
  const page = await context.newPage();
  const pathOf = () => new URL(page.url()).pathname;
  page.on('pageerror', (error) => faults.push(`${pathOf()}: ${error}`));
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(`${pathOf()}: ${message.text()}`);
  });
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(base) && !/^(data|blob):/.test(url)) faults.push(`${pathOf()}: requests ${url}`);
  });
  return page;
}

// Opens a page, and waits until its scripts have run.
async function open(page: Page, path: string): Promise<void> {
  await page.goto(`${base}${path}`, { waitUntil: 'networkidle' });
}

async function checkPage(page: Page, path: string): Promise<void> {
  await open(page, path);
  const width = await page.evaluate(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  );
  if (width !== 0) faults.push(`${path}: scrolls sideways by ${width} pixels on a phone`);
}

async function checkFeatures(colorScheme: 'light' | 'dark'): Promise<void> {
  const page = await newPage(DESKTOP, colorScheme);
  await open(page, '/guarantees');
  const sections = await page.locator('.VPSidebarItem.level-0 > .item > .text').allTextContents();
  expectEqual('the sections of the navigation', sections, SECTIONS);
  const drawings = await page.evaluate(
    "[...document.querySelectorAll('.vp-doc img')].map(({ alt, naturalWidth }) => [alt, naturalWidth > 0])",
  );
  expectEqual('the drawings', drawings, [
    ['The authorizer checks every call with one read of the table', true],
    ['Each use moves the expiry of a token to 24 hours later', true],
  ]);
  const isDark = await page.evaluate('document.documentElement.classList.contains("dark")');
  expectEqual('dark colours', isDark, colorScheme === 'dark');

  await page.keyboard.press('Control+k');
  await page.locator('.VPLocalSearchBox input').fill('rotate');
  await page.locator('.VPLocalSearchBox .result').first().waitFor();
  const results = (await page.locator('.VPLocalSearchBox .result').allTextContents()).join('\n');
  for (const title of ['Rotate a secret without downtime', 'keys rotate'])
    if (!results.includes(title)) faults.push(`the search for "rotate" does not find "${title}"`);

  await open(page, '/api.html');
  await page
    .getByRole('heading', { name: 'Exchange the ID and secret of a key for an access token' })
    .waitFor();
  await page.context().close();
}

function expectEqual(subject: string, found: unknown, expected: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(expected))
    faults.push(`${subject}: ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`);
}
