import { Annotations, Stack, Tags } from 'aws-cdk-lib';
import { ManagedPolicy, PermissionsBoundary } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import type { DeploymentsSource } from '../functions/domain/deployments-source.ts';
import { Api, type Route } from './api.ts';
import { rejectUndeployable } from './deployable.ts';
import { rejectKeySecrets } from './deployment-key-secret.ts';
import type { DeploymentKeysProps } from './deployment-keys-props.ts';
import { EventBus } from './event-bus.ts';
import { FollowedTable } from './followed-table.ts';
import type { ServiceFunction } from './function.ts';
import { addFunctions, type Functions } from './functions.ts';
import { KeySweep } from './key-sweep.ts';
import { Monitoring } from './monitoring.ts';
import { PeopleJob } from './people-job.ts';
import { PurgeSources } from './purge-sources.ts';
import { Reconciliation } from './reconciliation.ts';
import { readSettings, type SignIn } from './settings.ts';
import { SharedAuthorizer } from './shared-authorizer.ts';
import { Table } from './table.ts';
import { UserPool } from './user-pool.ts';

/** The console's routes: its files, and the page under the path of every view, so that reloading keeps the view. */
const CONSOLE_ROUTES: readonly Route[] = [
  'GET /',
  'GET /console',
  'GET /console/{proxy+}',
  'GET /console/assets/{file}',
  'GET /token',
];

const EXPLAIN: Route = 'POST /deployments/{deploymentId}/api-keys/{keyId}/explain';

/**
 * The whole service: a table, the functions that use it, and an API in front of them, as in the diagram in
 * docs/guarantees.md. A stack can contain one instance; an account can have any number of such stacks.
 *
 * @example
 * ```ts
 * const keys = new DeploymentKeys(stack, 'Keys', { stage: 'production', adminGroup: 'platform-admins' });
 * new CfnOutput(stack, 'ApiUrl', { value: keys.url });
 * ```
 * @throws ConfigError with one sentence for each invalid property
 */
export class DeploymentKeys extends Construct {
  /** URL of the service, without a trailing slash. */
  readonly url: string;
  /** URL for IAM principals, without a trailing slash; undefined if `platformPrincipals` is not set. */
  readonly platformUrl: string | undefined;
  /**
   * ARN prefix of all calls under /platform, for `execute-api:Invoke` in a caller's policy. Append the method and the
   * path. Undefined if `platformPrincipals` is not set.
   */
  readonly platformArn: string | undefined;
  /** ARN of the authorizer function, for `DeploymentKeyAuthorizer` in this stack or another stack. */
  readonly authorizerFunctionArn: string;
  readonly tableName: string;
  /** Name of the bus with the service's events. To receive events, add a rule to the bus. */
  readonly eventBusName: string;
  /** The OIDC issuer that signs people in. */
  readonly issuer: string;
  /** The client ID with which people sign in to the console; undefined if the stack has no console client. */
  readonly consoleClientId: string | undefined;
  /** The target for the DNS record of `domainName`; undefined if `domainName` is not set. */
  readonly domainTarget: string | undefined;
  /**
   * The names of the functions, the queues and the access log that the runbook's commands need. Each name is a stack
   * output.
   */
  readonly operatorNames: Readonly<Record<string, string>>;
  /** The commands that create the first administrator, in order; empty if people sign in with a different issuer. */
  readonly firstAdministrator: readonly string[];

