import { Annotations, Stack, Tags } from 'aws-cdk-lib';
import { type Grant, type IGrantable, ManagedPolicy, PermissionsBoundary } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { DeploymentsSource } from '../functions/domain/deployments-source.ts';
import { Api, type Route } from './api.ts';
import { rejectUndeployable } from './deployable.ts';
import { rejectKeySecrets } from './deployment-key-secret.ts';
import type { DeploymentKeysProps } from './deployment-keys-props.ts';
import { DeploymentKeysReference } from './deployment-keys-reference.ts';
import { EventBus } from './event-bus.ts';
import { FollowedTable } from './followed-table.ts';
import type { ServiceFunction } from './function.ts';
import { addFunctions, type Functions } from './functions.ts';
import { KeySweep } from './key-sweep.ts';
import { MANAGED_ROUTES } from './managed-routes.ts';
import { Monitoring } from './monitoring.ts';
import { PeopleJob } from './people-job.ts';
import { PlatformAccess } from './platform-access.ts';
import { PublishedDeploymentKeys, publish } from './published-parameters.ts';
import { PurgeSources } from './purge-sources.ts';
import { Reconciliation } from './reconciliation.ts';
import { type RateLimit, readSettings, type SignIn } from './settings.ts';
import { SharedAuthorizer } from './shared-authorizer.ts';
import { stackNameOf } from './stack-name.ts';
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

const EXPLAIN =
  'POST /deployments/{deploymentId}/api-keys/{keyId}/explain' satisfies keyof typeof MANAGED_ROUTES;

const NO_ADMINISTRATORS = 'deployment-api-keys:no-administrators';

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
export class DeploymentKeys extends DeploymentKeysReference {
  readonly url: string;
  readonly authorizerFunctionArn: string;
  readonly tableName: string;
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
  protected readonly stackName: string;
  readonly #api: Api;
  readonly #platform: PlatformAccess;

  /**
   * Finds a service that is already deployed in the account and Region of this stack. The stage is part of the name of
   * the service's stack: `deployment-api-keys-<stage>`.
   *
   * Values are read from the stack's SSM parameters when CloudFormation deploys this stack, so nothing in the service's
   * stack refers to this stack or locks its values.
   */
  static fromStage(
    scope: Construct,
    id: string,
    stage: NonNullable<DeploymentKeysProps['stage']>,
  ): DeploymentKeysReference {
    return DeploymentKeys.fromStackName(scope, id, stackNameOf(stage));
  }

  /** Finds a service as `fromStage` does, in a stack with any name. */
  static fromStackName(scope: Construct, id: string, stackName: string): DeploymentKeysReference {
    return new PublishedDeploymentKeys(scope, id, stackName);
  }

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
          hasNames: settings.nameClaim !== undefined,
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
    if (functions.addName) pool?.addNames(functions.addName.function);
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
    const managed = Object.entries(MANAGED_ROUTES).map(([route, name]): [Route, ServiceFunction] => [
      route as Route,
      functions[name],
    ]);
    // Only a person can get a temporary token, so the route that creates temporary tokens does not exist under
    // /platform.
    const personal: [Route, ServiceFunction][] = [
      ['POST /deployments/{deploymentId}/temporary-tokens', functions.manageTemporaryTokens],
    ];
    // Limit the explanations to a low rate, because each call can cause a request for an issuer's signing keys.
    const limits = new Map<Route, RateLimit>([[EXPLAIN, { rate: 10, burst: 10 }]]);
    api.forPeople(signIn, new Map([...managed, ...personal]), limits);
    this.#api = api;
    this.#platform = new PlatformAccess(this, 'Platform', {
      settings,
      api,
      routes: new Map(managed),
      limits,
    });

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
        ...(functions.addName ? [functions.addName] : []),
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
        NO_ADMINISTRATORS,
        'Nobody can register a Deployment: set adminGroup, adminScope or platformPrincipals, for example -c adminGroup=platform-admins.',
      );
    }
    if (settings.permissionsBoundary !== undefined) {
      const boundary = ManagedPolicy.fromManagedPolicyArn(this, 'Boundary', settings.permissionsBoundary);
      PermissionsBoundary.of(this).apply(boundary);
    }
    for (const [name, value] of Object.entries(settings.tags)) Tags.of(this).add(name, value);

    this.stackName = Stack.of(this).stackName;
    this.url = api.url;
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
      ContinuationFailuresUrl: sources.failureQueues.continuation.queueUrl,
      EventFailuresUrl: bus.failures.queueUrl,
      PeopleFailuresUrl: people.failures.queueUrl,
      ...(followed && {
        SyncDeploymentsFunctionName: followed.sync.function.functionName,
        SourceFailuresUrl: followed.failures.queueUrl,
      }),
    };
    this.firstAdministrator = pool?.firstAdministrator ?? [];
    publish(this, 'UrlParameter', 'api-url', this.url);
    publish(this, 'TableParameter', 'table-name', this.tableName);
    publish(this, 'EventBusParameter', 'event-bus-name', this.eventBusName);
  }

  get platformUrl(): string | undefined {
    return this.#platform.isOpen ? this.#api.platformUrl : undefined;
  }

  get platformArn(): string | undefined {
    return this.#platform.isOpen ? this.#api.stageArn : undefined;
  }

  /**
   * Allows a role or user to call the management API: adds it to `platformPrincipals`, and allows `execute-api:Invoke`
   * on exactly the routes under /platform. The principal manages every Deployment and key, as an administrator.
   *
   * @param grantee role or user of this stack or with a known ARN, or a construct with such a role, such as a function
   * @throws Error if it is not a role or user, or belongs to another stack
   * @throws ConfigError if the list breaks the rule of `platformPrincipals`
   */
  override grantManage(grantee: IGrantable): Grant {
    this.#platform.add(grantee);
    Annotations.of(this).acknowledgeWarning(NO_ADMINISTRATORS);
    return super.grantManage(grantee);
  }

  /** Adds the construct that follows a source of Deployments. Returns undefined if there is no source. */
  #follow(source: DeploymentsSource | undefined, functions: Functions): FollowedTable | undefined {
    const { syncDeployments: sync, reconcile } = functions;
    return source && sync && new FollowedTable(this, 'DeploymentsSource', { source, sync, reconcile });
  }
}
