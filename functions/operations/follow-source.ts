import type { FollowOutcome, SourcedDeployment } from '../domain/deployments-source.ts';
import { newEvent } from '../domain/events.ts';
import type { Clock } from '../domain/expiry.ts';
import { systemActor } from '../domain/people.ts';
import type { Deployment, Generation } from '../domain/records.ts';
import {
  deleteDeployment,
  editDeployment,
  readDamagedDeployment,
  readDeployment,
  registerDeployment,
} from '../table/deployments.ts';
import {
  type MalformedRegistration,
  type Registration,
  registrationWrite,
  storeRegistration,
} from '../table/registrations.ts';
import type { Table, Write } from '../table/retried-calls.ts';
import { NO_GENERATION } from '../table/schema.ts';

export interface SourceComparison {
  /** The registration that was recorded when the source was last read. */
  known: Registration | MalformedRegistration | undefined;
  /** The Deployment in the source; undefined if the source no longer contains it. */
  wanted: SourcedDeployment | undefined;
  /** The registration to store. If this change registers the Deployment, its generation is the `generation` of this record. */
  next: Omit<Registration, 'isPresent'>;
}

interface Dependencies {
  table: Table;
  clock: Clock;
  /** Whether to return the outcome without applying the change. */
  isDryRun?: boolean;
  /**
   * Returns the writes that count a deletion, or undefined if deletions are stopped (`deletionLimit`).
   * @default neither counts nor stops deletions, because a person has confirmed them
   */
  countDeletion?: () => Promise<Write[] | undefined>;
}

const ACTOR = systemActor('source');

/**
 * Makes a Deployment match its source, and records the registration in the same transaction.
 * @returns undefined if another write came first, so that nothing was changed
 */
export async function followSource(
  { known, wanted, next }: SourceComparison,
  { table, clock, isDryRun = false, countDeletion = async () => [] }: Dependencies,
): Promise<FollowOutcome | undefined> {
  const current = await readDeployment(table, next.id);
  const now = clock();
  const registrationWith = (generation: string, isPresent = wanted !== undefined) =>
    registrationWrite({ ...next, generation, isPresent }, known, now);
  const apply = async (outcome: FollowOutcome, write: () => Promise<boolean>) =>
    isDryRun || (await write()) ? outcome : undefined;

  if (!wanted) {
    const written = registrationWith(known?.generation ?? next.generation);
    // Deleting a row also deletes its Deployment if the Deployment is malformed.
    const deleted = current ?? (await readDamagedDeployment(table, next.id));
    if (!deleted || !isOfSource(deleted, known))
      return apply('unchanged', () => storeRegistration(table, written));
    const counted = isDryRun ? [] : await countDeletion();
    // Record the change as applied and the Deployment as present. From now on, only a comparison of both tables can
    // delete the Deployment, so that it is kept if its row comes back.
    if (!counted) {
      const kept = registrationWith(known?.generation ?? deleted.generation, true);
      return apply('stopped', () => storeRegistration(table, kept));
    }
    const event = newEvent('deployment.deleted', deleted, ACTOR, now);
    return apply('deleted', () => deleteDeployment(table, deleted, event, [written, ...counted]));
  }
  if (!current) {
    const { name = next.id, groups = [] } = wanted;
    const { id, generation } = next;
    const deployment: Deployment = { id, name, groups, generation, keyCount: 0, createdAt: now };
    const event = newEvent('deployment.registered', deployment, ACTOR, now, { name, groups });
    return apply('registered', () =>
      registerDeployment(table, deployment, event, [registrationWith(generation)]),
    );
  }
  const written = registrationWith(current.generation);
  if (isAsWanted(current, wanted)) return apply('unchanged', () => storeRegistration(table, written));
  const { name, groups } = wanted;
  const changes = { ...(name !== undefined && { name }), ...(groups && { groups }) };
  const event = newEvent('deployment.edited', current, ACTOR, now, changes);
  return apply('edited', () => editDeployment(table, current, changes, event, [written]));
}

/**
 * Reports whether the Deployment follows the source, which means that the source registered this generation or took it
 * over. All other Deployments were registered by people, and the source does not change them. If the generation of the
 * Deployment or its registration is malformed, the two generations count as equal, so that deleting a row always
 * deletes its Deployment.
 */
export function isOfSource(
  { generation }: Generation,
  known: Pick<Registration | MalformedRegistration, 'generation' | 'isPresent'> | undefined,
): boolean {
  if (!known?.isPresent) return false;
  return known.generation === generation || known.generation === undefined || generation === NO_GENERATION;
}

/**
 * Reports whether the Deployment has the name and groups of its source. A field that the source does not define always
 * matches.
 */
export function isAsWanted(current: Deployment, { name, groups }: SourcedDeployment): boolean {
  const isNamed = name === undefined || name === current.name;
  return isNamed && (groups === undefined || JSON.stringify(groups) === JSON.stringify(current.groups));
}
