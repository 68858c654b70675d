import type { z } from 'zod/mini';
import { hashOf, mintCredential, newUlid } from '../domain/credentials.ts';
import { accessEnded, conflict, notFound } from '../domain/errors.ts';
import { newEvent } from '../domain/events.ts';
import type { Clock, EpochMillis } from '../domain/expiry.ts';
import { type KeyPolicy, newKeyWithinPolicy } from '../domain/key-policy.ts';
import { visibleTo } from '../domain/people.ts';
import type { ApiKey, Generation } from '../domain/records.ts';
import type { Answer } from '../http/answer.ts';
import type { ManagementRequest } from '../http/management.ts';
import { newKeyInput, parseInput } from '../http/schemas.ts';
import type { TrustDependencies } from '../operations/examine-subject.ts';
import { idempotentCall } from '../operations/idempotency.ts';
import { keyEventData, rulesOf, shownKey } from '../operations/present-key.ts';
import { readDeployment } from '../table/deployments.ts';
import { createApiKey, MAX_KEYS } from '../table/keys.ts';
import type { Table } from '../table/retried-calls.ts';

/** The clock and the stack's settings that the routes for API keys use. */
export interface KeyDependencies {
  clock: Clock;
  /** Scopes that the stack defines. */
  scopes: readonly string[];
  maxIdleDays?: number | undefined;
  /** The issuers that a trust rule can name, and the verifier of their tokens. */
  trust: TrustDependencies;
  /** The stack's rules for keys. @default every key is allowed */
  policy?: KeyPolicy;
}

/**
 * Creates an API key. The answer contains the secret, which is shown only here; a repeated call with the same
 * Idempotency-Key gets the answer without it.
 * @throws ServiceError 404 if there is no such Deployment, or if the person is not allowed to see it; 400, 413 or 415 for an
 * invalid body; 401 if the person's access has ended; 409 if the Deployment has too many keys, if the policy forbids the
 * key, or if the record of an earlier call cannot be read; 422 if the earlier call had a different body
 */
export async function createKey(
  table: Table,
  dependencies: KeyDependencies,
  request: ManagementRequest,
): Promise<Answer> {
  const { clock, scopes, trust } = dependencies;
  const rules = rulesOf(dependencies);
  const deployment = visibleTo(request.person, await readDeployment(table, request.params.deploymentId));
  const body = request.body();
  const call = idempotentCall(table, request, deployment, clock);
  const earlier = await call.earlierAnswer();
  if (earlier) return earlier;

  const now = clock();
  // Validate the input only now, so that a retry succeeds even if the requested expiry has passed in the meantime.
  const input = parseInput(newKeyInput(scopes, now, trust.issuers), body);
  const ulid = newUlid(now);
  // A key with trust rules has no secret.
  const secret = input.trust ? undefined : mintCredential('secret', deployment.id, ulid);
  const secrets = secret === undefined ? [] : [{ hash: hashOf(secret), createdAt: now }];
  const { sub: createdBy, name: createdByName } = request.person;
  const creator = { createdBy, createdByName };
  const requested = newKey(input, { ulid, secrets, scopes, deployment, creator, now });
  const key = newKeyWithinPolicy(requested, rules.policy, now);

  const shown = shownKey(key, now, rules);
  const headers = { Location: `${request.base}/deployments/${deployment.id}/api-keys/${shown.id}` };
  const answer = { status: 201, headers, body: shown };
  const event = newEvent('api_key.created', deployment, request.actor, now, keyEventData(key));
  const record = call.record(answer, now);
  const outcome = await createApiKey(table, key, event, { record, signIn: request.person.signIn });
  if (outcome === 'repeated') return call.firstAnswer();
  if (outcome === 'ended') throw accessEnded();
  if (outcome === 'gone') throw notFound('Deployment');
  if (outcome === 'full') throw conflict(`A Deployment has at most ${MAX_KEYS} keys. Delete one first.`);
  return secret === undefined ? answer : { ...answer, body: { ...answer.body, secret } };
}

/**
 * Returns the new key that a call creates.
 * @param now epoch milliseconds
 */
function newKey(
  input: z.infer<ReturnType<typeof newKeyInput>>,
  {
    ulid,
    secrets,
    scopes,
    deployment: { id: deploymentId, generation },
    creator,
    now,
  }: Pick<ApiKey, 'ulid' | 'secrets'> & {
    creator: Pick<ApiKey, 'createdBy' | 'createdByName'>;
    /** Scopes that a key gets if the call does not name any scopes. */
    scopes: readonly string[];
    deployment: Generation;
    now: EpochMillis;
  },
): ApiKey {
  return {
    deploymentId,
    ulid,
    name: input.name,
    description: input.description ?? undefined,
    scopes: input.scopes ?? [...scopes],
    secrets,
    trust: input.trust,
    enabled: true,
    validUntil: input.expiresAt,
    networks: input.networks?.length ? input.networks : undefined,
    epoch: 0,
    generation,
    revision: 0,
    createdAt: now,
    ...creator,
  };
}
