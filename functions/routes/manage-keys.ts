import type { z } from 'zod/mini';
import { hasExpired } from '../domain/check.ts';
import { hashOf, mintCredential, parseKeyId } from '../domain/credentials.ts';
import { accessEnded, conflict, notFound } from '../domain/errors.ts';
import { type EventType, newEvent } from '../domain/events.ts';
import type { EpochMillis } from '../domain/expiry.ts';
import { expiryAfterRotation, expiryWithinPolicy } from '../domain/key-policy.ts';
import { isIdle, statusOf } from '../domain/key-status.ts';
import { visibleTo } from '../domain/people.ts';
import type { ApiKey, Generation, MalformedKey } from '../domain/records.ts';
import { disabled, isWanted, rotated } from '../domain/rotation.ts';
import type { Answer } from '../http/answer.ts';
import { fromCursor, toCursor } from '../http/cursor.ts';
import type { ManagementRequest, ManagementRoute } from '../http/management.ts';
import { explainInput, keyChangesInput, keysInput, parseInput, rotationInput } from '../http/schemas.ts';
import { explainSubject } from '../operations/examine-subject.ts';
import { idempotentCall } from '../operations/idempotency.ts';
import { type KeyRules, keyEventData, rulesOf, shownKey } from '../operations/present-key.ts';
import { readDeployment, readVisibleDeployment } from '../table/deployments.ts';
import {
  beginRevision,
  deleteApiKey,
  disableMalformedKey,
  editApiKey,
  listApiKeys,
  readApiKey,
  rotateApiKey,
} from '../table/keys.ts';
import { type Table, untilUnchanged } from '../table/retried-calls.ts';
import { createKey, type KeyDependencies } from './create-key.ts';

/** Maximum number of attempts to change a key if other calls change it at the same time. */
const ATTEMPTS = 5;

const CHANGED = 'Someone else is changing this key. Try again.';
const WITHOUT_RULES = 'This key has a secret and no trust rules, so it accepts no token of a CI.';
const MALFORMED =
  'The item of this key is malformed. Repair it, disable it with only "enabled": false, or delete it.';

/** Returns the routes for API keys. Each route first checks that the person is allowed to see the Deployment. */
export function keyRoutes(table: Table, dependencies: KeyDependencies): Record<string, ManagementRoute> {
  return {
    'POST /deployments/{deploymentId}/api-keys': (request) => createKey(table, dependencies, request),
    'GET /deployments/{deploymentId}/api-keys': (request) => listKeys(table, dependencies, request),
    'GET /deployments/{deploymentId}/api-keys/{keyId}': (request) => getKey(table, dependencies, request),
    'PATCH /deployments/{deploymentId}/api-keys/{keyId}': (request) => editKey(table, dependencies, request),
    'POST /deployments/{deploymentId}/api-keys/{keyId}/rotate': (request) =>
      rotateKey(table, dependencies, request),
    'POST /deployments/{deploymentId}/api-keys/{keyId}/explain': (request) =>
      explainTrust(table, dependencies, request),
    'DELETE /deployments/{deploymentId}/api-keys/{keyId}': (request) =>
      deleteKey(table, dependencies, request),
  };
}

async function listKeys(
  table: Table,
  dependencies: KeyDependencies,
  { person, params, query, routeKey }: ManagementRequest,
): Promise<Answer> {
  const deployment = await readVisibleDeployment(table, person, params.deploymentId);
  const { limit, cursor, order } = parseInput(keysInput, query, 'query');
  const listing = [routeKey, deployment.id, deployment.generation, person.sub];
  if (order === 'newest') listing.push(order);
  const after = fromCursor(listing, cursor);
  const { items, next } = await listApiKeys(table, deployment, { order, after, limit });
  const now = dependencies.clock();
  const rules = rulesOf(dependencies);
  const nextCursor = next === undefined ? undefined : toCursor(listing, next);
  return { status: 200, body: { items: items.map((key) => shownKey(key, now, rules)), nextCursor } };
}

async function getKey(
  table: Table,
  dependencies: KeyDependencies,
  request: ManagementRequest,
): Promise<Answer> {
  const deployment = await readVisibleDeployment(table, request.person, request.params.deploymentId);
  const key = await anyKeyOf(table, deployment, request);
  return { status: 200, body: shownKey(key, dependencies.clock(), rulesOf(dependencies)) };
}

async function editKey(
  table: Table,
  dependencies: KeyDependencies,
  request: ManagementRequest,
): Promise<Answer> {
  const rules = rulesOf(dependencies);
  const deployment = await readVisibleDeployment(table, request.person, request.params.deploymentId);
  const now = dependencies.clock();
  const changes = parseInput(
    keyChangesInput(dependencies.scopes, now, dependencies.trust.issuers),
    request.body(),
  );
  const edit = { deployment, changes, now, rules };
  const answer = await untilUnchanged(ATTEMPTS, () => editOnce(table, request, edit));
  if (!answer) throw conflict(CHANGED);
  return answer;
}

