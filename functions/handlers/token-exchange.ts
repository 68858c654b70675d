import type { Clock } from '../domain/expiry.ts';
import { isLive } from '../domain/expiry.ts';
import { parseKeyId } from '../domain/identifiers.ts';
import { isIdle } from '../domain/key-status.ts';
import { isWithin } from '../domain/networks.ts';
import { satisfies, type TrustRule } from '../domain/trust.ts';
import { invalidRequest, type OAuthRequest } from '../http/oauth.ts';
import type { TokenStore } from '../table/lean-tokens.ts';
import type { Client } from './client.ts';

export interface TrustDependencies {
  /** Issuers that the stack trusts. */
  issuers: readonly string[];
  /** @returns the claims of a good token of that issuer for that audience; undefined for any other */
  verify: (
    issuer: string,
    jwt: string,
    audience: string,
  ) => Promise<Readonly<Record<string, unknown>> | undefined>;
}

/** A key that a token of a trusted issuer has opened. */
export interface TrustedClient extends Client {
  /** Epoch seconds until which the subject token may not come again; undefined: it may. */
  singleUseUntil: number | undefined;
}

/**
 * Which key does this subject token open (RFC 8693)? Whatever is wrong with token or key is one and the same
 * refusal (§2.2.2): a stranger learns nothing of either.
 * @throws ServiceError 400 invalid_request; 503 when table or issuer cannot answer
 */
export async function authenticateSubject(
  store: Pick<TokenStore, 'readKey'>,
  { client: { clientId }, caller, issuer: ourselves }: Pick<OAuthRequest, 'client' | 'caller' | 'issuer'>,
  subjectToken: string,
  { clock, maxIdleDays, trust }: { clock: Clock; maxIdleDays: number | undefined; trust: TrustDependencies },
): Promise<TrustedClient> {
  const refusal = invalidRequest('subject_token is not accepted for this client_id.');
  const id = parseKeyId(clientId);
  const named = issuerOfToken(subjectToken);
  if (!id || named === undefined || !trust.issuers.includes(named)) throw refusal;

  const { deployment, key } = await store.readKey(id.deploymentId, id.ulid);
  const now = clock();
  const isOfThisLife = key !== undefined && key.generation === deployment?.generation;
  if (!deployment || !isOfThisLife || !key.enabled) throw refusal;
  const isValid = key.validUntil === undefined || isLive(key.validUntil / 1000, now);
  const isFromHere = !key.networks || isWithin(caller.address, key.networks);
  if (!isValid || !isFromHere || isIdle(key, now, maxIdleDays)) throw refusal;

  for (const rule of rulesOf(key.trust, named)) {
    const claims = await trust.verify(named, subjectToken, rule.audience ?? ourselves);
    if (!claims || !satisfies(rule, claims)) continue;
    const singleUseUntil = rule.singleUse ? Number(claims.exp) + 60 : undefined;
    return { deployment, key, secret: undefined, singleUseUntil };
  }
  throw refusal;
}

/** What needs a single use goes last: a rule that does not is enough. */
function rulesOf(rules: readonly TrustRule[] = [], issuer: string): TrustRule[] {
  return rules
    .filter((rule) => rule.issuer === issuer)
    .sort((a, b) => Number(a.singleUse ?? false) - Number(b.singleUse ?? false));
}

/** Who a token says it is from, not yet verified. */
function issuerOfToken(jwt: string): string | undefined {
  const [, payload = ''] = jwt.split('.');
  try {
    const { iss } = JSON.parse(Buffer.from(payload, 'base64url').toString());
    return typeof iss === 'string' ? iss : undefined;
  } catch {
    return undefined;
  }
}
