import { fileURLToPath } from 'node:url';
import { bundleFunctions } from '../bundle.ts';

const handlers = fileURLToPath(new URL('./handlers', import.meta.url));

/** The folder of the example's bundles. */
export const bundles = fileURLToPath(new URL('../../.build/example', import.meta.url));

/** Bundles the example's functions if they have changed. */
export const bundleExample = (): void => bundleFunctions(handlers, bundles, ['receive-deploy', 'list-dags']);
