import { type CheckRules, evaluate, parseToken } from '../domain/check.ts';
import {
  type Credential,
  findCredentials,
  formatKeyId,
  hashOf,
  parseCredential,
  sameHash,
} from '../domain/credentials.ts';
import { invalidFields, ServiceError, unavailable } from '../domain/errors.ts';
import { type EventType, newEvent, type ServiceEvent } from '../domain/events.ts';
import type { Clock } from '../domain/expiry.ts';
import type { Actor } from '../domain/records.ts';
import { activeSecrets } from '../domain/rotation.ts';
import { disableMalformedKey, editApiKey, readLeakedKey } from '../table/keys.ts';
import { type Table, untilUnchanged } from '../table/retried-calls.ts';
import { deleteLeakedToken, readToken } from '../table/tokens.ts';

/** Time reserved for processing the last credentials in a report, in milliseconds. */
export const RESERVE = 7000;

interface Dependencies {
  clock: Clock;
  rules: CheckRules;
  /** Reports whether there is time to handle one more credential. */
  hasTime: () => boolean;
}

/** Maximum number of different credentials in one report. */
export const MAX_CREDENTIALS = 20;
/** Number of credentials that a report handles concurrently. */
const AT_ONCE = 5;

/** Maximum number of attempts to record a leak if other calls change the key at the same time. */
const ATTEMPTS = 5;

/**
 * Handles a leak report, which is text that contains leaked secrets or tokens. If the text contains an active secret,
 * disables the secret's key until the key is rotated with `retireOld` "now". If it contains a valid token, revokes the
 * token. An expired, revoked or unknown credential changes nothing. The report needs no other proof, because the holder
 * of a credential could do worse with it.
 * @throws ServiceError 400 if the text contains no credential or too many, in which case nothing was changed; 503 if at
 *   least one credential could not be handled. The other credentials were handled, and the caller can repeat the
 *   report.
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
  const isHandled = await untilUnchanged(ATTEMPTS, leakOnce);
  if (!isHandled) throw unavailable(new Error('the key is being changed'));

  /** Reads the key, and disables it as leaked. @returns undefined if another call changed the key first */
  async function leakOnce(): Promise<true | undefined> {
    const now = clock();
    const { generation, key } = (await readLeakedKey(table, deploymentId, ulid)) ?? {};
    if (!generation || !key) return true;
    // If the secrets in the item cannot be read, the presented secret might be among them. A malformed key cannot get
    // new tokens anyway. The report revokes its existing tokens.
    const { secrets = [{ hash, createdAt: now }] } = key;
    const isValid = activeSecrets({ secrets }, now).some((secret) => sameHash(secret.hash, hash));
    if (!isValid || (key.leak && !key.enabled)) return true;
    const deployment = { id: deploymentId, generation };
    const keyId = formatKeyId(deploymentId, ulid);
    if ('malformed' in key) {
      const event = newEvent('api_key.leaked', deployment, actor, now, { keyId });
      await disableMalformedKey(table, key, { reportedAt: now, wasEnabled: false }, event);
      return true;
    }
    const leaked = {
      ...key,
      enabled: false,
      epoch: key.epoch + 1,
      leak: { reportedAt: now, wasEnabled: key.enabled },
      revision: key.revision + 1,
    };
    const event = newEvent('api_key.leaked', deployment, actor, now, { keyId, name: key.name });
    return (await editApiKey(table, leaked, event)) === 'written' || undefined;
  }
}

async function leakToken(
  table: Table,
  credential: Credential,
  hash: string,
  actor: Actor,
  { clock, rules }: Dependencies,
): Promise<void> {
  const now = clock();
  const { records, isThere } = await readToken(table, credential, hash);
  if (!isThere) return;
  // A valid token counts as leaked even if its holder's access was ended.
  const verdict = await evaluate(credential, { ...records, readEnd: async () => undefined }, now, rules);
  // The token might be invalid only because an item is malformed, and someone could repair that item.
  if (!verdict.allowed || !records.deployment) return deleteLeakedToken(table, credential, hash, undefined);
  const { deploymentId, ulid } = credential;
  const isOfKey = credential.kind === 'token';
  const type: EventType = isOfKey ? 'token.leaked' : 'temporary_token.leaked';
  const deployment = { id: deploymentId, generation: records.deployment.generation };
  const data: ServiceEvent['data'] = isOfKey
    ? { keyId: formatKeyId(deploymentId, ulid) }
    : { temporaryTokenId: ulid, sub: verdict.access.principalId };
  await deleteLeakedToken(table, credential, hash, newEvent(type, deployment, actor, now, data));
}
