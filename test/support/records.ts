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

/** Returns a function that returns copies of an object, with changes. */
export function copiesOf<T extends object>(original: T): (change?: Partial<T>) => T {
  return (change = {}) => ({ ...structuredClone(original), ...change });
}

/** Returns a number of epoch seconds as a time. */
export const seconds = (value: number) => value as EpochSeconds;

export const deployment = copiesOf<Deployment>({
  id: 'etl',
  name: 'ETL',
  groups: ['data-eng'],
  generation: GENERATION,
  keyCount: 0,
  createdAt: MADE_AT,
});

export const apiKey = copiesOf<ApiKey>({
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
});

export const token = copiesOf<Token>({
  deploymentId: 'etl',
  ulid: KEY_ULID,
  hash: 't'.repeat(43),
  generation: GENERATION,
  epoch: 0,
  issuedAt: seconds(MADE_AT / 1000),
  expiresAt: seconds(MADE_AT / 1000 + 86_400),
});

export const temporaryToken = copiesOf<TemporaryToken>({
  deploymentId: 'etl',
  ulid: KEY_ULID,
  hash: 'g'.repeat(43),
  generation: GENERATION,
  sub: 'ada',
  scopes: ['code:deploy'],
  issuedAt: seconds(MADE_AT / 1000),
  expiresAt: seconds(MADE_AT / 1000 + 86_400),
});

export const event = copiesOf<ServiceEvent>({
  id: '01CARZ3NDEKTSV4RRFFQ69G5FA',
  type: 'api_key.created',
  deploymentId: 'etl',
  generation: GENERATION,
  actor: { principal: 'ada', type: 'person', address: '192.0.2.1', requestId: 'r-1' },
  createdAt: MADE_AT,
  data: {},
  expiresAt: seconds(MADE_AT / 1000 + 90 * 86_400),
});

/** The record for an Idempotency-Key. */
export const record = copiesOf<IdempotencyRecord>({
  deploymentId: 'etl',
  generation: GENERATION,
  hash: 'i'.repeat(43),
  bodyHash: 'b'.repeat(43),
  answer: { status: 201, location: '/a', body: '{}' },
  expiresAt: seconds(MADE_AT / 1000 + 86_400),
});

export const rejectedCall = copiesOf<RejectedCall>({
  at: MADE_AT,
  call: 'GET /deployments/{deploymentId}',
  status: 404,
  code: 'not_found',
  address: '192.0.2.1',
  requestId: 'r-1',
});
