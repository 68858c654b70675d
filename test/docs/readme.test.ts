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

/** Returns the documents to which a link in a document leads. A link to a folder leads to the files in that folder. */
function documentsAt(target: string, path: string): string[] {
  const [file = ''] = target.split('#');
  if (file === '') return [];
  const to = join(dirname(path), file);
  if (to.endsWith('.md') && existsSync(join(root, to))) return [to];
  return documents.filter((name) => dirname(name) === to);
}

describe('The documentation has working links and complete commands', () => {
  it.each(documents)('%s has no broken links', (path) => {
    const broken = linksOf(path).filter((target) => {
      const [file = '', anchor] = target.split('#');
      const to = file === '' ? path : join(dirname(path), decodeURI(file));
      if (!existsSync(join(root, to))) return true;
      return anchor !== undefined && to.endsWith('.md') && !anchorsOf(to).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  it.each(documents)('each document defines the variables that its commands use: %s', (path) => {
    const text = textOf(path);
    const prose = text.replaceAll(/^ *```.*?^ *```$/gms, '');
    let commands = '';
    const missing = [];
    for (const [, block = ''] of text.matchAll(/^ *```(?:sh|console|yaml|groovy)\n(.*?)^ *```$/gms)) {
      commands += block;
      // GitHub sets the variables with these prefixes in each job. CloudFormation replaces ${AWS::Region}.
      for (const [, name] of block.matchAll(/\$\{?(?!ACTIONS_|GITHUB_|AWS::)([A-Z][A-Z0-9_]+)/g)) {
        const isSet = RegExp(`\\b${name}(=| = |:\\s)|\\b(read -r|for) ${name}\\b`).test(commands);
        if (!isSet && !RegExp(`\`\\$?${name}(=[^\`]*)?\``).test(prose)) missing.push(name);
      }
    }
    expect(missing).toEqual([]);
  });

  it.each(documents)('a document names the stage of each stack that it destroys: %s', (path) => {
    // Without a stage, the command destroys the development stack and its data.
    expect(textOf(path)).not.toMatch(/npx cdk destroy(?! -c stage=)/);
  });

  it.each(documents)('a document that deploys with an option says to repeat all settings: %s', (path) => {
    // Without the other settings, the command works on another stack, or resets these settings.
    const text = textOf(path);
    const isWithOption = /npx cdk (deploy|diff)[^\n`]* -c|\bdeploy\b[^`]*`-c/.test(text);
    expect(!isWithOption || /^## Keep your settings$|settings\.md#keep-your-settings/m.test(text)).toBe(true);
  });

  it('the README leads to every page of the documentation', () => {
    const reached = new Set(['README.md']);
    for (const path of reached) {
      for (const to of linksOf(path).flatMap((target) => documentsAt(target, path))) reached.add(to);
    }
    expect(documents.filter((path) => !reached.has(path))).toEqual([]);
  });
});
