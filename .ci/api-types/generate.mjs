/**
 * Writes functions/openapi/api-types.ts from docs/openapi.json. `npm run generate` runs it after it has written the document. Installs
 * openapi-typescript first if necessary.
 */
import './install.mjs';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

const source = readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8');
const { astToString, default: generate } = await import('openapi-typescript');

const document = JSON.parse(source);
// Omit the operations below /platform, which differ from the others only in their authentication.
for (const path of Object.keys(document.paths))
  if (path.startsWith('/platform/')) delete document.paths[path];
const types = astToString(await generate(withoutExamples(document), { silent: true }));

const hash = createHash('sha256').update(source).digest('hex');
writeFileSync(
  new URL('../../functions/openapi/api-types.ts', import.meta.url),
  `// \`npm run generate\` writes this file from docs/openapi.json, whose SHA-256 is ${hash}.\n${types}`,
);

/** Returns a part of the document without its examples. */
function withoutExamples(part) {
  return JSON.parse(JSON.stringify(part, (name, value) => (/^examples?$/.test(name) ? undefined : value)));
}
