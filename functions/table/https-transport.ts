import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type DynamoError, failureOf, type Operation, type Outcome, outcomeOf, type Port } from './port.ts';

/** How long a connection can be idle before the next call opens a new connection, in milliseconds. */
const TRUSTED_IDLE = 10_000;

/** The address of DynamoDB, and the credentials for it. */
export interface AwsAccess {
  region: string;
  /** URL of DynamoDB. @default the Region's endpoint */
  endpoint?: string | undefined;
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
}

/**
 * Calls DynamoDB with its JSON protocol over HTTP/1.1, for the functions that answer a call, because a caller waits for
 * their start. The transport is a hundredth of the SDK's size and uses less than half as much CPU time. Connections stay
 * open.
 */
export function httpsTransport(access: AwsAccess): Port {
  const url = new URL(access.endpoint ?? defaultEndpoint(access.region));
  // Load only the needed one of `http` and `https`, because loading TLS takes a third of a function's start time.
  const { Agent, request } = process.getBuiltinModule(
    url.protocol.slice(0, -1),
  ) as typeof import('node:https');
  const agent = new Agent({ keepAlive: true });
  const { hostname, port, pathname: path } = url;
  // Create the request's target only once, because it is the same for every call.
  const target = { hostname, port, path, method: 'POST', agent };
  let lastCall = 0;
  const sign = signerFor(access, url);

  /**
   * Sends a request.
   * @returns the response, or an error if the response is not complete within `timeout` milliseconds
   */
  const send = (headers: string[], body: string, timeout: number) =>
    new Promise<Response | Error>((resolve) => {
      // Lambda suspends a function between calls, so a connection can close without the function noticing. No call
      // takes as long as the maximum idle time.
      const now = Date.now();
      if (now - lastCall > TRUSTED_IDLE) agent.destroy();
      lastCall = now;
      const outgoing = request({ ...target, headers }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        // Node compares the length of the body with Content-Length, so this error also covers truncated responses.
        incoming.on('error', fail);
        incoming.on('end', () => {
          clearTimeout(timer);
          const checksum = incoming.headers['x-amz-crc32'];
          resolve({ status: incoming.statusCode as number, checksum, bytes: Buffer.concat(chunks) });
        });
      });
      const timer = setTimeout(() => {
        fail(new Error('timeout'));
        outgoing.destroy();
      }, timeout);
      function fail(error: Error) {
        clearTimeout(timer);
        resolve(error);
      }
      outgoing.on('error', fail);
      outgoing.end(body);
    });

  return (async (operation, input, timeout) => {
    const body = JSON.stringify(converted(toAttribute, input));
    const headers = sign(operation, body);
    const response = await send(headers, body, timeout);
    return response instanceof Error ? unknown(response) : outcome(response);
  }) as Port;
}

/**
 * Returns a function that signs a call with AWS Signature Version 4, as AWS describes it in "Create a signed AWS API
 * request". The function returns the headers of the call as a flat list of names and values, because Node needs the
 * least CPU time for this form.
 */
