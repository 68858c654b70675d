import type { JSONWebKeySet } from 'jose';
import type { CheckRules } from '../domain/check.ts';
import type { DeploymentsSource } from '../domain/deployments-source.ts';
import type { KeyPolicy } from '../domain/key-policy.ts';
import type { LastUsedFrom } from '../domain/last-use.ts';
import { isPrincipalArn, type PeopleConfig } from '../domain/people.ts';
import { isScope } from '../domain/scopes.ts';
import type { TrustedIssuer } from '../domain/trust.ts';
import type { AwsAccess } from '../table/https-transport.ts';
import * as ENV from './env.ts';

type Environment = Record<string, string | undefined>;

/**
 * Definition of an environment variable: its name, a description of its rule, and a parser that returns undefined for
 * an invalid value.
 */
interface Variable<T> {
  name: string;
  rule: string;
  read: (text: string | undefined) => T | undefined;
  /** Whether the variable is optional. @default false */
  isOptional?: boolean;
}

const text = (name: string): Variable<string> => ({
  name,
  rule: 'must be set',
  read: (it) => it || undefined,
});

const seconds = (name: string, least: number): Variable<number> => ({
  name,
  rule: `must be whole seconds, at least ${least}`,
  read: (it) => (it && /^\d{1,10}$/.test(it) && Number(it) >= least ? Number(it) : undefined),
});

const days = (name: string): Variable<number> => ({
  ...seconds(name, 1),
  rule: 'must be a whole number of days',
});

const writeUnits: Variable<number> = {
  name: ENV.writeUnits,
  rule: 'must be a number of write units per second',
  read: (it) => (it && /^\d{1,5}(\.\d{1,2})?$/.test(it) && Number(it) > 0 ? Number(it) : undefined),
};

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
  read: (it) => (['full', 'truncated', 'off'] as const).find((choice) => choice === it),
};

const flag = (name: string): Variable<boolean> => ({
  name,
  rule: 'must be true or false',
  read: (it) => (it === 'true' || it === 'false' ? it === 'true' : undefined),
});

/**
 * Returns the value of a variable that contains JSON, whose fields the CDK app has already validated; undefined if the
 * variable contains anything else.
 */
