import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Resource, Template } from '../template.ts';

/** A DynamoDB engine on this machine. */
export interface Engine {
  readonly endpoint: string;
  /** True if this process started the engine, only for this stack. */
  readonly isOwn: boolean;
  /** Stops the engine if this process started it. Resolves when the engine's process has ended. */
  stop(): Promise<void>;
}

/** Options for the storage of a stack's data. */
export interface DataOptions {
  /** Folder for the data. @default the data stays in memory */
  readonly dataDirectory?: string;
  /** True to discard the data of an earlier run. @default false */
  readonly fresh?: boolean;
}

/**
 * The credentials that every call to an engine uses. They are constant because some engines keep a separate database
 * for each access key.
 */
export const ENGINE_CREDENTIALS = { accessKeyId: 'LOCAL0000000000ENGINE', secretAccessKey: 'local' };

const PLATFORM_PACKAGE = '@dynoxide/linux-x64';
/**
 * Time limit for the engine's start, in milliseconds. A start takes about 20 ms, but can take much longer on a busy
 * machine.
 */
const START_TIMEOUT = 20_000;

/**
 * The engine is the child of a shell that reads from a pipe to this process. When this process ends, even by kill -9,
 * the read returns and the shell ends the engine. Therefore, no engine outlives the stack.
 */
const END_WITH_PARENT = `
exec 3<&0
"$0" "$@" <&- 3<&- & engine=$!
{ read -r _ <&3; kill "$engine"; } >/dev/null 2>&1 &
wait "$engine"`;

/** Default endpoint of DynamoDB Local. */
const DYNAMODB_LOCAL = 'http://127.0.0.1:8000';
/** The command to start DynamoDB Local, which CONTRIBUTING.md documents for platforms without the embedded engine. */
const START_DYNAMODB_LOCAL = 'docker run --rm -p 127.0.0.1:8000:8000 amazon/dynamodb-local';

/**
 * Starts the embedded engine. Uses the engine at DYNAMODB_ENDPOINT instead if that is set, or DynamoDB Local on a platform
 * without the embedded engine.
 *
 * @param dynamoDbLocal endpoint of DynamoDB Local. @default DynamoDB Local's own default
 * @throws MissingEngine if there is no engine
 */
export async function startEngine(
  { dataDirectory, fresh }: DataOptions = {},
  dynamoDbLocal: string = DYNAMODB_LOCAL,
): Promise<Engine> {
  const given = process.env.DYNAMODB_ENDPOINT;
  if (given) return { endpoint: given.replace(/\/$/, ''), isOwn: false, stop: async () => {} };
  const binary = embeddedEngine();
  if (binary === undefined) return runningEngine(dynamoDbLocal);

  const port = await freePort();
  const options = ['--host', '127.0.0.1', '--port', String(port)];
  if (dataDirectory) {
    const file = join(dataDirectory, 'dynamodb.sqlite');
    if (fresh) for (const part of ['', '-wal', '-shm']) rmSync(file + part, { force: true });
    mkdirSync(dataDirectory, { recursive: true });
    options.push('--db-path', file);
  }
  // Give the engine its own process group. Ctrl-C in the terminal then reaches only this process, which stops the
  // engine when nothing uses it any more.
  const shell = spawn('/bin/sh', ['-c', END_WITH_PARENT, binary, ...options], {
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

/** Thrown when no engine is running. `npm start` shows errors with this name without a stack trace. */
class MissingEngine extends Error {
  override readonly name = 'ConfigError';
}

/** Returns the path of the embedded engine, or undefined if this platform has no embedded engine. */
function embeddedEngine(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve(`${PLATFORM_PACKAGE}/dynoxide`);
  } catch {
    return undefined;
  }
}

/** Returns DynamoDB Local if it is running. */
async function runningEngine(endpoint: string): Promise<Engine> {
  try {
    // Close the connection after the call: synthesis then blocks this process, so an open connection would time out
    // before its next use.
    await callEngine(endpoint, 'DynamoDB_20120810.ListTables', {}, { connection: 'close' });
  } catch (cause) {
    throw new MissingEngine(
      `There is no embedded DynamoDB for ${process.platform} on ${process.arch}, and no DynamoDB Local responds at ${endpoint}. ` +
        `Start it in another terminal:\n  ${START_DYNAMODB_LOCAL}\n` +
        'For a DynamoDB at another address, set DYNAMODB_ENDPOINT.',
      { cause },
    );
  }
  return { endpoint, isOwn: false, stop: async () => {} };
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
 * Sends one call in DynamoDB's JSON protocol without the SDK. The response contains details that SDKs hide, and the
 * call costs less.
 *
 * @param operation the target, such as `DynamoDB_20120810.Scan` or `DynamoDBStreams_20120810.GetRecords`
 * @param headers additional headers
 * @throws Error whose name is the engine's error name
 */
export async function callEngine<T>(
  endpoint: string,
  operation: string,
  input: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<T> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': operation,
      'x-amz-date': '20260101T000000Z',
      authorization: `AWS4-HMAC-SHA256 Credential=${ENGINE_CREDENTIALS.accessKeyId}/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0`,
      ...headers,
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

/** One of the template's tables, as it exists on the engine. */
export interface LocalTable {
  readonly name: string;
  /** The engine's own stream ARN. The template's functions receive an AWS ARN instead. */
  readonly engineStreamArn?: string | undefined;
  /** Names of the key attributes: the partition key, and then the sort key if the table has a sort key. */
  readonly keys: readonly string[];
  /** Name of the TTL attribute. */
  readonly ttlAttribute?: string | undefined;
}

/** The options for creating a table. */
export interface TableOptions extends Pick<DataOptions, 'fresh'> {
  /**
   * False to create the table without a stream, because the engine's writes slow down as its stream grows. @default
   * true
   */
  readonly stream?: boolean;
}

/** Creates a table from the template, or reuses the table that an earlier run created. */
export async function createTable(
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
  // Do not enable TTL on the engine, because an engine that supports TTL deletes items by its own clock. ttl.ts deletes
  // them by the stack's clock.
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

/** Deletes a table if it exists. */
export async function deleteTable(endpoint: string, name: string): Promise<void> {
  await unlessAbsent(callEngine(endpoint, 'DynamoDB_20120810.DeleteTable', { TableName: name }));
}

async function describe(endpoint: string, name: string): Promise<Description | undefined> {
  const answer = await unlessAbsent(
    callEngine<{ Table: Description }>(endpoint, 'DynamoDB_20120810.DescribeTable', { TableName: name }),
  );
  return answer?.Table;
}

/** Returns the result of a call, or undefined if the engine reports that the table does not exist. */
async function unlessAbsent<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof Error && error.name === 'ResourceNotFoundException') return undefined;
    throw error;
  }
}