function signerFor(
  { region, accessKeyId, secretAccessKey, sessionToken }: AwsAccess,
  { host, pathname }: URL,
) {
  let scope = '';
  let key: KeyObject;
  return (operation: Operation, body: string): string[] => {
    const time = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '');
    const day = time.slice(0, 8);
    // Create the signing key once a day, as a KeyObject, because Node would convert a key in a Buffer on every call.
    if (!scope.startsWith(day)) {
      scope = `${day}/${region}/dynamodb/aws4_request`;
      key = createSecretKey(scope.split('/').reduce<Buffer>(hmac, Buffer.from(`AWS4${secretAccessKey}`)));
    }
    // Signature Version 4 requires the names of the headers in alphabetical order.
    const headers: Record<string, string> = {
      'content-type': 'application/x-amz-json-1.0',
      host,
      'x-amz-date': time,
      ...(sessionToken && { 'x-amz-security-token': sessionToken }),
      'x-amz-target': `DynamoDB_20120810.${operation}`,
    };
    const names = Object.keys(headers).join(';');
    let lines = '';
    for (const name in headers) lines += `${name}:${headers[name]}\n`;
    const request = `POST\n${pathname}\n\n${lines}\n${names}\n${hash('sha256', body)}`;
    const signature = createHmac('sha256', key)
      .update(`AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash('sha256', request)}`)
      .digest('hex');
    headers.authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
    headers['content-length'] = `${Buffer.byteLength(body)}`;
    return Object.entries(headers).flat();
  };
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** Returns the endpoint from AWS's list of endpoints. In other partitions, set AWS_ENDPOINT_URL_DYNAMODB. */
function defaultEndpoint(region: string): string {
  return `https://dynamodb.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
}

interface Response {
  status: number;
  checksum: string | string[] | undefined;
  bytes: Buffer;
}

const unknown = (error: Error): Outcome => ({ kind: 'unknown', error });

function outcome({ status, checksum, bytes }: Response): Outcome {
  const isOk = status === 200;
  // Every successful response has a CRC-32. DynamoDB Local sends no CRC-32 with errors.
  if ((isOk || checksum) && Number(checksum) !== crc32(bytes)) {
    return unknown(new Error('damaged'));
  }
  return isOk ? outcomeOf(parsed(bytes)) : failureOf(errorOf(status, bytes), status);
}

const parsed = (bytes: Buffer): Json => converted(plainValue, JSON.parse(bytes.toString()));

/**
 * Returns DynamoDB's error. If a proxy in front of DynamoDB sent the response, returns an error with the HTTP status.
 */
function errorOf(status: number, bytes: Buffer): DynamoError {
  try {
    // As the AWS SDK does, accept both spellings of the field.
    const { __type, message, Message = message, ...details } = parsed(bytes);
    return Object.assign(new Error(Message), { name: __type.split('#').at(-1), ...details });
  } catch {
    return new Error(`status ${status}`);
  }
}

// biome-ignore lint/suspicious/noExplicitAny: requests and responses of any operation; port.ts has their types
type Json = any;

/**
 * The fields of requests and responses that contain attributes, such as `LastEvaluatedKey` and
 * `ExpressionAttributeValues`. If a field contains a list, its name ends in `s`. The name of the service's table does not
 * match, because it contains a hyphen.
 */
const HAS_ATTRIBUTES = /^(Item|Attributes|\w*Key|Ex\w+Values)$/;

/** Converts the attributes in a request or a response. @param name name of the field that holds `value` */
function converted(convert: (value: Json) => unknown, value: Json, name = ''): Json {
  if (Object(value) !== value) return value;
  if (HAS_ATTRIBUTES.test(name)) return mapped(value, convert);
  if (name === 'Responses')
    return mapped(value, (items) => items.map((item: object) => mapped(item, convert)));
  return Array.isArray(value)
    ? value.map((one) => converted(convert, one, name.slice(0, -1)))
    : mapped(value, (field, itsName) => converted(convert, field, itsName));
}

/**
 * Returns a copy of an object with converted values. Changing a copy needs a third of the CPU time of
 * `Object.fromEntries`, and also keeps an attribute that is called `__proto__`.
 */
function mapped<T>(from: object, to: (value: Json, name: string) => T): Record<string, T> {
  const copy: Record<string, Json> = { ...from };
  for (const name in copy) copy[name] = to(copy[name], name);
  return copy;
}

/** A DynamoDB attribute value, such as `{S: 'text'}` or `{N: '5'}`. */
interface AttributeValue {
  S?: string;
  N?: string;
  BOOL?: boolean;
  NULL?: true;
  L?: AttributeValue[];
  M?: AttributeMap;
  NS?: string[];
  SS?: string[];
}
type AttributeMap = Record<string, AttributeValue>;

/** Converts a plain value. JSON omits undefined values, as the SDK does. */
function toAttribute(value: Json): AttributeValue {
  const type = typeof value;
  if (type === 'string') return { S: value };
  if (type === 'number') return { N: `${value}` };
  if (type === 'boolean') return { BOOL: value };
  if (Array.isArray(value)) return { L: value.map(toAttribute) };
  if (value instanceof Set) return toSet([...value]);
  if (value === null) return { NULL: true };
  return value && { M: mapped(value, toAttribute) };
}

/** Converts the members of a set, which are all strings or all numbers. DynamoDB has no empty sets. */
const toSet = (members: (string | number)[]): AttributeValue => ({
  [typeof members[0] === 'number' ? 'NS' : 'SS']: members.map(String),
});

function plainValue(value: AttributeValue): unknown {
  if (value.N) return Number(value.N);
  if (value.L) return value.L.map(plainValue);
  if (value.M) return mapped(value.M, plainValue);
  if (value.NS) return new Set(value.NS.map(Number));
  if (value.SS) return new Set(value.SS);
  // NULL becomes null. Binary values would also become null, but no item of the service contains them.
  return value.S ?? value.BOOL ?? null;
}
