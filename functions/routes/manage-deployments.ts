import type { z } from 'zod/mini';
import { newUlid } from '../domain/credentials.ts';
import type { DeploymentsSource } from '../domain/deployments-source.ts';
import { conflict, notFound } from '../domain/errors.ts';
import { newEvent } from '../domain/events.ts';
import type { Clock } from '../domain/expiry.ts';
import { maySee, type Person, requireAdministratorOf, visibleTo } from '../domain/people.ts';
import type { Deployment } from '../domain/records.ts';
import type { Answer } from '../http/answer.ts';
import { fromCursor, toCursor } from '../http/cursor.ts';
import type { ManagementRequest, ManagementRoute } from '../http/management.ts';
import { deploymentInput, deploymentsInput, parseInput } from '../http/schemas.ts';
import { isOfSource } from '../operations/follow-source.ts';
import {
  beginDeploymentRevision,
  canListGroups,
  type DeploymentChanges,
  deleteDeployment,
  editDeployment,
  type ListedDeployment,
  listDeployments,
  listOfGroups,
  readDamagedDeployment,
  readDeployment,
  registerDeployment,
} from '../table/deployments.ts';
import { haveGroupEntries } from '../table/reconcile.ts';
import { readRegistration } from '../table/registrations.ts';
import { type Table, untilUnchanged } from '../table/retried-calls.ts';

/** Maximum number of attempts to make a change if other calls change the Deployment at the same time. */
const ATTEMPTS = 12;
/** Maximum pause after an attempt, in milliseconds. */
const longestPause = (attempt: number) => Math.min(500, 10 * 2 ** attempt);

const MALFORMED = 'The item of this Deployment is malformed. Repair it, or delete it and register it again.';

/** The requested name and groups of a Deployment. An undefined field keeps its value. */
type Input = z.infer<typeof deploymentInput>;

interface Dependencies {
  clock: Clock;
  /** The followed table; undefined if only people register Deployments. */
  source: DeploymentsSource | undefined;
}

/** Returns the routes for managing Deployments. */
export function deploymentRoutes(table: Table, dependencies: Dependencies): Record<string, ManagementRoute> {
  return {
    'GET /deployments': (request) => listVisibleDeployments(table, request),
    'GET /deployments/{deploymentId}': (request) => getDeployment(table, request),
    'PUT /deployments/{deploymentId}': (request) => putDeployment(table, dependencies, request),
    'DELETE /deployments/{deploymentId}': (request) => removeDeployment(table, dependencies, request),
  };
}

async function listVisibleDeployments(
  table: Table,
  { person, query, routeKey }: ManagementRequest,
): Promise<Answer> {
  const { limit, cursor, prefix } = parseInput(deploymentsInput, query, 'query');
  const listing = [routeKey, person.sub, ...(prefix === undefined ? [] : [prefix])];
  const after = fromCursor(listing, cursor);
  const { items, next } = await pageFor(table, person, { prefix, after, limit });
  const nextCursor = next === undefined ? undefined : toCursor(listing, next);
  return { status: 200, body: { items: items.map(shown), nextCursor } };
}

/**
 * Returns a page of the Deployments that a person is allowed to see. A member's page is read from the entries of their
 * groups, as soon as all Deployments have such entries.
 */
async function pageFor(
  table: Table,
  person: Person,
  page: { prefix?: string | undefined; after: string | undefined; limit: number },
) {
  if (person.isAdministrator) return listDeployments(table, page);
  const usesGroups = canListGroups(person.groups) && (await haveGroupEntries(table));
  if (usesGroups) return listOfGroups(table, person.groups, page);
  const isWanted = (one: ListedDeployment) => maySee(person, one);
  return listDeployments(table, { ...page, isWanted });
}

async function getDeployment(table: Table, { person, params }: ManagementRequest): Promise<Answer> {
  const deployment = visibleTo(person, await readDeployment(table, params.deploymentId));
  return { status: 200, body: shown(deployment) };
}

