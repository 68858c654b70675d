import { fileURLToPath } from 'node:url';

/** Where the bundles lie: one folder for each function, holding `index.js` with the export `handler`. */
export const bundlesDirectory = fileURLToPath(new URL('../.build/functions', import.meta.url));
