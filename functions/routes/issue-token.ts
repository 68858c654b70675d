import { type CheckRules, scopeOf } from '../domain/check.ts';
import { formatKeyId, hashOf, mintCredential } from '../domain/credentials.ts';
import { ServiceError, unavailable } from '../domain/errors.ts';
import { type EventType, newEvent, type ServiceEvent } from '../domain/events.ts';
import {
  type Clock,
  type EpochMillis,
  type EpochSeconds,
  expiryOfIssue,
  toSeconds,
} from '../domain/expiry.ts';
import { type Issue, isUseDue, originOf, recordedBefore, type UseOrigin } from '../domain/last-use.ts';
import { systemActor } from '../domain/people.ts';
import type { ApiKey, SecretHash, Token } from '../domain/records.ts';
import { activeSecrets, afterUse, isFirstUse, retiringSince } from '../domain/rotation.ts';
import { effectiveScopes, narrowScopes } from '../domain/scopes.ts';
import type { UsedSubject } from '../domain/subject-token.ts';
import type { Answer } from '../http/answer.ts';
import { type OAuthRequest, type OAuthRoute, TOKEN_EXCHANGE } from '../http/oauth.ts';
import {
  ACCESS_TOKEN_TYPE,
  exchangeParameters,
  parseParameters,
  tokenParameters,
} from '../http/parameters.ts';
import { authenticate, type Client } from '../operations/authenticate-client.ts';
import { authenticateSubject, rejectedSubject } from '../operations/authenticate-subject.ts';
import type { TrustDependencies } from '../operations/examine-subject.ts';
import { recordUse } from '../table/checks.ts';
import { type Table, untilUnchanged } from '../table/retried-calls.ts';
import {
  type FirstUse,
  putToken,
  putTokenOfFirstUse,
  putTokenOfSubject,
  recordSecretUse,
} from '../table/tokens.ts';

interface Dependencies {
  clock: Clock;
  rules: CheckRules;
  maxIdleDays?: number | undefined;
  /** Called for each issued token. */
  onIssued?: (issue: Issue) => void;
  trust: TrustDependencies;
}

/** Maximum number of attempts to complete an exchange if other calls change its key at the same time. */
const ATTEMPTS = 5;

/**
 * POST /oauth/token: exchanges a key's ID and secret for an access token (RFC 6749 §4.4). An exchange costs one read
 * and one write. The token copies the generation and epoch that the exchange read. If another call changes the
 * generation or the epoch before the token is stored, the token is revoked from the start.
 */
export function tokenRoute(table: Table, dependencies: Dependencies): OAuthRoute {
  return async (request) => {
    const isExchange = request.parameters.get('grant_type') === TOKEN_EXCHANGE;
    return isExchange
      ? exchangeSubject(table, dependencies, request)
      : exchangeSecret(table, dependencies, request);
  };
}

async function exchangeSecret(
  table: Table,
  dependencies: Dependencies,
  request: OAuthRequest,
): Promise<Answer> {
  const { clock, rules, maxIdleDays } = dependencies;
  const { scope } = parseParameters(tokenParameters, request.parameters);
  const answer = await untilUnchanged(ATTEMPTS, exchangeOnce);
  if (!answer) throw unavailable(new Error('the key is being changed'));
  return answer;

  /** Reads the key, and issues a token. @returns undefined if another call changed the key first */
  async function exchangeOnce(): Promise<Answer | undefined> {
    const client = await authenticate(table, request, clock, maxIdleDays);
    const scopes = requestedScopes(scope, client.key, rules);
    return issue(table, dependencies, request, { client, scopes });
  }
}

/** Exchanges a token from an issuer that the key trusts (RFC 8693). */
async function exchangeSubject(
  table: Table,
  dependencies: Dependencies,
  request: OAuthRequest,
): Promise<Answer> {
  const { clock, rules, maxIdleDays, trust } = dependencies;
  const { scope, subject_token: subject } = parseParameters(exchangeParameters, request.parameters);
  const client = await authenticateSubject(table, request, subject, { clock, maxIdleDays, trust });
  const scopes = requestedScopes(scope, client.key, rules);
  const { usedSubject } = client;
  const answer = await issue(table, dependencies, request, { client, scopes, usedSubject });
  if (!answer) throw rejectedSubject('used_subject_token');
  return { ...answer, body: { ...(answer.body as object), issued_token_type: ACCESS_TOKEN_TYPE } };
}

/** What a token is issued for. */
interface Exchange {
  client: Client;
  /** The requested scopes; undefined for all scopes of the key. */
  scopes: string[] | undefined;
  /** The subject token to store, if it is accepted only once. */
  usedSubject?: UsedSubject | undefined;
}

/**
 * Issues a token.
 * @returns undefined if the key has changed and must be read again, or if the subject token was used before
 */
