import { Logger } from '@aws-lambda-powertools/logger';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type {
  APIGatewayProxyEventV2WithJWTAuthorizer,
  APIGatewayProxyStructuredResultV2,
  Context,
  DynamoDBRecord,
} from 'aws-lambda';
import type { CheckRules } from '../../functions/domain/check.ts';
import { parseKeyId } from '../../functions/domain/credentials.ts';
import type { DeploymentsSource } from '../../functions/domain/deployments-source.ts';
import type { KeyPolicy } from '../../functions/domain/key-policy.ts';
import type { PersonId } from '../../functions/domain/records.ts';
import { managementHandler } from '../../functions/http/management.ts';
import { oauthHandler } from '../../functions/http/oauth.ts';
import { endAccessFromQueue } from '../../functions/jobs/end-access.ts';
import type { PurgeDependencies, PurgeTask } from '../../functions/jobs/purge.ts';
import type { TrustDependencies } from '../../functions/operations/examine-subject.ts';
import { rejectedCallCounter } from '../../functions/operations/record-rejected-calls.ts';
import { type AuthorizerResult, authorizer } from '../../functions/routes/authorize.ts';
import { introspectRoute } from '../../functions/routes/introspect.ts';
import { tokenRoute } from '../../functions/routes/issue-token.ts';
import { eventRoutes } from '../../functions/routes/list-events.ts';
import { accessTokenRoutes } from '../../functions/routes/manage-access-tokens.ts';
import { deploymentRoutes } from '../../functions/routes/manage-deployments.ts';
import { keyRoutes } from '../../functions/routes/manage-keys.ts';
import { peopleRoutes } from '../../functions/routes/manage-people.ts';
import { temporaryTokenRoutes } from '../../functions/routes/manage-temporary-tokens.ts';
import { reportLeak } from '../../functions/routes/report-leak.ts';
import { revokeRoute } from '../../functions/routes/revoke.ts';
import { whoami } from '../../functions/routes/whoami.ts';
import { checkStore } from '../../functions/table/checks.ts';
import { httpsTransport } from '../../functions/table/https-transport.ts';
import { accessRequirement } from '../../functions/table/people.ts';
import type { Operation } from '../../functions/table/port.ts';
import type { RetryPolicy } from '../../functions/table/retried-calls.ts';
import type { ItemKey } from '../../functions/table/schema.ts';
import { documentClient, sdkTransport } from '../../functions/table/sdk-transport.ts';
import { ENGINE_CREDENTIALS } from '../../local/dynamodb/engine.ts';
import { createTable, type Engine, itemsOf, startEngine } from './engine.ts';
import type { Call, CreatedKey } from './stack.ts';
import { type Sent, type TestTable, watched } from './store.ts';

const REGION = 'us-east-1';
const TABLE = 'keys';
/** The issuer that signs people in. */
export const ISSUER = 'https://login.test';
export const SCOPES = ['code:deploy', 'airflow:read', 'airflow:write'];
/** One day in seconds. */
export const DAY = 24 * 60 * 60;

/** The response to a call that was made within this process. */
export interface Reply {
  status: number;
  headers: Record<string, string>;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test says in its assertion what it expects to find here
  json: any;
}

/** Caller of a management call: a person's `sub`, or `admin` for the administrator. */
export interface InProcessCall extends Omit<Call, 'body'> {
  as?: string;
  /** Claims of the person's access token, such as `auth_time`. @default issued in 2020 */
  claims?: object;
  body?: string;
}

type Around = (when: 'before' | 'after', sent: Sent) => void | Promise<void>;

/** Options for the functions that run in this process. */
export interface InProcessOptions {
  /** DynamoDB endpoint for the functions. @default the engine itself */
  endpoint?: string;
  rules?: Partial<CheckRules>;
  /** Retry policy. @default many retries, so that a busy machine causes no failures */
  retryPolicy?: RetryPolicy;
  /**
   * Function that runs before and after each attempt at a call to the table. If it throws, the caller receives the
   * error. It runs for the calls that checks make only if `watchesChecks` is true. A test can replace it while the
   * service runs: `service.around = …`.
   */
  around?: Around | undefined;
  /** The followed table, from which the service takes its Deployments. */
  source?: DeploymentsSource;
  /** True if `around` also runs for the calls that checks make. @default false */
  watchesChecks?: boolean;
  /** True to count rejected calls. @default false, because counting makes additional calls to the table */
  countsRejectedCalls?: boolean;
  /** Issuers whose tokens can be exchanged for access tokens. @default none */
  trust?: TrustDependencies;
  /** The stack's rules for keys. @default every key is allowed */
  policy?: KeyPolicy;
  /** The number of days without use after which a key is idle. @default no limit */
  maxIdleDays?: number;
  /** Issuer that signs people in. @default `ISSUER` */
  issuer?: string;
  /** The group whose members are administrators. @default `platform-admins` */
  adminGroup?: string;
  /** The claim with a person's name. @default the service stores no names */
  nameClaim?: string;
  /** ARNs of the IAM principals that can call routes under /platform. @default none */
  platformPrincipals?: readonly string[];
}

