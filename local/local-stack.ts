import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { ApiReader } from './api-gateway/apis.ts';
import { Gateway } from './api-gateway/gateway.ts';
import { Identities } from './api-gateway/iam-authorizer.ts';
import { RestApiReader } from './api-gateway/rest-apis.ts';
import type { ServedRequest } from './api-gateway/served-request.ts';
import { type AlarmStatus, createAlarms } from './aws/alarms.ts';
import { AwsProxy } from './aws/aws-proxy.ts';
import { CloudWatch } from './aws/cloudwatch.ts';
import { createBuses } from './aws/event-bridge.ts';
import { permissionsOf } from './aws/iam.ts';
import { createSecrets } from './aws/secrets-manager.ts';
import type { AwsCredentials } from './aws/sigv4.ts';
import { createQueues, type Queue } from './aws/sqs.ts';
import { Clock } from './clock.ts';
import {
  createTable,
  type DataOptions,
  deleteTable,
  ENGINE_CREDENTIALS,
  startEngine,
} from './dynamodb/engine.ts';
import { withPlatformTable } from './dynamodb/platform-table.ts';
import { TimeToLive } from './dynamodb/ttl.ts';
import { Invokers } from './lambda/invokers.ts';
import { createSources } from './lambda/sources.ts';
import type { FunctionError } from './lambda/worker.ts';
import { createFunction, type LogLine } from './lambda/worker-pool.ts';
import { Logs } from './logs.ts';
import { Operations } from './operations.ts';
import { ADMIN_GROUP, AUDIENCE, CLIENT_ID, Issuer, type Person, type Tamper } from './sign-in/issuer.ts';
import { State } from './state.ts';
import { ACCOUNT, type Assembly, type CfnTemplate, REGION, type Resource, Template } from './template.ts';

/** The options of a local stack. All are optional. */
export interface LocalStackOptions extends DataOptions {
  /** CDK context, as for `cdk -c`. If it does not name an issuer, the development issuer is used. */
  readonly context?: Readonly<Record<string, unknown>>;
  /** Port of the first API. @default 0, which picks any free port */
  readonly port?: number;
  /** Port of the development issuer. @default the API's port + 1, or any free port if the API's port is 0 */
  readonly issuerPort?: number;
  /** Port of the endpoint for operators; 0 picks any free port. @default there is no such endpoint */
  readonly operationsPort?: number;
  /**
   * Number of seconds between an item's expiry and its TTL deletion. @default two days, which would be a long delay on
   * AWS
   */
  readonly ttlLateness?: number;
  /**
   * False to create tables without streams, so that the functions that read the streams never run. The embedded
   * engine's writes slow down as its stream grows. @default true
   */
  readonly stream?: boolean;
  /** The CDK app. @default the service's app */
  readonly synthesise?: (
    context: Readonly<Record<string, unknown>>,
    outdir: string,
  ) => Assembly | Promise<Assembly>;
  /** Changes each synthesised template before the stack reads it, so that a test can show what a change breaks. */
  readonly alterTemplate?: ((template: CfnTemplate) => void) | undefined;
  /** Receives each line that a function or the runner writes. */
  readonly onLog?: (line: LogLine) => void;
  /** Receives each request to an API after the response was sent. */
  readonly onRequest?: (request: ServedRequest) => void;
  /** Receives the name of each startup step as the step begins. */
  readonly onStep?: (label: string) => void;
}

/** An invocation that ended in an error, as Lambda reports it. */
export class FunctionFailure extends Error {
  readonly errorType: string;
  readonly errorMessage: string;

  constructor({ errorType, errorMessage }: FunctionError) {
    super(`${errorType}: ${errorMessage}`);
    this.errorType = errorType;
    this.errorMessage = errorMessage;
  }
}

