import type { z } from 'zod/mini';
import { conflict, notFound } from '../domain/errors.ts';
import { type EventType, newEvent } from '../domain/events.ts';
import type { Clock } from '../domain/expiry.ts';
import { formatKeyId, parseKeyId } from '../domain/identifiers.ts';
import { hasExpired, isIdle } from '../domain/key-status.ts';
import { mintCredential, newUlid } from '../domain/mint.ts';
import { visibleTo } from '../domain/people.ts';
import type { ApiKey, Deployment, Generation, MalformedKey } from '../domain/records.ts';
import { disabled, isWanted, rotated } from '../domain/rotation.ts';
import { hashOf } from '../domain/secrets.ts';
import type { Answer } from '../http/answer.ts';
import { fromCursor, toCursor } from '../http/cursor.ts';
import type { ManagementRequest, ManagementRoute } from '../http/management.ts';
import { keyChangesInput, newKeyInput, pageInput, parseInput, rotationInput } from '../http/schemas.ts';
import { idempotentCall } from '../operations/idempotency.ts';
import { shownKey } from '../operations/present-key.ts';
import type { Table } from '../table/client.ts';
import { readDeployment, readVisibleDeployment } from '../table/deployments.ts';
import {
  beginRevision,
  createApiKey,
  deleteApiKey,
  disableMalformedKey,
  editApiKey,
  listApiKeys,
  MAX_KEYS,
  readApiKey,
  rotateApiKey,
} from '../table/keys.ts';

/** How many times a change of a key is attempted when other calls change it at the same time. */
const ATTEMPTS = 5;

const CHANGED = 'Someone else is changing this key. Try again.';
const MALFORMED =
  'The item of this key is malformed. Repair it, disable it with only "enabled": false, or delete it.';

interface Dependencies {
  clock: Clock;
  /** Scopes that the stack defines. */
  scopes: readonly string[];
  maxIdleDays?: number | undefined;
  /** Issuers that a trust rule may name. */
  issuers?: readonly string[];
}

