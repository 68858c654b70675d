import { type Access, type CheckRules, judge, parseToken, scopeOf } from '../domain/check.ts';
import type { Clock } from '../domain/expiry.ts';
import type { LastUse } from '../domain/last-use.ts';
import type { Deployment } from '../domain/records.ts';
import { hashOf } from '../domain/secrets.ts';
import type { OAuthRoute } from '../http/oauth.ts';
import { parseParameters, presentedParameters } from '../http/parameters.ts';
import { authenticate } from '../operations/authenticate-client.ts';
import type { TokenStore } from '../table/lean-tokens.ts';

interface Dependencies {
  clock: Clock;
  rules: CheckRules;
  maxIdleDays?: number | undefined;
}

/**
 * POST /oauth/introspect (RFC 7662). A key sees the access tokens and temporary tokens of its Deployment. For any other
 * token, the answer is only that it is inactive (§2.2). Introspection is not a use, so nothing is written.
 */
export function introspectRoute(
  { readKey, readToken }: Pick<TokenStore, 'readKey' | 'readToken'>,
  { clock, rules, maxIdleDays }: Dependencies,
): OAuthRoute {
  return async (request) => {
    const { parameters, issuer } = request;
    const { deployment } = await authenticate({ readKey }, request, clock, maxIdleDays);
    const { token } = parseParameters(presentedParameters, parameters);
    const found = await accessOf(token, deployment);
    return { status: 200, body: found ? described(found, issuer) : { active: false } };
  };

  async function accessOf(token: string, { id }: Deployment): Promise<Found | undefined> {
    const credential = parseToken(token);
    if (credential?.deploymentId !== id) return undefined;
    const { lastUse, ...records } = await readToken(credential, hashOf(token));
    const verdict = judge(credential, records, clock(), rules);
    return verdict.allowed ? { access: verdict.access, lastUse } : undefined;
  }
}

interface Found {
  access: Access;
  /** Undefined when no use is recorded: before the first extension, and for temporary tokens. */
  lastUse: LastUse | undefined;
}

function described({ access, lastUse }: Found, issuer: string) {
  const { principalId, principalType, deploymentId, issuedAt, expiresAt } = access;
  return {
    active: true,
    // No client requested a person's temporary token.
    client_id: principalType === 'api_key' ? principalId : undefined,
    scope: scopeOf(access),
    exp: expiresAt,
    iat: issuedAt,
    token_type: 'Bearer',
    sub: principalId,
    iss: issuer,
    deployment_id: deploymentId,
    last_used_at: lastUse && Math.floor(lastUse.at / 1000),
    last_used_from: fromWhere(lastUse),
  };
}

/** Returns where a token was last used from; undefined if that was not recorded. */
function fromWhere({ address, client }: Partial<LastUse> = {}) {
  return address || client ? { address: address || undefined, client: client || undefined } : undefined;
}
