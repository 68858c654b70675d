import { type CheckRules, judge, parseToken } from '../domain/check.ts';
import { findCredentials } from '../domain/credentials-in-text.ts';
import { invalidFields, ServiceError, unavailable } from '../domain/errors.ts';
import { type EventType, newEvent, type ServiceEvent } from '../domain/events.ts';
import type { Clock } from '../domain/expiry.ts';
import { type Credential, formatKeyId, parseCredential } from '../domain/identifiers.ts';
import type { Actor } from '../domain/records.ts';
import { livingSecrets } from '../domain/rotation.ts';
import { hashOf, sameHash } from '../domain/secrets.ts';
import type { Table } from '../table/client.ts';
import { disableMalformedKey, editApiKey, readLeakedKey } from '../table/keys.ts';
import { deleteLeakedToken, readLeakedToken } from '../table/tokens.ts';

interface Dependencies {
  clock: Clock;
  rules: CheckRules;
  /** Whether there is time to handle another credential. */
  hasTime: () => boolean;
}

/** The maximum number of different credentials in one report. */
export const MAX_CREDENTIALS = 20;
/** How many credentials are handled concurrently. */
const AT_ONCE = 5;

/** How many times a report is attempted when other calls change the key at the same time. */
const ATTEMPTS = 5;

/**
 * Handles a report of a text that contains leaked secrets or tokens. An active secret disables its key until the key is
 * rotated with `retireOld` "now". A valid token is revoked. An expired, revoked or unknown credential changes nothing.
 * Reporting needs no other proof, because the holder of a credential could do worse with it.
 * @throws ServiceError 400 when the text contains no credential or too many, and nothing was done; 503 when at least
 *   one credential could not be handled. The others were, and the report can be repeated.
 */
export async function reportLeak(
  table: Table,
  text: string,
  reporter: Omit<Actor, 'principal' | 'type'>,
  dependencies: Dependencies,
): Promise<void> {
  const waiting = credentialsOf(text);
  const actor: Actor = { principal: 'anonymous', type: 'anonymous', ...reporter };
  const failures: unknown[] = [];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (!dependencies.hasTime())
        return void failures.push(new Error('no time is left for all credentials'));
      await leakCredential(table, next, actor, dependencies).catch((error) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const [failure] = failures;
  if (failure !== undefined) throw failure instanceof ServiceError ? failure : unavailable(failure);
}

function credentialsOf(text: string): string[] {
  const found = findCredentials(text);
  const tooMany = `must contain at most ${MAX_CREDENTIALS} different secrets and tokens; send the others in another report`;
  const none = 'must contain a secret (dks_…) or token (dkt_…, dkx_…), complete and not encoded';
  if (found.length > MAX_CREDENTIALS) throw invalidFields([{ field: 'credential', rule: tooMany }]);
  if (found.length === 0) throw invalidFields([{ field: 'credential', rule: none }]);
  return found;
}

async function leakCredential(
  table: Table,
  presented: string,
  actor: Actor,
  dependencies: Dependencies,
): Promise<void> {
  const credential = parseCredential(presented);
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
    const { generation, key } = (await readLeakedKey(table, deploymentId, ulid)) ?? {};
    if (!generation || !key) return;
    // If the secrets cannot be read, the presented one may be among them. A malformed key gets no new tokens anyway;
    // the report revokes the existing ones.
    const { secrets = [{ hash, createdAt: now }] } = key;
    const isValid = livingSecrets({ secrets }, now).some((secret) => sameHash(secret.hash, hash));
    if (!isValid || (key.leak && !key.enabled)) return;
    const life = { id: deploymentId, generation };
    const keyId = formatKeyId(deploymentId, ulid);
    if ('malformed' in key) {
      const event = newEvent('api_key.leaked', life, actor, now, { keyId });
      await disableMalformedKey(table, key, { reportedAt: now, wasEnabled: false }, event);
      return;
    }
    const leaked = {
      ...key,
      enabled: false,
      epoch: key.epoch + 1,
      leak: { reportedAt: now, wasEnabled: key.enabled },
      revision: key.revision + 1,
    };
    const event = newEvent('api_key.leaked', life, actor, now, { keyId, name: key.name });
    if (await editApiKey(table, leaked, event)) return;
  }
  throw unavailable(new Error('the key is being changed'));
}

async function leakToken(
  table: Table,
  credential: Credential,
  hash: string,
  actor: Actor,
  { clock, rules }: Dependencies,
): Promise<void> {
  const now = clock();
  const { records, isThere } = await readLeakedToken(table, credential, hash);
  if (!isThere) return;
  const verdict = judge(credential, records, now, rules);
  // It may be invalid only because of a malformed item that someone could repair.
  if (!verdict.allowed || !records.deployment) return deleteLeakedToken(table, credential, hash, undefined);
  const { deploymentId, ulid } = credential;
  const isOfKey = credential.kind === 'token';
  const type: EventType = isOfKey ? 'token.leaked' : 'temporary_token.leaked';
  const life = { id: deploymentId, generation: records.deployment.generation };
  const data: ServiceEvent['data'] = isOfKey
    ? { keyId: formatKeyId(deploymentId, ulid) }
    : { temporaryTokenId: ulid, sub: verdict.access.principalId };
  await deleteLeakedToken(table, credential, hash, newEvent(type, life, actor, now, data));
}
