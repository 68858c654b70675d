import { type LookupAddress, type LookupAllOptions, lookup } from 'node:dns';
import { get as getPlain } from 'node:http';
import { get as getSecure } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import { unavailable } from '../domain/errors.ts';
import type { Clock } from '../domain/expiry.ts';
import type { VerifiedClaims } from '../domain/subject-token.ts';
import { isPublicAddress } from './public-address.ts';

/** The time limit for fetching a document of an issuer, in milliseconds. */
const TIMEOUT = 2000;
/** The maximum size of such a document, in bytes. */
const MAX_BYTES = 64 * 1024;
/** How long an issuer's keys are cached, in milliseconds. */
const KEPT = 10 * 60 * 1000;
/** How old cached keys must be before a token with an unknown key causes a new request, in milliseconds. */
const ASKED_AGAIN = 30 * 1000;
/** How long after a failure the issuer is not asked again, in milliseconds. */
const PAUSE = 5 * 1000;
/** The clock difference that is tolerated, in seconds. */
const TOLERANCE = 5;
/** Excludes `none`, and HMAC, whose key would be public. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/**
 * Verifies the signature, issuer and times of a token. Does not check the audience, which each trust rule names. The
 * issuer's keys are cached across invocations.
 * @returns the claims of a valid token; undefined for any other
 */
export type VerifyToken = (issuer: string, jwt: string) => Promise<VerifiedClaims | undefined>;

/** Resolves a host name to all its addresses, as `node:dns` does. */
export type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

interface Kept {
  keys: JSONWebKeySet;
  /** Epoch milliseconds. */
  at: number;
}

interface Failure {
  cause: unknown;
  /** Epoch milliseconds. */
  at: number;
}

/**
 * Returns a function that verifies tokens of trusted issuers.
 * @param resolve replaces the DNS lookup
 * @throws ServiceError 503 from the returned function when the issuer cannot be reached, and for 5 seconds afterwards
 */
export function openIssuers(clock: Clock, resolve: Resolve = lookup): VerifyToken {
  const kept = new Map<string, Kept>();
  const failures = new Map<string, Failure>();

  async function keysOf(issuer: string, oldest: number): Promise<Kept> {
    const found = kept.get(issuer);
    if (found && found.at > oldest) return found;
    const failure = failures.get(issuer);
    if (failure && Math.abs(clock() - failure.at) < PAUSE) throw unavailable(failure.cause);
    try {
      const fresh = { keys: await fetchKeys(issuer, resolve), at: clock() };
      kept.set(issuer, fresh);
      return fresh;
    } catch (cause) {
      failures.set(issuer, { cause, at: clock() });
      throw unavailable(cause);
    }
  }

  return async (issuer, jwt) => {
    const verify = async ({ keys }: Kept): Promise<JWTPayload> => {
      const options = {
        issuer,
        algorithms: ALGORITHMS,
        requiredClaims: ['exp'],
        clockTolerance: TOLERANCE,
        currentDate: new Date(clock()),
      };
      return (await jwtVerify(jwt, createLocalJWKSet(keys), options)).payload;
    };
    const found = await keysOf(issuer, clock() - KEPT);
    try {
      return await verify(found).catch(async (error: unknown) => {
        // The issuer may have a new key.
        const mayAsk = error instanceof errors.JWKSNoMatchingKey && found.at <= clock() - ASKED_AGAIN;
        if (!mayAsk) throw error;
        return verify(await keysOf(issuer, clock() - ASKED_AGAIN));
      });
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
      throw error;
    }
  };
}

async function fetchKeys(issuer: string, resolve: Resolve): Promise<JSONWebKeySet> {
  // An issuer that the stack's owner runs locally. Only such an issuer may have a loopback address.
  const isLocal = LOOPBACK.test(new URL(issuer).hostname);
  const discovery = await fetchJson(
    `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
    isLocal,
    resolve,
  );
  const { issuer: named, jwks_uri: uri } = discovery as { issuer?: unknown; jwks_uri?: unknown };
  if (named !== issuer || typeof uri !== 'string')
    throw new Error('the discovery document has another issuer or no jwks_uri');
  const keys = (await fetchJson(uri, isLocal, resolve)) as { keys?: unknown };
  if (!Array.isArray(keys.keys)) throw new Error('the issuer has no keys');
  return keys as JSONWebKeySet;
}

/** Fetches JSON with limits on time and size. Follows no redirects, and connects only to public addresses. */
function fetchJson(address: string, isLocal: boolean, resolve: Resolve): Promise<object> {
  const url = new URL(address);
  const isSafe =
    url.protocol === 'https:' || (isLocal && url.protocol === 'http:' && LOOPBACK.test(url.hostname));
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (!isSafe || (!isLocal && isIP(host) !== 0 && !isPublicAddress(host))) {
    throw new Error('not an address that an issuer may have');
  }
  const get = url.protocol === 'https:' ? getSecure : getPlain;
  return new Promise((fulfil, reject) => {
    const lookup = isLocal ? undefined : publicLookup(resolve);
    const options = { signal: AbortSignal.timeout(TIMEOUT), ...(lookup && { lookup }) };
    const request = get(url, options, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      if (response.statusCode !== 200)
        request.destroy(new Error(`the issuer answered ${response.statusCode}`));
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        chunks.push(chunk);
        if (size > MAX_BYTES) request.destroy(new Error('the answer of the issuer is too large'));
      });
      response.on('error', reject);
      response.on('end', () => {
        try {
          const json: unknown = JSON.parse(Buffer.concat(chunks).toString());
          if (typeof json !== 'object' || json === null)
            throw new Error('the answer of the issuer is not a JSON object');
          fulfil(json);
        } catch (error) {
          reject(error);
        }
      });
    });
    request.on('error', reject);
  });
}

/** Resolves a name when connecting, so that the connection uses the address that was checked. */
function publicLookup(resolve: Resolve): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      const arePublic = addresses?.every(({ address }) => isPublicAddress(address)) ?? true;
      const refusal = arePublic ? error : new Error('the issuer has an address that is not public');
      const [first] = addresses ?? [];
      if (refusal || !first) return callback(refusal ?? new Error('no address'), '', 0);
      if (options.all) return callback(null, addresses);
      callback(null, first.address, first.family);
    });
  };
}
