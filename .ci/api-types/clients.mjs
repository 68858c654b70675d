/**
 * Generates clients of the whole API from an OpenAPI document, with the default options of each generator, as users
 * would. Installs the generators first if necessary.
 *
 * Usage: node .ci/api-types/clients.mjs <document> <folder>
 *
 * Writes types.ts, with openapi-typescript for the client openapi-fetch, and the folder sdk, with @hey-api/openapi-ts.
 */
import './install.mjs';
import { readFileSync, writeFileSync } from 'node:fs';

const [file, folder] = process.argv.slice(2);
const document = JSON.parse(readFileSync(file, 'utf8'));

const { astToString, default: generate } = await import('openapi-typescript');
writeFileSync(`${folder}/types.ts`, astToString(await generate(document, { silent: true })));

const { createClient } = await import('@hey-api/openapi-ts');
await createClient({
  input: document,
  // Node.js needs the extension of a file in an import.
  output: { path: `${folder}/sdk`, module: { extension: '.ts' } },
  logs: { level: 'silent', file: false },
});
