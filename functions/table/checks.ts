import type { CheckRules, CheckStore } from '../domain/check.ts';
import { formatCredential, hashOf, RANDOM_LENGTH } from '../domain/credentials.ts';
import { type Clock, type EpochMillis, type EpochSeconds, isUnexpired } from '../domain/expiry.ts';
import { dayOf, type UseOrigin } from '../domain/last-use.ts';
import type { ApiKey, PersonId } from '../domain/records.ts';
import type { Port } from './port.ts';
import { deadlineOf, INIT_LIMIT, readTogether, type Table, updateItem } from './retried-calls.ts';
import {
  ADD_DAY,
  apiKeyKey,
  type CheckedKeys,
  checkedKeys,
  fromChecked,
  fromEnd,
  type Item,
  LAST_USE,
  personKey,
} from './schema.ts';

/**
 * The attributes that a check reads. They do not include the hashes of secrets. Names with `#` stand for attributes
 * whose names are reserved words.
 */
export const CHECKED_ATTRIBUTES = {
  ProjectionExpression:
    'pk,sk,generation,epoch,enabled,validUntil,scopes,#scope,#sub,signedInAt,issuedAt,expiresAt,lastUsedAt,networks',
  ExpressionAttributeNames: { '#scope': 'scope', '#sub': 'sub' },
};

/**
 * Returns the store that a check reads from and writes to.
 * @param issuer the issuer that signs people in
 */
export function checkStore(table: Table, issuer: string): CheckStore {
  return {
    async read(credential, hash) {
      // The read of the token's records and the read of the holder's end of access share the time budget of one read.
      const inTime = { ...table, deadline: deadlineOf(table.retryPolicy) };
      const keys = checkedKeys(credential, hash);
      const found = await readTogether(inTime, Object.values(keys), CHECKED_ATTRIBUTES);
      return {
        ...fromChecked(table, keys, found),
        readEnd: ({ sub }) => readEnd(inTime, { issuer, sub }),
      };
    },

    async extend(credential, hash, until, now, from) {
      // The update's condition also fails if the token's item does not exist, so that the update never creates an item.
      const isStillValid = 'expiresAt>:now';
      const isNotLater = 'expiresAt<:new';
      const outcome = await updateItem(table, {
        Key: checkedKeys(credential, hash).presented,
        UpdateExpression: `SET expiresAt = :new, ${LAST_USE}`,
        ConditionExpression: `${isStillValid} AND ${isNotLater}`,
        ExpressionAttributeValues: {
          ':new': until,
          ':now': Math.floor(now / 1000),
          ...lastUse(now, from),
        },
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      });
      if (outcome.kind === 'done') return until;
      // The condition failed: another use has extended the token further, or the token was deleted.
      const expiresAt = outcome.reasons[0]?.Item?.expiresAt as EpochSeconds;
      return Number.isSafeInteger(expiresAt) && isUnexpired(expiresAt, now) ? expiresAt : undefined;
    },

    recordUse: (...use) => recordUse(table, ...use),
  };
}

/**
 * Returns when a person's access was ended. Uses one strongly consistent read.
 * @returns epoch milliseconds; undefined if access was never ended
 */
export async function readEnd(table: Table, person: PersonId): Promise<EpochMillis | undefined> {
  const key = personKey(person);
  return fromEnd(table, (await readTogether(table, [key]))(key));
}

/**
 * Records a use of a key, unless a use after `before` is already recorded or the key was deleted.
 * @param before epoch milliseconds
 * @param now epoch milliseconds
 */
export async function recordUse(
  table: Table,
  { deploymentId, ulid }: Pick<ApiKey, 'deploymentId' | 'ulid'>,
  before: EpochMillis,
  now: EpochMillis,
  from: UseOrigin,
): Promise<void> {
  await updateItem(table, {
    Key: apiKeyKey(deploymentId, ulid),
    UpdateExpression: `SET ${LAST_USE} ${ADD_DAY}`,
    // DynamoDB evaluates a comparison with a missing attribute as false.
    ConditionExpression: 'attribute_exists(pk) AND NOT lastUsedAt>:before',
    ExpressionAttributeValues: { ':before': before, ...keyUse(now, from) },
  });
}

/** Returns the values of `LAST_USE`. @param now epoch milliseconds */
function lastUse(now: EpochMillis, { address, client }: UseOrigin) {
  return { ':at': now, ':ip': address, ':agent': client };
}

/** Returns the values of `LAST_USE` and `ADD_DAY`. @param now epoch milliseconds */
export function keyUse(now: EpochMillis, from: UseOrigin) {
  return { ...lastUse(now, from), ':day': new Set([dayOf(now)]) };
}

/** What a check needs, with a report that writes nothing. Its `failed` throws the error, so that the rehearsal ends. */
interface Rehearsal {
  store: CheckStore;
  clock: Clock;
  rules: CheckRules;
  report: { denied: () => void; failed: (error: unknown) => never };
}

/**
 * Makes three calls with a token that does not exist, and keeps only the connection to the table. The first call of a
 * client then runs almost no code for the first time. The first rehearsed call opens the connection, and the third
 * reuses it. The second reads and extends a token that was never stored, so that the code for an allowed call also runs.
 * @param call makes a call of the function with the given Authorization header
 * @returns a promise that resolves after at most 500 ms
 * @throws any error of `call`, such as ServiceError 503 if the table did not respond
 */
export async function rehearseCheck(
  table: Table,
  { issuer, rules }: { issuer: string; rules: CheckRules },
  call: (rehearsal: Rehearsal, authorization: string) => Promise<unknown>,
): Promise<void> {
  const credential = { kind: 'token', deploymentId: '0', ulid: '0'.repeat(26) } as const;
  const token = formatCredential(credential, '0'.repeat(RANDOM_LENGTH));
  const retryPolicy = { attempts: 1, attemptTimeout: INIT_LIMIT / 2 };
  const limited: Table = { ...table, retryPolicy, onMalformed: () => {} };
  const output = {
    Responses: { [table.tableName]: inventedItems(checkedKeys(credential, hashOf(token)), rules) },
  };
  const invented: Table = { ...limited, port: (async () => ({ kind: 'done', output })) as Port };
  const report = {
    denied: () => {},
    failed: (error: unknown) => {
      throw error;
    },
  };
  for (const one of [limited, invented, limited]) {
    await call({ store: checkStore(one, issuer), clock: Date.now, rules, report }, `Bearer ${token}`);
  }
}

/** Returns the items of a token that was just issued for a key that was just used. Its check extends the token. */
function inventedItems(keys: CheckedKeys, { tokenLifetime, scopes }: CheckRules): Item[] {
  const now = Date.now();
  const generation = '0'.repeat(26);
  const issuedAt = Math.floor(now / 1000);
  return [
    { ...keys.deployment, generation },
    { ...keys.key, generation, epoch: 0, enabled: true, scopes, lastUsedAt: now },
    { ...keys.presented, generation, epoch: 0, issuedAt, expiresAt: issuedAt + tokenLifetime },
  ];
}
