import type { CheckRules } from '../domain/check.ts';
import { scopeOf } from '../domain/check.ts';
import { ServiceError, unavailable } from '../domain/errors.ts';
import { type Clock, expiryOfIssue } from '../domain/expiry.ts';
import { type Caller, isUseDue, originOf } from '../domain/last-use.ts';
import { mintCredential } from '../domain/mint.ts';
import type { ApiKey, Token } from '../domain/records.ts';
import { afterUse, livingSecrets } from '../domain/rotation.ts';
import { effectiveScopes, narrowScopes } from '../domain/scopes.ts';
import { hashOf } from '../domain/secrets.ts';
import type { Answer } from '../http/answer.ts';
import type { OAuthRoute } from '../http/oauth.ts';
import { parseParameters, tokenParameters } from '../http/parameters.ts';
import type { Table } from '../table/client.ts';
import { noteExchange, putToken, putTokenOfFirstUse } from '../table/tokens.ts';
import { authenticate, type Client } from './client.ts';

/** How often an exchange is tried again after a change of its key came in between. */
const ATTEMPTS = 5;

/**
 * POST /oauth/token: a key's ID and secret for an access token (RFC 6749 §4.4). One read and one write. The
 * token copies generation and epoch as they were read: if the key changes in between, the token is dead.
 */
export function tokenRoute(
  table: Table,
  {
    clock,
    rules,
    maxIdleDays,
    onIssued,
  }: { clock: Clock; rules: CheckRules; maxIdleDays?: number | undefined; onIssued?: () => void },
): OAuthRoute {
  return async (request) => {
    const { scope } = parseParameters(tokenParameters, request.parameters);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const proved = await authenticate(table, request, clock, maxIdleDays);
      const answer = await issue(proved, request.caller, requestedScopes(scope, proved.key, rules));
      if (answer) {
        onIssued?.();
        return answer;
      }
    }
    throw unavailable(new Error('the key is being changed'));
  };

  /** @returns undefined when the key was changed meanwhile and has to be read again */
  async function issue(
    client: Client,
    caller: Caller,
    scopes: string[] | undefined,
  ): Promise<Answer | undefined> {
    const { deployment, key } = client;
    const now = clock();
    const accessToken = mintCredential('token', deployment.id, key.ulid);
    const token: Token = {
      deploymentId: deployment.id,
      ulid: key.ulid,
      hash: hashOf(accessToken),
      generation: deployment.generation,
      epoch: key.epoch,
      scopes,
      issuedAt: Math.floor(now / 1000),
      expiresAt: expiryOfIssue(now, rules),
    };
    if (!(await record(token, client, caller, now))) return undefined;
    return {
      status: 200,
      // RFC 6749 §5.1 asks for it beside Cache-Control.
      headers: { Pragma: 'no-cache' },
      body: {
        access_token: accessToken,
        token_type: 'Bearer',
        expires_in: lifetimeFrom(now, token.expiresAt, key),
        scope: scopeOf({
          deploymentId: deployment.id,
          scopes: effectiveScopes(scopes, key.scopes, rules.scopes),
        }),
      },
    };
  }

  async function record(
    token: Token,
    { key, secret }: Client,
    caller: Caller,
    now: number,
  ): Promise<boolean> {
    const isFirstOfRotation = secret.lastUsedAt === undefined && livingSecrets(key, now).length > 1;
    if (isFirstOfRotation) return putTokenOfFirstUse(table, token, key, afterUse(key, secret.hash, now));
    // Beside the token, and whatever becomes of it, but never left behind: nothing runs after the answer.
    const noted = isUseDue(secret.lastUsedAt, rules.slideInterval, now)
      ? noteExchange(table, key, secret, now, originOf(caller, rules.lastUsedFrom)).catch(() => {})
      : undefined;
    await putToken(table, token).finally(() => noted);
    return true;
  }
}

/** Undefined for a token that shall follow its key. */
function requestedScopes(scope: string | undefined, key: ApiKey, rules: CheckRules): string[] | undefined {
  if (scope === undefined) return undefined;
  const allowed = effectiveScopes(undefined, key.scopes, rules.scopes);
  const scopes = narrowScopes(scope, allowed, key.deploymentId);
  if (scopes) return scopes;
  throw new ServiceError(400, 'invalid_scope', 'scope is malformed, or asks for what the key does not have.');
}

/** Whole seconds from now until the token, or the key under it, ends without a use. */
function lifetimeFrom(
  now: number,
  expiresAt: number,
  { validUntil = Number.POSITIVE_INFINITY }: ApiKey,
): number {
  return Math.floor(Math.min(expiresAt - now / 1000, (validUntil - now) / 1000));
}
