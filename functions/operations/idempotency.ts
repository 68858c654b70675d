import { conflict, ServiceError } from '../domain/errors.ts';
import { type Clock, IDEMPOTENCY_LIFETIME, isLive } from '../domain/expiry.ts';
import type { Deployment, IdempotencyRecord } from '../domain/records.ts';
import { hashOf } from '../domain/secrets.ts';
import type { Answer } from '../http/answer.ts';
import type { ManagementRequest } from '../http/management.ts';
import type { Table } from '../table/client.ts';
import { readIdempotencyRecord } from '../table/idempotency.ts';

const UNREADABLE =
  'A call with this Idempotency-Key is under way, or its record is malformed. Try again, or use a new key.';

/**
 * A call that creates something once for each Idempotency-Key. Without an Idempotency-Key, it always creates something.
 */
export interface IdempotentCall {
  /**
   * Returns the answer of an earlier call with the same Idempotency-Key, without the secret; undefined if there was
   * none.
   * @throws ServiceError 422 when that call had another body
   */
  earlierAnswer: () => Promise<Answer | undefined>;
  /**
   * Returns the record to write in the transaction that creates something; undefined without an Idempotency-Key. The
   * record makes the transaction fail if a call with the same Idempotency-Key came first.
   * @param answer what a retry gets: it must not contain a secret
   * @param now epoch milliseconds
   */
  record: (answer: Answer, now: number) => IdempotencyRecord | undefined;
  /**
   * Returns the answer of the call that came first, after the transaction failed because of it.
   * @throws ServiceError 409 when its record cannot be read, 422 when it had another body
   */
  firstAnswer: () => Promise<Answer>;
}

/**
 * Returns the idempotent call of a request. Its Idempotency-Key is scoped to principal, method and path, and to the
 * Deployment's generation.
 */
export function idempotentCall(
  table: Table,
  request: ManagementRequest,
  { id: deploymentId, generation }: Deployment,
  clock: Clock,
): IdempotentCall {
  const key = request.idempotencyKey();
  const { person, routeKey, params, bodyHash } = request;
  const hash = hashOf(JSON.stringify([person.sub, routeKey, params, key]));
  const claim = { deploymentId, generation, hash };

  const earlierAnswer = async () => {
    const record = key === undefined ? undefined : await readIdempotencyRecord(table, claim);
    return record && isLive(record.expiresAt, clock()) ? replay(record, bodyHash) : undefined;
  };
  return {
    earlierAnswer,
    record: ({ status, headers, body }, now) =>
      key === undefined
        ? undefined
        : {
            ...claim,
            bodyHash,
            answer: { status, location: headers?.Location, body: JSON.stringify(body) },
            expiresAt: Math.ceil(now / 1000) + IDEMPOTENCY_LIFETIME,
          },
    firstAnswer: async () => {
      const answer = await earlierAnswer();
      // The record may also be malformed. Creating another one would break the promise of the key.
      if (!answer) throw conflict(UNREADABLE);
      return answer;
    },
  };
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
