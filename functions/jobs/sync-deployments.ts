import type { DynamoDBBatchResponse, DynamoDBRecord } from 'aws-lambda';
import {
  BY_LOOKING,
  type DeploymentsSource,
  deploymentOf,
  generationOf,
  isDeployment,
  RefusedRow,
  type Row,
  type SourcedDeployment,
  sequenceOf,
} from '../domain/deployments-source.ts';
import { causeOf } from '../domain/errors.ts';
import type { Clock } from '../domain/expiry.ts';
import { isDeploymentId } from '../domain/identifiers.ts';
import { settle } from '../operations/follow-source.ts';
import type { Table } from '../table/client.ts';
import { readDamagedDeployment } from '../table/deployments.ts';
import { readKnownRegistration } from '../table/registrations.ts';
import { type RowChange, rowChange } from '../table/source-rows.ts';

export interface SyncDependencies {
  table: Table;
  source: DeploymentsSource;
  clock: Clock;
  /** Sets a record aside that our rules refuse, for a person to look at. */
  setAside: (refusal: object) => Promise<void>;
  log: (message: string, fields: Record<string, string | undefined>) => void;
}

/** How often a change is tried again after somebody else's came first. */
const ATTEMPTS = 5;

/**
 * Changes of somebody else's table, in their order. One that our rules refuse is set aside, and those behind it go
 * on. Any other failure is reported with all after it, so that none overtakes another; Lambda sends them again from
 * there.
 */
export async function syncFromStream(
  records: DynamoDBRecord[],
  dependencies: SyncDependencies,
): Promise<DynamoDBBatchResponse> {
  for (const record of records) {
    try {
      await syncOrSetAside(record, dependencies);
    } catch (error) {
      const sequenceNumber = record.dynamodb?.SequenceNumber;
      dependencies.log('change not applied', { error: causeOf(error), sequenceNumber });
      return { batchItemFailures: [{ itemIdentifier: sequenceNumber ?? '' }] };
    }
  }
  return { batchItemFailures: [] };
}

async function syncOrSetAside(record: DynamoDBRecord, dependencies: SyncDependencies): Promise<void> {
  try {
    await sync(record, dependencies);
  } catch (error) {
    if (!(error instanceof RefusedRow)) throw error;
    const { SequenceNumber, Keys } = record.dynamodb ?? {};
    const { message: reason } = error;
    await dependencies.setAside({ reason, key: Keys, sequenceNumber: SequenceNumber });
    dependencies.log('change refused', { reason, sequenceNumber: SequenceNumber });
  }
}

/** @throws RefusedRow when our rules refuse it for good */
async function sync(record: DynamoDBRecord, dependencies: SyncDependencies): Promise<void> {
  const { source } = dependencies;
  const change = rowChange(record, source);
  // Nothing of what is looked at has changed: a heartbeat in the row costs no read.
  if (JSON.stringify(change.before) === JSON.stringify(change.after)) return;
  const was = idIn(change.before, source);
  if (was !== idIn(change.after, source) && typeof was === 'string' && isDeploymentId(was)) {
    await apply({ id: was, wanted: undefined, change }, dependencies);
  }
  const wanted = deploymentOf(change.after, source);
  if (wanted) await apply({ id: wanted.id, wanted, change }, dependencies);
}

const idIn = (row: Row | undefined, source: DeploymentsSource): unknown =>
  isDeployment(row, source) ? row[source.id] : undefined;

/** Apply a change once, and only after all that came before it: an older one, or the same again, changes nothing. */
async function apply(
  { id, wanted, change }: { id: string; wanted: SourcedDeployment | undefined; change: RowChange },
  { table, clock }: SyncDependencies,
): Promise<void> {
  const sequence = sequenceOf(change.sequenceNumber);
  const next = {
    id,
    lastChange: sequence,
    generation: generationOf(id, sequence, change.at),
    row: change.key,
  };
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const known = await readKnownRegistration(table, id);
    if ((known?.lastChange ?? BY_LOOKING) >= sequence) return;
    if (await settle({ known, wanted, next }, { table, clock })) return;
  }
  // Nobody can follow the row until somebody has repaired or deleted the Deployment: the changes behind it go on.
  if (await readDamagedDeployment(table, id)) throw new RefusedRow('the Deployment is malformed');
  throw new Error('the Deployment is being changed by somebody else');
}