/** Starts an engine for a test file, with the service's table but without a stream. */
export async function startTable(): Promise<Engine> {
  const engine = await startEngine();
  process.env.AWS_REGION = REGION;
  process.env.AWS_ACCESS_KEY_ID = ENGINE_CREDENTIALS.accessKeyId;
  process.env.AWS_SECRET_ACCESS_KEY = ENGINE_CREDENTIALS.secretAccessKey;
  const client = new DynamoDBClient({ endpoint: engine.endpoint });
  await createTable(client, TABLE);
  client.destroy();
  return engine;
}

/** Errors that functions logged: the causes of their 5xx responses. */
const errors: unknown[] = [];
const logger = new Logger({ serviceName: 'test', logLevel: 'SILENT' });
logger.error = (...line) => {
  errors.push(line[1]);
};

/**
 * Runs the functions without the local runner and the gateway: the handlers, the HTTP code and the table code run as
 * deployed, on the engine. This setup handles thousands of calls a second and takes the clock as an argument.
 */
export function inProcess(engine: Engine, options: InProcessOptions = {}) {
  const { endpoint = engine.endpoint, retryPolicy = { attemptTimeout: 10_000, attempts: 3 } } = options;
  const { trust = { issuers: [], verify: async () => ({ fault: 'signature' }) }, policy } = options;
  const { maxIdleDays, issuer = ISSUER, adminGroup = 'platform-admins', nameClaim } = options;
  const { platformPrincipals = [] } = options;
  const rules = {
    tokenLifetime: DAY,
    slideInterval: 300,
    scopes: SCOPES,
    lastUsedFrom: 'full' as const,
    ...options.rules,
  };
  const time = { now: Date.parse('2030-01-01T12:00:00.500Z') };
  const clock = () => time.now;
  const malformed: ItemKey[] = [];
  const onMalformed = (key: ItemKey) => malformed.push(key);

  const sdk = documentClient();
  // Sets the endpoint as AWS_ENDPOINT_URL_DYNAMODB would. The SDK reads that variable only at the first call, when
  // another service may have changed it.
  const { protocol, hostname, port } = new URL(endpoint);
  const located = async () => ({ protocol, hostname, port: Number(port), path: '/' });
  Object.assign(sdk.config, { endpoint: located, isCustomEndpoint: true });
  const hook: Pick<InProcessOptions, 'around'> = { around: options.around };
  const around: Around = (when, sent) => hook.around?.(when, sent);
  const named = { tableName: TABLE, retryPolicy, onMalformed };
  // As deployed, the functions behind the gateways use the HTTPS transport, and jobs use the SDK.
  const jobTable: TestTable = { ...named, port: watched(sdkTransport(sdk), around), client: sdk };
  const https = httpsTransport({ region: REGION, endpoint, ...ENGINE_CREDENTIALS });
  const table: TestTable = { ...named, port: watched(https, around), client: sdk };
  const store = checkStore(options.watchesChecks ? table : { ...named, port: https }, issuer);

  const reported: unknown[] = [];
  const report = { denied: () => {}, failed: (error: unknown) => reported.push(error) };
  const people = {
    issuer,
    groupsClaim: 'groups',
    adminGroup,
    adminScope: undefined,
    nameClaim,
  };
  const onRejected = options.countsRejectedCalls ? rejectedCallCounter(table, clock) : async () => {};
  const requireAccess = accessRequirement(table);
  const onFailed = () => {};
  const management = { logger, people, onFailed, onRejected, requireAccess, platformPrincipals };
  const oauth = { logger, onFailed, onRejectedClient: () => {}, acceptsJson: true };
  const jobs: PersonId[] = [];
  const managed = {
    ...deploymentRoutes(table, { clock, source: options.source }),
    ...keyRoutes(table, { clock, scopes: rules.scopes, trust, maxIdleDays, ...(policy && { policy }) }),
    ...accessTokenRoutes(table, { clock, rules }),
    ...temporaryTokenRoutes(table, { clock, scopes: rules.scopes }),
    ...eventRoutes(table, clock),
    ...peopleRoutes(table, {
      clock,
      issuer,
      startJob: async (person) => {
        jobs.push(person);
      },
    }),
  };
  const manage = managementHandler(managed, management);
  const oauthRoutes = {
    'POST /oauth/token': tokenRoute(table, { clock, rules, trust, maxIdleDays }),
    'POST /oauth/introspect': introspectRoute(table, { clock, rules, peopleIssuer: issuer, maxIdleDays }),
    'POST /oauth/revoke': revokeRoute(table, clock),
  };
  const pipeline = oauthHandler(oauthRoutes, oauth);
  const check = { store, clock, rules, report };
  const callWhoami = whoami(check);
  const patterns = Object.keys(managed).map((routeKey) => {
    const [method = '', path = ''] = routeKey.split(' ');
    return { routeKey, method, pattern: new RegExp(`^${path.replace(/\{(\w+)\}/g, '(?<$1>[^/]*)')}$`) };
  });

  const deferred: PurgeTask[] = [];
  const purge: PurgeDependencies = {
    table: jobTable,
    clock,
    defer: async (task) => {
      deferred.push(JSON.parse(JSON.stringify(task)));
    },
    report: (outcome) => {
      if (outcome.type === 'failed') errors.push(outcome.error);
    },
  };

  /** Makes a call with the event that a gateway would pass to the function. */
  async function call(method: string, target: string, options: InProcessCall = {}): Promise<Reply> {
    const { path, event } = eventOf(method, target, options);
    if (path === '/whoami') return replied(await callWhoami({ ...event, routeKey: 'GET /whoami' }));
    if (path.startsWith('/oauth/')) {
      return replied(await pipeline({ ...event, routeKey: `${method} ${path}` }, context()));
    }
    const [, base = '', managedPath = ''] = /^(\/platform)?(\/.*)$/.exec(path) ?? [];
    for (const { routeKey: key, method: ofRoute, pattern } of patterns) {
      const match = method === ofRoute && pattern.exec(managedPath);
      if (!match) continue;
      const routeKey = key.replace(' ', ` ${base}`);
      const pathParameters = Object.fromEntries(
        Object.entries(match.groups ?? {}).map(([name, text]) => [name, decodeURIComponent(text)]),
      );
      return replied(await manage({ ...event, routeKey, pathParameters }, context()));
    }
    throw new Error(`no route for ${method} ${path}`);
  }

  const service = {
    call,
    time,
    /** Runs a function once, just before or after the next call of an operation to the table. */
    once: (when: 'before' | 'after', operation: Operation, run: () => unknown): void => {
      hook.around = async (at, sent) => {
        if (at !== when || sent.operation !== operation) return;
        hook.around = undefined;
        await run();
      };
    },
    /** The table as the functions behind the gateways and as the jobs access it. */
    table,
    jobTable,
    rules,
    purge,
    /** People whose job for ended access was requested but has not run yet. */
    jobs,
    /** Runs the requested jobs about the keys of people whose access ended. */
    findKeys: async (hasTime = () => true): Promise<void> => {
      const dependencies = {
        table: jobTable,
        clock,
        hasTime,
        signOut: undefined,
        defer: async (person: PersonId) => {
          jobs.push(person);
        },
      };
      const messages = jobs.splice(0).map((person) => ({ body: JSON.stringify(person) }));
      await endAccessFromQueue(messages as never, dependencies);
    },
    /** Tasks that the purge sent to its queue. */
    deferred,
    /** Keys of the malformed items that the functions have read. */
    malformed,
    /** Errors that checks have thrown. */
    reported,
    /** Sends a leak report for text that contains leaked secrets and tokens. */
    leak: (text: string, hasTime = () => true): Promise<void> =>
      reportLeak(table, text, { address: '192.0.2.1', requestId: 'request' }, { ...check, hasTime }),
    authorize: authorizer(check) as (event: never) => Promise<AuthorizerResult>,

    register: async (id: string, body: object = { groups: ['data-eng'] }): Promise<void> => {
      must(await call('PUT', `/deployments/${id}`, { as: 'admin', json: body }), 200, 201);
    },
    createKey: async (id: string, body: object = { name: 'ci' }): Promise<CreatedKey> =>
      must(await call('POST', `/deployments/${id}/api-keys`, { as: 'admin', json: body }), 201).json,
    exchange: (key: CreatedKey): Promise<Reply> =>
      call('POST', '/oauth/token', {
        basic: [key.id, key.secret],
        form: { grant_type: 'client_credentials' },
      }),
    exchangeForToken: async (key: CreatedKey): Promise<string> =>
      must(
        await call('POST', '/oauth/token', {
          basic: [key.id, key.secret],
          form: { grant_type: 'client_credentials' },
        }),
        200,
      ).json.access_token,
    use: async (token: string): Promise<number> => (await call('GET', '/whoami', { token })).status,
    /** Sets a Deployment's number of keys directly in the table. */
    countKeys: async (id: string, keyCount: number): Promise<void> => {
      await sdk.send(
        new UpdateCommand({
          TableName: TABLE,
          Key: { pk: `DEPLOYMENT#${id}`, sk: 'DEPLOYMENT' },
          UpdateExpression: 'SET keyCount = :count',
          ExpressionAttributeValues: { ':count': keyCount },
        }),
      );
    },
    /** Returns all items of a partition. */
    partition: (pk: string) => itemsOf(sdk, TABLE, pk),
  };
  return Object.assign(hook, service);
}