type Changes = z.infer<ReturnType<typeof keyChangesInput>>;

/** An edit that a call requests. */
interface Edit {
  deployment: Generation;
  changes: Changes;
  /** Epoch milliseconds. */
  now: EpochMillis;
  rules: KeyRules;
}

/**
 * Reads the key, and writes the edit.
 * @returns undefined if another call changed the key first
 * @throws ServiceError 404 if the Deployment has no such key, 409 if the key does not allow the edit
 */
async function editOnce(table: Table, request: ManagementRequest, edit: Edit): Promise<Answer | undefined> {
  const key = await anyKeyOf(table, edit.deployment, request);
  if ('malformed' in key) return disableOnly(table, request, key, edit);
  requireAllowed(key, edit.changes);
  const edited = await writeEdit(table, request, key, edit);
  return edited && { status: 200, body: shownKey(edited, edit.now, edit.rules) };
}

/**
 * Disables a malformed key. No other change to a malformed key is possible.
 * @throws ServiceError 409 for other changes
 */
async function disableOnly(
  table: Table,
  { actor }: ManagementRequest,
  key: MalformedKey,
  { deployment, changes, now, rules }: Edit,
): Promise<Answer> {
  const isAllowed = changes.enabled === false && Object.keys(changes).length === 1;
  if (!isAllowed) throw conflict(MALFORMED);
  const data = { ...keyEventData(key), changed: ['enabled'] };
  const event = newEvent('api_key.disabled', deployment, actor, now, data);
  if (!(await disableMalformedKey(table, key, undefined, event))) throw notFound('API key');
  return { status: 200, body: shownKey({ ...key, enabled: false }, now, rules) };
}

/**
 * Writes an edit.
 * @returns the key after the edit; undefined if another call changed the key first
 */
async function writeEdit(
  table: Table,
  { actor, person }: ManagementRequest,
  key: ApiKey,
  { deployment, changes, now, rules }: Edit,
): Promise<ApiKey | undefined> {
  const edited = withActor(withChanges(key, changes, now, rules), key, changes, { at: now, by: person.sub });
  const changed = Object.keys(changes).filter((field) => isChanged(key, edited, field));
  if (changed.length === 0) {
    // Start a new revision, so that an earlier call that timed out, for example a call that enables the key, cannot
    // take effect after this call.
    return (await beginRevision(table, key)) ? key : undefined;
  }
  const data = { ...keyEventData(edited), changed };
  const event = newEvent(editEvent(key, edited), deployment, actor, now, data);
  const outcome = await editApiKey(table, edited, event, { signIn: person.signIn });
  if (outcome === 'ended') throw accessEnded();
  return outcome === 'written' ? edited : undefined;
}

/**
 * Rejects changes that the key's state does not allow.
 * @throws ServiceError 409
 */
function requireAllowed(key: ApiKey, changes: Changes): void {
  if (key.leak && changes.enabled) {
    throw conflict('This key leaked. Rotate it with retireOld "now" before you enable it.');
  }
  if (changes.trust && !key.trust) {
    throw conflict('This key has a secret. Add another key for a pipeline without one.');
  }
}

/**
 * Returns the key after a PATCH. Disabling the key, enabling it, or extending it after it has expired starts a new
 * epoch, so that existing tokens stay revoked even when the key is active again.
 * @param now epoch milliseconds
 * @throws ServiceError 409 if the policy forbids the new expiry
 */
function withChanges(
  key: ApiKey,
  changes: Changes,
  now: EpochMillis,
  { maxIdleDays, policy }: KeyRules,
): ApiKey {
  const { expiresAt = key.validUntil, description = key.description, ...rest } = changes;
  const { networks = key.networks ?? [] } = rest;
  const edited: ApiKey = {
    ...key,
    name: rest.name ?? key.name,
    scopes: rest.scopes ?? key.scopes,
    enabled: rest.enabled ?? key.enabled,
    description: description ?? undefined,
    // The policy applies only to the fields that change.
    validUntil:
      expiresAt === key.validUntil
        ? key.validUntil
        : expiryWithinPolicy(key, expiresAt ?? undefined, policy, now),
    networks: networks.length > 0 ? networks : undefined,
    trust: rest.trust ?? key.trust,
    activeSince: changes.enabled && isIdle(key, now, maxIdleDays) ? now : key.activeSince,
    revision: key.revision + 1,
  };
  // Enabling the key also starts a new epoch, because someone might have disabled the key by hand in the table without
  // changing the epoch.
  const isSwitched = key.enabled !== edited.enabled;
  const isExtended = hasExpired(key, now) && edited.validUntil !== key.validUntil;
  const epoch = isSwitched || isExtended ? key.epoch + 1 : key.epoch;
  return { ...(changes.enabled === false ? disabled(edited) : edited), epoch };
}

