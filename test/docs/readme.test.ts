import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const textOf = (path: string) => readFileSync(join(root, path), 'utf8');

/** Returns the text without code, because code contains no links. */
const proseOf = (path: string) =>
  textOf(path)
    .replaceAll(/^```.*?^```/gms, '')
    .replaceAll(/`[^`\n]*`/g, '');
/** Returns the targets of a document's links, except those on other hosts. */
const linksOf = (path: string) =>
  [...proseOf(path).matchAll(/\]\((?!https?:|mailto:)([^)\s]+)\)/g)].map(([, target = '']) => target);
/** Returns the anchors of a document's headings, as GitHub generates them. */
const anchorsOf = (path: string) =>
  [
    ...textOf(path)
      .replaceAll(/^```.*?^```/gms, '')
      .matchAll(/^#+ (.*)$/gm),
  ].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
const documents = [
  'README.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

describe('the documentation', () => {
  it.each(documents)('the documentation has no broken links in %s', (path) => {
    const broken = linksOf(path).filter((target) => {
      const [file = '', anchor] = target.split('#');
      const to = file === '' ? path : join(dirname(path), decodeURI(file));
      if (!existsSync(join(root, to))) return true;
      return anchor !== undefined && to.endsWith('.md') && !anchorsOf(to).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  it('the README leads to every page of the documentation', () => {
    const reached = new Set(['README.md']);
    for (const path of reached) {
      for (const target of linksOf(path)) {
        const [file = ''] = target.split('#');
        const to = join(dirname(path), file);
        if (to.endsWith('.md') && existsSync(join(root, to))) reached.add(to);
        // A link to a folder also counts as a link to the files in that folder.
        if (file !== '' && documents.some((name) => dirname(name) === to)) {
          for (const name of documents) if (dirname(name) === to) reached.add(name);
        }
      }
    }
    expect(documents.filter((path) => !reached.has(path))).toEqual([]);
  });
});