/** Direct access to a table of the running stack, for tests and tools. No role restricts this access. */
interface TableAccess {
  readonly name: string;
  readonly client: DynamoDBDocumentClient;
  /**
   * Deletes expired items as TTL does. @param lateness minimum number of seconds since the expiry. Default: 0 @returns
   * the number of deleted items
   */
  readonly sweepExpired: (lateness?: number) => Promise<number>;
}

export type LocalStack = Awaited<ReturnType<typeof startLocalStack>>;

const TWO_DAYS = 2 * 24 * 60 * 60;

/**
 * Runs the synthesised stack on this machine: routes, functions, tables, streams, queues, schedules, TTL and a
 * development issuer, as the template defines them.
 *
 * @throws Error if the template uses something that is not emulated, or if a port is in use
 */
export async function startLocalStack(options: LocalStackOptions = {}) {
  const closers: (() => unknown)[] = [];
  const stop = async () => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    return { ...(await start(options, (closer) => closers.push(closer))), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Registers a function that `stop` calls. `stop` calls these functions in reverse order. */
type AtStop = (closer: () => unknown) => void;

async function start(options: LocalStackOptions, atStop: AtStop) {
  const clock = new Clock();
  const cloudWatch = new CloudWatch(clock);
  const logs = new Logs((line) => {
    if (line.function !== 'local') cloudWatch.readOutput(line.text);
    options.onLog?.(line);
  });

  // Open the ports first, because a port that is in use shows that another stack is already running on the same data.
  const { gateway, url, issuer, issuerUrl, operations, operationsUrl } = await listen(options, {
    clock,
    logs,
    atStop,
  });
  const engineStarting = startEngine(options);
  atStop(async () => (await engineStarting.catch(() => undefined))?.stop());
  const step = options.onStep ?? (() => {});
  step('Synthesising the stack');
  const { template, discardAssembly } = await synthesiseTemplate(options, issuerUrl, atStop);

  step('Creating the tables');
  const engine = await engineStarting;

  const aws = await startAws(template, engine.endpoint, cloudWatch, atStop);
  const { client, tables } = await createTables(template, engine, { options, clock, atStop });

  step('Starting functions and APIs');
  const { apis, urls } = await openApis(template, { gateway, url, options, logs, atStop });
  const identities = new Identities();
  const functions = startFunctions(template, { aws, clock, logs, cloudWatch, identities, atStop });
  discardAssembly();
  const functionOf = (arn: string) => one(functions, ({ local }) => local.arn === arn, arn).local;
  serveApis(template, { apis, urls, functionOf, clock, identities });

  const state = new State(options);
  atStop(() => state.save());
  const sources = createSources({
    template,
    endpoint: engine.endpoint,
    clock,
    tables,
    queues: aws.queues,
    functionOf,
    permissionsOf: (target) => one(functions, ({ local }) => local === target, target.name).permissions,
    checkpoints: (mapping) => state.checkpoints(mapping),
    log: logs.write,
  });
  const { streams, queues, schedules } = sources;
  for (const source of [...streams, ...queues, ...schedules, ...tables.map(({ ttl }) => ttl)]) {
    source.start();
    atStop(() => source.stop());
  }

  const access = tables.map(
    ({ table, ttl }): TableAccess => ({
      name: table.name,
      client,
      sweepExpired: (lateness = 0) => ttl.sweep(lateness),
    }),
  );
  const alarms = alarmsOf(template, cloudWatch, aws.queues);
  operations.serve({
    engine: engine.endpoint,
    table: access[0]?.name ?? '',
    queues: aws.queues,
    schedules,
    alarms,
  });
  return {
    /** Base URL of the first API, without a trailing slash. */
    url,
    /**
     * Base URLs of all APIs by construct path, without a trailing slash. The URL of a REST API includes its stage.
     */
    urls,
    /** URL of the development issuer. */
    issuer: issuerUrl,
    /** URL of the endpoint for operators, without a trailing slash; undefined if there is no such endpoint. */
    operationsUrl,
    clock,
    logs,
    /** The first table. */
    table: access[0] as TableAccess,
    tables: access,
    /** Endpoint for direct access to all tables. No role restricts this access. */
    engineEndpoint: engine.endpoint,
    /** Endpoint of the AWS services for the functions. Each caller can do only what its role allows. */
    awsEndpoint: aws.endpoint,
    schedules,
    /** The event buses, with their entries. */
    buses: aws.buses,
    /** The secrets in Secrets Manager, with their values. */
    secrets: aws.secrets,
    /** Evaluates the template's alarms over the metrics that were recorded until now. */
    alarms,
    ...functionControls(functions, aws.proxy),

    /** Returns a person's access token (the default) or ID token. */
    signIn: (person: Person, kind?: 'access' | 'id', tamper?: Tamper) => issuer.signIn(person, kind, tamper),

    /**
     * Creates a credential for an IAM user or role session in the account. The principal's own policies allow
     * everything.
     */
    credentialOf: (arn: string) => identities.make(arn),

    /** Returns the queue whose name contains a construct's name, such as `StreamFailures`. */
    queue: (name: string): Queue => one(aws.queues, (queue) => queue.name.includes(name), name),

    /**
     * Resolves when everything that was in streams and queues at the time of the call has been delivered or discarded.
     *
     * @param timeout milliseconds
     * @throws Error if that takes longer than the timeout
     */
    waitForDelivery: async (timeout = 10_000): Promise<void> => {
      // Drain the streams twice, because the delivery of a message from a queue can write items whose records the
      // streams must deliver.
      const drain = async () => {
        for (const source of [...streams, ...queues, ...streams]) await source.drained();
      };
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`Not delivered within ${timeout} ms.`)), timeout);
      });
      await Promise.race([drain(), late]).finally(() => clearTimeout(timer));
    },
  };
}

