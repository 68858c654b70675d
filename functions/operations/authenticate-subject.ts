import type { Clock } from '../domain/expiry.ts';
import { parseKeyId } from '../domain/identifiers.ts';
import { isIdle, keyRejection } from '../domain/key-status.ts';
import {
  hasWholeExpiry,
  parseSubjectToken,
  type UsedSubject,
  usedSubject,
  type VerifiedClaims,
} from '../domain/subject-token.ts';
import { satisfies } from '../domain/trust.ts';
import { invalidRequest, type OAuthRequest } from '../http/oauth.ts';
import type { TokenStore } from '../table/lean-tokens.ts';
import type { Client } from './authenticate-client.ts';

export interface TrustDependencies {
  /** Issuers that the stack trusts. */
  issuers: readonly string[];
  /** Verifies signature, issuer and times. Returns the claims of a valid token; undefined for any other. */
  verify: (issuer: string, jwt: string) => Promise<VerifiedClaims | undefined>;
}

/** A key that accepts the presented subject token. */
export interface TrustedClient extends Client {
  /** Set when the rule accepts each token only once. */
  once: UsedSubject | undefined;
}

/**
 * Returns the answer to every rejected subject token (RFC 8693 §2.2.2). It reveals nothing about the token or the key.
 */
export const rejectedSubject = () => invalidRequest('subject_token is not accepted for this client_id.');

/**
 * Authenticates a client by the token of a trusted issuer (RFC 8693). The token is verified before the key is read. A
 * forged token, or an issuer that is down, therefore has the same answer after the same steps for every client_id.
 * @throws ServiceError 400 invalid_request; 503 when the table or the issuer cannot answer
 */
export async function authenticateSubject(
  store: Pick<TokenStore, 'readKey'>,
  { client: { clientId }, caller, issuer: ourselves }: Pick<OAuthRequest, 'client' | 'caller' | 'issuer'>,
  subjectToken: string,
  { clock, maxIdleDays, trust }: { clock: Clock; maxIdleDays: number | undefined; trust: TrustDependencies },
): Promise<TrustedClient> {
  const subject = parseSubjectToken(subjectToken);
  if (!subject || !trust.issuers.includes(subject.issuer)) throw rejectedSubject();
  const claims = await trust.verify(subject.issuer, subject.jwt);
  if (!claims || !hasWholeExpiry(claims)) throw rejectedSubject();

  const id = parseKeyId(clientId);
  if (!id) throw rejectedSubject();
  const { deployment, key } = await store.readKey(id.deploymentId, id.ulid);
  const now = clock();
  if (!deployment || !key) throw rejectedSubject();
  const use = { deployment, now, isIdle: isIdle(key, now, maxIdleDays), from: caller };
  if (keyRejection(key, use)) throw rejectedSubject();

  const matching = (key.trust ?? []).filter(
    (rule) =>
      rule.issuer === subject.issuer && isFor(claims, rule.audience ?? ourselves) && satisfies(rule, claims),
  );
  if (matching.length === 0) throw rejectedSubject();
  // The token stays reusable if any matching rule lacks singleUse.
  const once = matching.every((rule) => rule.singleUse) ? usedSubject(subject, claims) : undefined;
  return { deployment, key, secret: undefined, once };
}

/** Reports whether a token is for this audience. `aud` is one audience or a list (RFC 7519 §4.1.3). */
function isFor({ aud }: VerifiedClaims, audience: string): boolean {
  return [aud].flat().includes(audience);
}
