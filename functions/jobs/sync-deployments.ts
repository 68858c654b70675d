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
  /** Stores a record that breaks the rules of the service, for a person to review. */
  setAside: (refusal: object) => Promise<void>;
  log: (message: string, fields: Record<string, string | undefined>) => void;
}

/** How many times a change is attempted when other writes come first. */
const ATTEMPTS = 5;

/**
 * Applies the changes of the platform's table, in order. A change that breaks the rules of the service goes to the
 * dead-letter queue, and the changes after it continue. On any other failure, it reports the failed record, and Lambda retries from there,
 * so that no change overtakes another.
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
    dependencies.log('change rejected', { reason, sequenceNumber: SequenceNumber });
  }
}

/**
 * Applies one record.
 * @throws RefusedRow when it breaks the rules of the service
 */
async function sync(record: DynamoDBRecord, dependencies: SyncDependencies): Promise<void> {
  const { source } = dependencies;
  const change = rowChange(record, source);
  // If the change affects none of the attributes that the service uses, it costs no read. Rows may have heartbeats.
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

/** Applies a change once, and only if it is newer than the last one. Older and repeated changes have no effect. */
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
  // The row cannot be followed until someone repairs or deletes the Deployment. The changes after it continue.
  if (await readDamagedDeployment(table, id)) throw new RefusedRow('the Deployment is malformed');
  throw new Error('someone else is changing the Deployment');
}
