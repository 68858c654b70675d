import {
  BY_LOOKING,
  deploymentOf,
  isDeployment,
  RefusedRow,
  type Row,
  type SourcedDeployment,
} from '../domain/deployments-source.ts';
import type { Clock } from '../domain/expiry.ts';
import { newUlid } from '../domain/mint.ts';
import { isAsWanted, isOfSource, type Outcome, settle } from '../operations/follow-source.ts';
import type { Table } from '../table/client.ts';
import {
  type Registration,
  readKnownRegistration,
  readRegistered,
  registrationsPage,
} from '../table/registrations.ts';
import { type RowKey, readKeyNames, readRow, type SourceTable, scanRows } from '../table/source-rows.ts';

export interface CompareDependencies {
  table: Table;
  from: SourceTable;
  clock: Clock;
  /** Called with the key of each row that breaks the rules of the service. */
  onRefused: (key: RowKey, reason: string) => void;
  /** Called for each Deployment that differed from its source. */
  onMended?: (id: string, outcome: Outcome) => void;
  /** Whether to report what would be done without doing it. */
  isDryRun?: boolean;
  /**
   * The maximum number of Deployments of a page that may be missing from the source. If more are missing, none is
   * deleted.
   */
  mostGone: number;
  /** The number of rows in a page. @default 500 */
  limit?: number;
}

type Position = Record<string, unknown> | undefined;

/** The result of a page, and where the next one starts. */
export interface Compared {
  counts: Record<'looked' | 'refused' | Exclude<Outcome, 'unchanged'>, number>;
  next: Position;
}

const ROWS = 500;
const REGISTRATIONS = 100;

/**
 * Compares rows of the source with the registrations: registers missing Deployments and updates those that differ.
 *
 * Each difference is confirmed in an order that loses no change: it reads the registration, then the row, and then
 * writes only if the registration has not changed. A change that the stream delivers later is newer.
 */
export async function compareRows(after: Position, dependencies: CompareDependencies): Promise<Compared> {
  const { table, from, limit = ROWS } = dependencies;
  const keyNames = await readKeyNames(from);
  const page = await scanRows(from, keyNames, { after: after as RowKey | undefined, limit });
  const { counts, settled } = counting(dependencies);
  const wanted = page.rows.flatMap(({ key, row }) => {
    const deployment = judged(key, row);
    return deployment ? [{ key, ...deployment }] : [];
  });
  counts.looked = wanted.length;
  const registered = await readRegistered(table, [...new Set(wanted.map(({ id }) => id))]);
  for (const { key, ...row } of wanted) {
    const { deployment, registration } = registered.get(row.id) ?? {};
    const isFine = deployment && isOfSource(deployment, registration) && isAsWanted(deployment, row);
    if (!isFine) settled(row.id, await confirm(key, row.id));
  }
  return { counts, next: page.next };

  function judged(key: RowKey, row: Row | undefined): SourcedDeployment | undefined {
    try {
      return deploymentOf(row, from.source);
    } catch (error) {
      if (!(error instanceof RefusedRow)) throw error;
      counts.refused++;
      dependencies.onRefused(key, error.message);
      return undefined;
    }
  }

  async function confirm(key: RowKey, id: string): Promise<Outcome | undefined> {
    const known = await readKnownRegistration(table, id);
    const deployment = judged(key, await readRow(from, key));
    if (deployment?.id !== id) return undefined;
    const generation = newUlid(dependencies.clock());
    const next = { id, lastChange: known?.lastChange ?? BY_LOOKING, generation, row: key };
    return settle({ known, wanted: deployment, next }, dependencies);
  }
}

/**
 * Compares registrations with the source, and deletes Deployments that are no longer there. Confirms in the same order.
 * @throws Error when more than `mostGone` are missing. None is deleted then, because the source itself may be wrong.
 */
export async function compareRegistrations(
  after: Position,
  dependencies: CompareDependencies,
): Promise<Compared> {
  const { table, from, mostGone } = dependencies;
  const { registrations, next } = await registrationsPage(table, { after, limit: REGISTRATIONS });
  const { counts, settled } = counting(dependencies);
  const present = registrations.filter(({ isPresent }) => isPresent);
  counts.looked = present.length;
  const gone: Registration[] = [];
  for (const registration of present) {
    if (!(await isInSource(registration))) gone.push(registration);
  }
  if (gone.length > mostGone) {
    throw new Error(
      `${gone.length} Deployments are gone from the source; of more than ${mostGone} none is deleted`,
    );
  }
  for (const known of gone) {
    settled(known.id, await settle({ known, wanted: undefined, next: known }, dependencies));
  }
  return { counts, next };

  async function isInSource({ id, row: key }: Registration): Promise<boolean> {
    const row = await readRow(from, key as RowKey);
    return isDeployment(row, from.source) && row[from.source.id] === id;
  }
}

function counting({ onMended }: CompareDependencies) {
  const counts = { looked: 0, refused: 0, registered: 0, edited: 0, deleted: 0 };
  const settled = (id: string, outcome: Outcome | undefined) => {
    if (outcome === undefined || outcome === 'unchanged') return;
    counts[outcome]++;
    onMended?.(id, outcome);
  };
  return { counts, settled };
}
