import { conflict, ServiceError } from '../domain/errors.ts';
import { type Clock, IDEMPOTENCY_LIFETIME, isLive } from '../domain/expiry.ts';
import type { Deployment, IdempotencyRecord } from '../domain/records.ts';
import { hashOf } from '../domain/secrets.ts';
import type { Answer } from '../http/answer.ts';
import type { ManagementRequest } from '../http/management.ts';
import type { Table } from '../table/client.ts';
import { readIdempotencyRecord } from '../table/idempotency.ts';

/**
 * Makes the record of what is about to be made, for the transaction that makes it; undefined where the call has
 * no Idempotency-Key.
 * @param answer what a retry is answered: without the secret
 * @param now epoch milliseconds
 */
export type Remember = (answer: Answer, now: number) => IdempotencyRecord | undefined;

/** How often to look again, when each time another call with the same key came first and left no record. */
const ATTEMPTS = 3;

/**
 * Makes something once for each Idempotency-Key, which belongs to the principal, the method and the path: a retry
 * makes nothing, and is answered as the first call was, without the secret.
 * @param make makes it, with the record in the same transaction; undefined when a call with the same key came first
 * @throws ServiceError 422 when the key came with another body before
 */
export async function once(
  table: Table,
  request: ManagementRequest,
  { id: deploymentId, generation }: Deployment,
  clock: Clock,
  make: (remember: Remember) => Promise<Answer | undefined>,
): Promise<Answer> {
  const key = request.idempotencyKey();
  const { person, routeKey, params, bodyHash } = request;
  const hash = hashOf(JSON.stringify([person.sub, routeKey, params, key]));
  const claim = { deploymentId, generation, hash };
  const remember: Remember = ({ status, headers, body }, now) => ({
    ...claim,
    bodyHash,
    answer: { status, location: headers?.Location, body: JSON.stringify(body) },
    expiresAt: Math.ceil(now / 1000) + IDEMPOTENCY_LIFETIME,
  });
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const record = key === undefined ? undefined : await readIdempotencyRecord(table, claim);
    if (record && isLive(record.expiresAt, clock())) return replay(record, bodyHash);
    const answer = await make(key === undefined ? () => undefined : remember);
    if (answer) return answer;
  }
  throw conflict('A call with this Idempotency-Key is under way. Try again.');
}

function replay(
  { bodyHash, answer }: Pick<IdempotencyRecord, 'bodyHash' | 'answer'>,
  presented: string,
): Answer {
  if (bodyHash !== presented) {
    const detail = 'This Idempotency-Key came with another body before. Use a new one.';
    throw new ServiceError(422, 'idempotency_key_reused', detail);
  }
  const { status, location, body } = answer;
  return {
    status,
    headers: { 'Idempotent-Replayed': 'true', ...(location !== undefined && { Location: location }) },
    body: JSON.parse(body),
  };
}