export type InProcess = ReturnType<typeof inProcess>;

/**
 * Returns a reply with an expected status. @throws Error for any other status, so that a failure in a test's setup is
 * noticed
 */
export function must(reply: Reply, ...statuses: number[]): Reply {
  if (statuses.includes(reply.status)) return reply;
  throw new Error(`Expected ${statuses}, got ${reply.status}: ${reply.text}`, { cause: errors.at(-1) });
}

/** Returns the parts of a key ID. @throws Error if the text is not a key ID */
export function partsOf(keyId: string): { deploymentId: string; ulid: string } {
  const parts = parseKeyId(keyId);
  if (!parts) throw new Error(`"${keyId}" is not a key ID`);
  return parts;
}

/** Returns the stream record for a removed Deployment or key. */
export function removal(
  { pk, sk }: ItemKey,
  generation: string,
  sequenceNumber: number | string = 1,
): DynamoDBRecord {
  return {
    eventName: 'REMOVE',
    eventSource: 'aws:dynamodb',
    dynamodb: {
      SequenceNumber: String(sequenceNumber),
      Keys: { pk: { S: pk }, sk: { S: sk } },
      OldImage: { pk: { S: pk }, sk: { S: sk }, generation: { S: generation } },
    },
  };
}

/**
 * Returns a bearer token as the gateway forwards it after verifying the signature. Functions do not verify the
 * signature again.
 */
