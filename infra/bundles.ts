import { fileURLToPath } from 'node:url';

/** The folder of the bundles: one folder per function, with an `index.js` that exports `handler`. */
export const bundlesDirectory = fileURLToPath(new URL('../.build/functions', import.meta.url));
