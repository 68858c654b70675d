import type { DynamoDBBatchResponse, DynamoDBRecord } from 'aws-lambda';
import { isDeploymentId } from '../domain/credentials.ts';
import {
  BY_COMPARISON,
  type DeploymentsSource,
  deploymentOf,
  type FollowOutcome,
  generationOf,
  isDeployment,
  RejectedRow,
  type Row,
  type SourcedDeployment,
  sequenceOf,
} from '../domain/deployments-source.ts';
import { causeOf } from '../domain/errors.ts';
import type { Clock } from '../domain/expiry.ts';
import { followSource } from '../operations/follow-source.ts';
import { deletionLimit } from '../operations/limit-deletions.ts';
import { readDamagedDeployment } from '../table/deployments.ts';
import { readKnownRegistration } from '../table/registrations.ts';
import { type Table, untilUnchanged } from '../table/retried-calls.ts';
import { type RowChange, rowChange } from '../table/source-rows.ts';

export interface SyncDependencies {
  table: Table;
  source: DeploymentsSource;
  clock: Clock;
  /** Stores a record that violates the service's rules, so that a person can review it. */
  sendToDeadLetterQueue: (rejection: object) => Promise<void>;
  log: (message: string, fields: Record<string, string | undefined>) => void;
  /** Called with each applied change, and with each deletion that exceeded the limit. */
  onOutcome: (id: string, outcome: FollowOutcome, sequenceNumber: string | undefined) => void;
}

/** Maximum number of attempts to apply a change if other writes keep coming first. */
const ATTEMPTS = 5;

/**
 * Applies the changes to the platform's table, in order. A change that violates the service's rules goes to the
 * dead-letter queue, and processing continues with the next change. After any other failure, this function reports the
 * failed record, and Lambda retries from that record, so that no change overtakes another.
 */
export async function syncFromStream(
  records: DynamoDBRecord[],
  dependencies: SyncDependencies,
): Promise<DynamoDBBatchResponse> {
  for (const record of records) {
    try {
      await syncOrReject(record, dependencies);
    } catch (error) {
      const sequenceNumber = record.dynamodb?.SequenceNumber;
      dependencies.log('change not applied', { error: causeOf(error), sequenceNumber });
      return { batchItemFailures: [{ itemIdentifier: sequenceNumber ?? '' }] };
    }
  }
  return { batchItemFailures: [] };
}

async function syncOrReject(record: DynamoDBRecord, dependencies: SyncDependencies): Promise<void> {
  try {
    await sync(record, dependencies);
  } catch (error) {
    if (!(error instanceof RejectedRow)) throw error;
    const { SequenceNumber, Keys } = record.dynamodb ?? {};
    const { message: reason } = error;
    await dependencies.sendToDeadLetterQueue({ reason, key: Keys, sequenceNumber: SequenceNumber });
    dependencies.log('change rejected', { reason, sequenceNumber: SequenceNumber });
  }
}

/**
 * Applies one stream record.
 * @throws RejectedRow if the row violates the service's rules
 */
async function sync(record: DynamoDBRecord, dependencies: SyncDependencies): Promise<void> {
  const { source } = dependencies;
  const change = rowChange(record, source);
  // A change to attributes that the service does not use does not cost a read. For example, rows can contain
  // heartbeats.
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

/**
 * Applies a change only once, and only if it is newer than the last applied change. Older and repeated changes have no
 * effect.
 */
async function apply(
  { id, wanted, change }: { id: string; wanted: SourcedDeployment | undefined; change: RowChange },
  { table, source, clock, onOutcome }: SyncDependencies,
): Promise<void> {
  const countDeletion = deletionLimit({ table, limit: source.deletions, clock });
  const sequence = sequenceOf(change.sequenceNumber);
  const next = {
    id,
    lastChange: sequence,
    generation: generationOf(id, sequence, change.at),
    row: change.key,
  };
  const outcome = await untilUnchanged(ATTEMPTS, applyOnce);
  if (outcome === 'not newer') return;
  if (outcome) return onOutcome(id, outcome, change.sequenceNumber);
  // The service cannot follow this row until someone repairs or deletes the Deployment. It continues with the changes
  // after it.
  if (await readDamagedDeployment(table, id)) throw new RejectedRow('the Deployment is malformed');
  throw new Error('someone else is changing the Deployment');

  /** Reads the last applied change, and applies this change. @returns undefined if another write came first */
  async function applyOnce(): Promise<FollowOutcome | 'not newer' | undefined> {
    const known = await readKnownRegistration(table, id);
    if ((known?.lastChange ?? BY_COMPARISON) >= sequence) return 'not newer';
    return followSource({ known, wanted, next }, { table, clock, countDeletion });
  }
}
