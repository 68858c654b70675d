import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import type { GatewayRequest } from '../api-gateway/gateway.ts';

/** A credential that signs requests. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Session token of a temporary credential, such as a role's. */
  readonly sessionToken?: string;
}

/** The service, Region, time and credentials against which a request's signature is verified. */
export interface Verification<T extends AwsCredentials> {
  readonly service: string;
  readonly region: string;
  /** The current time in epoch milliseconds. */
  readonly now: number;
  /** Returns the credential with this access key ID, if there is one. */
  readonly find: (accessKeyId: string) => T | undefined;
}

/** Maximum difference between the signer's clock and ours, in milliseconds. */
const CLOCK_SKEW = 5 * 60 * 1000;
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=(?<keyId>[^/,\s]+)\/\d{8}\/[\w-]+\/[\w-]+\/aws4_request,\s*SignedHeaders=(?<names>[a-z0-9;-]+),\s*Signature=(?<signature>[0-9a-f]{64})$/;
const AMZ_DATE = /^(?<year>\d{4})(?<month>\d\d)(?<day>\d\d)T(?<hour>\d\d)(?<minute>\d\d)(?<second>\d\d)Z$/;

/**
 * Verifies a request that is signed in its headers, by signing it again with AWS's own signer and comparing the
 * signatures. Follows the IAM User Guide, "Create a signed AWS API request".
 *
 * @returns the credential that signed the request, or undefined if the request is unsigned or its signature is wrong
 */
export async function verify<T extends AwsCredentials>(
  request: GatewayRequest,
  { service, region, now, find }: Verification<T>,
): Promise<T | undefined> {
  const headers = headersOf(request);
  const authorization = AUTHORIZATION.exec(headers.authorization ?? '')?.groups ?? {};
  const { keyId = '', names = '', signature = '' } = authorization;
  const credentials = find(keyId);
  if (!credentials) return undefined;

  const signingDate = dateOf(headers['x-amz-date'] ?? '');
  const isRecent = Math.abs(signingDate.getTime() - now) <= CLOCK_SKEW;
  const hasSessionToken = headers['x-amz-security-token'] === credentials.sessionToken;
  const signableHeaders = new Set(names.split(';'));
  const mustBeSigned = ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz-'))];
  const areSigned = mustBeSigned.every((name) => signableHeaders.has(name));
  if (!isRecent || !hasSessionToken || !areSigned || !hasBodyHash(headers, request.body)) return undefined;

  // Use this gateway's Region and service, not those in the header, so that a signature for any other Region or service
  // does not match.
  const signer = new SignatureV4({ service, region, credentials, sha256: Sha256, applyChecksum: false });
  const signed = await signer.sign(
    {
      method: request.method,
      protocol: 'http:',
      hostname: '127.0.0.1',
      path: request.path,
      query: queryOf(request.query),
      headers: Object.fromEntries(Object.entries(headers).filter(([name]) => signableHeaders.has(name))),
      body: request.body,
    },
    { signingDate, signableHeaders },
  );
  const expected = AUTHORIZATION.exec(signed.headers.authorization ?? '')?.groups ?? {};
  const isSame = expected.names === names && sameText(expected.signature ?? '', signature);
  return isSame ? credentials : undefined;
}

/**
 * Returns the headers by their names in lower case. Repeated headers are joined with commas (RFC 9110, section 5.2).
 */
function headersOf({ headers }: GatewayRequest): Record<string, string> {
  const joined = new Map<string, string>();
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    const before = joined.get(key);
    joined.set(key, before === undefined ? value.trim() : `${before},${value.trim()}`);
  }
  return Object.fromEntries(joined);
}

/** Check the body hash in the header, because the signer uses that hash without computing one itself. */
function hasBodyHash({ 'x-amz-content-sha256': claimed }: Record<string, string>, body: Buffer): boolean {
  return claimed === undefined || claimed === createHash('sha256').update(body).digest('hex');
}

/** Decode the query, because the signer encodes it again. A repeated parameter becomes a list. */
function queryOf(query: string): Record<string, string[]> {
  const values = new Map<string, string[]>();
  for (const pair of query.split('&').filter((pair) => pair !== '')) {
    const [name = '', ...value] = pair.split('=');
    const key = decoded(name);
    values.set(key, [...(values.get(key) ?? []), decoded(value.join('='))]);
  }
  return Object.fromEntries(values);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Parses a time such as `20260131T120000Z`. Returns an invalid Date for any other format. */
function dateOf(text: string): Date {
  const { year, month, day, hour, minute, second } = AMZ_DATE.exec(text)?.groups ?? {};
  return new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

function sameText(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}

/** SHA-256, or HMAC-SHA-256 if a secret is given, with the interface that the signer expects. */
class Sha256 {
  readonly #hash;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret as string);
  }

  update(content: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(content as string);
  }

  async digest(): Promise<Buffer> {
    return this.#hash.digest();
  }
}
