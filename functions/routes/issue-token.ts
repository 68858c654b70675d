import { systemActor } from '../domain/actors.ts';
import { type CheckRules, scopeOf } from '../domain/check.ts';
import { ServiceError, unavailable } from '../domain/errors.ts';
import { newEvent } from '../domain/events.ts';
import { type Clock, expiryOfIssue } from '../domain/expiry.ts';
import { formatKeyId } from '../domain/identifiers.ts';
import { isUseDue, originOf, recordedBefore, type UseOrigin } from '../domain/last-use.ts';
import { mintCredential } from '../domain/mint.ts';
import type { ApiKey, SecretHash, Token } from '../domain/records.ts';
import { afterUse, isFirstUse, livingSecrets } from '../domain/rotation.ts';
import { effectiveScopes, narrowScopes } from '../domain/scopes.ts';
import { hashOf } from '../domain/secrets.ts';
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
import {
  authenticateSubject,
  rejectedSubject,
  type TrustDependencies,
} from '../operations/authenticate-subject.ts';
import type { FirstUse, TokenStore } from '../table/lean-tokens.ts';

interface Dependencies {
  clock: Clock;
  rules: CheckRules;
  maxIdleDays?: number | undefined;
  /** Called for each token that was issued. */
  onIssued?: () => void;
  trust: TrustDependencies;
}

/** How many times an exchange is attempted when other calls change its key at the same time. */
const ATTEMPTS = 5;

/**
 * POST /oauth/token: exchanges a key's ID and secret for an access token (RFC 6749 §4.4), at the cost of one read and
 * one write. The token copies the generation and epoch that were read. If the key changes in between, the token is
 * revoked from the start.
 */
export function tokenRoute(store: TokenStore, dependencies: Dependencies): OAuthRoute {
  const { clock, rules, maxIdleDays, onIssued, trust } = dependencies;
  return async (request) => {
    const isExchange = request.parameters.get('grant_type') === TOKEN_EXCHANGE;
    return isExchange ? exchangeSubject(request) : exchangeSecret(request);
  };

  async function exchangeSecret(request: OAuthRequest): Promise<Answer> {
    const { scope } = parseParameters(tokenParameters, request.parameters);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const client = await authenticate(store, request, clock, maxIdleDays);
      const answer = await issue(client, request, requestedScopes(scope, client.key, rules));
      if (answer) return answer;
    }
    throw unavailable(new Error('the key is being changed'));
  }

  /** Exchanges a token of an issuer that the key trusts (RFC 8693). */
  async function exchangeSubject(request: OAuthRequest): Promise<Answer> {
    const { scope, subject_token: subject } = parseParameters(exchangeParameters, request.parameters);
    const client = await authenticateSubject(store, request, subject, { clock, maxIdleDays, trust });
    const scopes = requestedScopes(scope, client.key, rules);
    const answer = await issue(client, request, scopes, client.once);
    if (!answer) throw rejectedSubject();
    return { ...answer, body: { ...(answer.body as object), issued_token_type: ACCESS_TOKEN_TYPE } };
  }

  /**
   * Issues a token.
   * @returns undefined when the key has changed and must be read again, or when the subject token was used before
   */
  async function issue(
    client: Client,
    request: OAuthRequest,
    scopes: string[] | undefined,
    once?: UsedSubject,
  ): Promise<Answer | undefined> {
    const { deployment, key, secret } = client;
    const now = clock();
    const expiresAt = expiryOfIssue(now, rules);
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
        issuedAt: Math.floor(now / 1000),
        expiresAt,
      };
    };
    const from = originOf(request.caller, rules.lastUsedFrom);
    const isWritten =
      secret && isFirstUse(key, secret)
        ? await store.putTokenOfFirstUse(newToken(), key, {
            secret,
            now,
            from,
            ...firstUse(client, secret, { ...from, requestId: request.requestId }, now),
          })
        : await putToken(newToken, noteUse(client, now, from), once);
    if (!isWritten) return undefined;
    onIssued?.();
    return {
      status: 200,
      // RFC 6749 §5.1 requires this in addition to Cache-Control.
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
   * Writes the token, and waits until the use of its key is recorded: Lambda runs nothing after the answer.
   * @param newToken creates the token to write. Each call creates a new one.
   * @param noted settles when the use is recorded
   * @param once set when the subject token is accepted only once
   * @returns false when the subject token was used before
   */
  async function putToken(
    newToken: () => Token,
    noted: Promise<void>,
    once: UsedSubject | undefined,
  ): Promise<boolean> {
    try {
      if (once) return await store.putTokenOfSubject(newToken(), once);
      await store.putToken(newToken);
      return true;
    } finally {
      await noted;
    }
  }

  /** Records the use of the key if that is due. It never fails, because issuing a token does not depend on it. */
  async function noteUse({ key, secret }: Client, now: number, from: UseOrigin): Promise<void> {
    const before = recordedBefore(rules.slideInterval, now);
    if (!isUseDue(secret ? secret.lastUsedAt : key.lastUsedAt, before)) return;
    const noted = secret
      ? store.noteExchange(key, secret, before, now, from)
      : store.noteSubject(key, before, now, from);
    await noted.catch(() => {});
  }
}

/**
 * Returns the secrets that a key has after the first use of one of them, and an event if that use retires another one.
 */
function firstUse(
  { deployment, key }: Client,
  { hash, createdAt }: SecretHash,
  { address, requestId }: UseOrigin & { requestId: string },
  now: number,
): Pick<FirstUse, 'secrets' | 'event'> {
  const secrets = afterUse(key, hash, now);
  if (secrets.length === livingSecrets(key, now).length) return { secrets };
  const event = newEvent(
    'api_key.secret_retired',
    deployment,
    { ...systemActor('exchange'), address, requestId },
    now,
    {
      keyId: formatKeyId(key.deploymentId, key.ulid),
      name: key.name,
      secretCreatedAt: new Date(createdAt).toISOString(),
    },
  );
  return { secrets, event };
}

/**
 * Returns the scopes of a request, or undefined for a token that has its key's scopes.
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

/** Returns the whole seconds until the token expires without a use, or its key expires. */
function lifetimeFrom(
  now: number,
  expiresAt: number,
  { validUntil = Number.POSITIVE_INFINITY }: ApiKey,
): number {
  return Math.floor(Math.min(expiresAt - now / 1000, (validUntil - now) / 1000));
}
