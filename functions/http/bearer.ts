// RFC 6750 §2.1: the scheme in upper or lower case, then spaces, then a b64token. Two headers joined by a comma do not
// match.
const BEARER = /^Bearer +([\w.~+/-]+=*)$/i;

/** Returns the token in an Authorization header, or undefined if the header is absent or malformed. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return BEARER.exec(authorization ?? '')?.[1];
}