/** Opens the ports for the first API, the development issuer and the endpoint for operators. */
async function listen(
  { port = 0, issuerPort = port === 0 ? 0 : port + 1, operationsPort, onRequest }: LocalStackOptions,
  { clock, logs, atStop }: { clock: Clock; logs: Logs; atStop: AtStop },
) {
  const gateway = new Gateway(logs.write, onRequest);
  atStop(() => gateway.stop());
  const url = await gateway.listen(port);
  const issuer = new Issuer(clock);
  atStop(() => issuer.stop());
  const issuerUrl = await issuer.start(issuerPort);
  const operations = new Operations();
  atStop(() => operations.stop());
  const operationsUrl = operationsPort === undefined ? undefined : await operations.listen(operationsPort);
  return { gateway, url, issuer, issuerUrl, operations, operationsUrl };
}

/** Synthesises the app in this process, with the development issuer if the context does not name an issuer. */
async function synthesiseTemplate(
  { context: given = {}, dataDirectory, synthesise, alterTemplate }: LocalStackOptions,
  issuerUrl: string,
  atStop: AtStop,
) {
  const ownIssuer = {
    issuer: issuerUrl,
    audience: AUDIENCE,
    adminGroup: ADMIN_GROUP,
    consoleClientId: CLIENT_ID,
  };
  const context = given.issuer === undefined ? { ...ownIssuer, ...given } : given;
  const outdir = mkdtempSync(join(tmpdir(), 'local-stack-'));
  const discardAssembly = () => rmSync(outdir, { recursive: true, force: true });
  atStop(discardAssembly);
  const synthesiseApp = synthesise ?? (await import('../infra/app.ts')).synthesise;
  const synthesised = await withoutValidation(() => synthesiseApp(context, outdir));
  const assembly = withPlatformTable(synthesised, context.deploymentsSource);
  // If the data is kept, names must be the same in every run. Otherwise, each stack has its own names, even on a shared
  // engine.
  const suffix = dataDirectory === undefined ? `-${randomBytes(4).toString('hex')}` : '-local';
  return { template: new Template(assembly, suffix, alterTemplate), discardAssembly };
}

/**
 * Starts the AWS services that functions call. Calls to DynamoDB go to the engine; the other services are emulated.
 */
