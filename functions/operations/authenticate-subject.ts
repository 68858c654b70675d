import { keyRejection } from '../domain/check.ts';
import type { ClientRejection } from '../domain/client-rejection.ts';
import { parseKeyId } from '../domain/credentials.ts';
import type { Clock } from '../domain/expiry.ts';
import { isIdle } from '../domain/key-status.ts';
import { decide, matchingRules, noMatchReason } from '../domain/subject-decision.ts';
import { type UsedSubject, usedSubjectOf } from '../domain/subject-token.ts';
import { invalidRequest, type OAuthRequest } from '../http/oauth.ts';
import type { Table } from '../table/retried-calls.ts';
import { readKey } from '../table/tokens.ts';
import type { Client } from './authenticate-client.ts';
import { examineSubject, type TrustDependencies } from './examine-subject.ts';

/** A key that accepts the presented subject token. */
export interface TrustedClient extends Client {
  /** The subject token to remember, if the rule accepts each token only once. */
  usedSubject: UsedSubject | undefined;
}

/**
 * Returns the error for every rejected subject token (RFC 8693 §2.2.2). It reveals nothing about the token or the key.
 * @param reason reason for the rejection, which only the log contains
 */
export const rejectedSubject = (reason: ClientRejection) =>
  invalidRequest('subject_token is not accepted for this client_id.', reason);

/**
 * Authenticates a client by a token from a trusted issuer (RFC 8693). The service verifies the token before it reads
 * the key. If the token is forged or the issuer is down, every client_id therefore gets the same response after the
 * same steps.
 * @throws ServiceError 400 invalid_request; 503 if the table or the issuer is unavailable
 */
export async function authenticateSubject(
  table: Table,
  { client: { clientId }, caller, issuer: ourselves }: Pick<OAuthRequest, 'client' | 'caller' | 'issuer'>,
  subjectToken: string,
  { clock, maxIdleDays, trust }: { clock: Clock; maxIdleDays: number | undefined; trust: TrustDependencies },
): Promise<TrustedClient> {
  const token = await examineSubject(subjectToken, { clock, trust });
  if (!token) throw rejectedSubject('malformed_subject_token');
  if (token.fault === 'untrusted_issuer') throw rejectedSubject('untrusted_issuer');
  if (token.fault) throw rejectedSubject('invalid_subject_token');

  const id = parseKeyId(clientId);
  if (!id) throw rejectedSubject('malformed_id');
  const { deployment, key } = await readKey(table, id.deploymentId, id.ulid);
  const now = clock();
  if (!deployment) throw rejectedSubject('unknown_deployment');
  if (!key) throw rejectedSubject('unknown_key');
  const use = { deployment, now, isIdle: isIdle(key, now, maxIdleDays), from: caller };
  const rejection = keyRejection(key, use);
  if (rejection) throw rejectedSubject(rejection);

  const decisions = decide(key.trust ?? [], token, ourselves, trust.issuers);
  const matching = matchingRules(decisions);
  if (matching.length === 0) throw rejectedSubject(noMatchReason(decisions));
  // The token can be used again if at least one matching rule does not set singleUse.
  const usedSubject = matching.every((rule) => rule.singleUse)
    ? usedSubjectOf(token.subject, token.claims)
    : undefined;
  return { deployment, key, secret: undefined, usedSubject };
}
