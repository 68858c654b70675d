import type { Clock } from '../domain/expiry.ts';
import { parseCredential, parseKeyId } from '../domain/identifiers.ts';
import { isIdle, keyRejection } from '../domain/key-status.ts';
import type { ApiKey, Deployment, SecretHash } from '../domain/records.ts';
import { livingSecrets } from '../domain/rotation.ts';
import { HASH_OF_NOTHING, hashOf, sameHash } from '../domain/secrets.ts';
import { invalidClient, type OAuthRequest } from '../http/oauth.ts';
import type { TokenStore } from '../table/lean-tokens.ts';

/** An authenticated key and its Deployment. */
export interface Client {
  deployment: Deployment;
  key: ApiKey;
  /** The secret with which the client authenticated; undefined if it used a token of a trusted issuer. */
  secret: SecretHash | undefined;
}

/**
 * Authenticates a client by its ID and secret. An unknown ID and a wrong secret cost the same: one read and one
 * comparison. A malformed secret, or one of another ID, costs no read.
 * @throws ServiceError 401 invalid_client, the same for every cause; 503 when the table cannot answer
 */
export async function authenticate(
  store: Pick<TokenStore, 'readKey'>,
  { client: { clientId, clientSecret }, caller }: Pick<OAuthRequest, 'client' | 'caller'>,
  clock: Clock,
  maxIdleDays?: number,
): Promise<Client> {
  const id = parseKeyId(clientId);
  const credential = parseCredential(clientSecret);
  const isOfThisId = credential?.ulid === id?.ulid && credential?.deploymentId === id?.deploymentId;
  if (!id || credential?.kind !== 'secret' || !isOfThisId) throw invalidClient();

  const { deployment, key } = await store.readKey(id.deploymentId, id.ulid);
  const now = clock();
  const secret = secretOf(key, hashOf(clientSecret), now);
  if (!deployment || !key || !secret) throw invalidClient();
  const use = { deployment, now, isIdle: isIdle(key, now, maxIdleDays), from: caller };
  if (keyRejection(key, use)) throw invalidClient();
  return { deployment, key, secret };
}

/** Returns the active secret that was presented. Compares hashes even when the key has no active secret. */
function secretOf(key: ApiKey | undefined, presented: string, now: number): SecretHash | undefined {
  const living = key ? livingSecrets(key, now) : [];
  if (living.length === 0) sameHash(HASH_OF_NOTHING, presented);
  return living.filter(({ hash }) => sameHash(hash, presented)).at(-1);
}
