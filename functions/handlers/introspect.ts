import {
  type Access,
  type CheckRules,
  type CheckStore,
  judge,
  parseToken,
  scopeOf,
} from '../domain/check.ts';
import type { Clock } from '../domain/expiry.ts';
import type { Deployment } from '../domain/records.ts';
import { hashOf } from '../domain/secrets.ts';
import type { OAuthRoute } from '../http/oauth.ts';
import { parseParameters, presentedParameters } from '../http/parameters.ts';
import type { TokenStore } from '../table/lean-tokens.ts';
import { authenticate } from './client.ts';

interface Dependencies {
  store: Pick<CheckStore, 'read'>;
  clock: Clock;
  rules: CheckRules;
  maxIdleDays?: number | undefined;
}

/**
 * POST /oauth/introspect (RFC 7662). A key sees the tokens and temporary tokens of its Deployment; all else is
 * inactive, and no more is said (§2.2). It is not a use: nothing is written.
 */
export function introspectRoute(
  { readKey }: Pick<TokenStore, 'readKey'>,
  { store, clock, rules, maxIdleDays }: Dependencies,
): OAuthRoute {
  return async (request) => {
    const { parameters, issuer } = request;
    const { deployment } = await authenticate({ readKey }, request, clock, maxIdleDays);
    const { token } = parseParameters(presentedParameters, parameters);
    const access = await accessOf(token, deployment);
    return { status: 200, body: access ? described(access, issuer) : { active: false } };
  };

  async function accessOf(token: string, { id }: Deployment): Promise<Access | undefined> {
    const credential = parseToken(token);
    if (credential?.deploymentId !== id) return undefined;
    const verdict = judge(credential, await store.read(credential, hashOf(token)), clock(), rules);
    return verdict.allowed ? verdict.access : undefined;
  }
}

function described(access: Access, issuer: string) {
  const { principalId, principalType, deploymentId, issuedAt, expiresAt } = access;
  return {
    active: true,
    // A person's temporary token was asked for by no client.
    client_id: principalType === 'api_key' ? principalId : undefined,
    scope: scopeOf(access),
    exp: expiresAt,
    iat: issuedAt,
    token_type: 'Bearer',
    sub: principalId,
    iss: issuer,
    deployment_id: deploymentId,
  };
}
