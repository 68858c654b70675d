import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../clock.ts';
import { LoopbackServer } from '../loopback-server.ts';
import { codeOf, type ServedRequest, withoutUnknown } from './served-request.ts';

/** A request as it arrived at the gateway. */
export interface GatewayRequest {
  /** Request ID in the format of the API's type: `JKJaXmPLvHcESHA=` (HTTP API) or a UUID (REST API). */
  readonly id: string;
  readonly method: string;
  /** The path, still percent-encoded. */
  readonly path: string;
  /** The query string without its question mark, still percent-encoded. */
  readonly query: string;
  /** The HTTP version, such as `HTTP/1.1`. */
  readonly protocol: string;
  /** All headers, including repeated headers, in their original order and case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  readonly sourceIp: string;
}

/** The response to send. */
export interface GatewayResponse {
  readonly status: number;
  /** The headers to send. A header such as `Set-Cookie` can occur several times. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Buffer;
}

/** What every type of API is configured with. */
export interface ApiOptions {
  readonly apiId: string;
  readonly stage: string;
  readonly stageVariables?: Readonly<Record<string, string>> | undefined;
  readonly clock: Clock;
}

/**
 * An API that is served on a port. Each API type handles requests in its own way; this file contains the code that all
 * types share.
 */
export interface Api {
  /** Name of the response header with the request ID. */
  readonly idHeader: string;
  newId(): string;
  /** The paths of all routes, such as `/deployments/{deploymentId}`. */
  readonly routes: readonly string[];
  /** Returns the path of the route that a request matches; undefined if no route matches. */
  routeOf(method: string, path: string): string | undefined;
  handle(request: GatewayRequest): Promise<GatewayResponse>;
  /** Returns the response to a body that is larger than API Gateway allows. */
  tooLarge(): GatewayResponse;
}

/** Builds a JSON response from the gateway itself: `{"message": …}`. */
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

/**
 * Returns the headers of a function's response as the gateway sends them: with a content type, and without the content
 * length, which the gateway computes itself.
 *
 * @param own the function's headers, with names in lower case
 */
export function withContentType(
  own: GatewayResponse['headers'],
  defaultType: string,
): GatewayResponse['headers'] {
  const hasType = own.some(([name]) => name === 'content-type');
  return [
    ...(hasType ? [] : [['content-type', defaultType] as const]),
    ...own.filter(([name]) => name !== 'content-length'),
  ];
}

/** API Gateway's limit for a request body, in bytes. */
const BODY_LIMIT = 10 * 1024 * 1024;
/** API Gateway's limit for the request line and all headers together, in bytes. */
const HEADER_LIMIT = 10_240;

/** Serves one API on a port of 127.0.0.1. Responds with 503 to requests that arrive before the API is set. */
export class Gateway extends LoopbackServer {
  readonly #log: (line: string) => void;
  readonly #onRequest: (request: ServedRequest) => void;
  #api?: Api;

  constructor(log: (line: string) => void, onRequest: (request: ServedRequest) => void = () => {}) {
    // Keep idle connections open: if a client reuses a connection just as the server closes it, the connection is reset.
    super({ maxHeaderSize: HEADER_LIMIT, keepAliveTimeout: 0 });
    this.#log = log;
    this.#onRequest = onRequest;
  }

  serve(api: Api): void {
    this.#api = api;
  }

  protected async respond(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    try {
      await this.#serve(incoming, outgoing);
    } catch (error) {
      const hasClientLeft = !incoming.complete;
      if (!hasClientLeft) this.#log(`gateway: ${error instanceof Error ? error.stack : error}\n`);
      outgoing.destroy();
    }
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const start = performance.now();
    const id = this.#api?.newId() ?? '';
    const response = await this.#answer(incoming, await readBody(incoming), id);
    this.#onRequest({
      ...this.#shown(incoming),
      status: response.status,
      code: codeOf(response),
      milliseconds: performance.now() - start,
    });
    if (outgoing.destroyed) return;
    const idHeader = this.#api?.idHeader ?? 'apigw-requestid';
    for (const [name, value] of [...response.headers, [idHeader, id] as const]) {
      outgoing.appendHeader(name, value);
    }
    const body = Buffer.from(response.body);
    outgoing.writeHead(response.status, { 'content-length': body.length });
    outgoing.end(body);
  }

  /** Returns the parts of a request that are safe to display. */
  #shown({ method = 'GET', url = '/' }: IncomingMessage): Pick<ServedRequest, 'method' | 'path'> {
    const [path] = splitOnce(url, '?');
    const route = this.#api?.routeOf(method, path);
    return { method, path: route ?? withoutUnknown(path, this.#api?.routes ?? []) };
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

/** Reads the request body. Returns undefined if the body is larger than API Gateway allows. */
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
