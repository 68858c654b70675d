import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const textOf = (document: string) =>
  readFileSync(fileURLToPath(new URL(`../../docs/${document}`, import.meta.url)), 'utf8');
const blocksOf = (markdown: string, language: string) =>
  [...markdown.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, of, body]) =>
    of === language && body ? [body] : [],
  );

/**
 * Returns the code blocks in a given language from a section of a document, in order.
 *
 * @param document path below docs/
 * @param heading heading of level 2 or 3, without its number signs
 * @throws Error if there is no section with this heading
 */
export function snippetsOf(document: string, language: string, heading: string): string[] {
  const section = textOf(document)
    .split(/^###? /m)
    .find((text) => text.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`${document} has no section "${heading}".`);
  return blocksOf(section, language);
}

/**
 * Returns the only code block in a given language from a document.
 *
 * @param document path below docs/
 * @throws Error if the document has no code block in this language, or more than one
 */
export function snippet(document: string, language: string): string {
  const blocks = blocksOf(textOf(document), language);
  const [block] = blocks;
  if (block === undefined || blocks.length > 1)
    throw new Error(`${document} has ${blocks.length} blocks of ${language}.`);
  return block;
}
