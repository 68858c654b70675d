import { createServer, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll } from 'vitest';

/**
 * How a front, a server in front of the service, reacts to a call. `lost` forwards the call and breaks the connection.
 */
export type Reaction = 'forward' | 'lost' | ((response: ServerResponse, body: string) => unknown);

/** A running server in front of the service. */
export interface Front {
  url: string;
  /** Reactions to the next calls, in order. All later calls are forwarded. */
  next: Reaction[];
  /** The bodies of all calls that the server received. */
  bodies: string[];
}

/**
 * Starts a server in front of the service, for a test file. The server can respond as a gateway does when a call does
 * not reach the functions.
 */
export async function startFront(target: string): Promise<Front> {
  const front: Front = { url: '', next: [], bodies: [] };
  const server = createServer(async (incoming, response) => {
    let body = '';
    for await (const chunk of incoming) body += chunk;
    front.bodies.push(body);
    const reaction = front.next.shift();
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
  front.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return front;
}

/** Responds with a status, as a gateway does whose service is busy. */
export const busy =
  (status: number, headers: Record<string, string> = {}): Reaction =>
  (response) =>
    response.writeHead(status, headers).end('{"message":"Service Unavailable"}');
