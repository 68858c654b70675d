import { parseKeyId } from '../functions/domain/credentials.ts';
import { faultOfKeyId } from './credentials.ts';
import { UsageError } from './failure.ts';

/** The key ID in command examples. */
export const EXAMPLE_KEY = 'dk_etl_01JP0000000000000000000000';

/** Describes the argument that names a key. */
export const KEY_ARGUMENT = 'ID of the API key. It begins with dk_.';

/** Returns the path parameters of a key. The ID contains the ID of the Deployment. @throws UsageError */
export function pathOf(keyId: string) {
  const fault = faultOfKeyId(keyId);
  const deploymentId = parseKeyId(keyId)?.deploymentId;
  if (fault || deploymentId === undefined) throw new UsageError(`The argument ${fault}`);
  return { deploymentId, keyId };
}
