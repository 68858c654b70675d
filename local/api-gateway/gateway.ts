import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/** A request as it arrived. */
export interface GatewayRequest {
  /** As the API's kind words its own: `JKJaXmPLvHcESHA=`, or a UUID. */
  readonly id: string;
  readonly method: string;
  /** Still percent-encoded. */
  readonly path: string;
  /** Without the question mark, still encoded. */
  readonly query: string;
  /** `HTTP/1.1` */
  readonly protocol: string;
  /** In the order and case in which they came, repeated ones too. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  readonly sourceIp: string;
}

/** An answer to send. */
export interface GatewayResponse {
  readonly status: number;
  /** Set-Cookie may stand there more than once. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Buffer;
}

/** One API behind a port. Kinds of API differ in what they make of a request; this file is what they share. */
export interface Api {
  /** The header in which it tells the request's ID. */
  readonly idHeader: string;
  newId(): string;
  handle(request: GatewayRequest): Promise<GatewayResponse>;
  /** What it says of a body that API Gateway does not take. */
  tooLarge(): GatewayResponse;
}

/** The gateway's own answer: `{"message": …}`. */
export function message(
  status: number,
  text: string,
  headers: GatewayResponse['headers'] = [],
): GatewayResponse {
  return {
    status,
    headers: [['content-type', 'application/json'], ...headers],
    body: JSON.stringify({ message: text }),
  };
}

/** API Gateway's limit for a request's body. */
const BODY_LIMIT = 10 * 1024 * 1024;
/** API Gateway's limit for the request line and headers together. */
const HEADER_LIMIT = 10_240;

/** Serves one API on a port of 127.0.0.1, and on no other interface. */
export class Gateway {
  readonly #server: Server;
  #api?: Api;

  constructor(log: (line: string) => void) {
    this.#server = createServer({ maxHeaderSize: HEADER_LIMIT }, (incoming, outgoing) => {
      this.#serve(incoming, outgoing).catch((error) => {
        log(`gateway: ${error instanceof Error ? error.stack : error}\n`);
        outgoing.destroy();
      });
      // A client that reuses a connection at the moment at which it is closed for idleness sees a reset: close none.
      this.#server.keepAliveTimeout = 0;
    });
  }

  /**
   * Takes the port; requests wait until there is an API.
   *
   * @param port 0: any free one
   * @returns the base URL, without a slash at its end
   * @throws Error with code EADDRINUSE when the port is taken
   */
  async listen(port: number): Promise<string> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The gateway has no port.');
    return `http://127.0.0.1:${address.port}`;
  }

  serve(api: Api): void {
    this.#api = api;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const id = this.#api?.newId() ?? '';
    const response = await this.#answer(incoming, await readBody(incoming), id);
    if (outgoing.destroyed) return;
    const idHeader = this.#api?.idHeader ?? 'apigw-requestid';
    for (const [name, value] of [...response.headers, [idHeader, id] as const]) {
      outgoing.appendHeader(name, value);
    }
    const body = Buffer.from(response.body);
    outgoing.writeHead(response.status, { 'content-length': body.length });
    outgoing.end(body);
  }

  async #answer(incoming: IncomingMessage, body: Buffer | undefined, id: string): Promise<GatewayResponse> {
    if (!this.#api) return message(503, 'Service Unavailable');
    if (!body) return this.#api.tooLarge();
    const [path = '', query = ''] = splitOnce(incoming.url ?? '/', '?');
    return this.#api.handle({
      id,
      method: incoming.method ?? 'GET',
      path,
      query,
      protocol: `HTTP/${incoming.httpVersion}`,
      headers: pairs(incoming.rawHeaders),
      body,
      sourceIp: incoming.socket.remoteAddress ?? '127.0.0.1',
    });
  }
}

/** @returns undefined when the body is larger than API Gateway takes. */
async function readBody(incoming: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming) {
    size += chunk.length;
    if (size <= BODY_LIMIT) chunks.push(chunk);
  }
  return size <= BODY_LIMIT ? Buffer.concat(chunks) : undefined;
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function pairs(raw: string[]): [string, string][] {
  return raw.flatMap((name, index) => (index % 2 === 0 ? [[name, raw[index + 1] ?? '']] : []));
}
