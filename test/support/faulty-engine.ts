import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { afterAll } from 'vitest';
import { startEngine } from '../../local/dynamodb/engine.ts';

/** The error that DynamoDB sends instead of the engine's response. */
export interface Fault {
  readonly status: number;
  /** Name of the exception, such as `ThrottlingException`. */
  readonly name: string;
}

/**
 * Starts an engine that can fail as the real DynamoDB does, for a local stack that starts afterwards. The engine works
 * normally until `fault` is set.
 */
export async function faultyEngine(): Promise<{ fault: Fault | undefined }> {
  const engine = await startEngine();
  const target = new URL(engine.endpoint);
  const state: { fault: Fault | undefined } = { fault: undefined };
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    if (state.fault) {
      const { status, name } = state.fault;
      outgoing.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' });
      outgoing.end(JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${name}`, message: name }));
      return;
    }
    const { hostname: host, port } = target;
    const forwarded = request({
      host,
      port,
      path: incoming.url,
      method: incoming.method,
      headers: incoming.headers,
    });
    forwarded.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    forwarded.on('error', () => outgoing.destroy());
    forwarded.end(Buffer.concat(chunks));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const before = process.env.DYNAMODB_ENDPOINT;
  process.env.DYNAMODB_ENDPOINT = `http://127.0.0.1:${typeof address === 'object' && address?.port}`;
  afterAll(async () => {
    if (before === undefined) delete process.env.DYNAMODB_ENDPOINT;
    else process.env.DYNAMODB_ENDPOINT = before;
    server.close();
    server.closeAllConnections();
    await engine.stop();
  });
  return state;
}
