import { getState, info, saveState, setFailed, setOutput, warning } from '@actions/core';
import { Failure } from './failure.ts';
import { readInputs } from './inputs.ts';
import { exchange, revoke } from './service.ts';

/** Gets an access token for the steps that follow. */
async function main(): Promise<void> {
  const inputs = readInputs();
  const { token, expiresAt } = await exchange(inputs);
  if (inputs.revoke) saveState('token', token);
  setOutput('token', token);
  setOutput('expires-at', expiresAt);
  info(`The access token of ${inputs.keyId} expires at ${expiresAt} unless it is used.`);
}

/**
 * Revokes the access token. If the revocation fails, the job still succeeds, because its work is done and the token
 * will expire.
 */
async function post(): Promise<void> {
  const token = getState('token');
  if (token === '') return info('There is no access token to revoke.');
  await revoke(readInputs(), token);
  info('The access token is revoked.');
}

/** Returns the message for an error. @param error the value that main or post threw */
function messageOf(error: unknown): string {
  if (error instanceof Failure) return error.message;
  return `Unexpected error: ${error instanceof Error ? error.message : 'unknown'}`;
}

// GitHub runs this file twice: as the step, and at the end of the job with the state that the step saved.
if (getState('isPost') === 'true') {
  post().catch((error) =>
    warning(`The access token is not revoked. It expires 24 hours after its last use. ${messageOf(error)}`),
  );
} else {
  saveState('isPost', 'true');
  main().catch((error) => setFailed(messageOf(error)));
}