/** Registers a Deployment, or edits it if it exists. */
async function putDeployment(
  table: Table,
  dependencies: Dependencies,
  request: ManagementRequest,
): Promise<Answer> {
  const { deploymentId } = request.params;
  const current = await readDeployment(table, deploymentId);
  requireAdministratorOf(request.person, current);
  const input = parseInput(deploymentInput, request.body());
  const answer = await untilUnchanged(ATTEMPTS, putOnce, longestPause);
  if (!answer) throw conflict('Other calls keep changing this Deployment. Try again.');
  return answer;

  /** Edits or registers the Deployment. @returns undefined if another call changed or registered it first */
  async function putOnce(attempt: number): Promise<Answer | undefined> {
    const found = attempt === 1 ? current : await readAgain(table, deploymentId);
    const written = found
      ? await edit(table, dependencies, request, found, input)
      : await register(table, dependencies, request, input);
    return written && { status: found ? 200 : 201, body: shown(written) };
  }
}

/**
 * Registers the Deployment.
 * @returns undefined if another call registered the Deployment first
 */
async function register(
  table: Table,
  { clock }: Dependencies,
  { params, actor }: ManagementRequest,
  { name = params.deploymentId, groups = [] }: Input,
): Promise<Deployment | undefined> {
  const now = clock();
  const deployment: Deployment = {
    id: params.deploymentId,
    name,
    groups,
    generation: newUlid(now),
    keyCount: 0,
    createdAt: now,
  };
  const event = newEvent('deployment.registered', deployment, actor, now, { name, groups });
  return (await registerDeployment(table, deployment, event)) ? deployment : undefined;
}

/**
 * Writes the fields that differ.
 * @returns the Deployment after the edit; undefined if another call changed it first
 */
async function edit(
  table: Table,
  { clock, source }: Dependencies,
  { actor }: ManagementRequest,
  current: Deployment,
  input: Input,
): Promise<Deployment | undefined> {
  const changes = changesTo(current, input);
  const fields = Object.keys(changes) as (keyof DeploymentChanges)[];
  if (fields.length === 0) {
    // Start a new revision, so that an earlier call that timed out, for example a call that adds a group, cannot take
    // effect after this call.
    return (await beginDeploymentRevision(table, current)) ? current : undefined;
  }
  const isSourced = fields.some((field) => source?.[field] !== undefined);
  if (isSourced) await requireOwn(table, source, current);
  const event = newEvent('deployment.edited', current, actor, clock(), changes);
  const isWritten = await editDeployment(table, current, changes, event);
  return isWritten ? { ...current, ...changes } : undefined;
}

/**
 * Returns the fields that differ from the Deployment. Only these fields are written, because another call or the source
 * might change the other field at the same time.
 */
function changesTo(current: Deployment, { name, groups }: Input): DeploymentChanges {
  const isOther = JSON.stringify(groups) !== JSON.stringify(current.groups);
  return {
    ...(name !== undefined && name !== current.name && { name }),
    ...(groups && isOther && { groups }),
  };
}

/**
 * Reads the Deployment again after a failed attempt.
 * @throws ServiceError 409 if the Deployment's item is malformed, which prevents both editing and registering it
 */
async function readAgain(table: Table, deploymentId: string): Promise<Deployment | undefined> {
  const deployment = await readDeployment(table, deploymentId);
  const isMalformed = !deployment && (await readDamagedDeployment(table, deploymentId));
  if (isMalformed) throw conflict(MALFORMED);
  return deployment;
}

async function removeDeployment(
  table: Table,
  { clock, source }: Dependencies,
  { person, params, actor }: ManagementRequest,
): Promise<Answer> {
  const deployment = await readDeployment(table, params.deploymentId);
  requireAdministratorOf(person, deployment);
  if (deployment) await requireOwn(table, source, deployment);
  // This call also deletes a malformed Deployment. All other calls treat such a Deployment as absent.
  const deleted = deployment ?? (await readDamagedDeployment(table, params.deploymentId));
  const event = deleted && newEvent('deployment.deleted', deleted, actor, clock());
  if (!event || !(await deleteDeployment(table, deleted, event))) throw notFound('Deployment');
  return { status: 204 };
}

/**
 * Rejects a change to a Deployment that comes from the source, because the source would undo the change.
 * @throws ServiceError 409
 */
async function requireOwn(
  table: Table,
  source: DeploymentsSource | undefined,
  deployment: Deployment,
): Promise<void> {
  if (!source || !isOfSource(deployment, await readRegistration(table, deployment.id))) return;
  throw conflict('This Deployment comes from a table of the platform. Change or delete it there.');
}

/** Returns a Deployment in the API's format. */
function shown({ id, name, groups, createdAt }: ListedDeployment) {
  return { id, name, groups, createdAt: new Date(createdAt).toISOString() };
}