function parsed<T>(text: string | undefined, isIt: (json: unknown) => boolean): T | undefined {
  try {
    const json = JSON.parse(text ?? '');
    return isIt(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

const isObject = (json: unknown): json is Record<string, unknown> =>
  typeof json === 'object' && json !== null && !Array.isArray(json);

const deploymentsSource: Variable<DeploymentsSource> = {
  name: ENV.deploymentsSource,
  rule: 'must be JSON of a source with table and id',
  read: (it) =>
    parsed(it, (json) => isObject(json) && typeof json.table === 'string' && typeof json.id === 'string'),
};

const trustedIssuers: Variable<TrustedIssuer[]> = {
  name: ENV.trustedIssuers,
  rule: 'must be URLs with one space between, or a JSON array of issuers',
  read: (it) => {
    if (!it?.startsWith('[')) return (it || undefined)?.split(' ');
    return parsed(
      it,
      (json) =>
        Array.isArray(json) && json.every((one) => typeof (isObject(one) ? one.issuer : one) === 'string'),
    );
  },
};

/** Reports whether a JSON value is a set of public keys (JWKS). */
const isKeySet = (json: unknown): json is JSONWebKeySet =>
  isObject(json) &&
  Array.isArray(json.keys) &&
  json.keys.length > 0 &&
  json.keys.every((key) => isObject(key) && typeof key.kty === 'string');

/** Returns an optional version of a variable. */
const maybe = <T>(variable: Variable<T>): Variable<T | undefined> => ({
  ...variable,
  rule: `${variable.rule}, or be left out`,
  isOptional: true,
});

type Values<V> = { [K in keyof V]: V[K] extends Variable<infer T> ? T : never };

/**
 * Reads a function's environment variables when the function starts.
 * @throws Error that names every missing or invalid variable, but never a value
 */
function readAll<V extends Record<string, Variable<unknown>>>(env: Environment, variables: V): Values<V> {
  const faults: string[] = [];
  const values = Object.entries(variables).map(([key, { name, rule, read, isOptional }]) => {
    const given = env[name];
    const value = read(given);
    const isLeftOut = isOptional && given === undefined;
    if (value === undefined && !isLeftOut) faults.push(`${name} ${rule}`);
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
  /** The issuer that signs people in. */
  issuer: string;
}

export function readTokenConfig(env: Environment = process.env): TokenConfig {
  const { tableName, issuer, ...rules } = readAll(env, {
    tableName: text(ENV.tableName),
    issuer: text(ENV.issuer),
    tokenLifetime: seconds(ENV.tokenLifetime, 1),
    slideInterval: seconds(ENV.slideInterval, 0),
    maxTokenLifetime: maybe(seconds(ENV.maxTokenLifetime, 1)),
    scopes,
    lastUsedFrom,
  });
  return { tableName, issuer, rules };
}

/**
 * Reads the credentials and Region for DynamoDB from the variables that Lambda sets. These variables do not change
 * during the lifetime of an execution environment.
 */
export function readAwsAccess(env: Environment = process.env): AwsAccess {
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

/** Configuration of functions that serve people and IAM principals. */
export interface ManagementConfig extends TableConfig {
  callers: {
    people: PeopleConfig;
    /** ARNs of the IAM roles and users that are allowed to call routes under /platform. */
    platformPrincipals: string[];
  };
}

export function readManagementConfig(env: Environment = process.env): ManagementConfig {
  const { tableName, platformPrincipals } = readAll(env, {
    tableName: text(ENV.tableName),
    platformPrincipals: maybe(principals),
  });
  return { tableName, callers: { people: readPeople(env), platformPrincipals: platformPrincipals ?? [] } };
}

/** Reads the claim in which access tokens hold people's names. */
export function readNameClaim(env: Environment = process.env): string {
  return readAll(env, { nameClaim: text(ENV.nameClaim) }).nameClaim;
}

function readPeople(env: Environment): PeopleConfig {
  return readAll(env, {
    issuer: text(ENV.issuer),
    groupsClaim: text(ENV.groupsClaim),
    adminGroup: maybe(text(ENV.adminGroup)),
    adminScope: maybe(text(ENV.adminScope)),
    nameClaim: maybe(text(ENV.nameClaim)),
  });
}

/** Reads the scopes that the stack defines. */
export function readScopes(env: Environment = process.env): string[] {
  return readAll(env, { scopes }).scopes;
}

/** Reads the URL that clients use for the service; undefined if clients use API Gateway's URL. */
export function readPublicUrl(env: Environment = process.env): string | undefined {
  return readAll(env, { publicUrl: maybe(text(ENV.publicUrl)) }).publicUrl;
}

/** Configuration of the console. */
export interface ConsoleConfig {
  issuer: string;
  clientId: string;
  /** Scopes that the console requests from the issuer, space-separated. */
  signInScope: string;
  /** Origins to which the page is allowed to send requests, in addition to its own origin. */
  origins: string[];
  /** Scopes that the stack defines. */
  scopes: string[];
  /** Issuers whose tokens a key can accept instead of a secret. */
  trustedIssuers: TrustedIssuer[];
  /** How the console recognises administrators, to show them the actions that only administrators can take. */
  people: Omit<PeopleConfig, 'issuer' | 'nameClaim'>;
  policy: KeyPolicy;
}

export function readConsoleConfig(env: Environment = process.env): ConsoleConfig {
  const { issuer, origins, ...rest } = readAll(env, {
    issuer: text(ENV.issuer),
    clientId: text(ENV.consoleClientId),
    signInScope: text(ENV.consoleScopes),
    origins: maybe(text(ENV.consoleOrigins)),
    scopes,
  });
  const others = origins?.split(' ') ?? [];
  const allowed = [...new Set([new URL(issuer).origin, ...others])];
  const { groupsClaim, adminGroup, adminScope } = readPeople(env);
  return {
    ...rest,
    issuer,
    origins: allowed,
    trustedIssuers: readTrustedIssuers(env),
    people: { groupsClaim, adminGroup, adminScope },
    policy: readKeyPolicy(env),
  };
}

/** The table that a job uses. */
export interface JobConfig extends TableConfig {
  /** Maximum number of write units that the job uses per second; undefined means no limit. */
  writeUnits: number | undefined;
}

export function readJobConfig(env: Environment = process.env): JobConfig {
  return readAll(env, { tableName: text(ENV.tableName), writeUnits: maybe(writeUnits) });
}

export interface PurgeConfig extends JobConfig {
  continuationQueueUrl: string;
}

export function readPurgeConfig(env: Environment = process.env): PurgeConfig {
  return readAll(env, {
    tableName: text(ENV.tableName),
    writeUnits: maybe(writeUnits),
    continuationQueueUrl: text(ENV.continuationQueueUrl),
  });
}

/** Reads the URL of the queue of people whose access was ended. The end-access job finds the keys of each. */
export function readPeopleQueueUrl(env: Environment = process.env): string {
  return readAll(env, { url: text(ENV.peopleQueueUrl) }).url;
}

/** Reads the ID of the stack's own user pool; undefined if people sign in with a different issuer. */
export function readUserPoolId(env: Environment = process.env): string | undefined {
  return readAll(env, { id: maybe(text(ENV.userPoolId)) }).id;
}

/** Reads the name of the event bus. */
export function readBusName(env: Environment = process.env): string {
  return readAll(env, { busName: text(ENV.eventBusName) }).busName;
}

/** Reads the number of days without use after which a key becomes idle; undefined means never. */
export function readMaxIdleDays(env: Environment = process.env): number | undefined {
  return readAll(env, { maxIdleDays: maybe(days(ENV.maxIdleDays)) }).maxIdleDays;
}

/** Reads the stack's rules for keys. */
export function readKeyPolicy(env: Environment = process.env): KeyPolicy {
  return readAll(env, {
    maxKeyDays: maybe(days(ENV.maxKeyDays)),
    keysWithSecrets: maybe(flag(ENV.keysWithSecrets)),
  });
}

/** Reads the issuers whose tokens keys can accept. An empty list turns token exchange off. */
export function readTrustedIssuers(env: Environment = process.env): TrustedIssuer[] {
  return readAll(env, { issuers: maybe(trustedIssuers) }).issuers ?? [];
}

/**
 * Reads the issuers' keys that are part of the stack, by issuer. Omits malformed keys, so that they affect only the
 * exchange of tokens from their issuer.
 */
export function readIssuerKeys(env: Environment = process.env): Map<string, JSONWebKeySet> {
  const sets = parsed<Record<string, unknown>>(env[ENV.issuerKeys], isObject) ?? {};
  return new Map(
    Object.entries(sets).flatMap(([issuer, keys]) => (isKeySet(keys) ? [[issuer, keys] as const] : [])),
  );
}

/** Reads the table of Deployments that the service follows; undefined if there is no such table. */
export function readDeploymentsSource(env: Environment = process.env): DeploymentsSource | undefined {
  return readAll(env, { source: maybe(deploymentsSource) }).source;
}

/** Configuration of the function that applies the changes to a followed table of Deployments. */
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
