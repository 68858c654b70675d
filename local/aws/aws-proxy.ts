import { randomUUID } from 'node:crypto';
import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { ENGINE_CREDENTIALS } from '../dynamodb/engine.ts';
import { LoopbackServer } from '../loopback-server.ts';
import { ACCOUNT, REGION } from '../template.ts';
import type { CloudWatch } from './cloudwatch.ts';
import { type Bus, busesOf, putEvents } from './event-bridge.ts';
import type { Named, Permissions } from './iam.ts';
import { callSecret, type Secret, secretOf } from './secrets-manager.ts';
import { callQueue, type Queue, queueOf } from './sqs.ts';

/**
 * A function that calls the proxy. The proxy identifies it by its access key, which only the function's environment
 * contains.
 */
export interface CallingFunction {
  readonly name: string;
  /** ARN of the function's role session, as error messages show it. */
  readonly sessionArn: string;
  readonly permissions: Permissions;
}

type Json = Record<string, unknown>;

/** An action that a call needs, and the resource that it acts on. */
interface Need {
  readonly action: string;
  readonly resource: string;
  /** The keys and attributes that the call names, if it is a call to DynamoDB. */
  readonly named?: Named;
}

/** A call to a resource that exists. */
interface Call {
  readonly needs: readonly Need[];
  /**
   * Makes the call. Returns undefined for an operation that the emulator does not have. Absent for a call to DynamoDB,
   * which the engine answers.
   */
  readonly answer?: () => object | undefined;
}

interface CallError {
  readonly error: string;
  readonly message: string;
}

type Attributes = Readonly<Record<string, { readonly S?: string }>>;

interface ItemCall {
  readonly TableName?: string;
  readonly Key?: Attributes;
  readonly Item?: Attributes;
  readonly KeyConditionExpression?: string;
  readonly UpdateExpression?: string;
  readonly ConditionExpression?: string;
  readonly FilterExpression?: string;
  readonly ProjectionExpression?: string;
  readonly ExpressionAttributeNames?: Readonly<Record<string, string>>;
  readonly ExpressionAttributeValues?: Attributes;
}

/**
 * Returns the partition key and the attributes that are named in a call for one item or partition. The partition key is
 * the `pk` attribute in every table in the stack.
 */
function namedBy(call: ItemCall): Named {
  const [, value = ''] = /\bpk\s*=\s*(:\w+)/.exec(call.KeyConditionExpression ?? '') ?? [];
  const pk = (call.Key ?? call.Item)?.pk?.S ?? call.ExpressionAttributeValues?.[value]?.S;
  return { leadingKeys: pk === undefined ? [] : [pk], attributes: attributesOf(call) };
}

/**
 * Keywords in expressions, which are not attribute names. Function names do not need an entry, because a parenthesis
 * follows them.
 */
const KEYWORDS = new Set(['SET', 'REMOVE', 'ADD', 'DELETE', 'AND', 'OR', 'NOT', 'BETWEEN', 'IN']);

