import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';

/** An HTTP server on a port of 127.0.0.1, and not on any other interface. */
export abstract class LoopbackServer {
  readonly #server: Server;

  constructor(options: ServerOptions = {}) {
    this.#server = createServer(options, (request, response) => void this.respond(request, response));
  }

  /** Responds to a request. Must handle its own errors: if the promise rejects, the process ends. */
  protected abstract respond(request: IncomingMessage, response: ServerResponse): Promise<void>;

  /**
   * Opens the port.
   *
   * @param port port number; 0 picks any free port
   * @returns the base URL, without a trailing slash
   * @throws Error with code EADDRINUSE if the port is in use
   */
  async listen(port: number): Promise<string> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The server has no port.');
    return `http://127.0.0.1:${address.port}`;
  }

  /** Closes the port and all connections. Resolves when they are closed. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}
