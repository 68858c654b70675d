// RFC 6750 §2.1: the scheme in any case, spaces, a b64token. Two headers joined by a comma do not match.
const BEARER = /^Bearer +([\w.~+/-]+=*)$/i;

/** The token of an Authorization header, or undefined for a header that is absent or of another form. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return BEARER.exec(authorization ?? '')?.[1];
}