/** Returns the routes for API keys. Each of them first checks that the person may see the Deployment. */
export function keyRoutes(
  table: Table,
  { clock, scopes: known, maxIdleDays, issuers }: Dependencies,
): Record<string, ManagementRoute> {
  return {
    'POST /deployments/{deploymentId}/api-keys': create,
    'GET /deployments/{deploymentId}/api-keys': list,
    'GET /deployments/{deploymentId}/api-keys/{keyId}': get,
    'PATCH /deployments/{deploymentId}/api-keys/{keyId}': edit,
    'POST /deployments/{deploymentId}/api-keys/{keyId}/rotate': rotate,
    'DELETE /deployments/{deploymentId}/api-keys/{keyId}': remove,
  };

  async function create(request: ManagementRequest): Promise<Answer> {
    const deployment = await deploymentOf(request);
    const body = request.body();
    const call = idempotentCall(table, request, deployment, clock);
    const earlier = await call.earlierAnswer();
    if (earlier) return earlier;

    const now = clock();
    // The input is validated only now, so that a retry succeeds even if the expiry in it has passed in the meantime.
    const input = parseInput(newKeyInput(known, now, issuers), body);
    const ulid = newUlid(now);
    const secret = mintCredential('secret', deployment.id, ulid);
    const secrets = input.trust ? [] : [{ hash: hashOf(secret), createdAt: now }];
    const key = newKey(input, {
      ulid,
      secrets,
      scopes: known,
      deployment,
      createdBy: request.person.sub,
      now,
    });
    const shown = shownKey(key, now, maxIdleDays);
    const headers = { Location: `${request.base}/deployments/${deployment.id}/api-keys/${shown.id}` };
    const answer = { status: 201, headers, body: shown };
    const event = newEvent('api_key.created', deployment, request.actor, now, eventData(key));
    const outcome = await createApiKey(table, key, event, call.record(answer, now));
    if (outcome === 'repeated') return call.firstAnswer();
    if (outcome === 'gone') throw notFound('Deployment');
    if (outcome === 'full') throw conflict(`A Deployment has at most ${MAX_KEYS} keys. Delete one first.`);
    return input.trust ? answer : { ...answer, body: { ...answer.body, secret } };
  }

  async function list(request: ManagementRequest): Promise<Answer> {
    const { person, params, query, routeKey } = request;
    const deployment = await readVisibleDeployment(table, person, params.deploymentId);
    const { limit, cursor } = parseInput(pageInput, query, 'query');
    const listing = [routeKey, deployment.id, deployment.generation, person.sub];
    const after = fromCursor(listing, cursor);
    const { items, hasMore } = await listApiKeys(table, deployment, { after, limit });
    const last = items.at(-1);
    const now = clock();
    const nextCursor = hasMore && last ? toCursor(listing, last.ulid) : undefined;
    return { status: 200, body: { items: items.map((key) => shownKey(key, now, maxIdleDays)), nextCursor } };
  }

  async function get(request: ManagementRequest): Promise<Answer> {
    const deployment = await readVisibleDeployment(table, request.person, request.params.deploymentId);
    const key = await anyKeyOf(request, deployment);
    return { status: 200, body: shownKey(key, clock(), maxIdleDays) };
  }

  async function edit(request: ManagementRequest): Promise<Answer> {
    const deployment = await readVisibleDeployment(table, request.person, request.params.deploymentId);
    const now = clock();
    const changes = parseInput(keyChangesInput(known, now, issuers), request.body());
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const key = await anyKeyOf(request, deployment);
      if ('malformed' in key) return await disableOnly(request, deployment, key, changes, now);
      requireAllowed(key, changes);
      const edited = await write(request, deployment, key, changes, now);
      if (edited) return { status: 200, body: shownKey(edited, now, maxIdleDays) };
    }
    throw conflict(CHANGED);
  }

  /**
   * Writes the changes.
   * @returns the key after the changes; undefined when another call changed it first
   */
  async function write(
    { actor }: ManagementRequest,
    deployment: Generation,
    key: ApiKey,
    changes: Changes,
    now: number,
  ): Promise<ApiKey | undefined> {
    const edited = withChanges(key, changes, now, maxIdleDays);
    const changed = Object.keys(changes).filter((field) => isChanged(key, edited, field));
    if (changed.length === 0) {
      // An earlier call that timed out, such as one that enables the key, must not take effect after this one.
      return (await beginRevision(table, key)) ? key : undefined;
    }
    const data = { ...eventData(edited), changed };
    const event = newEvent(editEvent(key, edited), deployment, actor, now, data);
    return (await editApiKey(table, edited, event)) ? edited : undefined;
  }

  async function rotate(request: ManagementRequest): Promise<Answer> {
    const deployment = await deploymentOf(request);
    const { retireOld } = parseInput(rotationInput, request.body({}));
    const call = idempotentCall(table, request, deployment, clock);
    const earlier = await call.earlierAnswer();
    if (earlier) return earlier;

    const now = clock();
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const key = await keyOf(request, deployment);
      const secret = mintCredential('secret', deployment.id, key.ulid);
      const next = rotated(key, hashOf(secret), retireOld, now);
      const answer = { status: 200, body: shownKey(next, now, maxIdleDays) };
      const data = { ...eventData(key), retireOld };
      const event = newEvent('api_key.rotated', deployment, request.actor, now, data);
      const outcome = await rotateApiKey(table, next, key, event, call.record(answer, now));
      if (outcome === 'repeated') return call.firstAnswer();
      if (outcome === 'written') return { ...answer, body: { ...answer.body, secret } };
    }
    throw conflict(CHANGED);
  }

  async function remove(request: ManagementRequest): Promise<Answer> {
    const deployment = await readVisibleDeployment(table, request.person, request.params.deploymentId);
    const key = await anyKeyOf(request, deployment);
    const event = newEvent('api_key.deleted', deployment, request.actor, clock(), eventData(key));
    if (!(await deleteApiKey(table, deployment, key.ulid, event))) throw notFound('API key');
    return { status: 204 };
  }

  async function deploymentOf({ person, params }: ManagementRequest): Promise<Deployment> {
    return visibleTo(person, await readDeployment(table, params.deploymentId));
  }

  /**
   * Returns the key of a request.
   * @throws ServiceError 409 for a malformed key
   */
  async function keyOf(request: ManagementRequest, deployment: Deployment): Promise<ApiKey> {
    const key = await anyKeyOf(request, deployment);
    if ('malformed' in key) throw conflict(MALFORMED);
    return key;
  }

  async function anyKeyOf(
    { params }: ManagementRequest,
    deployment: Generation,
  ): Promise<ApiKey | MalformedKey> {
    const id = parseKeyId(params.keyId);
    const isOfThisDeployment = id?.deploymentId === deployment.id;
    const key = id && isOfThisDeployment ? await readApiKey(table, deployment, id.ulid) : undefined;
    if (!key) throw notFound('API key');
    return key;
  }

  /**
   * Disables a malformed key, which is the only change that it allows.
   * @throws ServiceError 409 for other changes
   */
  async function disableOnly(
    { actor }: ManagementRequest,
    deployment: Generation,
    key: MalformedKey,
    changes: Changes,
    now: number,
  ): Promise<Answer> {
    const isAllowed = changes.enabled === false && Object.keys(changes).length === 1;
    if (!isAllowed) throw conflict(MALFORMED);
    const data = { ...eventData(key), changed: ['enabled'] };
    const event = newEvent('api_key.disabled', deployment, actor, now, data);
    if (!(await disableMalformedKey(table, key, undefined, event))) throw notFound('API key');
    return { status: 200, body: shownKey({ ...key, enabled: false }, now) };
  }
}

