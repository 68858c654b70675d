import type { CheckRules } from '../domain/check.ts';
import type { DeploymentsSource } from '../domain/deployments-source.ts';
import type { LastUsedFrom } from '../domain/last-use.ts';
import type { PeopleConfig } from '../domain/people.ts';
import { isPrincipalArn } from '../domain/principals.ts';
import { isScope } from '../domain/scopes.ts';
import type { Access } from '../table/wire.ts';
import * as ENV from './env.ts';

type Environment = Record<string, string | undefined>;

/** How one variable is read: undefined when it is not what it must be. */
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

/** Its parts were judged at synthesis. */
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

/** A variable that may be left out. */
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
 * Read a function's variables, once, at its start.
 * @throws Error that names every variable that is missing or wrong, and never a value
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

/** For a function that needs no more than the table. */
export function readTableConfig(env: Environment = process.env): TableConfig {
  return readAll(env, { tableName: text(ENV.tableName) });
}

/** For every function that checks or issues tokens. */
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
 * As whom and where to call DynamoDB, by the names that Lambda sets and the AWS SDK reads too. Lambda sets
 * credentials once in the life of an environment.
 */
export function readAccess(env: Environment = process.env): Access {
  const required = readAll(env, {
    region: text('AWS_REGION'),
    accessKeyId: text('AWS_ACCESS_KEY_ID'),
    secretAccessKey: text('AWS_SECRET_ACCESS_KEY'),
  });
  // The AWS SDK takes an empty one for none.
  const sessionToken = env.AWS_SESSION_TOKEN || undefined;
  const endpoint = env.AWS_ENDPOINT_URL_DYNAMODB || undefined;
  return { ...required, sessionToken, endpoint };
}

/** For the functions that people and IAM principals call. */
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

/** The scopes that the stack knows. */
export function readScopes(env: Environment = process.env): string[] {
  return readAll(env, { scopes }).scopes;
}

/** The URL under which clients know the service, where it has a name of its own. */
export function readPublicUrl(env: Environment = process.env): string | undefined {
  return readAll(env, { publicUrl: maybe(text(ENV.publicUrl)) }).publicUrl.value;
}

/** For the page that people sign in to. */
export interface ConsoleConfig {
  issuer: string;
  clientId: string;
  /** What it asks of the issuer, separated by spaces. */
  signInScope: string;
  /** Origins that the page may talk to, beside its own. */
  origins: string[];
  /** The scopes that the stack knows. */
  scopes: string[];
  /** Issuers whose tokens can open a key in place of a secret. */
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

/** The bus to which events are sent. */
export function readBusName(env: Environment = process.env): string {
  return readAll(env, { busName: text(ENV.eventBusName) }).busName;
}

/** Days without a use after which a key is refused; undefined: never. */
export function readMaxIdleDays(env: Environment = process.env): number | undefined {
  return readAll(env, { maxIdleDays: maybe(days(ENV.maxIdleDays)) }).maxIdleDays.value;
}

/** Issuers whose tokens can open a key; none: token exchange is off. */
export function readTrustedIssuers(env: Environment = process.env): string[] {
  return readAll(env, { issuers: maybe(text(ENV.trustedIssuers)) }).issuers.value?.split(' ') ?? [];
}

/** The table of Deployments that the service follows; undefined: there is none. */
export function readDeploymentsSource(env: Environment = process.env): DeploymentsSource | undefined {
  return readAll(env, { source: maybe(deploymentsSource) }).source.value;
}

/** For the function that follows a table of Deployments. */
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
