import { createServer, type RequestListener } from 'node:http';
import { CompactSign, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { afterAll } from 'vitest';

/** The claims of a token, and the options for signing it. */
interface Signing {
  readonly claims: object;
  readonly audience: string;
  /** Expiry in epoch seconds. */
  readonly expires: number;
  /** The `iss` claim. @default the issuer itself */
  readonly iss?: string;
  /** Key ID in the header. @default the ID of the issuer's only key */
  readonly kid?: string;
}

/** The form with which a pipeline exchanges its CI's token (`subject`) for an access token of a key. */
export const subjectForm = (keyId: string, subject: string): Record<string, string> => ({
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  client_id: keyId,
  subject_token: subject,
  subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
});

/** The body of the response to a CI token that no trust rule of the key accepts. It is the same for every cause. */
export const SUBJECT_REJECTED = {
  error: 'invalid_request',
  error_description: 'subject_token is not accepted for this client_id.',
};

/** A running issuer of CI tokens. */
export interface CiIssuer {
  url: string;
  /** The public key with which the issuer's tokens can be verified. */
  readonly jwk: JWK;
  /** Number of requests that the issuer has received. */
  requestCount: number;
  /** If set, this function handles all requests, in place of the discovery and key endpoints. */
  answer: RequestListener | undefined;
  /** Signs a token. */
  readonly sign: (signing: Signing) => Promise<string>;
  /** Signs a token with the given text as its payload. */
  readonly signText: (payload: string) => Promise<string>;
}

/**
 * Starts an issuer of CI tokens for a test file, on this machine, with real keys. Tests can change the responses.
 *
 * @param alg algorithm. An RSA signature is deterministic; an ECDSA signature varies, and a second valid signature can
 *   be derived from it.
 */
export async function startCiIssuer(alg: 'RS256' | 'ES256' = 'RS256'): Promise<CiIssuer> {
  const keys = await generateKeyPair(alg);
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'one', alg, use: 'sig' };
  const it: CiIssuer = {
    url: '',
    jwk,
    requestCount: 0,
    answer: undefined,
    sign: ({ claims, audience, expires, iss = it.url, kid = 'one' }) =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg, kid })
        .setIssuer(iss)
        .setAudience(audience)
        .setExpirationTime(expires)
        .sign(keys.privateKey),
    signText: (payload) =>
      new CompactSign(new TextEncoder().encode(payload))
        .setProtectedHeader({ alg, kid: 'one' })
        .sign(keys.privateKey),
  };
  const server = createServer((request, response) => {
    it.requestCount += 1;
    if (it.answer) return it.answer(request, response);
    const isKeys = request.url === '/keys';
    const body = isKeys ? { keys: [jwk] } : { issuer: it.url, jwks_uri: `${it.url}/keys` };
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterAll(() => {
    server.close();
  });
  const address = server.address();
  it.url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  return it;
}
