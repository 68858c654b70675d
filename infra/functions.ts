import { Duration, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import * as ENV from '../functions/runtime/env.ts';
import { rejectLargeEnvironment } from './deployable.ts';
import { type Environment, ServiceFunction } from './function.ts';
import { CONCURRENT_SWEEPS } from './key-sweep.ts';
import { CONCURRENT_PEOPLE_JOBS } from './people-job.ts';
import { concurrentPurges } from './purge-sources.ts';
import { CONCURRENT_RECONCILIATIONS } from './reconciliation.ts';
import type { Capacity, Settings, SignIn } from './settings.ts';
import type { Table, TableUse } from './table.ts';
import { entriesWithoutKeys, inlineKeys } from './trusted-issuers.ts';

export interface FunctionsProps {
  readonly settings: Settings;
  readonly signIn: SignIn;
  readonly table: Table;
}

/** Properties that distinguish one function from the others. */
interface Specification {
  /**
   * Construct ID, which must never change, because CloudFormation would replace the function together with its role and
   * log group.
   */
  readonly id: string;
  /** Name of the file in `functions/`, without `.ts`. */
  readonly file: string;
  readonly description: string;
  readonly timeout: Duration;
  /** Group that determines the function's memory. @default people */
  readonly memory?: keyof Settings['memory'];
  /** Groups of environment variables that the function needs. @default none */
  readonly environment?: readonly EnvironmentGroup[];
  /** Variables that are deployed with the code, because they can be too large for the environment. @default none */
  readonly bundled?: Environment | undefined;
  /** How the function uses the table. @default no access */
  readonly table?: readonly TableUse[];
  /** Whether the function writes metrics, for which it needs the stack's name. @default true */
  readonly writesMetrics?: boolean;
  readonly reservedConcurrency?: number | undefined;
  readonly mayWakeItself?: boolean;
}

/** Every function of the service; undefined for a function that the settings omit. */
const specifications = ({ settings, signIn }: FunctionsProps) =>
  ({
    authorize: {
      id: 'Authorize',
      file: 'authorize',
      description: 'Checks an access token for the APIs behind it, and extends it',
      timeout: Duration.seconds(5),
      memory: 'checks',
      environment: ['tokens', 'scopes'],
      table: ['readToken', 'extendToken'],
      reservedConcurrency: settings.authorizerConcurrency?.reserved,
    },
    whoami: {
      id: 'Whoami',
      file: 'whoami',
      description: 'Checks an access token, extends it and returns its holder',
      timeout: Duration.seconds(5),
      memory: 'checks',
      environment: ['tokens', 'scopes'],
      table: ['readToken', 'extendToken'],
    },
    issueToken: {
      id: 'IssueToken',
      file: 'issue-token',
      description: 'Exchanges the ID and secret of a key for an access token',
      timeout: Duration.seconds(10),
      memory: 'tokens',
      environment: ['tokens', 'scopes', 'idleKeys', 'trustedIssuers', 'publicUrl'],
      bundled: issuerKeys(settings),
      table: ['issue'],
    },
    introspect: {
      id: 'Introspect',
      file: 'introspect',
      description: 'Returns the status and scopes of a token to a key of its Deployment',
      timeout: Duration.seconds(10),
      memory: 'tokens',
      environment: ['tokens', 'scopes', 'idleKeys', 'publicUrl'],
      table: ['readToken'],
    },
    revoke: {
      id: 'Revoke',
      file: 'revoke',
      description: 'Revokes a token for the key that it belongs to',
      timeout: Duration.seconds(10),
      memory: 'tokens',
      environment: ['idleKeys'],
      table: ['revoke'],
    },
    metadata: {
      id: 'Metadata',
      file: 'metadata',
      description: 'Serves the metadata of the authorization server to OAuth clients',
      timeout: Duration.seconds(5),
      memory: 'tokens',
      environment: ['scopes', 'trustedIssuers', 'publicUrl'],
      writesMetrics: false,
    },
    reference: {
      id: 'Reference',
      file: 'reference',
      description: 'Serves the explanations of errors and the OpenAPI document',
      timeout: Duration.seconds(5),
      writesMetrics: false,
    },
    manageDeployments: {
      id: 'ManageDeployments',
      file: 'manage-deployments',
      description: 'Registers, lists, changes and deletes Deployments',
      timeout: Duration.seconds(10),
      environment: ['people', 'platform', 'deploymentsSource'],
      table: ['readPerson', 'manageDeployments'],
    },
    manageKeys: {
      id: 'ManageKeys',
      file: 'manage-keys',
      description: 'Creates, lists, changes and deletes the keys of a Deployment, and revokes their tokens',
      timeout: Duration.seconds(10),
      environment: [
        'people',
        'platform',
        'tokens',
        'scopes',
        'idleKeys',
        'keyPolicy',
        'trustedIssuers',
        'publicUrl',
      ],
      bundled: issuerKeys(settings),
      table: ['readPerson', 'checkPerson', 'manageKeys'],
    },
    manageTemporaryTokens: {
      id: 'ManageTemporaryTokens',
      file: 'manage-temporary-tokens',
      description: 'Issues, lists and revokes the temporary tokens of people',
      timeout: Duration.seconds(10),
      environment: ['people', 'platform', 'scopes'],
      table: ['readPerson', 'checkPerson', 'manageTemporaryTokens'],
    },
    managePeople: {
      id: 'ManagePeople',
      file: 'manage-people',
      description: 'Ends and restores the access of people, and lists them',
      timeout: Duration.seconds(10),
      environment: ['people', 'platform'],
      table: ['readPerson', 'managePeople'],
    },
    endAccess: {
      id: 'EndAccess',
      file: 'end-access',
      description: 'Finds and disables the keys of people whose access was ended',
      timeout: Duration.minutes(5),
      environment: ['userPool', 'writeUnits'],
      table: ['findKeys'],
      mayWakeItself: true,
    },
    listEvents: {
      id: 'ListEvents',
      file: 'list-events',
      description: 'Lists the events of a Deployment',
      timeout: Duration.seconds(10),
      environment: ['people', 'platform'],
      table: ['readPerson', 'listEvents'],
    },
    reportLeak: {
      id: 'ReportLeak',
      file: 'report-leak',
      description: 'Disables a leaked key, or revokes a leaked token',
      timeout: Duration.seconds(10),
      environment: ['tokens', 'scopes'],
      table: ['reportLeak'],
    },
    publishEvents: {
      id: 'PublishEvents',
      file: 'publish-events',
      description: 'Sends events to the event bus',
      timeout: Duration.seconds(30),
      memory: 'jobs',
      writesMetrics: false,
    },
    sweepKeys: {
      id: 'SweepKeys',
      file: 'sweep-keys',
      description: 'Reports keys that expire, have expired or are idle, and rejected calls',
      timeout: Duration.minutes(15),
      memory: 'jobs',
      environment: ['idleKeys', 'keyPolicy', 'trustedIssuers', 'writeUnits'],
      table: ['sweepKeys'],
    },
    purge: {
      id: 'Purge',
      file: 'purge',
      description: 'Deletes the keys and tokens of deleted Deployments and keys',
      timeout: Duration.seconds(60),
      memory: 'jobs',
      environment: ['writeUnits'],
      table: ['purge'],
      mayWakeItself: true,
    },
    reconcile: {
      id: 'Reconcile',
      file: 'reconcile',
      description: 'Finds in the table what streams and markers have missed',
      timeout: Duration.minutes(5),
      memory: 'jobs',
      environment: ['deploymentsSource', 'writeUnits'],
      table: settings.deploymentsSource ? ['reconcile', 'compareSource', 'followSource'] : ['reconcile'],
    },
    syncDeployments: settings.deploymentsSource && {
      id: 'SyncDeployments',
      file: 'sync-deployments',
      description: "Registers, changes and deletes Deployments as the platform's own table does",
      timeout: Duration.seconds(60),
      memory: 'jobs',
      environment: ['deploymentsSource'],
      table: ['followSource'],
    },
    // Only the stack's own user pool needs the function that adds names. Other issuers put the name into the token
    // themselves.
    addName:
      settings.signIn || settings.nameClaim === undefined
        ? undefined
        : {
            id: 'AddName',
            file: 'add-name-to-token',
            description: "Adds the person's name to the access tokens of the user pool",
            // Cognito waits at most 5 seconds for the function's response.
            timeout: Duration.seconds(4),
            environment: ['name'],
            writesMetrics: false,
          },
    // Without a registered client at the issuer, no one could sign in to the console.
    console:
      !settings.console || signIn.consoleClientId === undefined
        ? undefined
        : {
            id: 'Console',
            file: 'console',
            description: 'Serves the console, a web page for people',
            timeout: Duration.seconds(5),
            environment: ['console', 'people', 'scopes', 'keyPolicy', 'trustedIssuers'],
            writesMetrics: false,
          },
  }) satisfies Record<string, Specification | undefined>;

type EnvironmentGroup = keyof ReturnType<typeof environmentGroups>;

/** Groups of environment variables. A function gets either all variables in a group or none of them. */
const environmentGroups = (stack: Stack, settings: Settings, signIn: SignIn) =>
  ({
    tokens: {
      [ENV.issuer]: signIn.issuer,
      [ENV.tokenLifetime]: String(settings.tokenLifetime),
      [ENV.slideInterval]: String(settings.slideInterval),
      [ENV.maxTokenLifetime]: settings.maxTokenLifetime?.toString(),
      [ENV.lastUsedFrom]: settings.lastUsedFrom,
    },
    scopes: { [ENV.scopes]: settings.scopes.join(' ') },
    idleKeys: { [ENV.maxIdleDays]: settings.maxIdleDays?.toString() },
    keyPolicy: {
      [ENV.maxKeyDays]: settings.maxKeyDays?.toString(),
      [ENV.keysWithSecrets]: settings.keysWithSecrets ? undefined : 'false',
    },
    trustedIssuers: { [ENV.trustedIssuers]: issuersText(settings) },
    publicUrl: { [ENV.publicUrl]: settings.domain && `https://${settings.domain.domainName}` },
    people: {
      [ENV.issuer]: signIn.issuer,
      [ENV.groupsClaim]: signIn.groupsClaim,
      [ENV.adminGroup]: signIn.adminGroup,
      [ENV.adminScope]: signIn.adminScope,
      [ENV.nameClaim]: settings.nameClaim,
    },
    name: { [ENV.nameClaim]: settings.nameClaim },
    platform: { [ENV.platformPrincipals]: settings.platformPrincipals?.join(' ') },
    userPool: { [ENV.userPoolId]: signIn.userPoolId },
    writeUnits: { [ENV.writeUnits]: settings.capacity && jobWriteUnits(settings.capacity).toFixed(2) },
    deploymentsSource: {
      // Use toJsonString, because if the same app creates the table, its ARNs are known only at deployment.
      [ENV.deploymentsSource]: settings.deploymentsSource && stack.toJsonString(settings.deploymentsSource),
    },
    console: {
      [ENV.issuer]: signIn.issuer,
      [ENV.consoleClientId]: signIn.consoleClientId,
      [ENV.consoleScopes]: (signIn.consoleScopes ?? ['openid', 'profile', 'email']).join(' '),
      [ENV.consoleOrigins]: signIn.consoleOrigins?.join(' '),
    },
  }) satisfies Record<string, Environment>;

/**
 * Returns the write units per second that one invocation of a job may use, rounded down to hundredths. All jobs that
 * can run at the same time together get a quarter of the minimum write capacity.
 */
function jobWriteUnits(capacity: Capacity): number {
  const invocations =
    concurrentPurges(capacity) + CONCURRENT_SWEEPS + CONCURRENT_RECONCILIATIONS + CONCURRENT_PEOPLE_JOBS;
  return Math.floor((capacity.minWrite / 4 / invocations) * 100) / 100;
}

/**
 * Returns the trusted issuers as functions read them. If all entries are URLs, the format is that of earlier releases,
 * which read the value while an update is being deployed.
 */
function issuersText({ trustedIssuers }: Settings): string | undefined {
  if (trustedIssuers.length === 0) return undefined;
  const areUrls = trustedIssuers.every((it) => typeof it === 'string');
  return areUrls ? trustedIssuers.join(' ') : JSON.stringify(entriesWithoutKeys(trustedIssuers));
}

function issuerKeys({ trustedIssuers }: Settings): Environment | undefined {
  const keys = inlineKeys(trustedIssuers);
  return keys && { [ENV.issuerKeys]: JSON.stringify(keys) };
}

type Specifications = ReturnType<typeof specifications>;

/** Every function of the service, by name; undefined for a function that the settings omit. */
export type Functions = {
  readonly [name in keyof Specifications]: undefined extends Specifications[name]
    ? ServiceFunction | undefined
    : ServiceFunction;
};

/** Adds every function to the stack, with its limits, its environment and its access to the table. */
export function addFunctions(scope: Construct, props: FunctionsProps): Functions {
  const { settings, signIn, table } = props;
  const stack = Stack.of(scope);
  const groups = environmentGroups(stack, settings, signIn);
  const add = ({
    id,
    memory = 'people',
    environment = [],
    table: uses = [],
    writesMetrics = true,
    ...rest
  }: Specification) => {
    const variables: Environment = Object.assign({}, ...environment.map((group) => groups[group]));
    rejectLargeEnvironment(rest.file, stack.resolve(variables));
    const serviceFunction = new ServiceFunction(scope, id, {
      ...rest,
      memory: settings.memory[memory],
      environment: { ...(writesMetrics && { [ENV.stackName]: stack.stackName }), ...variables },
      retainLogs: settings.stage === 'production',
      logRetention: settings.logRetention,
      tracing: settings.tracing,
      platformLogs: settings.platformLogs,
    });
    for (const use of uses) table.grant(serviceFunction, use);
    return serviceFunction;
  };
  const added = Object.entries<Specification | undefined>(specifications(props)).map(
    ([name, specification]) => [name, specification && add(specification)],
  );
  return Object.fromEntries(added) as Functions;
}
