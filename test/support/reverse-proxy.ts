import { createServer, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll } from 'vitest';

/**
 * How a reverse proxy in front of the service reacts to a call. `lost` forwards the call and breaks the connection.
 */
export type Reaction = 'forward' | 'lost' | ((response: ServerResponse, body: string) => unknown);

/** A running reverse proxy in front of the service. */
export interface ReverseProxy {
  url: string;
  /** Reactions to the next calls, in order. All later calls are forwarded. */
  next: Reaction[];
  /** The bodies of all calls that the server received. */
  bodies: string[];
}

/**
 * Starts a reverse proxy in front of the service, for a test file. The proxy can respond as a gateway does when a call
 * does not reach the functions.
 */
export async function startReverseProxy(target: string): Promise<ReverseProxy> {
  const proxy: ReverseProxy = { url: '', next: [], bodies: [] };
  const server = createServer(async (incoming, response) => {
    let body = '';
    for await (const chunk of incoming) body += chunk;
    proxy.bodies.push(body);
    const reaction = proxy.next.shift();
    if (typeof reaction === 'function') return reaction(response, body);
    const { method, headers, url = '' } = incoming;
    const forwarded = request(`${target}${url}`, { method, headers }, (answer) => {
      if (reaction === 'lost') {
        answer.resume().on('end', () => incoming.socket.destroy());
        return;
      }
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    forwarded.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterAll(() => {
    server.close();
  });
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
}

/** Responds with a status, as a gateway does whose service is busy. */
export const busy =
  (status: number, headers: Record<string, string> = {}): Reaction =>
  (response) =>
    response.writeHead(status, headers).end('{"message":"Service Unavailable"}');
