import { systemActor } from '../domain/actors.ts';
import type { SourcedDeployment } from '../domain/deployments-source.ts';
import { newEvent } from '../domain/events.ts';
import type { Clock } from '../domain/expiry.ts';
import type { Deployment, Generation } from '../domain/records.ts';
import type { Table } from '../table/client.ts';
import {
  deleteDeployment,
  editDeployment,
  readDamagedDeployment,
  readDeployment,
  registerDeployment,
} from '../table/deployments.ts';
import {
  type MalformedRegistration,
  noteRegistration,
  type Registration,
  registrationWrite,
} from '../table/registrations.ts';
import { NO_LIFE } from '../table/schema.ts';

/** What was done to make a Deployment match its source. */
export type Outcome = 'registered' | 'edited' | 'deleted' | 'unchanged';

export interface Settling {
  /** The registration recorded when the source was last read. */
  known: Registration | MalformedRegistration | undefined;
  /** The Deployment in the source; undefined if the source no longer has it. */
  wanted: SourcedDeployment | undefined;
  /** The registration to record. `generation` is that of a Deployment registered now. */
  next: Omit<Registration, 'isPresent'>;
}

interface Dependencies {
  table: Table;
  clock: Clock;
  /** Whether to return what would be done without doing it. */
  isDryRun?: boolean;
}

const ACTOR = systemActor('source');

/**
 * Makes a Deployment match its source, and records that in the same transaction.
 * @returns undefined when another write came first and nothing was done
 */
export async function settle(
  { known, wanted, next }: Settling,
  { table, clock, isDryRun = false }: Dependencies,
): Promise<Outcome | undefined> {
  const current = await readDeployment(table, next.id);
  const now = clock();
  const note = (generation: string) =>
    registrationWrite(table, { ...next, generation, isPresent: wanted !== undefined }, known, now);
  const end = async (outcome: Outcome, write: () => Promise<boolean>) =>
    isDryRun || (await write()) ? outcome : undefined;

  if (!wanted) {
    const noted = note(known?.generation ?? next.generation);
    // A malformed Deployment is also deleted when its row is.
    const deleted = current ?? (await readDamagedDeployment(table, next.id));
    if (!deleted || !isOfSource(deleted, known))
      return end('unchanged', () => noteRegistration(table, noted));
    const event = newEvent('deployment.deleted', deleted, ACTOR, now);
    return end('deleted', () => deleteDeployment(table, deleted, event, [noted]));
  }
  if (!current) {
    const { name = next.id, groups = [] } = wanted;
    const { id, generation } = next;
    const deployment: Deployment = { id, name, groups, generation, keyCount: 0, createdAt: now };
    const event = newEvent('deployment.registered', deployment, ACTOR, now, { name, groups });
    return end('registered', () => registerDeployment(table, deployment, event, [note(generation)]));
  }
  const noted = note(current.generation);
  if (isAsWanted(current, wanted)) return end('unchanged', () => noteRegistration(table, noted));
  const { name, groups } = wanted;
  const changes = { ...(name !== undefined && { name }), ...(groups && { groups }) };
  const event = newEvent('deployment.edited', current, ACTOR, now, changes);
  return end('edited', () => editDeployment(table, current, changes, event, [noted]));
}

/**
 * Reports whether the Deployment follows the source: whether the source registered this generation or took it over. All
 * other Deployments were registered by people, and the source leaves them alone. A malformed generation, of the
 * Deployment or of its registration, counts as equal, so that deleting a row always deletes its Deployment.
 */
export function isOfSource(
  { generation }: Generation,
  known: Pick<Registration | MalformedRegistration, 'generation' | 'isPresent'> | undefined,
): boolean {
  if (!known?.isPresent) return false;
  return known.generation === generation || known.generation === undefined || generation === NO_LIFE;
}

/**
 * Reports whether the Deployment has the name and groups of its source. A field that the source does not have always
 * matches.
 */
export function isAsWanted(current: Deployment, { name, groups }: SourcedDeployment): boolean {
  const isNamed = name === undefined || name === current.name;
  return isNamed && (groups === undefined || JSON.stringify(groups) === JSON.stringify(current.groups));
}
