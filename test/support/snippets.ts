import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Returns the only code block of a language in a document.
 *
 * @param document path below docs/
 * @throws Error if there is none or more than one
 */
export function snippet(document: string, language: string): string {
  const text = readFileSync(fileURLToPath(new URL(`../../docs/${document}`, import.meta.url)), 'utf8');
  const blocks = [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter(([, of]) => of === language);
  const [block] = blocks;
  if (!block?.[2] || blocks.length > 1)
    throw new Error(`${document} has ${blocks.length} blocks of ${language}.`);
  return block[2];
}