async function startAws(template: Template, engineEndpoint: string, cloudWatch: CloudWatch, atStop: AtStop) {
  const proxy = new AwsProxy(engineEndpoint, cloudWatch);
  atStop(() => proxy.stop());
  const endpoint = await proxy.listen(0);
  const queues = createQueues(template, endpoint);
  const buses = createBuses(template);
  const secrets = createSecrets(template);
  proxy.serveQueues(queues);
  proxy.serveBuses(buses);
  proxy.serveSecrets(secrets);
  return { proxy, endpoint, queues, buses, secrets };
}

/** Creates the template's tables on the engine, with their TTL. */
async function createTables(
  template: Template,
  engine: Awaited<ReturnType<typeof startEngine>>,
  { options, clock, atStop }: { options: LocalStackOptions; clock: Clock; atStop: AtStop },
) {
  const { endpoint, isOwn } = engine;
  const client = DynamoDBDocumentClient.from(
    new DynamoDBClient({ endpoint, region: REGION, credentials: ENGINE_CREDENTIALS }),
  );
  atStop(() => client.destroy());
  const tables = await Promise.all(
    template.ofType('AWS::DynamoDB::GlobalTable', 'AWS::DynamoDB::Table').map(async (resource) => {
      const table = await createTable(endpoint, template, resource, options);
      const ttl = new TimeToLive(endpoint, table, clock, options.ttlLateness ?? TWO_DAYS);
      return { resource, table, ttl };
    }),
  );
  if (!isOwn && options.dataDirectory === undefined) {
    // Do not leave unused tables on an engine that someone else owns.
    for (const { table } of tables) atStop(() => deleteTable(endpoint, table.name));
  }
  return { client, tables };
}

/** Opens a gateway for each API in the template. The gateway's URL must be known before functions are configured. */
async function openApis(
  template: Template,
  first: { gateway: Gateway; url: string; options: LocalStackOptions; logs: Logs; atStop: AtStop },
) {
  const { gateway, url, options, logs, atStop } = first;
  const { port = 0, onRequest } = options;
  const [api, ...otherApis] = template.ofType('AWS::ApiGatewayV2::Api', 'AWS::ApiGateway::RestApi');
  const apis = new Map(api ? [[api, gateway]] : []);
  const urls: Record<string, string> = {};
  if (api) urls[api.path] = url;
  for (const [index, other] of otherApis.entries()) {
    const extra = new Gateway(logs.write, onRequest);
    atStop(() => extra.stop());
    urls[other.path] = await extra.listen(port === 0 ? 0 : port + 2 + index);
    apis.set(other, extra);
  }
  for (const resource of apis.keys()) template.set(resource, 'ApiEndpoint', urls[resource.path] ?? '');
  return { apis, urls };
}

/** Creates every function in the template, each with its role's permissions. */
function startFunctions(
  template: Template,
  {
    aws,
    clock,
    logs,
    cloudWatch,
    identities,
    atStop,
  }: {
    aws: Awaited<ReturnType<typeof startAws>>;
    clock: Clock;
    logs: Logs;
    cloudWatch: CloudWatch;
    identities: Identities;
    atStop: AtStop;
  },
) {
  return template.ofType('AWS::Lambda::Function').map((resource) => {
    const local = createFunction(template, resource, {
      clock,
      awsEndpoint: aws.endpoint,
      log: logs.writeOf,
      cloudWatch,
    });
    atStop(() => local.pool.stop());
    const permissions = permissionsOf(template, roleOf(template, local.roleArn));
    const sessionArn = `arn:aws:sts::${ACCOUNT}:assumed-role/${local.roleArn.split('/').pop()}/${local.functionName}`;
    aws.proxy.admit(local.credential.accessKeyId, { name: local.name, sessionArn, permissions });
    identities.add({ ...local.credential, arn: sessionArn, permissions });
    return { local, permissions };
  });
}

