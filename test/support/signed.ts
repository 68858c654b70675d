import { SignatureV4 } from '@smithy/signature-v4';
import type { AwsCredentials } from '../../local/aws/sigv4.ts';
import { Sha256 } from './sigv4.ts';
import { type Call, call, type Reply } from './stack.ts';

/** Options for signing a request. */
export interface Signing {
  /** Time of the signature. @default now */
  readonly at?: Date;
  readonly region?: string;
  readonly service?: string;
}

/** Returns the headers that the AWS SDK's own signer adds to a request: the signed headers and the signature. */
export async function signedHeaders(
  url: string,
  credential: AwsCredentials,
  method: string,
  path: string,
  { json, headers = {} }: Pick<Call, 'json' | 'headers'> = {},
  { at = new Date(), region = 'us-east-1', service = 'execute-api' }: Signing = {},
): Promise<Record<string, string>> {
  const signer = new SignatureV4({ credentials: credential, region, service, sha256: Sha256 });
  const { host, hostname, protocol, pathname, searchParams } = new URL(`${url}${path}`);
  const query: Record<string, string | string[]> = {};
  for (const name of new Set(searchParams.keys())) query[name] = searchParams.getAll(name);
  const signed = await signer.sign(
    {
      method,
      protocol,
      hostname,
      path: pathname,
      query,
      headers: { host, ...(json !== undefined && { 'content-type': 'application/json' }), ...headers },
      body: json === undefined ? '' : JSON.stringify(json),
    },
    { signingDate: at },
  );
  const { host: _, ...rest } = signed.headers;
  return rest;
}

/** Makes a call signed with a credential. */
export async function signedCall(
  target: { readonly url: string },
  credential: AwsCredentials,
  method: string,
  path: string,
  what: Pick<Call, 'json' | 'headers'> = {},
  how: Signing = {},
): Promise<Reply> {
  const headers = await signedHeaders(target.url, credential, method, path, what, how);
  return call(target, method, path, { json: what.json, headers });
}
