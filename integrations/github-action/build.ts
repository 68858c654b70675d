/**
 * `npm run generate` bundles the action into dist/. GitHub runs the committed bundle. The action's dependencies are in
 * the node_modules folder of the repository's root.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, buildSync } from 'esbuild';
import { foldersOf, noticesOf } from '../../.ci/licensed.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = 'integrations/github-action';

/** The build options of the action's bundle. */
export const ACTION: BuildOptions = {
  absWorkingDir: root,
  entryPoints: [`${folder}/index.ts`],
  outfile: `${folder}/dist/index.cjs`,
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'cjs',
  charset: 'utf8',
  alias: { undici: `./${folder}/no-undici.ts` },
  banner: { js: `// Written by \`npm run generate\` from ${folder}. Do not edit.` },
};

/** Returns the files in dist/, by their path in the project. */
export function filesOfAction(): Map<string, string> {
  const { outputFiles, metafile } = buildSync({ ...ACTION, write: false, metafile: true });
  const folders = foldersOf(Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs)));
  return new Map([
    [`${folder}/dist/index.cjs`, outputFiles[0]?.text ?? ''],
    [`${folder}/dist/THIRD-PARTY-LICENCES.txt`, noticesOf(root, folders)],
  ]);
}

if (import.meta.main) {
  for (const [path, text] of filesOfAction()) writeFileSync(`${root}${path}`, text);
}
