import { keyRejection } from '../domain/check.ts';
import { HASH_OF_NOTHING, hashOf, parseCredential, parseKeyId, sameHash } from '../domain/credentials.ts';
import type { Clock } from '../domain/expiry.ts';
import { isIdle } from '../domain/key-status.ts';
import type { ApiKey, Deployment, SecretHash } from '../domain/records.ts';
import { activeSecrets } from '../domain/rotation.ts';
import { invalidClient, type OAuthRequest } from '../http/oauth.ts';
import type { Table } from '../table/retried-calls.ts';
import { readKey } from '../table/tokens.ts';

/** An authenticated key and its Deployment. */
export interface Client {
  deployment: Deployment;
  key: ApiKey;
  /** The secret with which the client authenticated; undefined if the client used a token from a trusted issuer. */
  secret: SecretHash | undefined;
}

/**
 * Authenticates a client by its ID and secret. An unknown ID costs the same as a wrong secret: one read and the same
 * comparisons. A malformed secret, or a secret that names a different ID, does not cost a read.
 * @throws ServiceError 401 invalid_client, which differs by cause only in the log; 503 if the table is unavailable
 */
export async function authenticate(
  table: Table,
  { client: { clientId, clientSecret }, caller }: Pick<OAuthRequest, 'client' | 'caller'>,
  clock: Clock,
  maxIdleDays?: number,
): Promise<Client> {
  const id = parseKeyId(clientId);
  const credential = parseCredential(clientSecret);
  if (!id) throw invalidClient('malformed_id');
  if (credential?.kind !== 'secret') throw invalidClient('malformed_secret');
  const isOfThisId = credential.ulid === id.ulid && credential.deploymentId === id.deploymentId;
  if (!isOfThisId) throw invalidClient('other_key');

  const { deployment, key } = await readKey(table, id.deploymentId, id.ulid);
  const now = clock();
  const equal = hashesEqualTo(hashOf(clientSecret), key);
  if (!deployment) throw invalidClient('unknown_deployment');
  if (!key) throw invalidClient('unknown_key');
  if (equal.length === 0) throw invalidClient('wrong_secret');
  const secret = activeSecrets(key, now).findLast(({ hash }) => equal.includes(hash));
  if (!secret) throw invalidClient('retired_secret');
  const use = { deployment, now, isIdle: isIdle(key, now, maxIdleDays), from: caller };
  const rejection = keyRejection(key, use);
  if (rejection) throw invalidClient(rejection === 'disabled' && key.leak ? 'leaked' : rejection);
  return { deployment, key, secret };
}

/** Number of hashes that each authentication compares. A key has at most two secrets. */
const COMPARISONS = 4;

/**
 * Returns the hashes of the key's secrets, including retired ones, that equal the presented hash. Always makes the same
 * number of comparisons, even if there is no key.
 */
function hashesEqualTo(presented: string, key: ApiKey | undefined): string[] {
  const hashes = key?.secrets.map(({ hash }) => hash) ?? [];
  while (hashes.length < COMPARISONS) hashes.push(HASH_OF_NOTHING);
  return hashes.filter((hash) => sameHash(hash, presented));
}