  constructor(scope: Construct, id: string, props: DeploymentKeysProps = {}) {
    super(scope, id);
    const settings = readSettings(props);
    if (!settings.keysWithSecrets) rejectKeySecrets(this);
    rejectUndeployable(settings, Stack.of(this));
    const retain = settings.stage === 'production';
    const table = new Table(this, 'Table', {
      retain,
      encryptionKey: settings.encryptionKey,
      capacity: settings.capacity,
    });
    const api = new Api(this, 'Api', {
      domain: settings.domain,
      defaultRateLimit: settings.defaultRateLimit,
      retainLogs: retain,
      logRetention: settings.logRetention,
    });
    const pool = settings.signIn
      ? undefined
      : new UserPool(this, 'People', {
          callbackUrl: `${api.url}/console/signed-in`,
          signedOutUrl: `${api.url}/console/signed-out`,
          retain,
        });
    const signIn = (settings.signIn ?? pool) as SignIn;

    const functions = addFunctions(this, { settings, signIn, table });
    const sources = new PurgeSources(this, 'PurgeSources', {
      table,
      purge: functions.purge,
      accountConcurrency: settings.accountConcurrency,
      isProvisioned: settings.capacity !== undefined,
    });
    new KeySweep(this, 'KeySweep', { sweep: functions.sweepKeys });
    const people = new PeopleJob(this, 'PeopleJob', {
      job: functions.endAccess,
      managePeople: functions.managePeople,
      isProvisioned: settings.capacity !== undefined,
    });
    if (pool) functions.endAccess.allow(['cognito-idp:AdminUserGlobalSignOut'], pool.userPoolArn);
    const followed = this.#follow(settings.deploymentsSource, functions);
    new Reconciliation(this, 'Reconciliation', { reconcile: functions.reconcile });
    const bus = new EventBus(this, 'EventBus', { table, publisher: functions.publishEvents });
    this.eventBusName = bus.busName;

    api.open(
      new Map([
        ['POST /oauth/token', functions.issueToken],
        ['POST /oauth/introspect', functions.introspect],
        ['POST /oauth/revoke', functions.revoke],
      ]),
      settings.oauthRateLimit,
    );
    api.open(
      new Map([
        ['GET /.well-known/oauth-authorization-server', functions.metadata],
        ['GET /whoami', functions.whoami],
        ['GET /errors', functions.reference],
        ['GET /openapi.json', functions.reference],
      ]),
    );
    // Anonymous callers can report leaks. A separate limit keeps a flood of reports from blocking pipelines.
    api.open(new Map([['POST /leaks', functions.reportLeak]]), settings.leaksRateLimit);
    const page = functions.console;
    if (page) api.open(new Map(CONSOLE_ROUTES.map((route) => [route, page])));
    const managed: [Route, ServiceFunction][] = [
      ['GET /deployments', functions.manageDeployments],
      ['PUT|GET|DELETE /deployments/{deploymentId}', functions.manageDeployments],
      ['GET /deployments/{deploymentId}/events', functions.listEvents],
      ['POST|GET /deployments/{deploymentId}/api-keys', functions.manageKeys],
      ['GET|PATCH|DELETE /deployments/{deploymentId}/api-keys/{keyId}', functions.manageKeys],
      ['POST /deployments/{deploymentId}/api-keys/{keyId}/rotate', functions.manageKeys],
      ['GET|DELETE /deployments/{deploymentId}/api-keys/{keyId}/tokens', functions.manageKeys],
      ['DELETE /deployments/{deploymentId}/api-keys/{keyId}/tokens/{accessTokenId}', functions.manageKeys],
      [EXPLAIN, functions.manageKeys],
      ['GET /deployments/{deploymentId}/temporary-tokens', functions.manageTemporaryTokens],
      ['DELETE /deployments/{deploymentId}/temporary-tokens/{tokenId}', functions.manageTemporaryTokens],
      ['POST /people/end-access', functions.managePeople],
      ['POST /people/restore-access', functions.managePeople],
      ['POST /people/find', functions.managePeople],
      ['GET /people', functions.managePeople],
      ['GET /people/events', functions.managePeople],
    ];
    // Only a person can get a temporary token, so this route does not exist under /platform.
    const personal: [Route, ServiceFunction][] = [
      ['POST /deployments/{deploymentId}/temporary-tokens', functions.manageTemporaryTokens],
    ];
    // The limit is low because each call can cause a request for an issuer's signing keys.
    const limits = new Map([[EXPLAIN, { rate: 10, burst: 10 }]]);
    api.forPeople(signIn, new Map([...managed, ...personal]), limits);
    if (settings.platformPrincipals) api.forPlatform(new Map(managed), limits);

    new Monitoring(this, 'Monitoring', {
      stackName: Stack.of(this).stackName,
      topicArn: settings.alarmTopic,
      authorize: functions.authorize.function,
      whoami: functions.whoami.function,
      purge: functions.purge.function,
      sweepKeys: functions.sweepKeys.function,
      reconcile: functions.reconcile.function,
      endAccess: functions.endAccess.function,
      publishEvents: functions.publishEvents.function,
      publicRoutes: [
        functions.issueToken,
        functions.introspect,
        functions.revoke,
        functions.metadata,
        functions.reference,
        functions.reportLeak,
      ].map((it) => it.function),
      routesForPeople: [
        functions.manageDeployments,
        functions.manageKeys,
        functions.manageTemporaryTokens,
        functions.managePeople,
        functions.listEvents,
        ...(page ? [page] : []),
      ].map((it) => it.function),
      tableName: table.tableName,
      failureQueues: { ...sources.failureQueues, events: bus.failures, people: people.failures },
      followed,
    });
    const shared = new SharedAuthorizer(this, 'SharedAuthorizer', {
      function: functions.authorize.function,
      consumerAccounts: settings.consumerAccounts,
      concurrency: settings.authorizerConcurrency,
    });

    const administrators = [signIn.adminGroup, signIn.adminScope, settings.platformPrincipals];
    if (administrators.every((some) => some === undefined)) {
      Annotations.of(this).addWarningV2(
        'deployment-api-keys:no-administrators',
        'Nobody can register a Deployment: set adminGroup, adminScope or platformPrincipals, for example -c adminGroup=platform-admins.',
      );
    }
    if (settings.permissionsBoundary !== undefined) {
      const boundary = ManagedPolicy.fromManagedPolicyArn(this, 'Boundary', settings.permissionsBoundary);
      PermissionsBoundary.of(this).apply(boundary);
    }
    for (const [name, value] of Object.entries(settings.tags)) Tags.of(this).add(name, value);

    this.url = api.url;
    this.platformUrl = settings.platformPrincipals && api.platformUrl;
    this.platformArn = settings.platformPrincipals && api.stageArn;
    this.domainTarget = api.domainTarget;
    this.authorizerFunctionArn = shared.arn;
    this.tableName = table.tableName;
    this.issuer = signIn.issuer;
    this.consoleClientId = signIn.consoleClientId;
    this.operatorNames = {
      AccessLogGroupName: api.accessLogGroupName,
      PurgeFunctionName: functions.purge.function.functionName,
      SweepKeysFunctionName: functions.sweepKeys.function.functionName,
      PublishEventsFunctionName: functions.publishEvents.function.functionName,
      StreamFailuresUrl: sources.failureQueues.stream.queueUrl,
      ContinuationFailuresArn: sources.failureQueues.continuation.queueArn,
      EventFailuresUrl: bus.failures.queueUrl,
      PeopleFailuresUrl: people.failures.queueUrl,
      ...(followed && {
        SyncDeploymentsFunctionName: followed.sync.function.functionName,
        SourceFailuresUrl: followed.failures.queueUrl,
      }),
    };
    this.firstAdministrator = pool?.firstAdministrator ?? [];
  }

  /** Adds the construct that follows a source of Deployments. Returns undefined if there is no source. */
  #follow(source: DeploymentsSource | undefined, functions: Functions): FollowedTable | undefined {
    const { syncDeployments: sync, reconcile } = functions;
    return source && sync && new FollowedTable(this, 'DeploymentsSource', { source, sync, reconcile });
  }
}
