import type { CheckRules } from '../domain/check.ts';
import type { DeploymentsSource } from '../domain/deployments-source.ts';
import type { LastUsedFrom } from '../domain/last-use.ts';
import type { PeopleConfig } from '../domain/people.ts';
import { isPrincipalArn } from '../domain/principals.ts';
import { isScope } from '../domain/scopes.ts';
import type { Access } from '../table/wire.ts';
import * as ENV from './env.ts';

type Environment = Record<string, string | undefined>;

/** An environment variable: its name, its rule in words, and a parser that returns undefined for an invalid value. */
interface Variable<T> {
  name: string;
  rule: string;
  read: (text: string | undefined) => T | undefined;
}

const text = (name: string): Variable<string> => ({
  name,
  rule: 'must be set',
  read: (it) => it || undefined,
});

const seconds = (name: string, least: number): Variable<number> => ({
  name,
  rule: `must be a whole number of seconds, at least ${least}`,
  read: (it) => (it && /^\d{1,10}$/.test(it) && Number(it) >= least ? Number(it) : undefined),
});

const days = (name: string): Variable<number> => ({
  ...seconds(name, 1),
  rule: 'must be a whole number of days',
});

const scopes: Variable<string[]> = {
  name: ENV.scopes,
  rule: 'must be scopes with one space between',
  read: (it) => (it?.split(' ').every(isScope) ? it.split(' ') : undefined),
};

const principals: Variable<string[]> = {
  name: ENV.platformPrincipals,
  rule: 'must be ARNs of IAM roles and users with one space between',
  read: (it) => (it?.split(' ').every(isPrincipalArn) ? it.split(' ') : undefined),
};

const lastUsedFrom: Variable<LastUsedFrom> = {
  name: ENV.lastUsedFrom,
  rule: 'must be full, truncated or off',
  read: (it) => (it === 'full' || it === 'truncated' || it === 'off' ? it : undefined),
};

/** Its fields were validated at synthesis. */
const deploymentsSource: Variable<DeploymentsSource> = {
  name: ENV.deploymentsSource,
  rule: 'must be JSON of a source with table and id',
  read: (it = '') => {
    try {
      const source = JSON.parse(it);
      return typeof source?.table === 'string' && typeof source.id === 'string' ? source : undefined;
    } catch {
      return undefined;
    }
  },
};

/** Makes a variable optional. */
const maybe = <T>({ name, rule, read }: Variable<T>): Variable<{ value: T | undefined }> => ({
  name,
  rule: `${rule}, or be left out`,
  read: (it) => {
    if (it === undefined) return { value: undefined };
    const value = read(it);
    return value === undefined ? undefined : { value };
  },
});

type Values<V> = { [K in keyof V]: V[K] extends Variable<infer T> ? T : never };

/**
 * Reads a function's environment variables at its start.
 * @throws Error that names every missing or invalid variable, but never a value
 */
function readAll<V extends Record<string, Variable<unknown>>>(env: Environment, variables: V): Values<V> {
  const faults: string[] = [];
  const values = Object.entries(variables).map(([key, { name, rule, read }]) => {
    const value = read(env[name]);
    if (value === undefined) faults.push(`${name} ${rule}`);
    return [key, value];
  });
  if (faults.length > 0) throw new Error(`The function is not configured: ${faults.join('; ')}.`);
  return Object.fromEntries(values);
}

export interface TableConfig {
  tableName: string;
}

/** Configuration of functions that need only the table. */
export function readTableConfig(env: Environment = process.env): TableConfig {
  return readAll(env, { tableName: text(ENV.tableName) });
}

/** Configuration of functions that check or issue tokens. */
export interface TokenConfig extends TableConfig {
  rules: CheckRules;
}

export function readTokenConfig(env: Environment = process.env): TokenConfig {
  const { tableName, maxTokenLifetime, ...rest } = readAll(env, {
    tableName: text(ENV.tableName),
    tokenLifetime: seconds(ENV.tokenLifetime, 1),
    slideInterval: seconds(ENV.slideInterval, 0),
    maxTokenLifetime: maybe(seconds(ENV.maxTokenLifetime, 1)),
    scopes,
    lastUsedFrom,
  });
  return { tableName, rules: { ...rest, maxTokenLifetime: maxTokenLifetime.value } };
}

/**
 * Reads the credentials and Region for DynamoDB, from the variables that Lambda sets. They stay the same for the
 * lifetime of an execution environment.
 */
