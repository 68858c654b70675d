import type { PreTokenGenerationV2TriggerEvent } from 'aws-lambda';
import { withName } from './routes/add-name-to-token.ts';
import { readNameClaim } from './runtime/config.ts';

const claim = readNameClaim();

/** Cognito invokes this function before it issues the access token of a person. */
export const handler = async (event: PreTokenGenerationV2TriggerEvent) => withName(event, claim);
