import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Resource, Template } from '../template.ts';

/** A DynamoDB engine that answers on this machine. */
export interface Engine {
  readonly endpoint: string;
  /** Whether it was started here, for this stack alone. */
  readonly isOwn: boolean;
  /** Stops the engine if it was started here; resolves when its process is gone. */
  stop(): Promise<void>;
}

/** Where a stack keeps its data. */
export interface DataOptions {
  /** @default in memory */
  readonly dataDirectory?: string;
  /** Whether what an earlier run kept is forgotten. @default false */
  readonly fresh?: boolean;
}

/** The credentials with which every call reaches an engine: some keep a database for each access key. */
export const ENGINE_CREDENTIALS = { accessKeyId: 'LOCAL0000000000ENGINE', secretAccessKey: 'local' };

const PLATFORM_PACKAGE = '@dynoxide/linux-x64';
/** Milliseconds. It takes 20, but a busy machine may let it wait. */
const START_TIMEOUT = 20_000;

/**
 * The engine is the child of a shell that reads from this process: when this process ends, however hard, the
 * read ends too and the shell ends the engine. So no engine outlives the stack, not even after kill -9.
 */
const END_WITH_PARENT = `
exec 3<&0
"$0" "$@" <&- 3<&- & engine=$!
{ read -r _ <&3; kill "$engine"; } >/dev/null 2>&1 &
wait "$engine"`;

/**
 * Starts the embedded engine, or uses the one at DYNAMODB_ENDPOINT.
 *
 * @throws Error where the engine has no binary for this platform
 */
export async function startEngine({ dataDirectory, fresh }: DataOptions = {}): Promise<Engine> {
  const given = process.env.DYNAMODB_ENDPOINT;
  if (given) return { endpoint: given.replace(/\/$/, ''), isOwn: false, stop: async () => {} };

  const port = await freePort();
  const options = ['--host', '127.0.0.1', '--port', String(port)];
  if (dataDirectory) {
    const file = join(dataDirectory, 'dynamodb.sqlite');
    if (fresh) for (const part of ['', '-wal', '-shm']) rmSync(file + part, { force: true });
    mkdirSync(dataDirectory, { recursive: true });
    options.push('--db-path', file);
  }
  // A group of its own: the terminal's Ctrl-C reaches us, and we stop the engine when it is no longer used.
  const shell = spawn('/bin/sh', ['-c', END_WITH_PARENT, enginePath(), ...options], {
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let complaints = '';
  shell.stderr?.on('data', (chunk) => {
    complaints += chunk;
  });
  const engine = {
    endpoint: `http://127.0.0.1:${port}`,
    isOwn: true,
    stop: async () => {
      shell.stdin?.end();
      if (shell.exitCode === null && shell.signalCode === null) await once(shell, 'exit');
    },
  };
  if (await answers(engine.endpoint, shell)) return engine;
  await engine.stop();
  throw new Error(`The embedded DynamoDB did not start. ${complaints}`);
}

function enginePath(): string {
  try {
    return createRequire(import.meta.url).resolve(`${PLATFORM_PACKAGE}/dynoxide`);
  } catch {
    throw new Error(
      `There is no embedded DynamoDB for ${process.platform} on ${process.arch} (${PLATFORM_PACKAGE} is not installed). ` +
        'Start another one, DynamoDB Local for instance, and name it: DYNAMODB_ENDPOINT=http://127.0.0.1:8000',
    );
  }
}

async function answers(endpoint: string, process: ChildProcess): Promise<boolean> {
  const deadline = performance.now() + START_TIMEOUT;
  while (performance.now() < deadline && process.exitCode === null) {
    const isUp = await fetch(endpoint).then(
      () => true,
      () => false,
    );
    if (isUp) return true;
    await sleep(5);
  }
  return false;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No free port.');
  return address.port;
}

/**
 * Makes one call of DynamoDB's JSON protocol as it goes over the wire, which shows what SDKs hide and costs less.
 *
 * @param operation `DynamoDB_20120810.Scan`, `DynamoDBStreams_20120810.GetRecords`, …
 * @throws Error with the name that the engine gives it
 */
export async function callEngine<T>(endpoint: string, operation: string, input: object): Promise<T> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': operation,
      'x-amz-date': '20260101T000000Z',
      authorization: `AWS4-HMAC-SHA256 Credential=${ENGINE_CREDENTIALS.accessKeyId}/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0`,
    },
    body: JSON.stringify(input),
  });
  const body = (await response.json()) as { __type?: string; message?: string };
  if (response.ok) return body as T;
  const error = new Error(`${operation}: ${body.message}`);
  error.name = String(body.__type).split('#').pop() ?? 'Error';
  throw error;
}

