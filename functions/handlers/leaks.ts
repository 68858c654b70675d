import { type CheckRules, type CheckStore, judge, parseToken } from '../domain/check.ts';
import { unavailable } from '../domain/errors.ts';
import { type EventType, newEvent, type ServiceEvent } from '../domain/events.ts';
import type { Clock } from '../domain/expiry.ts';
import { type Credential, formatKeyId, parseCredential } from '../domain/identifiers.ts';
import type { Actor } from '../domain/records.ts';
import { livingSecrets } from '../domain/rotation.ts';
import { hashOf, sameHash } from '../domain/secrets.ts';
import type { Table } from '../table/client.ts';
import { writeApiKeySecrets } from '../table/keys.ts';
import { deleteLeakedToken, readKey } from '../table/tokens.ts';

interface Dependencies {
  store: Pick<CheckStore, 'read'>;
  clock: Clock;
  rules: CheckRules;
}

/** How often a report is tried again after a change of the key came in between. */
const ATTEMPTS = 5;

/**
 * Somebody has found a secret or token. A living secret disables its key until it is rotated at once, and a living
 * token is revoked; whatever is dead or unknown changes nothing. It proves itself: whoever holds it could do worse.
 * @throws ServiceError 503 when the table cannot answer: the report is not lost in silence
 */
export async function reportLeak(
  table: Table,
  presented: string,
  reporter: Omit<Actor, 'principal' | 'type'>,
  dependencies: Dependencies,
): Promise<void> {
  const credential = parseCredential(presented);
  const actor: Actor = { principal: 'anonymous', type: 'anonymous', ...reporter };
  if (credential?.kind === 'secret') await leakKey(table, credential, hashOf(presented), actor, dependencies);
  const token = parseToken(presented);
  if (token) await leakToken(table, token, hashOf(presented), actor, dependencies);
}

async function leakKey(
  table: Table,
  { deploymentId, ulid }: Credential,
  hash: string,
  actor: Actor,
  { clock }: Dependencies,
): Promise<void> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const now = clock();
    const { deployment, key } = await readKey(table, deploymentId, ulid);
    const isOfThisLife = deployment !== undefined && key?.generation === deployment.generation;
    const isLiving = key && livingSecrets(key, now).some((secret) => sameHash(secret.hash, hash));
    if (!isOfThisLife || !isLiving || key.leak) return;
    const leaked = {
      ...key,
      enabled: false,
      epoch: key.epoch + 1,
      leak: { reportedAt: now, wasEnabled: key.enabled },
      revision: key.revision + 1,
    };
    const data = { keyId: formatKeyId(deploymentId, ulid), name: key.name };
    const event = newEvent('api_key.leaked', deployment, actor, now, data);
    if ((await writeApiKeySecrets(table, leaked, key.secrets, event)) !== 'changed') return;
  }
  throw unavailable(new Error('the key is being changed'));
}

async function leakToken(
  table: Table,
  credential: Credential,
  hash: string,
  actor: Actor,
  { store, clock, rules }: Dependencies,
): Promise<void> {
  const now = clock();
  const records = await store.read(credential, hash);
  const verdict = judge(credential, records, now, rules);
  if (!verdict.allowed || !records.deployment) return;
  const { deploymentId, ulid } = credential;
  const isOfKey = credential.kind === 'token';
  const type: EventType = isOfKey ? 'token.leaked' : 'temporary_token.leaked';
  const life = { id: deploymentId, generation: records.deployment.generation };
  const data: ServiceEvent['data'] = isOfKey
    ? { keyId: formatKeyId(deploymentId, ulid) }
    : { temporaryTokenId: ulid, sub: verdict.access.principalId };
  await deleteLeakedToken(table, credential, hash, newEvent(type, life, actor, now, data));
}
