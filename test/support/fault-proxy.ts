import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { crc32 } from 'node:zlib';

/**
 * Faults of a call between a function and DynamoDB: `hang`: no response ever arrives. `delay`: the response is late.
 * `reset`: the connection breaks before the engine receives the call. `lost`: the connection breaks after the engine
 * has done the work. `truncated`: only half of the response arrives. `500` and `throttled`: DynamoDB's errors.
 * `denied`: the function has no permission. `missing`: the table does not exist. `conflict`: the transaction collides
 * with another transaction. `unprocessed`: the engine leaves keys or items unprocessed, as DynamoDB may do.
 */
export type FaultKind =
  | 'hang'
  | 'delay'
  | 'reset'
  | 'lost'
  | 'truncated'
  | '500'
  | 'throttled'
  | 'denied'
  | 'missing'
  | 'conflict'
  | 'unprocessed';

export const FAULTS: readonly FaultKind[] = [
  'hang',
  'delay',
  'reset',
  'lost',
  'truncated',
  '500',
  'throttled',
  'denied',
  'missing',
  'conflict',
  'unprocessed',
];

/** A fault and the calls that the fault affects. */
export interface Fault {
  kind: FaultKind;
  /** Which matching calls fail: only the call with this index (counted from 0), or that call and all later ones. */
  at: number;
  lasts: boolean;
}

interface Rule {
  /** Text that the body of a matching call contains. */
  of: string;
  fault?: Fault | undefined;
  /** Function that runs after the engine has responded and before the function under test receives the response. */
  afterwards?: ((operation: string) => Promise<void>) | undefined;
  /** Index of the matching call to hold back, counted from 0. */
  heldBack?: number | undefined;
  /** Forwards the held calls to the engine. */
  held: (() => Promise<unknown>)[];
  operations: string[];
  /** The matching calls that are in progress. */
  underWay: Promise<void>[];
}

/** Delay of a late response, in milliseconds. */
const DELAY = 60;
/** Duration of a write in milliseconds if concurrent writes are to collide. */
const WRITE = 4;

/**
 * Starts a proxy on loopback, between the functions and the engine, that causes the faults that a test sets. All other
 * calls pass unchanged.
 *
 * @param options.collides whether concurrent writes of an item collide as in DynamoDB, which cancels a transaction that
 *   meets any other write of one of its items, and rejects a single write that meets a transaction
 */
