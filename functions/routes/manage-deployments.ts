import { setTimeout as pause } from 'node:timers/promises';
import type { DeploymentsSource } from '../domain/deployments-source.ts';
import { conflict, notFound } from '../domain/errors.ts';
import { newEvent } from '../domain/events.ts';
import type { Clock } from '../domain/expiry.ts';
import { newUlid } from '../domain/mint.ts';
import { maySee, requireAdministrator, visibleTo } from '../domain/people.ts';
import type { Deployment } from '../domain/records.ts';
import type { Answer } from '../http/answer.ts';
import { fromCursor, toCursor } from '../http/cursor.ts';
import type { ManagementRequest, ManagementRoute } from '../http/management.ts';
import { deploymentInput, pageInput, parseInput } from '../http/schemas.ts';
import { isOfSource } from '../operations/follow-source.ts';
import type { Table } from '../table/client.ts';
import {
  beginDeploymentRevision,
  type DeploymentChanges,
  deleteDeployment,
  editDeployment,
  type ListedDeployment,
  listDeployments,
  readDamagedDeployment,
  readDeployment,
  registerDeployment,
} from '../table/deployments.ts';
import { readRegistration } from '../table/registrations.ts';

/** How many times a change is attempted when other calls change the Deployment at the same time. */
const ATTEMPTS = 12;
/**
 * The longest pause between two attempts, in milliseconds. Pauses are random, so that concurrent callers do not collide
 * again.
 */
const PAUSE = 500;

const MALFORMED = 'The item of this Deployment is malformed. Repair it, or delete it and register it again.';

/**
 * Returns the routes for Deployments.
 * @param source the table that the service follows; undefined if only people register Deployments
 */
export function deploymentRoutes(
  table: Table,
  clock: Clock,
  source?: DeploymentsSource,
): Record<string, ManagementRoute> {
  return {
    'GET /deployments': list,
    'GET /deployments/{deploymentId}': get,
    'PUT /deployments/{deploymentId}': put,
    'DELETE /deployments/{deploymentId}': remove,
  };

  async function list({ person, query, routeKey }: ManagementRequest): Promise<Answer> {
    const { limit, cursor } = parseInput(pageInput, query, 'query');
    const listing = [routeKey, person.sub];
    const after = fromCursor(listing, cursor);
    const isWanted = person.isAdministrator ? undefined : (one: ListedDeployment) => maySee(person, one);
    const { items, hasMore } = await listDeployments(table, { after, limit, isWanted });
    const last = items.at(-1);
    const nextCursor = hasMore && last ? toCursor(listing, last.id) : undefined;
    return { status: 200, body: { items: items.map(shown), nextCursor } };
  }

  async function get({ person, params }: ManagementRequest): Promise<Answer> {
    const deployment = visibleTo(person, await readDeployment(table, params.deploymentId));
    return { status: 200, body: shown(deployment) };
  }

  async function put(request: ManagementRequest): Promise<Answer> {
    const { deploymentId } = request.params;
    const current = await readDeployment(table, deploymentId);
    requireAdministrator(request.person, current);
    const input = parseInput(deploymentInput, request.body());
    for (let attempt = 1, found = current; attempt <= ATTEMPTS; attempt++) {
      const written = found ? await edit(request, found, input) : await register(request, input);
      if (written) return { status: found ? 200 : 201, body: shown(written) };
      await pause(Math.random() * Math.min(PAUSE, 10 * 2 ** attempt));
      found = await readAgain(deploymentId);
    }
    throw conflict('Other calls keep changing this Deployment. Try again.');
  }

  /**
   * Reads the Deployment again after a failed attempt.
   * @throws ServiceError 409 when its item is malformed, so that it can be neither edited nor registered
   */
  async function readAgain(deploymentId: string): Promise<Deployment | undefined> {
    const deployment = await readDeployment(table, deploymentId);
    const isMalformed = !deployment && (await readDamagedDeployment(table, deploymentId));
    if (isMalformed) throw conflict(MALFORMED);
    return deployment;
  }

  async function remove({ person, params, actor }: ManagementRequest): Promise<Answer> {
    const deployment = await readDeployment(table, params.deploymentId);
    requireAdministrator(person, deployment);
    await requireOwn(deployment, true);
    // All other calls treat a malformed Deployment as absent. This one deletes it.
    const deleted = deployment ?? (await readDamagedDeployment(table, params.deploymentId));
    const event = deleted && newEvent('deployment.deleted', deleted, actor, clock());
    if (!event || !(await deleteDeployment(table, deleted, event))) throw notFound('Deployment');
    return { status: 204 };
  }

  /**
   * Rejects a change of a Deployment that comes from the source, which would undo the change.
   * @throws ServiceError 409
   */
  async function requireOwn(deployment: Deployment | undefined, isSourced: boolean): Promise<void> {
    if (!source || !deployment || !isSourced) return;
    if (!isOfSource(deployment, await readRegistration(table, deployment.id))) return;
    throw conflict('This Deployment comes from a table of the platform. Change or delete it there.');
  }

  async function register(
    { params, actor }: ManagementRequest,
    { name = params.deploymentId, groups = [] }: Partial<Pick<Deployment, 'name' | 'groups'>>,
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

  async function edit(
    { actor }: ManagementRequest,
    current: Deployment,
    { name, groups }: DeploymentChanges,
  ): Promise<Deployment | undefined> {
    const isOther = JSON.stringify(groups) !== JSON.stringify(current.groups);
    // Writes only what differs, because another call or the source may change the other field at the same time.
    const changes: DeploymentChanges = {
      ...(name !== undefined && name !== current.name && { name }),
      ...(groups && isOther && { groups }),
    };
    const fields = Object.keys(changes) as (keyof DeploymentChanges)[];
    if (fields.length === 0) {
      // An earlier call that timed out, such as one that adds a group, must not take effect after this one.
      return (await beginDeploymentRevision(table, current)) ? current : undefined;
    }
    await requireOwn(
      current,
      fields.some((field) => source?.[field] !== undefined),
    );
    const event = newEvent('deployment.edited', current, actor, clock(), changes);
    const isWritten = await editDeployment(table, current, changes, event);
    return isWritten ? { ...current, ...changes } : undefined;
  }
}

/** Returns a Deployment as the API shows it. */
function shown({ id, name, groups, createdAt }: ListedDeployment) {
  return { id, name, groups, createdAt: new Date(createdAt).toISOString() };
}