/** Returns the edited key, and records in it who enabled it or set its trust rules. */
function withActor(
  edited: ApiKey,
  key: ApiKey,
  changes: Changes,
  edit: { at: EpochMillis; by: string },
): ApiKey {
  return {
    ...edited,
    ...(changes.enabled && (!isWanted(key) || isAwakened(key, edited)) && { lastEnabled: edit }),
    ...(changes.trust && { trustSetBy: edit.by }),
  };
}

function isChanged(before: ApiKey, after: ApiKey, field: string): boolean {
  if (field === 'enabled') return isWanted(before) !== isWanted(after) || isAwakened(before, after);
  const attribute = (field === 'expiresAt' ? 'validUntil' : field) as keyof ApiKey;
  return JSON.stringify(before[attribute]) !== JSON.stringify(after[attribute]);
}

function editEvent(before: ApiKey, after: ApiKey): EventType {
  if (isWanted(before) === isWanted(after) && !isAwakened(before, after)) return 'api_key.edited';
  return after.enabled ? 'api_key.enabled' : 'api_key.disabled';
}

/** Reports whether an edit reactivated an idle key. */
function isAwakened(before: ApiKey, after: ApiKey): boolean {
  return before.activeSince !== after.activeSince;
}

async function rotateKey(
  table: Table,
  dependencies: KeyDependencies,
  request: ManagementRequest,
): Promise<Answer> {
  const { clock } = dependencies;
  const rules = rulesOf(dependencies);
  const deployment = visibleTo(request.person, await readDeployment(table, request.params.deploymentId));
  const { retireOld } = parseInput(rotationInput, request.body({}));
  const call = idempotentCall(table, request, deployment, clock);
  const earlier = await call.earlierAnswer();
  if (earlier) return earlier;

  const now = clock();
  const answer = await untilUnchanged(ATTEMPTS, rotateOnce);
  if (!answer) throw conflict(CHANGED);
  return answer;

  /** Reads the key, and writes a new secret. @returns undefined if another call changed the key first */
  async function rotateOnce(): Promise<Answer | undefined> {
    const key = await keyOf(table, deployment, request);
    const secret = mintCredential('secret', deployment.id, key.ulid);
    const withSecret = rotated(key, hashOf(secret), retireOld, now, request.person.sub);
    const next = { ...withSecret, validUntil: expiryAfterRotation(key, withSecret, rules.policy, now) };

    const answer = { status: 200, body: shownKey(next, now, rules) };
    const data = { ...keyEventData(key), retireOld };
    const event = newEvent('api_key.rotated', deployment, request.actor, now, data);
    const record = call.record(answer, now);
    const outcome = await rotateApiKey(table, next, key, event, { record, signIn: request.person.signIn });
    if (outcome === 'repeated') return call.firstAnswer();
    if (outcome === 'ended') throw accessEnded();
    return outcome === 'written' ? { ...answer, body: { ...answer.body, secret } } : undefined;
  }
}

async function explainTrust(
  table: Table,
  { clock, maxIdleDays, trust }: KeyDependencies,
  request: ManagementRequest,
): Promise<Answer> {
  const deployment = await readVisibleDeployment(table, request.person, request.params.deploymentId);
  const { subject_token: subjectToken } = parseInput(explainInput, request.body());
  const key = await keyOf(table, deployment, request);
  if (!key.trust) throw conflict(WITHOUT_RULES);
  const decisions = await explainSubject(key.trust, subjectToken, request.issuer, { clock, trust });
  return { status: 200, body: { status: statusOf(key, clock(), maxIdleDays), ...decisions } };
}

async function deleteKey(
  table: Table,
  { clock }: KeyDependencies,
  request: ManagementRequest,
): Promise<Answer> {
  const deployment = await readVisibleDeployment(table, request.person, request.params.deploymentId);
  const key = await anyKeyOf(table, deployment, request);
  const event = newEvent('api_key.deleted', deployment, request.actor, clock(), keyEventData(key));
  if (!(await deleteApiKey(table, deployment, key.ulid, event))) throw notFound('API key');
  return { status: 204 };
}

/**
 * Returns the key that a request names.
 * @throws ServiceError 404 if the Deployment has no such key, 409 if the key is malformed
 */
async function keyOf(table: Table, deployment: Generation, request: ManagementRequest): Promise<ApiKey> {
  const key = await anyKeyOf(table, deployment, request);
  if ('malformed' in key) throw conflict(MALFORMED);
  return key;
}

/**
 * Returns the key that a request names, which can be malformed.
 * @throws ServiceError 404 if the Deployment has no such key
 */
async function anyKeyOf(
  table: Table,
  deployment: Generation,
  { params }: ManagementRequest,
): Promise<ApiKey | MalformedKey> {
  const id = parseKeyId(params.keyId);
  const isOfThisDeployment = id?.deploymentId === deployment.id;
  const key = id && isOfThisDeployment ? await readApiKey(table, deployment, id.ulid) : undefined;
  if (!key) throw notFound('API key');
  return key;
}
