import type { ServiceEvent } from '../../functions/domain/events.ts';
import type { EpochSeconds } from '../../functions/domain/expiry.ts';
import type {
  ApiKey,
  Deployment,
  IdempotencyRecord,
  RejectedCall,
  TemporaryToken,
  Token,
} from '../../functions/domain/records.ts';

/** Records with all attributes, as in a table that has been used for years. Tests change copies of these records. */
export const GENERATION = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
export const KEY_ULID = '01BX5ZZKBKACTAV9WEVGEMMVRZ';
/** Creation time of the records, in epoch milliseconds. */
export const MADE_AT = 1_800_000_000_000;

/** Returns a number of epoch seconds as a time. */
export const seconds = (value: number) => value as EpochSeconds;

export function deployment(change: Partial<Deployment> = {}): Deployment {
  return {
    id: 'etl',
    name: 'ETL',
    groups: ['data-eng'],
    generation: GENERATION,
    keyCount: 0,
    createdAt: MADE_AT,
    ...change,
  };
}

export function apiKey(change: Partial<ApiKey> = {}): ApiKey {
  return {
    deploymentId: 'etl',
    ulid: KEY_ULID,
    name: 'ci',
    scopes: ['code:deploy'],
    secrets: [{ hash: 'a'.repeat(43), createdAt: MADE_AT }],
    enabled: true,
    epoch: 0,
    generation: GENERATION,
    revision: 0,
    createdAt: MADE_AT,
    createdBy: 'ada',
    ...change,
  };
}

export function token(change: Partial<Token> = {}): Token {
  return {
    deploymentId: 'etl',
    ulid: KEY_ULID,
    hash: 't'.repeat(43),
    generation: GENERATION,
    epoch: 0,
    issuedAt: seconds(MADE_AT / 1000),
    expiresAt: seconds(MADE_AT / 1000 + 86_400),
    ...change,
  };
}

export function temporaryToken(change: Partial<TemporaryToken> = {}): TemporaryToken {
  return {
    deploymentId: 'etl',
    ulid: KEY_ULID,
    hash: 'g'.repeat(43),
    generation: GENERATION,
    sub: 'ada',
    scopes: ['code:deploy'],
    issuedAt: seconds(MADE_AT / 1000),
    expiresAt: seconds(MADE_AT / 1000 + 86_400),
    ...change,
  };
}

export function event(change: Partial<ServiceEvent> = {}): ServiceEvent {
  return {
    id: '01CARZ3NDEKTSV4RRFFQ69G5FA',
    type: 'api_key.created',
    deploymentId: 'etl',
    generation: GENERATION,
    actor: { principal: 'ada', type: 'person', address: '192.0.2.1', requestId: 'r-1' },
    createdAt: MADE_AT,
    data: {},
    expiresAt: seconds(MADE_AT / 1000 + 90 * 86_400),
    ...change,
  };
}

/** Returns the record for an Idempotency-Key. */
export function record(change: Partial<IdempotencyRecord> = {}): IdempotencyRecord {
  return {
    deploymentId: 'etl',
    generation: GENERATION,
    hash: 'i'.repeat(43),
    bodyHash: 'b'.repeat(43),
    answer: { status: 201, location: '/a', body: '{}' },
    expiresAt: seconds(MADE_AT / 1000 + 86_400),
    ...change,
  };
}

export function rejectedCall(change: Partial<RejectedCall> = {}): RejectedCall {
  return {
    at: MADE_AT,
    call: 'GET /deployments/{deploymentId}',
    status: 404,
    code: 'not_found',
    address: '192.0.2.1',
    requestId: 'r-1',
    ...change,
  };
}