export async function startFaultProxy(
  engineEndpoint: string,
  { collides = false }: { collides?: boolean } = {},
) {
  const engine = new URL(engineEndpoint);
  const agent = new Agent({ keepAlive: true });
  const rules = new Set<Rule>();
  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch(() => outgoing.destroy());
  }).listen(0, '127.0.0.1');
  server.keepAliveTimeout = 0;
  await once(server, 'listening');
  const { port } = server.address() as { port: number };

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = Buffer.concat(await incoming.toArray()).toString();
    const operation = String(incoming.headers['x-amz-target']).split('.').pop() ?? '';
    const isWrite = !/^(BatchGetItem|GetItem|Query|Scan)$/.test(operation);
    if (collides && isWrite) return write(incoming, outgoing, body, operation);
    const rule = [...rules].find(({ of }) => body.includes(of));
    const n = rule ? rule.operations.push(operation) - 1 : 0;
    if (rule && rule.heldBack === n) {
      rule.held.push(() => forward(incoming, body));
      incoming.socket.resetAndDestroy();
      return;
    }
    const fault = faultOf(rule, n);
    const answered = fault
      ? spoil(fault.kind, { incoming, outgoing, body, operation })
      : forward(incoming, body).then(async (answer) => {
          await rule?.afterwards?.(operation);
          pass(answer, outgoing);
        });
    rule?.underWay.push(answered);
    await answered;
  }

  /**
   * Items that are being written, each with the number of its writes and the number of those writes that are in
   * transactions.
   */
  const writing = new Map<string, { writes: number; transactions: number }>();

  async function write(incoming: IncomingMessage, outgoing: ServerResponse, body: string, operation: string) {
    const items = itemsWritten(operation, body);
    const isTransaction = operation === 'TransactWriteItems';
    const met = items.map((item) => writing.get(item) ?? { writes: 0, transactions: 0 });
    if (isTransaction && met.some(({ writes }) => writes > 0)) {
      return cancel(outgoing, body, 'TransactionConflict');
    }
    if (met.some(({ transactions }) => transactions > 0)) {
      return fail(outgoing, 400, 'TransactionConflictException');
    }
    const count = (by: number) => {
      for (const item of items) {
        const { writes, transactions } = writing.get(item) ?? { writes: 0, transactions: 0 };
        writing.set(item, { writes: writes + by, transactions: transactions + (isTransaction ? by : 0) });
      }
    };
    count(1);
    try {
      const answer = await forward(incoming, body);
      await new Promise((resolve) => setTimeout(resolve, WRITE));
      pass(answer, outgoing);
    } finally {
      count(-1);
    }
  }

  async function spoil(
    kind: FaultKind,
    call: { incoming: IncomingMessage; outgoing: ServerResponse; body: string; operation: string },
  ): Promise<void> {
    const { incoming, outgoing, body, operation } = call;
    const isTransaction = operation === 'TransactWriteItems';
    switch (kind) {
      case 'hang':
        return;
      case 'delay':
        await new Promise((resolve) => setTimeout(resolve, DELAY));
        return pass(await forward(incoming, body), outgoing);
      case 'reset':
        incoming.socket.resetAndDestroy();
        return;
      case 'lost':
        await forward(incoming, body);
        incoming.socket.resetAndDestroy();
        return;
      case 'truncated': {
        const answer = await forward(incoming, body);
        outgoing.writeHead(answer.status, answer.headers);
        outgoing.write(answer.bytes.subarray(0, answer.bytes.length / 2), () => incoming.socket.destroy());
        return;
      }
      case '500':
        return fail(outgoing, 500, 'InternalServerError');
      case 'throttled':
        return isTransaction
          ? cancel(outgoing, body, 'ThrottlingError')
          : fail(outgoing, 400, 'ProvisionedThroughputExceededException');
      case 'denied':
        return fail(outgoing, 400, 'AccessDeniedException');
      case 'missing':
        return fail(outgoing, 400, 'ResourceNotFoundException');
      case 'conflict':
        // Only transactions, and calls that meet a transaction, can collide. A read then fails with an error of another
        // name.
        return isTransaction
          ? cancel(outgoing, body, 'TransactionConflict')
          : pass(await forward(incoming, body), outgoing);
      case 'unprocessed':
        return pass(await leaveUndone(incoming, body, operation), outgoing);
    }
  }

  /**
   * Lets the engine process all entries of a batch except the last, and returns that entry as unprocessed. Only batch
   * operations have responses of this kind.
   */
  async function leaveUndone(incoming: IncomingMessage, body: string, operation: string): Promise<Answer> {
    const input = JSON.parse(body);
    const [name, requested] = Object.entries<Requested>(input.RequestItems ?? {})[0] ?? [];
    if (!name || !requested) return forward(incoming, body);
    const list = Array.isArray(requested) ? requested : requested.Keys;
    const left = list.pop();
    const rest = Array.isArray(requested) ? [left] : { ...requested, Keys: [left] };
    const answer: Answer =
      list.length > 0
        ? await forward(incoming, JSON.stringify(input))
        : {
            status: 200,
            headers: { 'content-type': 'application/x-amz-json-1.0' },
            bytes: Buffer.from('{}'),
          };
    const output = JSON.parse(answer.bytes.toString());
    const field = operation === 'BatchGetItem' ? 'UnprocessedKeys' : 'UnprocessedItems';
    const bytes = Buffer.from(
      JSON.stringify({
        ...(operation === 'BatchGetItem' && { Responses: {} }),
        ...output,
        [field]: { [name]: rest },
      }),
    );
    const { 'x-amz-crc32': _, 'content-length': __, ...headers } = answer.headers;
    return { status: answer.status, headers: { ...headers, 'x-amz-crc32': String(crc32(bytes)) }, bytes };
  }

  async function forward(incoming: IncomingMessage, body: string): Promise<Answer> {
    const forwarded = request({
      host: engine.hostname,
      port: engine.port,
      path: '/',
      method: 'POST',
      agent,
      headers: { ...incoming.headers, 'content-length': Buffer.byteLength(body) },
    });
    forwarded.end(body);
    const [answer] = (await once(forwarded, 'response')) as [IncomingMessage];
    const bytes = Buffer.concat(await answer.toArray());
    const headers = Object.fromEntries(
      Object.entries(answer.headers).map(([name, value]) => [name, String(value)]),
    );
    return { status: answer.statusCode ?? 502, headers, bytes };
  }

  return {
    endpoint: `http://127.0.0.1:${port}`,
    /**
     * Intercepts calls whose body contains the given text, and applies a fault to one or more consecutive calls.
     *
     * @returns the operations called so far, and a function that ends the fault; once the promise of that function
     *   resolves, no watched call can still reach the engine, even if its caller no longer waits
     */
    inject(of: string, fault?: Fault, afterwards?: Rule['afterwards']) {
      const rule: Rule = { of, fault, afterwards, held: [], operations: [], underWay: [] };
      rules.add(rule);
      const end = async () => {
        rules.delete(rule);
        await Promise.allSettled(rule.underWay);
      };
      return { operations: rule.operations, end };
    },
    /**
     * Holds back one call whose body contains the given text: the connection breaks, and the engine receives the call
     * only later.
     *
     * @param at index of the call to hold back among the matching calls, counted from 0
     * @param fault a fault for another matching call
     * @returns the operations of the matching calls so far, and a function that forwards the held call to the engine
     * and lets all other calls pass
     */
    holdBack(of: string, at: number, fault?: Fault) {
      const rule: Rule = { of, fault, heldBack: at, held: [], operations: [], underWay: [] };
      rules.add(rule);
      const release = async () => {
        rules.delete(rule);
        await Promise.allSettled(rule.underWay);
        for (const forwardIt of rule.held.splice(0)) await forwardIt();
      };
      return { operations: rule.operations, release, ignore: () => rules.delete(rule) };
    },
    stop: async () => {
      server.close();
      server.closeAllConnections();
      agent.destroy();
    },
  };
}