/**
 * Returns the key that a call creates.
 * @param now epoch milliseconds
 */
function newKey(
  input: z.infer<ReturnType<typeof newKeyInput>>,
  {
    ulid,
    secrets,
    scopes,
    deployment: { id: deploymentId, generation },
    createdBy,
    now,
  }: Pick<ApiKey, 'ulid' | 'secrets' | 'createdBy'> & {
    /** The scopes of a key if the call does not name any. */
    scopes: readonly string[];
    deployment: Generation;
    now: number;
  },
): ApiKey {
  return {
    deploymentId,
    ulid,
    name: input.name,
    description: input.description ?? undefined,
    scopes: input.scopes ?? [...scopes],
    secrets,
    trust: input.trust,
    enabled: true,
    validUntil: input.expiresAt,
    networks: input.networks?.length ? input.networks : undefined,
    epoch: 0,
    generation,
    revision: 0,
    createdAt: now,
    createdBy,
  };
}

type Changes = z.infer<ReturnType<typeof keyChangesInput>>;

/**
 * Rejects changes that the state of the key does not allow.
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
 * Returns the key after a PATCH. Disabling it, enabling it, and extending it after its expiry start a new epoch:
 * existing tokens stay revoked even when the key is active again.
 * @param now epoch milliseconds
 */
function withChanges(key: ApiKey, changes: Changes, now: number, maxIdleDays: number | undefined): ApiKey {
  const { expiresAt = key.validUntil, description = key.description, ...rest } = changes;
  const { networks = key.networks ?? [] } = rest;
  const edited: ApiKey = {
    ...key,
    name: rest.name ?? key.name,
    scopes: rest.scopes ?? key.scopes,
    enabled: rest.enabled ?? key.enabled,
    description: description ?? undefined,
    validUntil: expiresAt ?? undefined,
    networks: networks.length > 0 ? networks : undefined,
    trust: rest.trust ?? key.trust,
    activeSince: changes.enabled && isIdle(key, now, maxIdleDays) ? now : key.activeSince,
    revision: key.revision + 1,
  };
  // Enabling starts a new epoch too: someone may have disabled the key by hand in the table and left the epoch
  // unchanged.
  const isSwitched = key.enabled !== edited.enabled;
  const isExtended = hasExpired(key, now) && edited.validUntil !== key.validUntil;
  const epoch = isSwitched || isExtended ? key.epoch + 1 : key.epoch;
  return { ...(changes.enabled === false ? disabled(edited) : edited), epoch };
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

/** Reports whether an idle key was reactivated. */
function isAwakened(before: ApiKey, after: ApiKey): boolean {
  return before.activeSince !== after.activeSince;
}

function eventData({ deploymentId, ulid, name, scopes }: ApiKey | MalformedKey) {
  return {
    keyId: formatKeyId(deploymentId, ulid),
    ...(name !== undefined && { name }),
    ...(scopes && { scopes }),
  };
}