/** Returns what tests and tools can do with the functions. The name of a function is the name of its file. */
function functionControls(functions: ReturnType<typeof startFunctions>, proxy: AwsProxy) {
  const named = (name: string) => one(functions, ({ local }) => local.name === name, name).local;
  return {
    /** Returns the credential of a function's role, so that tests can check what the role allows. */
    credentialOfFunction: (name: string): AwsCredentials => named(name).credential,

    /**
     * Invokes a function.
     *
     * @returns the function's response
     * @throws FunctionFailure if the function fails
     */
    invoke: async <T = unknown>(name: string, event: unknown): Promise<T> => {
      const outcome = await named(name).pool.invoke(event);
      if (outcome.ok) return JSON.parse(outcome.payload);
      throw new FunctionFailure(outcome.error);
    },

    /**
     * Sets a function's reserved concurrency, as `put-function-concurrency` does: Lambda throttles all concurrent events
     * above it. @param concurrency undefined to remove the limit
     */
    reserveConcurrency: (name: string, concurrency: number | undefined): void => {
      named(name).pool.reservedConcurrency = concurrency;
    },

    /** Returns the number of allowed calls that a function has made to AWS services, by operation. */
    calls: (name: string): Record<string, number> => proxy.callsOf(named(name).name),
    resetCalls: () => proxy.resetCalls(),
  };
}

/** Returns a function that records the length of each queue, as SQS does, and evaluates the template's alarms. */
function alarmsOf(template: Template, cloudWatch: CloudWatch, queues: readonly Queue[]): () => AlarmStatus[] {
  const alarms = createAlarms(template, cloudWatch);
  return () => {
    for (const { name, visibleCount } of queues) {
      const metric = { namespace: 'AWS/SQS', name: 'ApproximateNumberOfMessagesVisible' };
      cloudWatch.put({ ...metric, dimensions: { QueueName: name } }, visibleCount);
    }
    return alarms.map((alarm) => alarm.evaluate());
  };
}

/** Puts each API behind its gateway. The URL of a REST API ends with the API's stage. */
function serveApis(
  template: Template,
  {
    apis,
    urls,
    functionOf,
    clock,
    identities,
  }: {
    apis: ReadonlyMap<Resource, Gateway>;
    urls: Record<string, string>;
    functionOf: ConstructorParameters<typeof Invokers>[1];
    clock: Clock;
    identities: Identities;
  },
): void {
  const invokers = new Invokers(template, functionOf);
  const httpApis = new ApiReader(template, invokers, clock, identities);
  const restApis = new RestApiReader(template, invokers, clock);
  for (const [resource, server] of apis) {
    if (resource.type === 'AWS::ApiGatewayV2::Api') {
      server.serve(httpApis.httpApi(resource));
    } else {
      const { api, stage } = restApis.restApi(resource);
      urls[resource.path] += `/${stage}`;
      server.serve(api);
    }
  }
}

/**
 * Do not validate the templates, because that would take longer than everything else at startup. `cdk synth` and its
 * tests validate them.
 */
async function withoutValidation<T>(synthesise: () => T | Promise<T>): Promise<T> {
  const { CDK_VALIDATION: before } = process.env;
  process.env.CDK_VALIDATION = before ?? 'false';
  try {
    return await synthesise();
  } finally {
    if (before === undefined) delete process.env.CDK_VALIDATION;
  }
}

const roleOf = (template: Template, arn: string): Resource =>
  one(template.ofType('AWS::IAM::Role'), (role) => template.attribute(role, 'Arn') === arn, arn);

/** Returns the only matching item. @throws Error if there is no matching item or more than one */
function one<T>(items: readonly T[], isIt: (item: T) => boolean, name: string): T {
  const [found, ...more] = items.filter(isIt);
  if (found === undefined) throw new Error(`The local stack has no ${name}.`);
  if (more.length > 0) throw new Error(`The local stack has more than one ${name}.`);
  return found;
}
