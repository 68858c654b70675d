import { createHash, createHmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import type { RecordedCall } from './dynamodb-stub.ts';

/** A hash with the interface that the AWS SDK's signer requires. */
export class Sha256 {
  readonly #hash;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret as string);
  }
  update(content: string | ArrayBuffer | ArrayBufferView) {
    this.#hash.update(content as string);
  }
  async digest() {
    return this.#hash.digest();
  }
}

/** The credential that signs a request, and the Region. */
export interface Signatory {
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
}

/** Returns the Authorization header that AWS's own signer creates for a recorded call, at the time in the call. */
export async function authorizationOf(
  { method, path, headers, body }: RecordedCall,
  { region, sessionToken, ...accessKey }: Signatory,
): Promise<string | undefined> {
  const signer = new SignatureV4({
    service: 'dynamodb',
    region,
    credentials: { ...accessKey, ...(sessionToken !== undefined && { sessionToken }) },
    sha256: Sha256,
    applyChecksum: false,
  });
  const names = /SignedHeaders=([^,]+)/.exec(headers.authorization ?? '')?.[1]?.split(';') ?? [];
  const [date = ''] = [headers['x-amz-date']].flat();
  const instant = date.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z');
  const signed = await signer.sign(
    {
      method,
      protocol: 'http:',
      hostname: '127.0.0.1',
      path,
      headers: Object.fromEntries(names.map((name) => [name, String(headers[name])])),
      body,
    },
    { signingDate: new Date(instant) },
  );
  return signed.headers.authorization;
}