async function issue(
  table: Table,
  { clock, rules, onIssued }: Dependencies,
  { caller, requestId }: OAuthRequest,
  { client, scopes, usedSubject }: Exchange,
): Promise<Answer | undefined> {
  const { deployment, key, secret } = client;
  const now = clock();
  const expiresAt = expiryOfIssue(now, rules);
  const from = originOf(caller, rules.lastUsedFrom);
  let accessToken = '';
  const newToken = (): Token => {
    accessToken = mintCredential('token', deployment.id, key.ulid);
    return {
      deploymentId: deployment.id,
      ulid: key.ulid,
      hash: hashOf(accessToken),
      generation: deployment.generation,
      epoch: key.epoch,
      scopes,
      issuedAt: toSeconds(now),
      issuedAddress: from.address || undefined,
      issuedClient: from.client || undefined,
      expiresAt,
    };
  };
  const use = { ...from, now, requestId };
  const isWritten =
    secret && isFirstUse(key, secret)
      ? await putTokenOfFirstUse(table, newToken(), key, firstUse(client, secret, use))
      : await write(table, newToken, recordUseOf(table, rules, client, use), usedSubject);
  if (!isWritten) return undefined;
  onIssued?.({ keyId: formatKeyId(deployment.id, key.ulid), requestId, ...from });
  return {
    status: 200,
    // RFC 6749 §5.1 requires the Pragma header in addition to Cache-Control.
    headers: { Pragma: 'no-cache' },
    body: {
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: lifetimeFrom(now, expiresAt, key),
      scope: scopeOf({
        deploymentId: deployment.id,
        scopes: effectiveScopes(scopes, key.scopes, rules.scopes),
      }),
    },
  };
}

/**
 * Writes the token, and waits until the use of its key is recorded, because Lambda runs nothing after the response.
 * @param newToken function that creates the token to write; each call returns a new token
 * @param recorded promise that settles when the use is recorded
 * @param usedSubject the subject token to store, if it is accepted only once
 * @returns false if the subject token was used before
 */
async function write(
  table: Table,
  newToken: () => Token,
  recorded: Promise<void>,
  usedSubject: UsedSubject | undefined,
): Promise<boolean> {
  try {
    if (usedSubject) return await putTokenOfSubject(table, newToken(), usedSubject);
    await putToken(table, newToken);
    return true;
  } finally {
    await recorded;
  }
}

/**
 * Records the use of the key if a record is due. Never fails, because issuing a token does not depend on the record.
 */
async function recordUseOf(
  table: Table,
  { slideInterval }: CheckRules,
  client: Client,
  use: Use,
): Promise<void> {
  const { key, secret } = client;
  const { now } = use;
  const interval = recordedBefore(slideInterval, now);
  if (!secret) {
    if (!isUseDue(key.lastUsedAt, interval)) return;
    return recordUse(table, key, interval, now, use).catch(() => {});
  }
  const event = retiringEvent(client, secret, use);
  // Always record a use that is reported, so that later uses are not reported again.
  const before = event ? retiringSince(key, secret) - 1 : interval;
  if (!isUseDue(secret.lastUsedAt, before)) return;
  await recordSecretUse(table, key, secret, { before, now, from: use, event }).catch(() => {});
}

/** The circumstances of an exchange: its time in epoch milliseconds, its source and its request ID. */
type Use = UseOrigin & { now: EpochMillis; requestId: string };

/**
 * Returns a key's secrets after one of them was used for the first time. Also returns an event if that use retires
 * another secret, or if the used secret retires soon.
 */
function firstUse(client: Client, secret: SecretHash, use: Use): FirstUse {
  const { key } = client;
  const { now } = use;
  const secrets = afterUse(key, secret.hash, now);
  const hasRetired = secrets.length < activeSecrets(key, now).length;
  const event = hasRetired
    ? secretEvent('api_key.secret_retired', client, secret, use)
    : retiringEvent(client, secret, use);
  return { secret, secrets, event, now, from: use };
}

/** Returns an event for the first recorded use of an old secret on its last day; undefined for every other use. */
function retiringEvent(client: Client, secret: SecretHash, use: Use): ServiceEvent | undefined {
  const { retiresAt, lastUsedAt = 0 } = secret;
  const since = retiringSince(client.key, secret);
  if (retiresAt === undefined || use.now < since || lastUsedAt >= since) return undefined;
  const data = { retiresAt: new Date(retiresAt).toISOString() };
  return secretEvent('api_key.secret_retiring', client, secret, use, data);
}

function secretEvent(
  type: EventType,
  { deployment, key }: Client,
  { createdAt }: SecretHash,
  { now, address, requestId }: Use,
  data: ServiceEvent['data'] = {},
): ServiceEvent {
  return newEvent(type, deployment, { ...systemActor('exchange'), address, requestId }, now, {
    keyId: formatKeyId(key.deploymentId, key.ulid),
    name: key.name,
    secretCreatedAt: new Date(createdAt).toISOString(),
    ...data,
  });
}

/**
 * Returns the requested scopes, or undefined for a token that has all its key's scopes.
 * @throws ServiceError 400 invalid_scope
 */
function requestedScopes(scope: string | undefined, key: ApiKey, rules: CheckRules): string[] | undefined {
  if (scope === undefined) return undefined;
  const allowed = effectiveScopes(undefined, key.scopes, rules.scopes);
  const scopes = narrowScopes(scope, allowed, key.deploymentId);
  if (scopes) return scopes;
  throw new ServiceError(
    400,
    'invalid_scope',
    'scope is malformed, or requests a scope that the key does not have.',
  );
}

/** Returns the number of whole seconds until the token (if it is not used) or its key expires, whichever is earlier. */
function lifetimeFrom(
  now: EpochMillis,
  expiresAt: EpochSeconds,
  { validUntil = Number.POSITIVE_INFINITY }: ApiKey,
): number {
  return Math.floor(Math.min(expiresAt - now / 1000, (validUntil - now) / 1000));
}
