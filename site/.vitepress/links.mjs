import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The root of the repository. The pages are the Markdown files in docs/, and the files in the root that PAGES_OF_ROOT
 * lists.
 */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Where the build copies the pages, because VitePress finds its packages only from a folder inside this package. */
export const COPIES = fileURLToPath(new URL('../pages', import.meta.url));
/** URL of the repository, without a trailing slash, from package.json. */
export const REPOSITORY = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')).repository.url.replace(
  /^git\+|\.git$/g,
  '',
);
export const PAGES_OF_ROOT = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CODE_OF_CONDUCT.md',
];

/** Returns the anchor of a heading, as the code host generates it, so that a link works in both places. */
export const anchorOf = (heading) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_\- ]/gu, '')
    .replaceAll(' ', '-');

/** Returns whether the site has a page for a file in the repository. */
const isPage = (path) => PAGES_OF_ROOT.includes(path) || /^docs\/.*\.md$/.test(path);

/**
 * Returns the path on the site for a Markdown file's page. README.md in docs/decisions becomes the index of its folder.
 */
export function pathOf(file) {
  if (file === 'README.md') return 'index.md';
  return file.replace(/^docs\//, '').replace(/README\.md$/, 'index.md');
}

/**
 * Returns the address of a link on the site. Links in the sources are relative paths in the repository, which the code
 * host understands. Links to files that have no page lead to the code host.
 *
 * @param link as in the Markdown
 * @param from path of the page's source file in the repository
 * @throws Error if the file does not exist
 */
export function addressOf(link, from) {
  if (/^([a-z]+:|#|\/)/.test(link)) return link;
  const [path, anchor] = link.split('#');
  let file = posix.join(dirname(from), decodeURI(path)).replace(/\/$/, '');
  if (!existsSync(`${ROOT}/${file}`)) throw new Error(`${from}: the link ${link} leads to no file.`);
  if (statSync(`${ROOT}/${file}`).isDirectory() && existsSync(`${ROOT}/${file}/README.md`))
    file += '/README.md';
  const end = anchor === undefined ? '' : `#${anchor}`;
  if (!isPage(file)) return `${REPOSITORY}/blob/main/${file}${end}`;
  return `/${pathOf(file)}${end}`;
}

/**
 * Replaces the links of every page. Image links stay unchanged, because VitePress bundles each image from its original
 * location.
 */
export function withAddresses(markdown) {
  markdown.core.ruler.push('addresses', ({ tokens, env }) => {
    const from = relative(COPIES, env.realPath ?? env.path);
    for (const { children } of tokens) {
      for (const token of children ?? []) {
        if (token.type === 'link_open') token.attrSet('href', addressOf(token.attrGet('href'), from));
      }
    }
  });
}
