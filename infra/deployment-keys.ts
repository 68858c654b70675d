import { Annotations, Stack, Tags } from 'aws-cdk-lib';
import { ManagedPolicy, PermissionsBoundary } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import type { DeploymentsSource } from '../functions/domain/deployments-source.ts';
import { Api, type Route } from './api.ts';
import type { DeploymentKeysProps } from './deployment-keys-props.ts';
import { EventBus } from './event-bus.ts';
import { FollowedTable } from './followed-table.ts';
import type { ServiceFunction } from './function.ts';
import { addFunctions, type Functions } from './functions.ts';
import { KeySweep } from './key-sweep.ts';
import { Monitoring } from './monitoring.ts';
import { PurgeSources } from './purge-sources.ts';
import { Reconciliation } from './reconciliation.ts';
import { readSettings, rejectForeignPrincipals, type SignIn } from './settings.ts';
import { SharedAuthorizer } from './shared-authorizer.ts';
import { Table } from './table.ts';
import { UserPool } from './user-pool.ts';

/** Routes of the console: its page on the path of every view, so that a reload stays in place, and its files. */
const CONSOLE_ROUTES: readonly Route[] = [
  'GET /',
  'GET /console',
  'GET /console/{proxy+}',
  'GET /console/assets/{file}',
  'GET /token',
];

/**
 * The whole service: a table, the functions that use it, and an API in front of them, as in the diagram in
 * docs/guarantees.md. A stack can have one; an account can have any number of such stacks.
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
  /** URL for IAM principals, without a trailing slash; undefined without `platformPrincipals`. */
  readonly platformUrl: string | undefined;
  /**
   * ARN prefix of all calls under /platform, for `execute-api:Invoke` in a caller's policy. Append method and path.
   * Undefined without `platformPrincipals`.
   */
  readonly platformArn: string | undefined;
  /** ARN of the authorizer function, for `DeploymentKeyAuthorizer` in this stack or another one. */
  readonly authorizerFunctionArn: string;
  readonly tableName: string;
  /** Name of the bus with the service's events. Add a rule to it to receive them. */
  readonly eventBusName: string;
  /** The OIDC issuer that signs people in. */
  readonly issuer: string;
  /** The client ID with which people sign in to the console; undefined if the stack has no console client. */
  readonly consoleClientId: string | undefined;
  /** The target for the DNS record of `domainName`; undefined without `domainName`. */
  readonly domainTarget: string | undefined;
  /** The commands that create the first administrator, in order; empty if people sign in with another issuer. */
  readonly firstAdministrator: readonly string[];

  constructor(scope: Construct, id: string, props: DeploymentKeysProps = {}) {
    super(scope, id);
    const settings = readSettings(props);
    rejectForeignPrincipals(settings, Stack.of(this).account);
    const retain = settings.stage === 'production';
    const table = new Table(this, 'Table', { retain, encryptionKey: settings.encryptionKey });
    const api = new Api(this, 'Api', {
      domain: settings.domain,
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
    const sources = new PurgeSources(this, 'PurgeSources', { table, purge: functions.purge });
    new KeySweep(this, 'KeySweep', { sweep: functions.sweepKeys });
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
      // Limits the cost that anonymous callers can cause. A thousand pipelines need far less.
      { rate: 100, burst: 200 },
    );
    api.open(
      new Map([
        ['GET /.well-known/oauth-authorization-server', functions.metadata],
        ['GET /whoami', functions.whoami],
      ]),
    );
    // Anonymous callers report leaks. A limit of their own keeps a flood of reports from blocking pipelines.
    api.open(new Map([['POST /leaks', functions.reportLeak]]), { rate: 10, burst: 20 });
    const page = functions.console;
    if (page) api.open(new Map(CONSOLE_ROUTES.map((route) => [route, page])));
    const managed: [Route, ServiceFunction][] = [
      ['GET /deployments', functions.manageDeployments],
      ['PUT|GET|DELETE /deployments/{deploymentId}', functions.manageDeployments],
      ['GET /deployments/{deploymentId}/events', functions.listEvents],
      ['POST|GET /deployments/{deploymentId}/api-keys', functions.manageKeys],
      ['GET|PATCH|DELETE /deployments/{deploymentId}/api-keys/{keyId}', functions.manageKeys],
      ['POST /deployments/{deploymentId}/api-keys/{keyId}/rotate', functions.manageKeys],
      ['GET /deployments/{deploymentId}/temporary-tokens', functions.manageTemporaryTokens],
      ['DELETE /deployments/{deploymentId}/temporary-tokens/{tokenId}', functions.manageTemporaryTokens],
    ];
    // A temporary token is a person's own: no role gets one.
    const personal: [Route, ServiceFunction][] = [
      ['POST /deployments/{deploymentId}/temporary-tokens', functions.manageTemporaryTokens],
    ];
    api.forPeople(signIn, new Map([...managed, ...personal]));
    if (settings.platformPrincipals) api.forPlatform(new Map(managed));

    new Monitoring(this, 'Monitoring', {
      stackName: Stack.of(this).stackName,
      topicArn: settings.alarmTopic,
      authorize: functions.authorize.function,
      whoami: functions.whoami.function,
      purge: functions.purge.function,
      sweepKeys: functions.sweepKeys.function,
      reconcile: functions.reconcile.function,
      publishEvents: functions.publishEvents.function,
      tableName: table.tableName,
      failureQueues: { ...sources.failureQueues, events: bus.failures },
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
    this.firstAdministrator = pool?.firstAdministrator ?? [];
  }

  /** Without a source there is no function for it. */
  #follow(source: DeploymentsSource | undefined, functions: Functions): FollowedTable | undefined {
    const { syncDeployments: sync, reconcile } = functions;
    return source && sync && new FollowedTable(this, 'DeploymentsSource', { source, sync, reconcile });
  }
}