interface TableDefinition {
  KeySchema: { AttributeName: string; KeyType: string }[];
  AttributeDefinitions: object[];
  GlobalSecondaryIndexes?: object[];
  StreamSpecification?: { StreamViewType: string };
  TimeToLiveSpecification?: { AttributeName: string; Enabled: boolean };
}

/** A table of the template, made on the engine. */
export interface LocalTable {
  readonly name: string;
  /** The engine's own stream ARN; the template's functions are told AWS's. */
  readonly engineStreamArn?: string;
  /** The names of its key attributes: partition key, then sort key. */
  readonly keys: readonly string[];
  /** The attribute by which TTL deletes. */
  readonly ttlAttribute?: string;
}

export interface TableOptions extends Pick<DataOptions, 'fresh'> {
  /** False leaves the stream out: the engine's writes slow down as its stream grows. @default true */
  readonly stream?: boolean;
}

/** Makes a table as the template describes it, or finds it made by an earlier run. */
export async function makeTable(
  endpoint: string,
  template: Template,
  resource: Resource,
  { stream = true, fresh = false }: TableOptions = {},
): Promise<LocalTable> {
  const name = template.ref(resource);
  const definition = template.properties<TableDefinition>(resource);
  if (fresh) await deleteTable(endpoint, name);
  const existing = await describe(endpoint, name);
  if (existing && JSON.stringify(existing.KeySchema) !== JSON.stringify(definition.KeySchema)) {
    throw new Error(`The local table ${name} has other keys than the template. Begin anew with --fresh.`);
  }
  // Not told of TTL: an engine that knows it deletes by its own clock. ttl.ts deletes, by the stack's clock.
  const { TableDescription: table = existing } = existing
    ? {}
    : await callEngine<{ TableDescription: Description }>(endpoint, 'DynamoDB_20120810.CreateTable', {
        TableName: name,
        KeySchema: definition.KeySchema,
        AttributeDefinitions: definition.AttributeDefinitions,
        GlobalSecondaryIndexes: definition.GlobalSecondaryIndexes,
        BillingMode: 'PAY_PER_REQUEST',
        StreamSpecification:
          stream && definition.StreamSpecification
            ? { StreamEnabled: true, StreamViewType: definition.StreamSpecification.StreamViewType }
            : undefined,
      });
  const ttl = definition.TimeToLiveSpecification;
  return {
    name,
    keys: definition.KeySchema.map((key) => key.AttributeName),
    engineStreamArn: table?.LatestStreamArn,
    ttlAttribute: ttl?.Enabled ? ttl.AttributeName : undefined,
  };
}

interface Description {
  KeySchema: object[];
  LatestStreamArn?: string;
}

/** Deletes a table, if it is there. */
export async function deleteTable(endpoint: string, name: string): Promise<void> {
  await unlessAbsent(callEngine(endpoint, 'DynamoDB_20120810.DeleteTable', { TableName: name }));
}

async function describe(endpoint: string, name: string): Promise<Description | undefined> {
  const answer = await unlessAbsent(
    callEngine<{ Table: Description }>(endpoint, 'DynamoDB_20120810.DescribeTable', { TableName: name }),
  );
  return answer?.Table;
}

/** @returns undefined when the engine says that there is no such table. */
async function unlessAbsent<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof Error && error.name === 'ResourceNotFoundException') return undefined;
    throw error;
  }
}
