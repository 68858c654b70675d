import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { GITHUB, GITLAB } from '../../functions/console/issuers.ts';
import { SNIPPETS, temporaryTokenSnippet, trustStep } from '../../functions/console/snippets.ts';
import { signedCall, story } from '../../local/commands-to-paste.ts';

/** Shell commands that the documentation asks people or a CI system to run. */
export interface Script {
  /** The file, and the number of the script within the file, counted from 0. */
  name: string;
  text: string;
  /** True if the script retries a rejected call after a pause. */
  retries: boolean;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const textOf = (path: string) => readFileSync(`${root}${path}`, 'utf8');

/**
 * Returns every script that makes a call: shell and YAML blocks of the documents, files for CI systems, the console's
 * snippets and the output of `npm start`.
 *
 * @param service the service's URL
 */
export function documentedScripts(service: string): Script[] {
  const docs = readdirSync(`${root}docs`, { recursive: true, encoding: 'utf8' }).map(
    (name) => `docs/${name}`,
  );
  const documents = [
    'README.md',
    'SECURITY.md',
    'CHANGELOG.md',
    ...docs.filter((name) => name.endsWith('.md')),
  ];
  const files = docs.filter((name) => /^docs\/ci\/.*\.yml$/.test(name));
  const texts = [
    ...documents.flatMap((path) => named(path, scriptsOfDocument(textOf(path)))),
    ...files.flatMap((path) => named(path, commandsOf(textOf(path)))),
    ...named('the output of npm start', printed(service)),
  ].map((script) => ({ ...script, retries: script.text.includes('--retry') }));
  const snippets = named('the console', snippetsOf(service)).map((script) => ({ ...script, retries: true }));
  return [...texts, ...snippets].filter(({ text }) => /\b(aws|curl|npm|npx)\b/.test(text));
}

const named = (place: string, texts: string[]) =>
  texts.map((text, n) => ({ name: `${place}, script ${n + 1}`, text }));

/**
 * Returns the code blocks of a Markdown document, each with the functions that earlier blocks define. A block that ends
 * by asking the reader something is joined with the next block.
 */
function scriptsOfDocument(markdown: string): string[] {
  let functions = '';
  let begun = '';
  return [...markdown.matchAll(/^( *)```(\w+)\n(.*?)^ *```$/gms)].flatMap(
    ([, indent = '', language = '', body = '']) => {
      const block = body.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
      if (language === 'groovy') {
        return Array.from(block.matchAll(/\bsh '''\n(.*?)'''/gs), ([, text = '']) => functions + text);
      }
      if (language === 'yaml') return commandsOf(block).map((text) => functions + text);
      if (!['sh', 'bash', 'shell', 'console'].includes(language)) return [];
      const text =
        language === 'console' ? block.replaceAll(/^(?!\$ ).*\n/gm, '').replaceAll(/^\$ /gm, '') : block;
      if (/\bread -r .*\n$/.test(text)) {
        begun += text;
        return [];
      }
      const script = functions + begun + text;
      begun = '';
      const others = text.replaceAll(/^#.*\n|^\w+\(\) \{(.*\}\n|\n(.*\n)*?\}\n)|^\n/gm, '');
      if (others !== '') return [script];
      functions = script;
      return [];
    },
  );
}

/** Returns the commands in the jobs of a CI configuration, for any CI system. */
function commandsOf(yaml: string): string[] {
  return commandsAt('', parse(yaml, { logLevel: 'error' }));
}

/** Returns the commands in a part of a CI configuration. An entry of a list has the name of the list. */
function commandsAt(key: string, value: unknown): string[] {
  if (['run', 'bash'].includes(key) && typeof value === 'string') return [value];
  // Buildkite replaces `$$` with `$` when it reads the file.
  if (key === 'command') return [String(value).replaceAll('$$', () => '$')];
  if (key === 'script') return [[value].flat().join('\n')];
  if (Array.isArray(value)) return value.flatMap((one) => commandsAt(key, one));
  if (!value || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([name, of]) => commandsAt(name, of));
}

function snippetsOf(service: string): string[] {
  const keyId = 'dk_etl_01JP0000000000000000000000';
  const trusted = [GITHUB, GITLAB, 'https://ci.example.com']
    .map((issuer) => trustStep({ keyId, service, issuer: { issuer }, audience: service }))
    .flatMap(({ short, hardened }) => [short, hardened]);
  return [
    ...SNIPPETS.flatMap(({ short, hardened }) => [short({ keyId, service }), hardened({ keyId, service })]),
    ...trusted,
    temporaryTokenSnippet({ service }),
  ].map((code) => (/^(- |[\w-]+:\n)/.test(code) ? (commandsOf(code)[0] ?? '') : code));
}

function printed(service: string): string[] {
  const stack = {
    url: service,
    issuer: service,
    urls: { 'Rest/Resource': service, 'Http/Resource': service },
  };
  return [story(stack), signedCall(stack)];
}
