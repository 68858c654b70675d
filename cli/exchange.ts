import { isTokenOf } from '../functions/domain/credentials.ts';
import type { Proof } from './credentials.ts';
import { EXIT, Failure } from './failure.ts';
import { type Answer, failureOf, postForm, rejectionOf } from './http.ts';

/** An access token, and the time when it expires if it is not used. */
export interface AccessToken {
  readonly token: string;
  /** RFC 3339, UTC. */
  readonly expiresAt: string;
  readonly scope: string;
}

/** The credentials to exchange, and the service that exchanges them. */
export interface Exchange {
  /** URL of the service, without a trailing slash. */
  readonly url: string;
  readonly keyId: string;
  readonly proof: Proof;
  /** Scopes separated by spaces; undefined for all scopes of the key. */
  readonly scope?: string | undefined;
  /** Maximum number of attempts for each call. Default: as many as `send` makes. */
  readonly attempts?: number;
}

/**
 * Sends an exchange and returns the response, even an error response. @throws Failure if the service cannot be reached
 */
export async function requestToken({ url, keyId, proof, scope, attempts }: Exchange): Promise<Answer> {
  const fields = async () => ({
    client_id: keyId,
    ...('secret' in proof
      ? { grant_type: 'client_credentials', client_secret: proof.secret }
      : {
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token: await proof.subjectToken(),
          subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        }),
    ...(scope && { scope }),
  });
  return postForm(`${url}/oauth/token`, fields, { attempts });
}

/** Exchanges a secret or an OIDC token for an access token. @throws Failure if the service rejects it */
export async function exchange(options: Exchange): Promise<AccessToken> {
  const sentAt = Date.now();
  const answer = await requestToken(options);
  if (answer.status !== 200) throw explained(options, answer);
  const { access_token: token, expires_in: lifetime, scope } = answer.body;
  if (typeof token !== 'string' || !isTokenOf(options.keyId, token) || !Number.isInteger(lifetime)) {
    throw failureOf(options.url, { ...answer, body: {} });
  }
  const expiresAt = new Date(sentAt + Number(lifetime) * 1000).toISOString();
  return { token, expiresAt, scope: String(scope ?? '') };
}

function explained({ url, keyId, proof }: Exchange, answer: Answer): Failure {
  const failure = failureOf(url, answer);
  const { code } = rejectionOf(answer) ?? {};
  const more: Record<string, string> = {
    invalid_client: `The secret is wrong or was rotated, or the key ${keyId} is disabled, expired or deleted, or limited to other IP ranges.`,
    invalid_scope: 'Ask for scopes of the key only, or omit --scope for all of them.',
    invalid_request:
      'secret' in proof ? '' : 'The OIDC token matches no trust rule of the key, or it was used already.',
  };
  const hint = more[code ?? ''];
  if (!hint) return failure;
  const exitCode = code === 'invalid_scope' ? EXIT.failed : EXIT.rejected;
  return new Failure(
    `${failure.message} ${hint} Run deployment-api-keys doctor to find the cause.`,
    exitCode,
  );
}

/** Revokes an access token. Without a secret, the token itself authenticates the call. @throws Failure */
export async function revoke({ url, keyId, proof, attempts }: Exchange, token: string): Promise<void> {
  const fields = () => ({
    client_id: keyId,
    ...('secret' in proof && { client_secret: proof.secret }),
    token,
  });
  const answer = await postForm(`${url}/oauth/revoke`, fields, { attempts });
  if (answer.status !== 200) throw failureOf(url, answer);
}
