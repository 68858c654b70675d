import { isDeepStrictEqual } from 'node:util';
import { newUlid } from '../domain/credentials.ts';
import {
  BY_COMPARISON,
  deploymentOf,
  type FollowOutcome,
  isDeployment,
  RejectedRow,
  type Row,
  type SourcedDeployment,
} from '../domain/deployments-source.ts';
import type { Clock } from '../domain/expiry.ts';
import { followSource, isAsWanted, isOfSource } from '../operations/follow-source.ts';
import { readDeletions } from '../table/deletion-count.ts';
import {
  type Registration,
  readKnownRegistration,
  readRegistered,
  registrationsPage,
  reportMalformedRegistration,
} from '../table/registrations.ts';
import type { Table, Write } from '../table/retried-calls.ts';
import { isRowKey } from '../table/schema.ts';
import { type RowKey, readKeyNames, readRow, type SourceTable, scanRows } from '../table/source-rows.ts';
import { MalformedPosition } from './reconcile.ts';

export interface CompareDependencies {
  table: Table;
  from: SourceTable;
  clock: Clock;
  /** Called with the key of each row that violates the service's rules. */
  onRejectedRow: (key: RowKey, reason: string) => void;
  /**
   * Called for each Deployment that differed from its source, even if the limit stopped the deletion of the Deployment.
   */
  onRepaired?: (id: string, outcome: FollowOutcome) => void;
  /** Whether to report the changes without applying them. */
  isDryRun?: boolean;
  /** Limits the deletions. @default no limit, because a person has confirmed the deletions (`followSource`) */
  countDeletion?: () => Promise<Write[] | undefined>;
  /**
   * The maximum number of Deployments per page that can be missing from the source. If more are missing, the comparison
   * deletes none of them.
   */
  maxMissing: number;
  /** Number of rows per page. @default 500 */
  limit?: number;
}

type Position = Record<string, unknown> | undefined;

/** The result of comparing one page, and the position at which the next page starts. */
export interface Compared {
  counts: Record<'read' | 'refused' | 'malformed' | Exclude<FollowOutcome, 'unchanged'>, number>;
  next: Position;
}

const ROWS = 500;
const REGISTRATIONS = 100;

/**
 * Compares rows of the source with the registrations. Registers missing Deployments and updates Deployments that
 * differ.
 *
 * To avoid losing changes, it confirms each difference in this order: it reads the registration, then the row, and then
 * writes only if the registration has not changed. Changes that the stream delivers later are newer.
 */
export async function compareRows(after: Position, dependencies: CompareDependencies): Promise<Compared> {
  const { table, from, limit = ROWS } = dependencies;
  // If a position is malformed, the AWS SDK throws errors that differ from those that DynamoDB returns.
  if (after && !isRowKey(after)) throw new MalformedPosition('The stored position is malformed.');
  const keyNames = await readKeyNames(from);
  const page = await scanRows(from, keyNames, { after: after as RowKey | undefined, limit });
  const { counts, countOutcome } = counting(dependencies);
  const wanted = page.rows.flatMap(({ key, row }) => {
    const deployment = deploymentIn(key, row);
    return deployment ? [{ key, ...deployment }] : [];
  });
  counts.read = wanted.length;
  const registered = await readRegistered(table, [...new Set(wanted.map(({ id }) => id))]);
  for (const { key, ...row } of wanted) {
    const { deployment, registration } = registered.get(row.id) ?? {};
    const isSameRow = isDeepStrictEqual(registration?.row, key);
    const isFine =
      isSameRow && deployment && isOfSource(deployment, registration) && isAsWanted(deployment, row);
    if (!isFine) countOutcome(row.id, await confirm(key, row.id));
  }
  return { counts, next: page.next };

  function deploymentIn(key: RowKey, row: Row | undefined): SourcedDeployment | undefined {
    try {
      return deploymentOf(row, from.source);
    } catch (error) {
      if (!(error instanceof RejectedRow)) throw error;
      counts.refused++;
      dependencies.onRejectedRow(key, error.message);
      return undefined;
    }
  }

  async function confirm(key: RowKey, id: string): Promise<FollowOutcome | undefined> {
    const known = await readKnownRegistration(table, id);
    const deployment = deploymentIn(key, await readRow(from, key));
    if (deployment?.id !== id) return undefined;
    const generation = newUlid(dependencies.clock());
    const next = { id, lastChange: known?.lastChange ?? BY_COMPARISON, generation, row: key };
    return followSource({ known, wanted: deployment, next }, dependencies);
  }
}

/**
 * Compares registrations with the source, and deletes Deployments that the source no longer has. Confirms each
 * difference in the same order as `compareRows`. A malformed registration is counted and reported, and does not affect
 * other registrations. Its Deployment is kept until `compareRows` or the stream replaces the registration, or until
 * someone repairs it.
 * @throws Error if more than `maxMissing` Deployments are missing. In this case the function deletes none, because the
 * source itself might be wrong.
 */
export async function compareRegistrations(
  after: Position,
  dependencies: CompareDependencies,
): Promise<Compared> {
  const { table, from, maxMissing } = dependencies;
  const { registrations, malformed, next } = await registrationsPage(table, { after, limit: REGISTRATIONS });
  const { counts, countOutcome } = counting(dependencies);
  counts.malformed = malformed;
  const present = registrations.filter(({ isPresent }) => isPresent);
  counts.read = present.length;
  const gone: Registration[] = [];
  for (const registration of present) {
    if (!(await isInSource(registration))) gone.push(registration);
  }
  if (gone.length > maxMissing) {
    throw new Error(
      `${gone.length} Deployments are gone from the source; of more than ${maxMissing} none is deleted`,
    );
  }
  for (const known of gone) {
    countOutcome(known.id, await followSource({ known, wanted: undefined, next: known }, dependencies));
  }
  return { counts, next };

  async function isInSource(registration: Registration): Promise<boolean> {
    try {
      const row = await readRow(from, registration.row as RowKey);
      return isDeployment(row, from.source) && row[from.source.id] === registration.id;
    } catch (error) {
      // The source table rejects the row's key, so the registration is malformed, and nothing is known about its row.
      if (!isRejectedKey(error)) throw error;
      counts.malformed++;
      reportMalformedRegistration(table, registration);
      return true;
    }
  }
}

/**
 * Returns true if deletions are stopped until a person confirms them, or if the count of deletions is malformed.
 * Uses a strongly consistent read.
 */
export async function areDeletionsStopped(table: Table): Promise<boolean> {
  const deletions = await readDeletions(table);
  return deletions === 'malformed' || deletions?.stoppedAt !== undefined;
}

const isRejectedKey = (error: unknown) => error instanceof Error && error.name === 'ValidationException';

function counting({ onRepaired }: CompareDependencies) {
  const counts = { read: 0, refused: 0, malformed: 0, registered: 0, edited: 0, deleted: 0, stopped: 0 };
  const countOutcome = (id: string, outcome: FollowOutcome | undefined) => {
    if (outcome === undefined || outcome === 'unchanged') return;
    counts[outcome]++;
    onRepaired?.(id, outcome);
  };
  return { counts, countOutcome };
}
