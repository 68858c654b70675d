import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { crc32 } from 'node:zlib';

/** A call as the stub received it. */
export interface RecordedCall {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  /** The client's port, which identifies the connection. */
  port: number | undefined;
  body: string;
  /** The body of the call, parsed as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever a client sends
  input: any;
}

/** Sends the response to one call. */
export type Reply = (response: ServerResponse) => void;

/** Sends a response as DynamoDB does, with the body's CRC-32. */
export function answer(status: number, output: object, type = 'application/x-amz-json-1.0'): Reply {
  const body = JSON.stringify(output);
  return (response) => {
    response.writeHead(status, { 'Content-Type': type, 'x-amz-crc32': crc32(body) }).end(body);
  };
}

/** Sends an error as DynamoDB does. */
export function failure(status: number, name: string, rest: object = {}): Reply {
  return answer(status, { __type: `com.amazonaws.dynamodb.v20120810#${name}`, message: name, ...rest });
}

/** Ways in which a response can be lost or damaged. `output` is the undamaged response. */
export const damaged = {
  reset: (): Reply => (response) => response.socket?.resetAndDestroy(),
  hang: (): Reply => () => {},
  truncated:
    (output: object): Reply =>
    (response) => {
      const body = JSON.stringify(output);
      response.writeHead(200, { 'Content-Length': Buffer.byteLength(body), 'x-amz-crc32': crc32(body) });
      response.write(body.slice(0, body.length / 2), () => response.socket?.destroy());
    },
  shortened:
    (output: object): Reply =>
    (response) => {
      const body = JSON.stringify(output);
      response.writeHead(200, { 'x-amz-crc32': crc32(body) }).end(body.slice(0, body.length / 2));
    },
  wrongCrc:
    (output: object): Reply =>
    (response) =>
      response.writeHead(200, { 'x-amz-crc32': 1 }).end(JSON.stringify(output)),
  noCrc:
    (output: object): Reply =>
    (response) =>
      response.writeHead(200).end(JSON.stringify(output)),
  empty: (): Reply => (response) => response.writeHead(200).end(),
  page:
    (status: number): Reply =>
    (response) =>
      response.writeHead(status, { 'Content-Type': 'text/html' }).end('<h1>no</h1>'),
};

/** A running stub of DynamoDB. */
export interface Stub {
  endpoint: string;
  /** All calls since the last call of `reset`. */
  calls: RecordedCall[];
  /**
   * Sets the response to each call. @param choose receives the call, and how often the input of the call has occurred
   * before
   */
  reply: (choose: (call: RecordedCall, n: number) => Reply) => void;
  stop: () => Promise<void>;
}

/** Starts a server that speaks DynamoDB's protocol, sends the responses that a test sets, and records the calls. */
export async function startStub(): Promise<Stub> {
  let choose: (call: RecordedCall, n: number) => Reply = () => failure(500, 'InternalServerError');
  const calls: RecordedCall[] = [];
  const server = createServer((request, response) => {
    // The SDK would adjust its clock to the time in this header.
    response.sendDate = false;
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const call = {
        method,
        path: url,
        headers,
        port: request.socket.remotePort,
        body,
        input: JSON.parse(body),
      };
      const n = calls.filter((earlier) => earlier.body === body).length;
      calls.push(call);
      choose(call, n)(response);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    endpoint: `http://127.0.0.1:${port}`,
    calls,
    reply: (how) => {
      calls.length = 0;
      choose = how;
    },
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
