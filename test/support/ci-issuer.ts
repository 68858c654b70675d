import { createServer, type RequestListener } from 'node:http';
import { CompactSign, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { afterAll } from 'vitest';

/** What is to be signed. */
export interface Signing {
  readonly claims: object;
  readonly audience: string;
  /** Epoch seconds. */
  readonly expires: number;
  /** Who the token says it is from. @default the issuer itself */
  readonly iss?: string;
  /** @default the issuer's one key */
  readonly kid?: string;
}

export interface CiIssuer {
  url: string;
  /** Its public key. */
  readonly jwk: JWK;
  /** How many requests have come. */
  asked: number;
  /** Answers in the place of discovery and keys. */
  answer: RequestListener | undefined;
  /** A token of it. */
  readonly sign: (signing: Signing) => Promise<string>;
  /** A token whose payload is this text. */
  readonly signText: (payload: string) => Promise<string>;
}

/**
 * An issuer of CI tokens for a test file, with real keys on this machine; what it answers can be changed.
 * @param alg an RSA signature is the same each time, an ECDSA one is not and has a twin
 */
export async function startCiIssuer(alg: 'RS256' | 'ES256' = 'RS256'): Promise<CiIssuer> {
  const keys = await generateKeyPair(alg);
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'one', alg, use: 'sig' };
  const it: CiIssuer = {
    url: '',
    jwk,
    asked: 0,
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
    it.asked += 1;
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
