import {
  type Access,
  type CheckedTemporaryToken,
  type CheckRules,
  evaluate,
  parseToken,
  scopeOf,
} from '../domain/check.ts';
import { hashOf } from '../domain/credentials.ts';
import { type Clock, toSeconds } from '../domain/expiry.ts';
import type { LastUse, UseOrigin } from '../domain/last-use.ts';
import type { Deployment } from '../domain/records.ts';
import type { OAuthRoute } from '../http/oauth.ts';
import { parseParameters, presentedParameters } from '../http/parameters.ts';
import { authenticate } from '../operations/authenticate-client.ts';
import { shownOrigin } from '../operations/present-key.ts';
import { readEnd } from '../table/checks.ts';
import type { Table } from '../table/retried-calls.ts';
import { readToken } from '../table/tokens.ts';

interface Dependencies {
  clock: Clock;
  rules: CheckRules;
  /** The issuer that signs people in. */
  peopleIssuer: string;
  maxIdleDays?: number | undefined;
}

/**
 * POST /oauth/introspect (RFC 7662). A key can see its Deployment's access tokens and temporary tokens. For any other
 * token, the response says only that it is inactive (§2.2). Introspection does not count as a use of the token, so it
 * writes nothing.
 */
export function introspectRoute(
  table: Table,
  { clock, rules, maxIdleDays, peopleIssuer }: Dependencies,
): OAuthRoute {
  return async (request) => {
    const { parameters, issuer } = request;
    const { deployment } = await authenticate(table, request, clock, maxIdleDays);
    const { token } = parseParameters(presentedParameters, parameters);
    const found = await accessOf(token, deployment);
    return { status: 200, body: found ? described(found, issuer) : { active: false } };
  };

  async function accessOf(token: string, { id }: Deployment): Promise<ActiveToken | undefined> {
    const credential = parseToken(token);
    if (credential?.deploymentId !== id) return undefined;
    const { records, issuedFrom, lastUse } = await readToken(table, credential, hashOf(token));
    const end = ({ sub }: CheckedTemporaryToken) => readEnd(table, { issuer: peopleIssuer, sub });
    const verdict = await evaluate(credential, { ...records, readEnd: end }, clock(), rules);
    return verdict.allowed ? { access: verdict.access, issuedFrom, lastUse } : undefined;
  }
}

interface ActiveToken {
  access: Access;
  /** The source of the exchange that issued the token; undefined if it was not recorded. */
  issuedFrom: Partial<UseOrigin> | undefined;
  /**
   * When the token was last used; undefined if no use is recorded, which is the case before the first extension and for
   * temporary tokens.
   */
  lastUse: LastUse | undefined;
}

function described({ access, issuedFrom, lastUse }: ActiveToken, issuer: string) {
  const { principalId, principalType, deploymentId, issuedAt, expiresAt } = access;
  return {
    active: true,
    // Omit the client ID for a person's temporary token, because no client requested that token.
    client_id: principalType === 'api_key' ? principalId : undefined,
    scope: scopeOf(access),
    exp: expiresAt,
    iat: issuedAt,
    token_type: 'Bearer',
    sub: principalId,
    iss: issuer,
    deployment_id: deploymentId,
    issued_from: issuedFrom && shownOrigin(issuedFrom),
    last_used_at: lastUse && toSeconds(lastUse.at),
    last_used_from: lastUse && shownOrigin(lastUse),
  };
}
