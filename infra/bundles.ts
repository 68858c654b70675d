import { createHash } from 'node:crypto';
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fingerprint } from './fingerprint.ts';

/**
 * Functions that callers wait for, and that therefore open their connection during init. Only an ES module can await
 * anything during init, so `entry.mjs` loads the bundle of such a function. The bundle itself stays CommonJS, which
 * starts faster.
 */
export const WARMED_UP = ['authorize', 'introspect', 'issue-token', 'revoke', 'whoami'];

/** The folder of the bundles: one folder per function, with an `index.js` that exports `handler`. */
export const bundlesDirectory = fileURLToPath(new URL('../.build/functions', import.meta.url));

/**
 * Returns the module that Lambda loads for a function that opens its connection during init, or whose code sets
 * environment variables. The module uses `createRequire`, because Node would parse an imported CommonJS module to find
 * its exports.
 * @param variables environment variables to set before the function starts
 */
export function entryText(variables?: Readonly<Record<string, string>>): string {
  return `import{createRequire}from'node:module';
${variables ? `Object.assign(process.env, ${JSON.stringify(variables)});\n` : ''}\
export const{handler,warmUp}=createRequire(import.meta.url)('./index.js');
await warmUp${variables ? '?.' : ''}().catch(()=>{});
`;
}

/**
 * Copies a bundle and adds environment variables that might not fit into the 4 KB that Lambda allows for the
 * environment. Replaces what an earlier or interrupted synthesis has left in the copy's folder. The folder's name
 * depends on the content, because several stacks can share the output folder, and because the CDK caches assets by
 * path.
 * @param outdir folder in which to create the copy
 * @param source folder of the bundles
 * @returns the folder of the copy
 */
export function bundleWith(
  name: string,
  variables: Readonly<Record<string, string>>,
  outdir: string,
  source = bundlesDirectory,
): string {
  const text = entryText(variables);
  const bundle = join(source, name);
  const content = createHash('sha256')
    .update(fingerprint([bundle]))
    .update(text)
    .digest('hex')
    .slice(0, 16);
  const folder = join(outdir, `code.${name}.${content}`);
  rmSync(folder, { recursive: true, force: true });
  cpSync(bundle, folder, { recursive: true });
  writeFileSync(join(folder, 'entry.mjs'), text);
  return folder;
}
