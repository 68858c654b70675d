import type { Clock } from '../domain/expiry.ts';
import { parseCredential, parseKeyId } from '../domain/identifiers.ts';
import { isIdle, keyRejection } from '../domain/key-status.ts';
import type { ApiKey, Deployment, SecretHash } from '../domain/records.ts';
import { livingSecrets } from '../domain/rotation.ts';
import { HASH_OF_NOTHING, hashOf, sameHash } from '../domain/secrets.ts';
import { invalidClient, type OAuthRequest } from '../http/oauth.ts';
import type { TokenStore } from '../table/lean-tokens.ts';

/** A key that has proved itself, and its Deployment. */
export interface Client {
  deployment: Deployment;
  key: ApiKey;
  /** The one of the key's secrets by which it did; undefined: by a token of an issuer that it trusts. */
  secret: SecretHash | undefined;
}

/**
 * Is this the client that it says it is? Costs one read and one compare, whether the ID is unknown or the
 * secret wrong; a malformed secret, or one of another ID, costs no read.
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

/** The living secret that was presented. Compares with something even where there is none. */
function secretOf(key: ApiKey | undefined, presented: string, now: number): SecretHash | undefined {
  const living = key ? livingSecrets(key, now) : [];
  if (living.length === 0) sameHash(HASH_OF_NOTHING, presented);
  return living.filter(({ hash }) => sameHash(hash, presented)).at(-1);
}
