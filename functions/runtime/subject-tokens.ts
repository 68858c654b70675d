import { type LookupAddress, type LookupAllOptions, lookup } from 'node:dns';
import { get as getPlain } from 'node:http';
import { get as getSecure } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import { ServiceError, unavailable } from '../domain/errors.ts';
import type { Clock, EpochMillis } from '../domain/expiry.ts';
import type { TimeFault, Verification } from '../domain/subject-token.ts';
import { algorithmsOf, entryOf, findIssuer, type TrustedIssuer } from '../domain/trust.ts';
import { isPublicAddress } from './public-address.ts';

/** Time limit for fetching a document from an issuer, in milliseconds. */
const TIMEOUT = 2000;
/** Maximum size of a document from an issuer, in bytes. */
const MAX_BYTES = 64 * 1024;
/** How long an issuer's keys are cached, in milliseconds. */
const CACHE_LIFETIME = 10 * 60 * 1000;
/** Minimum age of cached keys before a token with an unknown key causes a new request, in milliseconds. */
const MIN_REFETCH_AGE = 30 * 1000;
/** How long after a failure the service waits before it calls the issuer again, in milliseconds. */
const PAUSE = 5 * 1000;
/** Tolerated clock difference, in seconds. */
const TOLERANCE = 5;
/**
 * Accepted algorithms for an issuer without a preset. The list excludes `none`, and also HMAC, because its key would be
 * public.
 */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/**
 * Verifies a token's signature, issuer and times. Does not check the audience, because each trust rule names its own
 * audience. The issuer's keys are cached across invocations.
 */
export type VerifyToken = (issuer: string, jwt: string) => Promise<Verification>;

/** Resolves a host name to all its addresses, as `node:dns` does. */
export type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

interface CachedKeys {
  keys: JSONWebKeySet;
  /** Time at which the keys were fetched, in epoch milliseconds. */
  at: EpochMillis;
}

interface Failure {
  cause: unknown;
  /** Time of the failure, in epoch milliseconds. */
  at: EpochMillis;
}

/** The stack's settings for its issuers. */
interface Trusted {
  issuers: readonly TrustedIssuer[];
  /** The keys that are part of the stack, by issuer. @default none */
  inlineKeys?: ReadonlyMap<string, JSONWebKeySet>;
  /** Resolves host names. @default the DNS lookup of Node.js */
  resolve?: Resolve;
}

/**
 * Returns a function that verifies tokens from trusted issuers. The returned function throws a ServiceError 503 if the
 * issuer cannot be reached, for 5 seconds afterwards, and if the issuer's inline keys are missing or unusable. One
 * issuer's faulty keys do not affect the exchange of any other credential. The cause, for the log, names the issuer.
 */
export function openTokenVerifier(
  clock: Clock,
  { issuers, inlineKeys = new Map(), resolve = lookup }: Trusted,
): VerifyToken {
  const cache = new Map<string, CachedKeys>();
  const failures = new Map<string, Failure>();

  async function keysOf(issuer: string, oldest: EpochMillis): Promise<CachedKeys> {
    const inline = inlineKeys.get(issuer);
    if (inline) return { keys: inline, at: clock() };
    const entry = findIssuer(issuers, issuer);
    // Inline keys are never fetched, not even if they are missing.
    if (entry !== undefined && entryOf(entry).hasInlineKeys) {
      throw unavailable(new Error(`The function has no usable inline keys of ${issuer}.`));
    }
    const found = cache.get(issuer);
    if (found && found.at > oldest) return found;
    const failure = failures.get(issuer);
    if (failure && Math.abs(clock() - failure.at) < PAUSE) throw unavailable(failure.cause);
    try {
      const fresh = { keys: await fetchKeys(issuer, resolve), at: clock() };
      cache.set(issuer, fresh);
      return fresh;
    } catch (cause) {
      failures.set(issuer, { cause, at: clock() });
      throw unavailable(cause);
    }
  }

  return async (issuer, jwt) => {
    const algorithms = algorithmsOf(findIssuer(issuers, issuer) ?? issuer) ?? ALGORITHMS;
    const verify = async ({ keys }: CachedKeys): Promise<JWTPayload> => {
      const options = {
        issuer,
        algorithms: [...algorithms],
        requiredClaims: ['exp'],
        clockTolerance: TOLERANCE,
        currentDate: new Date(clock()),
      };
      return (await jwtVerify(jwt, createLocalJWKSet(keys), options)).payload;
    };
    const found = await keysOf(issuer, clock() - CACHE_LIFETIME);
    try {
      const claims = await verify(found).catch(async (error: unknown) => {
        // Fetch the keys again, because the issuer might have a new key.
        const mayRefetch = error instanceof errors.JWKSNoMatchingKey && found.at <= clock() - MIN_REFETCH_AGE;
        if (!mayRefetch) throw error;
        return verify(await keysOf(issuer, clock() - MIN_REFETCH_AGE));
      });
      return { claims };
    } catch (error) {
      if (error instanceof errors.JOSEAlgNotAllowed) {
        return { fault: 'signature', allowedAlgorithms: algorithms };
      }
      return verificationOf(error, issuer);
    }
  };
}

/**
 * Returns the verification result for a token that jose rejected. jose reports errors about claims only after it has
 * verified the signature, and these errors contain the claims.
 * @throws ServiceError 503 for any other error, which means that the issuer's keys cannot be fetched or used
 */
function verificationOf(error: unknown, issuer: string): Verification {
  if (error instanceof errors.JWTExpired) return { claims: error.payload, fault: 'expired' };
  if (error instanceof errors.JWTClaimValidationFailed) {
    const fault = claimFaultOf(error);
    if (fault) return { claims: error.payload, fault };
  }
  if (error instanceof errors.JOSEError || error instanceof TypeError) return { fault: 'signature' };
  if (error instanceof ServiceError) throw error;
  throw unavailable(new Error(`The keys of ${issuer} cannot be used.`, { cause: error }));
}

function claimFaultOf({ claim, reason }: errors.JWTClaimValidationFailed): TimeFault | undefined {
  if (claim === 'exp' && reason === 'missing') return 'no_expiry';
  if (!['exp', 'nbf', 'iat'].includes(claim)) return undefined;
  return claim === 'nbf' && reason === 'check_failed' ? 'not_yet_valid' : 'malformed_time';
}

async function fetchKeys(issuer: string, resolve: Resolve): Promise<JSONWebKeySet> {
  // Matches an issuer that the stack's owner runs locally. Only such an issuer can have a loopback address.
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

/** Fetches JSON with limits on time and size. Does not follow redirects, and connects only to public addresses. */
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

/** Resolve the host name while connecting, so that the connection uses the address that was checked. */
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