/** Returns the fault that a rule sets for the matching call with this index, if any. */
function faultOf(rule: Rule | undefined, n: number): Fault | undefined {
  const fault = rule?.fault;
  if (!fault) return undefined;
  return n === fault.at || (fault.lasts && n > fault.at) ? fault : undefined;
}

type Requested = object[] | { Keys: object[] };

/** Returns the keys of the items that a call writes or checks, as text. */
function itemsWritten(operation: string, body: string): string[] {
  const input = JSON.parse(body);
  const parts = operation === 'TransactWriteItems' ? input.TransactItems.flatMap(Object.values) : [input];
  return parts.map(({ Key, Item }: { Key?: Keyed; Item?: Keyed }) => {
    const { pk, sk } = Key ?? Item ?? {};
    return `${pk?.S} ${sk?.S}`;
  });
}

interface Keyed {
  pk?: { S: string };
  sk?: { S: string };
}

interface Answer {
  status: number;
  headers: Record<string, string>;
  bytes: Buffer;
}

function pass({ status, headers, bytes }: Answer, outgoing: ServerResponse): void {
  const { 'transfer-encoding': _, ...rest } = headers;
  outgoing.writeHead(status, { ...rest, 'content-length': bytes.length });
  outgoing.end(bytes);
}

function fail(outgoing: ServerResponse, status: number, name: string, more: object = {}): void {
  outgoing.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' });
  outgoing.end(
    JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${name}`, message: name, ...more }),
  );
}

/** Responds with a cancelled transaction and a reason for each of its parts. */
function cancel(outgoing: ServerResponse, body: string, Code: string): void {
  const parts = JSON.parse(body).TransactItems.length;
  const CancellationReasons = Array.from({ length: parts }, (_, n) =>
    n === 0 ? { Code, Message: Code } : { Code: 'None' },
  );
  fail(outgoing, 400, 'TransactionCanceledException', { CancellationReasons });
}