export function bearerOf(sub: string, claims: object = { iat: 1_577_836_800 }): string {
  const groups = sub === 'admin' ? ['platform-admins'] : ['data-eng'];
  const part = (claims: object) => Buffer.from(JSON.stringify(claims)).toString('base64url');
  return `Bearer ${part({ alg: 'RS256', typ: 'at+jwt' })}.${part({ sub, groups, scope: 'openid', ...claims })}.c2ln`;
}

function eventOf(method: string, target: string, options: InProcessCall) {
  const { as, token, basic, json, form, headers, body } = options;
  const [path = '', rawQueryString = ''] = target.split('?');
  const authorization =
    (as !== undefined && bearerOf(as, options.claims)) ||
    (token !== undefined && `Bearer ${token}`) ||
    (basic && `Basic ${Buffer.from(basic.join(':')).toString('base64')}`);
  const text = json === undefined ? form && new URLSearchParams(form).toString() : JSON.stringify(json);
  const event = {
    version: '2.0',
    routeKey: '',
    rawPath: path,
    rawQueryString,
    headers: {
      host: 'service.test',
      ...(authorization && { authorization }),
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...(form !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
      ...headers,
    },
    requestContext: {
      apiId: 'api',
      requestId: 'request',
      domainName: 'service.test',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '192.0.2.1', userAgent: 'test' },
      authorizer: as === undefined ? undefined : { jwt: { claims: {}, scopes: [] } },
    },
    body: body ?? text,
    isBase64Encoded: false,
  } as unknown as APIGatewayProxyEventV2WithJWTAuthorizer;
  return { path, event };
}

const context = () => ({ awsRequestId: 'request', getRemainingTimeInMillis: () => 10_000 }) as Context;

function replied({ statusCode = 0, headers = {}, body = '' }: APIGatewayProxyStructuredResultV2): Reply {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    json = undefined;
  }
  return { status: statusCode, headers: headers as Record<string, string>, text: body, json };
}
