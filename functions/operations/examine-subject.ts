import { invalidFields, ServiceError } from '../domain/errors.ts';
import type { Clock } from '../domain/expiry.ts';
import { type Explanation, explanationOf } from '../domain/explanation.ts';
import { decide, type ExaminedSubject } from '../domain/subject-decision.ts';
import { parseSubjectToken, timeFaultOf, type Verification } from '../domain/subject-token.ts';
import { findIssuer, type TrustedIssuer, type TrustRule } from '../domain/trust.ts';

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

/** Error message for a malformed token. It does not repeat any part of the token. */
const MALFORMED =
  'must be a JWT: three parts in base64url without padding, the first two of them JSON objects, with the claim iss';

/**
 * Explains how an exchange would decide about a subject token. The service does not store the token, so a rule that
 * accepts each token only once still accepts this token.
 * @param ourselves URL of this service, which is the default audience of a rule
 * @throws ServiceError 400 for a malformed token; 503 if the issuer is unavailable
 */
export async function explainSubject(
  rules: readonly TrustRule[],
  subjectToken: string,
  ourselves: string,
  { clock, trust }: { clock: Clock; trust: TrustDependencies },
): Promise<Explanation> {
  const token = await examineSubject(subjectToken, { clock, trust }).catch(issuerUnavailable);
  if (!token) throw invalidFields([{ field: 'subject_token', rule: MALFORMED }]);
  return explanationOf(decide(rules, token, ourselves, trust.issuers), token, clock());
}

/**
 * Name the issuer as the cause, because the issuer is the only dependency that can be unavailable while a token is
 * examined.
 */
function issuerUnavailable(error: unknown): never {
  if (!(error instanceof ServiceError) || error.status !== 503) throw error;
  const detail =
    'The issuer of the token cannot be reached, or its answer is malformed. Try again in a few seconds.';
  throw new ServiceError(503, error.code, detail, { headers: error.headers, cause: error.cause });
}
