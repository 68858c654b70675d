import type { Clock } from '../domain/expiry.ts';
import type { ExaminedSubject } from '../domain/subject-decision.ts';
import { parseSubjectToken, timeFaultOf, type Verification } from '../domain/subject-token.ts';
import { findIssuer, type TrustedIssuer } from '../domain/trust.ts';

export interface TrustDependencies {
  /** Issuers that the stack trusts. */
  issuers: readonly TrustedIssuer[];
  /** Verifies a token's signature, issuer and times. `issuer` is the URL of one of the trusted issuers. */
  verify: (issuer: string, jwt: string) => Promise<Verification>;
}

/**
 * Examines a subject token without reading the table. Requests signing keys only from the issuers in the
 * `trustedIssuers` setting.
 * @returns undefined for a malformed token
 * @throws ServiceError 503 if the issuer is unavailable
 */
export async function examineSubject(
  subjectToken: string,
  { clock, trust }: { clock: Clock; trust: TrustDependencies },
): Promise<ExaminedSubject | undefined> {
  const subject = parseSubjectToken(subjectToken);
  if (!subject) return undefined;
  if (findIssuer(trust.issuers, subject.issuer) === undefined) return { subject, fault: 'untrusted_issuer' };
  const verification = await trust.verify(subject.issuer, subject.jwt);
  if (verification.fault === 'signature') return { subject, ...verification };
  const { claims } = verification;
  const fault = verification.fault ?? timeFaultOf(claims, clock());
  return fault === undefined ? { subject, claims } : { subject, claims, fault };
}
