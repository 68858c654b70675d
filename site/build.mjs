/**
 * Builds the site into dist/: the pages of docs/ with VitePress, which fails on a link to a page that does not exist, and the
 * API reference, which Redoc renders from the OpenAPI document. Then checks every anchor, which VitePress does not.
 */
import { copyFileSync, cpSync, existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vitepress';
import { COPIES, PAGES_OF_ROOT, ROOT } from './.vitepress/links.mjs';

const site = fileURLToPath(new URL('.', import.meta.url));
const dist = join(site, 'dist');
const base = process.env.SITE_BASE ?? '/';

rmSync(COPIES, { recursive: true, force: true });
cpSync(join(ROOT, 'docs'), join(COPIES, 'docs'), { recursive: true });
for (const page of PAGES_OF_ROOT) cpSync(join(ROOT, page), join(COPIES, page));
await build(site);
copyFileSync(join(site, 'api.html'), join(dist, 'api.html'));
copyFileSync(join(site, '../docs/openapi.json'), join(dist, 'openapi.json'));
const redoc = dirname(createRequire(import.meta.url).resolve('redoc/package.json'));
const standalone = readFileSync(join(redoc, 'bundles/redoc.standalone.js'), 'utf8');
// Without its logo, Redoc requests nothing from another host.
const LOGO = 'https://cdn.redoc.ly/redoc/logo-mini.svg';
if (!standalone.includes(LOGO)) throw new Error(`Redoc no longer loads ${LOGO}. Remove this replacement.`);
writeFileSync(join(dist, 'redoc.standalone.js'), standalone.replace(LOGO, 'data:,'));
copyFileSync(join(ROOT, 'functions/console/icon.svg'), join(dist, 'icon.svg'));

/** Returns the file that a static host would serve for a path below the base. */
const fileOf = (path) =>
  [path, `${path}.html`, join(path, 'index.html')].find(
    (name) => /\.\w+$/.test(name) && existsSync(join(dist, name)),
  );
const idsOf = (html) => new Set([...html.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id));
const pages = globSync('**/*.html', { cwd: dist });
const texts = new Map(pages.map((page) => [page, readFileSync(join(dist, page), 'utf8')]));
const ids = new Map([...texts].map(([page, html]) => [page, idsOf(html)]));

const dead = [];
for (const [page, html] of texts) {
  for (const [, href] of html.matchAll(/<a\b[^>]*\shref="([^"]*)"/g)) {
    const url = new URL(href.replaceAll('&amp;', '&'), `http://site${base}${page}`);
    if (url.host !== 'site') continue;
    const file =
      url.pathname.startsWith(base) && fileOf(decodeURI(url.pathname.slice(base.length)) || 'index.html');
    const anchor = decodeURIComponent(url.hash.slice(1));
    if (!file || (anchor !== '' && ids.has(file) && !ids.get(file).has(anchor)))
      dead.push(`${page}: ${href}`);
  }
}
if (pages.length < 50) throw new Error(`The site has only ${pages.length} pages.`);
if (dead.length > 0) throw new Error(`Dead links:\n${[...new Set(dead)].join('\n')}`);
console.log(`${pages.length} pages, no dead link.`);
