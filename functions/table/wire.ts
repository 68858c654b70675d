import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { urlToHttpOptions } from 'node:url';
import { crc32 } from 'node:zlib';
import aws4 from 'aws4';
import { unavailable } from '../domain/errors.ts';
import { type Patience, TRANSIENT } from './faults.ts';
import type { Item, ItemKey } from './schema.ts';

/** Where DynamoDB is, and as whom to call it. */
export interface Access {
  region: string;
  /** Left out: the Region's own. */
  endpoint?: string | undefined;
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
}

/** An attribute value as DynamoDB writes it: `{S: 'text'}`, `{N: '5'}`. */
export type WireValue = { S?: string; N?: string; BOOL?: boolean; L?: WireValue[]; M?: WireItem };
export type WireItem = Record<string, WireValue>;

/** What DynamoDB answered: the answer, or that the condition of the write failed and what item was there. */
export type Outcome =
  | { done: true; output: Record<string, unknown> }
  | { done: false; item: WireItem | undefined };

type Operation = 'BatchGetItem' | 'DeleteItem' | 'PutItem' | 'TransactWriteItems' | 'UpdateItem';

/**
 * One call of DynamoDB.
 * @param input the request, or a function that creates it for each attempt. An attempt that timed out can still reach the
 *   table at any later time, so a write that must not happen then needs another input for each attempt
 * @throws ServiceError 503 when there was no whole, undamaged answer; Error with DynamoDB's own name (no permission,
 *   no table, a transaction that was cancelled, with its `CancellationReasons`) for what no further attempt would mend
 */
export type Wire = (operation: Operation, input: object | (() => object)) => Promise<Outcome>;

/** The longest pause between two attempts, in milliseconds. The pause is random, so that callers come apart. */
const PAUSE = 50;

/**
 * DynamoDB's JSON protocol over HTTP/1.1, for the functions that are called most or waited for most: a tenth of
 * the SDK's weight and less than half of its work. Connections are kept. All attempts of a call share one time budget.
 */
export function openWire(access: Access, { attemptTimeout, attempts }: Patience): Wire {
  const { region, endpoint = defaultEndpoint(region), ...credentials } = access;
  const url = new URL(endpoint);
  // The one of the two that is needed: TLS is a third of the time that a function takes to start.
  const { Agent, request } = process.getBuiltinModule(url.protocol === 'http:' ? 'node:http' : 'node:https');
  const agent = new Agent({ keepAlive: true });
  const Signer = signerFor(credentials.secretAccessKey);
  const { hostname, port, path } = urlToHttpOptions(url);
  const target = { hostname, port, path, method: 'POST', agent };

  /** Everything up to the last byte of the answer, within `timeout` milliseconds. */
  const exchange = (headers: string[], body: string, timeout: number) =>
    new Promise<Answer>((resolve, reject) => {
      const outgoing = request({ ...target, headers }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        // Also the one that is cut off: Node compares with Content-Length.
        incoming.on('error', fail);
        incoming.on('end', () => {
          clearTimeout(timer);
          const checksum = incoming.headers['x-amz-crc32'];
          const [first = Buffer.alloc(0), ...rest] = chunks;
          const bytes = rest.length === 0 ? first : Buffer.concat(chunks);
          resolve({ status: incoming.statusCode ?? 0, checksum, bytes });
        });
      });
      const timer = setTimeout(() => {
        fail(new Error(`no answer within ${Math.ceil(timeout)} ms`));
        outgoing.destroy();
      }, timeout);
      function fail(error: Error) {
        clearTimeout(timer);
        reject(new Unanswered(error.message));
      }
      outgoing.on('error', fail);
      outgoing.end(body);
    });

  return async (operation, input) => {
    const deadline = performance.now() + attempts * attemptTimeout;
    for (let attempt = 1; ; attempt++) {
      const body = JSON.stringify(typeof input === 'function' ? input() : input);
      const timeout = Math.max(1, Math.min(attemptTimeout, deadline - performance.now()));
      const signer = new Signer(
        {
          service: 'dynamodb',
          region,
          method: 'POST',
          path: url.pathname,
          headers: {
            Host: url.host,
            'Content-Type': 'application/x-amz-json-1.0',
            'X-Amz-Target': `DynamoDB_20120810.${operation}`,
          },
          body,
        },
        credentials,
      );
      try {
        // A flat list of names and values is what Node sends with the least work.
        const headers = Object.entries(signer.sign().headers as Record<string, string>).flat();
        return outcomeOf(await exchange(headers, body, timeout));
      } catch (error) {
        if (!(error instanceof Unanswered)) throw error;
        // A process that was held up has no time left for another.
        if (attempt === attempts || performance.now() >= deadline) throw unavailable(error);
      }
      await pause(Math.random() * PAUSE);
    }
  };
}

