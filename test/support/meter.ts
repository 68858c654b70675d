import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';

/** Cost of calls: the names of the calls in order, and the capacity units that the engine reports. */
export interface Bill {
  calls: string[];
  /** The calls with the size of each request body in bytes. */
  requests: string[];
  read: number;
  written: number;
}

const noBill = (): Bill => ({ calls: [], requests: [], read: 0, written: 0 });

const READS = ['GetItem', 'BatchGetItem', 'Query'];
const WRITES = ['PutItem', 'UpdateItem', 'DeleteItem', 'BatchWriteItem', 'TransactWriteItems'];

/**
 * Starts a proxy in front of an engine. The proxy requests ReturnConsumedCapacity for every call and adds up the
 * results.
 *
 * @param scans whether to count Scans, which the emulated TTL makes in a local stack
 */
export async function startMeter(engineEndpoint: string, { scans = false } = {}) {
  const reads = scans ? [...READS, 'Scan'] : READS;
  const engine = new URL(engineEndpoint);
  const agent = new Agent({ keepAlive: true });
  let bill = noBill();

  const server = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const operation = String(incoming.headers['x-amz-target']).split('.')[1] ?? '';
    const isMetered = reads.includes(operation) || WRITES.includes(operation);
    const text = Buffer.concat(chunks).toString();
    const body = isMetered ? JSON.stringify({ ...JSON.parse(text), ReturnConsumedCapacity: 'TOTAL' }) : text;
    const forwarded = request(
      {
        host: engine.hostname,
        port: engine.port,
        method: incoming.method,
        agent,
        headers: { ...incoming.headers, 'content-length': Buffer.byteLength(body) },
      },
      async (answer) => {
        const parts: Buffer[] = [];
        for await (const part of answer) parts.push(part);
        const bytes = Buffer.concat(parts);
        if (isMetered) {
          const { ConsumedCapacity = [] } = JSON.parse(bytes.toString());
          const units = [ConsumedCapacity].flat().reduce((sum, { CapacityUnits }) => sum + CapacityUnits, 0);
          bill.calls.push(operation);
          bill.requests.push(`${operation} ${text.length}`);
          bill[reads.includes(operation) ? 'read' : 'written'] += units;
        }
        outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders).end(bytes);
      },
    );
    forwarded.on('error', () => outgoing.destroy());
    forwarded.end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };

  return {
    endpoint: `http://127.0.0.1:${port}`,
    /** Returns the cost since the last call of `take`. */
    take: (): Bill => {
      const spent = bill;
      bill = noBill();
      return spent;
    },
    stop: async () => {
      agent.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
