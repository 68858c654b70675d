import type { Settings } from './settings.ts';

/** Returns the name of the stack that this project's app creates for a stage. */
export const stackNameOf = (stage: Settings['stage']): string => `deployment-api-keys-${stage}`;
