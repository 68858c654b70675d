import { once } from 'node:events';
import { createServer, request, type ServerResponse } from 'node:http';
import { afterAll } from 'vitest';
import { startEngine } from '../../local/dynamodb/engine.ts';

/** The error that DynamoDB sends instead of the engine's response. */
interface Fault {
  readonly status: number;
  /** Name of the exception, such as `ThrottlingException`. */
  readonly name: string;
}

/** A fault of every call to DynamoDB: an error, or no response at all. Streams stay readable. */
type EngineFault = Fault | 'hang' | undefined;

/**
 * Starts an engine that can fail as the real DynamoDB does, for a local stack that starts afterwards. The engine works
 * normally until `fault` is set.
 */
export async function faultyEngine(): Promise<{ fault: EngineFault }> {
  const engine = await startEngine();
  const target = new URL(engine.endpoint);
  let current: EngineFault;
  const hanging = new Set<ServerResponse>();
  const state = {
    get fault() {
      return current;
    },
    set fault(fault: EngineFault) {
      current = fault;
      for (const response of hanging) response.destroy();
      hanging.clear();
    },
  };
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const isOfStream = String(incoming.headers['x-amz-target']).startsWith('DynamoDBStreams');
    if (state.fault === 'hang' && !isOfStream) {
      hanging.add(outgoing);
      return;
    }
    if (typeof state.fault === 'object' && !isOfStream) {
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
