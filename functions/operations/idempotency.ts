import { hashOf } from '../domain/credentials.ts';
import { conflict, ServiceError } from '../domain/errors.ts';
import {
  type Clock,
  type EpochMillis,
  expiryAfter,
  IDEMPOTENCY_LIFETIME,
  isUnexpired,
} from '../domain/expiry.ts';
import type { Deployment, IdempotencyRecord } from '../domain/records.ts';
import type { Answer } from '../http/answer.ts';
import type { ManagementRequest } from '../http/management.ts';
import { readIdempotencyRecord } from '../table/idempotency.ts';
import type { Table } from '../table/retried-calls.ts';

const UNREADABLE =
  'A call with this Idempotency-Key is under way, or its record is malformed. Try again, or use a new key.';

/**
 * A call that creates something only once for each Idempotency-Key. Without an Idempotency-Key, each call creates
 * something.
 */
export interface IdempotentCall {
  /**
   * Returns the response to an earlier call with the same Idempotency-Key, without the secret; undefined if there was
   * no such call.
   * @throws ServiceError 422 if that call had a different body
   */
  earlierAnswer: () => Promise<Answer | undefined>;
  /**
   * Returns the record to write in the transaction that creates something; undefined without an Idempotency-Key. The
   * record's condition makes the transaction fail if a call with the same Idempotency-Key came first.
   * @param answer the response to a retry; must not contain a secret
   * @param now epoch milliseconds
   */
  record: (answer: Answer, now: EpochMillis) => IdempotencyRecord | undefined;
  /**
   * Returns the response to the earlier call that made the transaction fail.
   * @throws ServiceError 409 if the record of that call cannot be read, 422 if the call had a different body
   */
  firstAnswer: () => Promise<Answer>;
}

/**
 * Returns the idempotent call that a request makes. The Idempotency-Key is scoped to principal, method and path, and to
 * the Deployment's generation.
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
    return record && isUnexpired(record.expiresAt, clock()) ? replay(record, bodyHash) : undefined;
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
            expiresAt: expiryAfter(now, IDEMPOTENCY_LIFETIME),
          },
    firstAnswer: async () => {
      const answer = await earlierAnswer();
      // The record might be malformed. Creating something again would violate the Idempotency-Key's guarantee.
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
