import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { GatewayRequest } from '../api-gateway/gateway.ts';

/** What signs requests. */
export interface Credential {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials: those of a role. */
  readonly sessionToken?: string;
}

export interface Verification<T extends Credential> {
  readonly service: string;
  readonly region: string;
  /** Epoch milliseconds. */
  readonly now: number;
  /** The credential with an access key's ID, where there is one. */
  readonly find: (accessKeyId: string) => T | undefined;
}

/** How far the signer's clock may be from ours, in milliseconds. */
const SKEW = 5 * 60 * 1000;
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/(\d{8})\/[\w-]+\/[\w-]+\/aws4_request,\s*SignedHeaders=([a-z0-9;-]+),\s*Signature=([0-9a-f]{64})$/;

/**
 * Verifies a request that was signed in its headers, as the IAM User Guide says in "Create a signed AWS API request":
 * the names it was signed for, its date, and the signature over method, path, query, signed headers and body.
 *
 * @returns the credential that signed it; undefined for a request that is not signed or not signed well
 */
export function verify<T extends Credential>(
  request: GatewayRequest,
  { service, region, now, find }: Verification<T>,
): T | undefined {
  const headers = headersOf(request);
  const [, keyId = '', day = '', names = '', signature = ''] =
    AUTHORIZATION.exec(headers.get('authorization') ?? '') ?? [];
  const credential = find(keyId);
  if (!credential) return undefined;

  const date = headers.get('x-amz-date') ?? '';
  const isOfNow = date.startsWith(day) && Math.abs(timeOf(date) - now) <= SKEW;
  const isOfSession = headers.get('x-amz-security-token') === credential.sessionToken;
  const signed = names.split(';');
  const mustBeSigned = ['host', ...[...headers.keys()].filter((name) => name.startsWith('x-amz-'))];
  if (!isOfNow || !isOfSession || !mustBeSigned.every((name) => signed.includes(name))) return undefined;

  // Of what this gateway is, whatever the header says: a signature for another Region or service does not fit.
  const scope = `${day}/${region}/${service}/aws4_request`;
  const canonical = [
    request.method,
    canonicalPath(request.path),
    canonicalQuery(request.query),
    ...signed.map((name) => `${name}:${headers.get(name) ?? ''}`),
    '',
    names,
    sha256(request.body),
  ].join('\n');
  const text = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n');
  const key = [day, region, service, 'aws4_request'].reduce<Buffer | string>(
    hmac,
    `AWS4${credential.secretAccessKey}`,
  );
  return timingSafeEqual(hmac(key, text), Buffer.from(signature, 'hex')) ? credential : undefined;
}

/** By names in lower case; values trimmed, their inner spaces one, repeated ones joined. */
function headersOf({ headers }: GatewayRequest): Map<string, string> {
  const values = new Map<string, string>();
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    const plain = value.trim().replaceAll(/ +/g, ' ');
    values.set(key, values.has(key) ? `${values.get(key)},${plain}` : plain);
  }
  return values;
}

/** `20260131T120000Z` as epoch milliseconds; NaN for another form. */
function timeOf(date: string): number {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? [];
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

/** Every segment encoded once more: of all services S3 alone does not. */
const canonicalPath = (path: string) => path.split('/').map(encoded).join('/');

function canonicalQuery(query: string): string {
  if (query === '') return '';
  const pairs = query.split('&').map((pair) => {
    const [name = '', ...value] = pair.split('=');
    return [name, value.join('=')].map((part) => encoded(decoded(part)));
  });
  const text = (pair: string[]) => pair.join('=');
  const byNameThenValue = ([a = '', x = '']: string[], [b = '', y = '']: string[]) =>
    a === b ? (x < y ? -1 : 1) : a < b ? -1 : 1;
  return pairs.sort(byNameThenValue).map(text).join('&');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** All but the unreserved characters of RFC 3986. */
const encoded = (text: string) =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (it) => `%${it.charCodeAt(0).toString(16).toUpperCase()}`);

const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