/**
 * aws4's signer with its key kept as a KeyObject. Node 24 makes one of the Buffer that aws4 keeps at every call, which
 * costs as much as all the rest of signing. How the key comes about: AWS, "Create a signed AWS API request", step 4.
 */
function signerFor(secretAccessKey: string): typeof aws4.RequestSigner {
  let scope: string;
  let key: KeyObject;
  return class extends aws4.RequestSigner {
    override signature() {
      // The day, Region and service.
      if (scope !== this.credentialString()) {
        scope = this.credentialString();
        const parts = scope.split('/');
        key = createSecretKey(parts.reduce<Buffer>(hmac, Buffer.from(`AWS4${secretAccessKey}`)));
      }
      return createHmac('sha256', key).update(this.stringToSign()).digest('hex');
    }
  };
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/**
 * One strongly consistent BatchGetItem.
 * @param projection which attributes are read; all when left out
 * @returns what there is under a key
 * @throws ServiceError 503 when nothing was said of the table: absent and unread must never look the same
 */
export async function readBatch(
  wire: Wire,
  tableName: string,
  keys: ItemKey[],
  projection?: object,
): Promise<(key: ItemKey) => WireItem | undefined> {
  const request = { Keys: keys.map(wireKey), ConsistentRead: true, ...projection };
  const outcome = await wire('BatchGetItem', { RequestItems: { [tableName]: request } });
  const output = outcome.done ? outcome.output : {};
  const items = (output.Responses as Record<string, WireItem[]> | undefined)?.[tableName];
  if (!items) throw unavailable(new Error('BatchGetItem gave no answer'));
  return ({ pk, sk }) => items.find((item) => item.pk?.S === pk && item.sk?.S === sk);
}

/** An item in the form that its parser takes. */
export function plainItem(item: WireItem | undefined): Item | undefined {
  return item && Object.fromEntries(Object.entries(item).map(([name, value]) => [name, plain(value)]));
}

/** Of the types that our items have. One of another type is null, which no parser takes. */
function plain(value: WireValue): unknown {
  if (value.S !== undefined) return value.S;
  if (value.N !== undefined) return Number(value.N);
  if (value.BOOL !== undefined) return value.BOOL;
  if (value.L !== undefined) return value.L.map(plain);
  return plainItem(value.M) ?? null;
}

export function wireKey({ pk, sk }: ItemKey): WireItem {
  return { pk: { S: pk }, sk: { S: sk } };
}

/** As AWS's list of endpoints has it; in other partitions AWS_ENDPOINT_URL_DYNAMODB names it. */
function defaultEndpoint(region: string): string {
  return `https://dynamodb.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
}

interface Answer {
  status: number;
  checksum: string | string[] | undefined;
  bytes: Buffer;
}

/** No answer, a damaged one, or one by which DynamoDB asks to come again. */
class Unanswered extends Error {
  override readonly name = 'Unanswered';
}

function outcomeOf({ status, checksum, bytes }: Answer): Outcome {
  const isOk = status === 200;
  // Every good answer has DynamoDB's CRC-32. Errors may have none: DynamoDB Local sends none with them.
  if ((isOk || checksum) && Number(checksum) !== crc32(bytes)) throw new Unanswered('the answer is damaged');
  if (isOk) {
    const output = JSON.parse(bytes.toString());
    // Absent and unread must never look the same.
    if (Object.keys(output.UnprocessedKeys ?? {}).length > 0) throw new Unanswered('keys left unprocessed');
    return { done: true, output };
  }
  const { name, message, Item, ...details } = errorOf(status, bytes);
  if (name === 'ConditionalCheckFailedException') return { done: false, item: Item };
  if (status >= 500 || TRANSIENT.has(name)) throw new Unanswered(`${status} ${name}`);
  throw Object.assign(new Error(message), { name, ...details });
}

/** DynamoDB's error, or that of whatever stands before it and does not speak its language. */
function errorOf(
  status: number,
  bytes: Buffer,
): { name: string; message: string; Item?: WireItem; CancellationReasons?: unknown } {
  try {
    const { __type, message = '', Item, CancellationReasons } = JSON.parse(bytes.toString());
    return { name: __type.slice(__type.indexOf('#') + 1), message, Item, CancellationReasons };
  } catch {
    return { name: 'Error', message: `DynamoDB answered ${status}` };
  }
}
