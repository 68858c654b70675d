import { Duration, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import * as ENV from '../functions/runtime/env.ts';
import { type Environment, ServiceFunction } from './function.ts';
import type { Settings, SignIn } from './settings.ts';
import type { Table, TableUse } from './table.ts';

export interface FunctionsProps {
  readonly settings: Settings;
  readonly signIn: SignIn;
  readonly table: Table;
}

/** What distinguishes one function from the others. */
interface Specification {
  /** Construct ID. It never changes, because CloudFormation would replace the function and its role and log group. */
  readonly id: string;
  /** Name of the file in `functions/`, without `.ts`. */
  readonly file: string;
  readonly description: string;
  readonly timeout: Duration;
  /** In MiB. @default 256 */
  readonly memory?: number;
  /** Groups of environment variables. @default none */
  readonly environment?: readonly EnvironmentGroup[];
  /** What it does with the table. @default nothing */
  readonly table?: readonly TableUse[];
  /** Whether it writes metrics, and so needs the stack's name. @default true */
  readonly writesMetrics?: boolean;
  readonly reservedConcurrency?: number | undefined;
  readonly mayWakeItself?: boolean;
}

/** Every function of the service; undefined for one that the settings leave out. */
const specifications = ({ settings, signIn }: FunctionsProps) =>
  ({
    authorize: {
      id: 'Authorize',
      file: 'authorize',
      description: 'Checks an access token for the APIs behind it, and slides it',
      timeout: Duration.seconds(5),
      environment: ['tokens', 'scopes'],
      table: ['readToken', 'extendToken'],
      reservedConcurrency: settings.authorizerConcurrency?.reserved,
    },
    whoami: {
      id: 'Whoami',
      file: 'whoami',
      description: 'Checks an access token, slides it and says whose it is',
      timeout: Duration.seconds(5),
      environment: ['tokens', 'scopes'],
      table: ['readToken', 'extendToken'],
    },
    issueToken: {
      id: 'IssueToken',
      file: 'issue-token',
      description: 'Swaps the ID and secret of a key for an access token',
      timeout: Duration.seconds(10),
      environment: ['tokens', 'scopes', 'idleKeys', 'trustedIssuers', 'publicUrl'],
      table: ['issue'],
    },
    introspect: {
      id: 'Introspect',
      file: 'introspect',
      description: 'Tells a key what a token of its Deployment may do',
      timeout: Duration.seconds(10),
      environment: ['tokens', 'scopes', 'idleKeys', 'publicUrl'],
      table: ['readToken'],
    },
    revoke: {
      id: 'Revoke',
      file: 'revoke',
      description: 'Deletes a token that its key gives up',
      timeout: Duration.seconds(10),
      environment: ['idleKeys'],
      table: ['revoke'],
    },
    metadata: {
      id: 'Metadata',
      file: 'metadata',
      description: 'Tells OAuth clients where the token service answers',
      timeout: Duration.seconds(5),
      environment: ['scopes', 'trustedIssuers', 'publicUrl'],
      writesMetrics: false,
    },
    manageDeployments: {
      id: 'ManageDeployments',
      file: 'manage-deployments',
      description: 'Registers, lists, changes and deletes Deployments',
      timeout: Duration.seconds(10),
      environment: ['people', 'deploymentsSource'],
      table: ['manageDeployments'],
    },
    manageKeys: {
      id: 'ManageKeys',
      file: 'manage-keys',
      description: 'Makes, lists, changes and deletes the keys of a Deployment',
      timeout: Duration.seconds(10),
      environment: ['people', 'scopes', 'idleKeys', 'trustedIssuers'],
      table: ['manageKeys'],
    },
    manageTemporaryTokens: {
      id: 'ManageTemporaryTokens',
      file: 'manage-temporary-tokens',
      description: 'Issues, lists and revokes the temporary tokens of people',
      timeout: Duration.seconds(10),
      environment: ['people', 'scopes'],
      table: ['manageTemporaryTokens'],
    },
    listEvents: {
      id: 'ListEvents',
      file: 'list-events',
      description: 'Lists what happened to a Deployment',
      timeout: Duration.seconds(10),
      environment: ['people'],
      table: ['listEvents'],
    },
    reportLeak: {
      id: 'ReportLeak',
      file: 'report-leak',
      description: 'Disables the key, or revokes the token, that somebody has found',
      timeout: Duration.seconds(10),
      environment: ['tokens', 'scopes'],
      table: ['reportLeak'],
    },
    publishEvents: {
      id: 'PublishEvents',
      file: 'publish-events',
      description: 'Sends what happened to the event bus',
      timeout: Duration.seconds(30),
      writesMetrics: false,
    },
    sweepKeys: {
      id: 'SweepKeys',
      file: 'sweep-keys',
      description: 'Reports keys that expire, have expired or are idle, and rejected calls',
      timeout: Duration.minutes(15),
      environment: ['idleKeys'],
      table: ['sweepKeys'],
    },
    purge: {
      id: 'Purge',
      file: 'purge',
      description: 'Deletes what a removed Deployment or key leaves behind',
      timeout: Duration.seconds(60),
      memory: 512,
      table: ['purge'],
      mayWakeItself: true,
    },
    reconcile: {
      id: 'Reconcile',
      file: 'reconcile',
      description: 'Looks through the table for what streams and markers have missed',
      timeout: Duration.minutes(5),
      memory: 512,
      environment: ['deploymentsSource'],
      table: settings.deploymentsSource ? ['reconcile', 'compareSource', 'followSource'] : ['reconcile'],
    },
    syncDeployments: settings.deploymentsSource && {
      id: 'SyncDeployments',
      file: 'sync-deployments',
      description: "Registers, changes and deletes Deployments as the platform's own table does",
      timeout: Duration.seconds(60),
      environment: ['deploymentsSource'],
      table: ['followSource'],
    },
    // Without a client at the issuer, no one could sign in to the console.
    console:
      !settings.console || signIn.consoleClientId === undefined
        ? undefined
        : {
            id: 'Console',
            file: 'console',
            description: 'Hands out the console, a page for people',
            timeout: Duration.seconds(5),
            environment: ['console', 'scopes', 'trustedIssuers'],
            writesMetrics: false,
          },
  }) satisfies Record<string, Specification | undefined>;

type EnvironmentGroup = keyof ReturnType<typeof environmentGroups>;

/** Environment variables, in groups of which a function gets all or none. */
const environmentGroups = (stack: Stack, settings: Settings, signIn: SignIn) =>
  ({
    tokens: {
      [ENV.tokenLifetime]: String(settings.tokenLifetime),
      [ENV.slideInterval]: String(settings.slideInterval),
      [ENV.maxTokenLifetime]: settings.maxTokenLifetime?.toString(),
      [ENV.lastUsedFrom]: settings.lastUsedFrom,
    },
    scopes: { [ENV.scopes]: settings.scopes.join(' ') },
    idleKeys: { [ENV.maxIdleDays]: settings.maxIdleDays?.toString() },
    trustedIssuers: { [ENV.trustedIssuers]: settings.trustedIssuers.join(' ') || undefined },
    publicUrl: { [ENV.publicUrl]: settings.domain && `https://${settings.domain.domainName}` },
    people: {
      [ENV.groupsClaim]: signIn.groupsClaim,
      [ENV.adminGroup]: signIn.adminGroup,
      [ENV.adminScope]: signIn.adminScope,
      [ENV.platformPrincipals]: settings.platformPrincipals?.join(' '),
    },
    deploymentsSource: {
      // If the same app creates the table, its ARNs are known only at deployment.
      [ENV.deploymentsSource]: settings.deploymentsSource && stack.toJsonString(settings.deploymentsSource),
    },
    console: {
      [ENV.issuer]: signIn.issuer,
      [ENV.consoleClientId]: signIn.consoleClientId,
      [ENV.consoleScopes]: (signIn.consoleScopes ?? ['openid', 'profile', 'email']).join(' '),
      [ENV.consoleOrigins]: signIn.consoleOrigins?.join(' '),
    },
  }) satisfies Record<string, Environment>;

type Specifications = ReturnType<typeof specifications>;

/** Every function of the service by its name; undefined for one that the settings leave out. */
export type Functions = {
  readonly [name in keyof Specifications]: undefined extends Specifications[name]
    ? ServiceFunction | undefined
    : ServiceFunction;
};

/** Adds every function with its limits, its environment and its access to the table. */
export function addFunctions(scope: Construct, props: FunctionsProps): Functions {
  const { settings, signIn, table } = props;
  const stack = Stack.of(scope);
  const groups = environmentGroups(stack, settings, signIn);
  const add = ({ id, environment = [], table: uses = [], writesMetrics = true, ...rest }: Specification) => {
    const serviceFunction = new ServiceFunction(scope, id, {
      ...rest,
      environment: Object.assign(
        writesMetrics ? { [ENV.stackName]: stack.stackName } : {},
        ...environment.map((group) => groups[group]),
      ),
      retainLogs: settings.stage === 'production',
      logRetention: settings.logRetention,
      tracing: settings.tracing,
    });
    for (const use of uses) table.grant(serviceFunction, use);
    return serviceFunction;
  };
  const added = Object.entries<Specification | undefined>(specifications(props)).map(
    ([name, specification]) => [name, specification && add(specification)],
  );
  return Object.fromEntries(added) as Functions;
}