export function readAccess(env: Environment = process.env): Access {
  const required = readAll(env, {
    region: text('AWS_REGION'),
    accessKeyId: text('AWS_ACCESS_KEY_ID'),
    secretAccessKey: text('AWS_SECRET_ACCESS_KEY'),
  });
  // Like the AWS SDK, treats an empty session token as absent.
  const sessionToken = env.AWS_SESSION_TOKEN || undefined;
  const endpoint = env.AWS_ENDPOINT_URL_DYNAMODB || undefined;
  return { ...required, sessionToken, endpoint };
}

/** Configuration of functions that people and IAM principals call. */
export interface ManagementConfig extends TableConfig {
  people: PeopleConfig;
  /** ARNs of the IAM roles and users that may call under /platform. */
  platformPrincipals: string[];
}

export function readManagementConfig(env: Environment = process.env): ManagementConfig {
  const { tableName, groupsClaim, adminGroup, adminScope, platformPrincipals } = readAll(env, {
    tableName: text(ENV.tableName),
    groupsClaim: text(ENV.groupsClaim),
    adminGroup: maybe(text(ENV.adminGroup)),
    adminScope: maybe(text(ENV.adminScope)),
    platformPrincipals: maybe(principals),
  });
  return {
    tableName,
    people: { groupsClaim, adminGroup: adminGroup.value, adminScope: adminScope.value },
    platformPrincipals: platformPrincipals.value ?? [],
  };
}

/** Reads the scopes that the stack defines. */
export function readScopes(env: Environment = process.env): string[] {
  return readAll(env, { scopes }).scopes;
}

/** Reads the URL at which clients know the service; undefined if that is the URL of API Gateway. */
export function readPublicUrl(env: Environment = process.env): string | undefined {
  return readAll(env, { publicUrl: maybe(text(ENV.publicUrl)) }).publicUrl.value;
}

/** Configuration of the console. */
export interface ConsoleConfig {
  issuer: string;
  clientId: string;
  /** Scopes that the console requests from the issuer, separated by spaces. */
  signInScope: string;
  /** Origins to which the page may send requests, other than its own. */
  origins: string[];
  /** Scopes that the stack defines. */
  scopes: string[];
  /** Issuers whose tokens keys can accept instead of a secret. */
  trustedIssuers: string[];
}

export function readConsoleConfig(env: Environment = process.env): ConsoleConfig {
  const { issuer, origins, ...rest } = readAll(env, {
    issuer: text(ENV.issuer),
    clientId: text(ENV.consoleClientId),
    signInScope: text(ENV.consoleScopes),
    origins: maybe(text(ENV.consoleOrigins)),
    scopes,
  });
  const others = origins.value?.split(' ') ?? [];
  const allowed = [...new Set([new URL(issuer).origin, ...others])];
  return { ...rest, issuer, origins: allowed, trustedIssuers: readTrustedIssuers(env) };
}

export interface PurgeConfig extends TableConfig {
  continuationQueueUrl: string;
}

export function readPurgeConfig(env: Environment = process.env): PurgeConfig {
  return readAll(env, {
    tableName: text(ENV.tableName),
    continuationQueueUrl: text(ENV.continuationQueueUrl),
  });
}

/** Reads the name of the event bus. */
export function readBusName(env: Environment = process.env): string {
  return readAll(env, { busName: text(ENV.eventBusName) }).busName;
}

/** Reads the number of days without use after which a key is idle; undefined means never. */
export function readMaxIdleDays(env: Environment = process.env): number | undefined {
  return readAll(env, { maxIdleDays: maybe(days(ENV.maxIdleDays)) }).maxIdleDays.value;
}

/** Reads the issuers whose tokens keys can accept. An empty list means that token exchange is off. */
export function readTrustedIssuers(env: Environment = process.env): string[] {
  return readAll(env, { issuers: maybe(text(ENV.trustedIssuers)) }).issuers.value?.split(' ') ?? [];
}

/** Reads the table of Deployments that the service follows; undefined if there is none. */
export function readDeploymentsSource(env: Environment = process.env): DeploymentsSource | undefined {
  return readAll(env, { source: maybe(deploymentsSource) }).source.value;
}

/** Configuration of the function that follows a table of Deployments. */
export interface SyncConfig extends TableConfig {
  source: DeploymentsSource;
  refusedChangesQueueUrl: string;
}

export function readSyncConfig(env: Environment = process.env): SyncConfig {
  return readAll(env, {
    tableName: text(ENV.tableName),
    source: deploymentsSource,
    refusedChangesQueueUrl: text(ENV.refusedChangesQueueUrl),
  });
}