/** Returns the top-level attributes that a call names in its key or item and in its expressions. */
function attributesOf(call: ItemCall): string[] {
  const { ExpressionAttributeNames: names = {} } = call;
  const expressions = [
    call.KeyConditionExpression,
    call.UpdateExpression,
    call.ConditionExpression,
    call.FilterExpression,
    call.ProjectionExpression,
  ];
  const inExpressions = expressions
    .flatMap((expression = '') => expression.match(/(?<![\w.:#])#?[A-Za-z]\w*(?![\w(])(?!\s*\()/g) ?? [])
    .filter((word) => !KEYWORDS.has(word.toUpperCase()))
    .map((word) => names[word] ?? word);
  return [...new Set([...Object.keys(call.Key ?? call.Item ?? {}), ...inExpressions])];
}

/**
 * Returns the keys and attributes that a batch names for one table. A batch read lists keys; a batch write contains
 * items to put and keys to delete.
 */
function namedByBatch(requests: unknown): Named {
  const calls = Array.isArray(requests)
    ? requests.map(({ PutRequest, DeleteRequest }): ItemCall => PutRequest ?? DeleteRequest)
    : ((requests as { Keys?: Attributes[] }).Keys ?? []).map(
        (Key): ItemCall => ({ ...Object(requests), Key }),
      );
  const named = calls.map(namedBy);
  return {
    leadingKeys: named.flatMap(({ leadingKeys = [] }) => leadingKeys),
    attributes: named.flatMap(({ attributes = [] }) => attributes),
  };
}

/** The errors with which DynamoDB rejects a request, or a part of a transaction, because it is throttled. */
const THROTTLE = /ThrottlingException|ProvisionedThroughputExceeded|ThrottlingError/;

const READS = /Get|Query|Scan/;

const SERVICES: Record<string, string> = {
  DynamoDB_20120810: 'dynamodb',
  AmazonSQS: 'sqs',
  AWSEvents: 'events',
  secretsmanager: 'secretsmanager',
};

const tableArn = (name: unknown) =>
  String(name).startsWith('arn:') ? String(name) : `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/${name}`;

/**
 * The operations in a transaction and the action that each one needs. IAM does not have an action for the transaction
 * as a whole.
 */
const TRANSACTION_PARTS: Record<string, string> = {
  Put: 'PutItem',
  Update: 'UpdateItem',
  Delete: 'DeleteItem',
  ConditionCheck: 'ConditionCheckItem',
  Get: 'GetItem',
};

function needsOfTransaction(input: Json): Need[] {
  return ((input.TransactItems ?? []) as Record<string, ItemCall>[]).flatMap((item) =>
    Object.entries(item).map(([part, call]) => ({
      action: `dynamodb:${TRANSACTION_PARTS[part] ?? part}`,
      resource: tableArn(call.TableName),
      named: namedBy(call),
    })),
  );
}

/** Returns the permissions that a call to DynamoDB needs. */
function needs(operation: string, input: Json): Need[] {
  if (operation.startsWith('Transact')) return needsOfTransaction(input);
  const action = `dynamodb:${operation}`;
  if (operation.startsWith('Batch')) {
    return Object.entries((input.RequestItems ?? {}) as Json).map(([name, requests]) => ({
      action,
      resource: tableArn(name),
      named: namedByBatch(requests),
    }));
  }
  const index = input.IndexName === undefined ? '' : `/index/${input.IndexName}`;
  const resource = `${tableArn(input.TableName)}${index}`;
  return [{ action, resource, named: namedBy(input) }];
}

/**
 * Emulates the endpoints of DynamoDB, SQS, EventBridge and Secrets Manager. The access key in the SigV4 header
 * identifies the calling function, and the proxy allows only what that function's role allows. A permission that is
 * missing in the template therefore causes a failure here, and not in someone's account. The proxy counts the calls
 * that it allows. It does not verify signatures, because only the functions know the keys.
 */
export class AwsProxy extends LoopbackServer {
  readonly #callers = new Map<string, CallingFunction>();
  readonly #calls = new Map<string, Map<string, number>>();
  readonly #agent = new Agent({ keepAlive: true });
  #queues: readonly Queue[] = [];
  #buses: readonly Bus[] = [];
  #secrets: readonly Secret[] = [];
  readonly #engine: URL;
  readonly #cloudWatch: CloudWatch;

  constructor(engineEndpoint: string, cloudWatch: CloudWatch) {
    // Keep idle connections open, because a function is suspended between events and would not notice that a connection
    // was closed.
    super({ keepAliveTimeout: 0 });
    this.#engine = new URL(engineEndpoint);
    this.#cloudWatch = cloudWatch;
  }

  override async stop(): Promise<void> {
    await super.stop();
    this.#agent.destroy();
  }

  protected async respond(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    await this.#serve(incoming, outgoing).catch(() => outgoing.destroy());
  }

  serveQueues(queues: readonly Queue[]): void {
    this.#queues = queues;
  }

  serveBuses(buses: readonly Bus[]): void {
    this.#buses = buses;
  }

  serveSecrets(secrets: readonly Secret[]): void {
    this.#secrets = secrets;
  }

  admit(accessKeyId: string, caller: CallingFunction): void {
    this.#callers.set(accessKeyId, caller);
  }

  /** Returns the number of allowed calls that a function has made, by operation. */
  callsOf(functionName: string): Record<string, number> {
    return Object.fromEntries(this.#calls.get(functionName) ?? []);
  }

  /** Resets all counts to zero. */
  resetCalls(): void {
    this.#calls.clear();
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await readBody(incoming);
    const [target = '', operation = ''] = String(incoming.headers['x-amz-target']).split('.');
    const accessKeyId = /Credential=([^/,]+)\//.exec(incoming.headers.authorization ?? '')?.[1] ?? '';
    const caller = this.#callers.get(accessKeyId);
    if (!caller) {
      return fail(
        outgoing,
        'UnrecognizedClientException',
        'The security token included in the request is invalid.',
      );
    }
    const service = SERVICES[target];
    if (service === undefined) return fail(outgoing, 'UnknownOperationException', '');

    const input = JSON.parse(body.toString() || '{}') as Json;
    const call = this.#callTo(service, operation, input);
    if ('error' in call) return fail(outgoing, call.error, call.message);
    const denial = denialOf(caller, call.needs);
    if (denial) return fail(outgoing, 'AccessDeniedException', denial);
    this.#count(caller, operation);
    if (!call.answer) {
      return this.#forward(incoming, body, accessKeyId, outgoing, () =>
        this.#measureThrottle(operation, call.needs),
      );
    }
    const answer = call.answer();
    if (!answer) return fail(outgoing, 'UnknownOperationException', '');
    send(outgoing, 200, answer);
  }

  /** Finds the resource that a call acts on. @returns an error if the resource does not exist */
  #callTo(service: string, operation: string, input: Json): Call | CallError {
    if (service === 'sqs') return this.#callToQueue(operation, input);
    if (service === 'events') return this.#callToBuses(operation, input);
    if (service === 'secretsmanager') return this.#callToSecret(operation, input);
    return { needs: needs(operation, input) };
  }

  #callToQueue(operation: string, input: Json): Call | CallError {
    const queue = queueOf(this.#queues, input);
    if (!queue) return { error: 'QueueDoesNotExist', message: 'The specified queue does not exist.' };
    return {
      needs: [{ action: `sqs:${operation}`, resource: queue.arn }],
      answer: () => callQueue(queue, operation, input),
    };
  }

  #callToBuses(operation: string, input: Json): Call | CallError {
    const buses = busesOf(this.#buses, input);
    if (buses.includes(undefined)) {
      return { error: 'ResourceNotFoundException', message: 'The event bus does not exist.' };
    }
    return {
      needs: buses.map((bus) => ({ action: `events:${operation}`, resource: bus?.arn ?? '' })),
      answer: () => putEvents(buses, input),
    };
  }

  #callToSecret(operation: string, input: Json): Call | CallError {
    const secret = secretOf(this.#secrets, input);
    if (!secret) {
      const message = "Secrets Manager can't find the specified secret.";
      return { error: 'ResourceNotFoundException', message };
    }
    return {
      needs: [{ action: `secretsmanager:${operation}`, resource: secret.arn }],
      answer: () => callSecret(secret, operation, input),
    };
  }

  /** Streams the call to the engine, using the engine's access key, and streams the response back. */
  #forward(
    incoming: IncomingMessage,
    body: Buffer,
    accessKeyId: string,
    outgoing: ServerResponse,
    onThrottle: () => void,
  ): void {
    const authorization = incoming.headers.authorization?.replace(
      accessKeyId,
      ENGINE_CREDENTIALS.accessKeyId,
    );
    const forwarded = request(
      {
        host: this.#engine.hostname,
        port: this.#engine.port,
        path: '/',
        method: 'POST',
        agent: this.#agent,
        headers: { ...incoming.headers, authorization, 'content-length': body.length },
      },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
        answer.on('error', () => outgoing.destroy());
        if (answer.statusCode === 400) {
          answer.on('data', (chunk: Buffer) => THROTTLE.test(chunk.toString()) && onThrottle());
        }
        answer.pipe(outgoing);
      },
    );
    // The engine has stopped or closed the connection. Close the caller's connection too, as AWS would.
    forwarded.on('error', () => outgoing.destroy());
    outgoing.on('close', () => forwarded.destroy());
    forwarded.end(body);
  }

  /** Records a throttled request for each table that it names, as DynamoDB does. */
  #measureThrottle(operation: string, wanted: readonly Need[]): void {
    const name = READS.test(operation) ? 'ReadThrottleEvents' : 'WriteThrottleEvents';
    for (const table of new Set(wanted.map(({ resource }) => resource.split('/')[1] ?? ''))) {
      this.#cloudWatch.put({ namespace: 'AWS/DynamoDB', name, dimensions: { TableName: table } }, 1);
    }
  }

  #count(caller: CallingFunction, operation: string): void {
    const counts = this.#calls.get(caller.name) ?? new Map<string, number>();
    this.#calls.set(caller.name, counts.set(operation, (counts.get(operation) ?? 0) + 1));
  }
}

/** Returns the message for a call that a function's role does not allow; undefined for an allowed call. */
function denialOf(caller: CallingFunction, needs: readonly Need[]): string | undefined {
  for (const { action, resource, named } of needs) {
    const why = caller.permissions.refusal(action, resource, named);
    if (why) return deniedMessage(caller, action, resource, why);
  }
  return undefined;
}

function deniedMessage(caller: CallingFunction, action: string, resource: string, why: string): string {
  const subject = `User: ${caller.sessionArn} is not authorized to perform: ${action} on resource: ${resource}`;
  return why.startsWith('no ') ? `${subject} because ${why} the ${action} action` : `${subject} with ${why}`;
}

async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function fail(outgoing: ServerResponse, name: string, message: string): void {
  send(outgoing, 400, { __type: `com.amazon.coral.service#${name}`, message });
}

function send(outgoing: ServerResponse, status: number, body: object): void {
  outgoing.writeHead(status, {
    'content-type': 'application/x-amz-json-1.0',
    'x-amzn-requestid': randomUUID(),
  });
  outgoing.end(JSON.stringify(body));
}
