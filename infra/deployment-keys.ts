import { Annotations, Stack, Tags } from 'aws-cdk-lib';
import { ManagedPolicy, PermissionsBoundary } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import type { DeploymentsSource } from '../functions/domain/deployments-source.ts';
import { Api, type Route } from './api.ts';
import { readConfig, refuseForeignPrincipals, type SignIn } from './config.ts';
import { EventBus } from './event-bus.ts';
import { FollowedTable } from './followed-table.ts';
import type { ServiceFunction } from './function.ts';
import { addFunctions, type Functions } from './functions.ts';
import { KeySweep } from './key-sweep.ts';
import { Monitoring } from './monitoring.ts';
import { PurgeSources } from './purge-sources.ts';
import { Reconciliation } from './reconciliation.ts';
import { SharedAuthorizer } from './shared-authorizer.ts';
import { Table } from './table.ts';
import { UserPool } from './user-pool.ts';

/** The service's settings: the same words, units and rules as in CDK context. Durations are whole seconds. */
export interface DeploymentKeysProps {
  /** `production` keeps table, logs and people when the stack is destroyed. @default development */
  readonly stage?: 'development' | 'production';
  /** The OIDC issuer that signs people in, exactly as its tokens have it. @default a Cognito user pool is made */
  readonly issuer?: string;
  /** Accepted values of `aud` (or of `client_id`, where a token has no `aud`). @default none; required with `issuer` */
  readonly audience?: string | readonly string[];
  /** Claim of the access token that lists a person's groups. @default groups */
  readonly groupsClaim?: string;
  /** Group whose members are administrators. @default nobody is one by group */
  readonly adminGroup?: string;
  /** Scope whose holders are administrators. @default nobody is one by scope */
  readonly adminScope?: string;
  /** The public client with which the console signs people in. @default none, and so no console with an issuer */
  readonly consoleClientId?: string;
  /** OAuth scopes that the console asks of the issuer. @default openid, profile, email */
  readonly consoleScopes?: string | readonly string[];
  /** Where the console finds the issuer's endpoints, beside the issuer's own origin. @default nowhere else */
  readonly consoleOrigins?: string | readonly string[];
  /** Whether there is a page for people. @default true */
  readonly console?: boolean;
  /** How long access is valid from a use. @default 86400 */
  readonly tokenLifetime?: number;
  /** How long a slide may be put off. @default 300 */
  readonly slideInterval?: number;
  /** When a token ends whatever its use, counted from its issue. @default never */
  readonly maxTokenLifetime?: number;
  /** Days without a use after which a key is refused. @default never */
  readonly maxIdleDays?: number;
  /** Issuers whose tokens can open a key in place of a secret, or none. @default GitHub Actions and gitlab.com */
  readonly trustedIssuers?: string | readonly string[];
  /** How much is kept of where a key was used from: full, truncated or off. @default full */
  readonly lastUsedFrom?: 'full' | 'truncated' | 'off';
  /** The scopes that exist. @default code:deploy, airflow:read, airflow:write */
  readonly scopes?: string | readonly string[];
  /** The name under which the service answers: it is then the issuer, and the default endpoint is off. @default API Gateway's */
  readonly domainName?: string;
  /** ARN of the certificate of `domainName`, in the stack's Region; with `webAclArn` in us-east-1. @default none */
  readonly certificateArn?: string;
  /**
   * ARN of a web ACL for CloudFront, of us-east-1: a distribution stands in front. API Gateway's own endpoint stays
   * on behind it, and source addresses become CloudFront's. @default no distribution
   */
  readonly webAclArn?: string;
  /** ARN of the customer managed key that encrypts the table. @default the AWS managed key */
  readonly encryptionKey?: string;
  /** ARN of the policy that bounds every role. @default none */
  readonly permissionsBoundary?: string;
  /** Concurrency of the authorizer, `reserved=200,provisioned=5` in context. @default what the account has left */
  readonly authorizerConcurrency?: string | { readonly reserved?: number; readonly provisioned?: number };
  /** ARN of the SNS topic that every alarm tells. @default alarms tell nobody */
  readonly alarmTopic?: string;
  /** Days that logs are kept, one of CloudWatch Logs' own choices. @default 30 */
  readonly logRetention?: number;
  /**
   * ARNs of IAM roles and users of the stack's own account that manage Deployments and keys under /platform, as
   * administrators. @default none, and no such route
   */
  readonly platformPrincipals?: string | readonly string[];
  /** AWS accounts whose APIs may use the authorizer, besides the stack's own. @default none */
  readonly consumerAccounts?: string | readonly string[];
  /** Tags of every resource, `team=platform,cost-centre=4711` in context. @default none */
  readonly tags?: string | Readonly<Record<string, string>>;
  /** Whether X-Ray traces the functions. @default false */
  readonly tracing?: boolean;
  /** The platform's own table of Deployments, which is followed; JSON in context. @default people register them */
  readonly deploymentsSource?: string | DeploymentsSource;
}

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
    const config = readConfig(props);
    refuseForeignPrincipals(config, Stack.of(this).account);
    const retain = config.stage === 'production';
    const table = new Table(this, 'Table', { retain, encryptionKey: config.encryptionKey });
    const api = new Api(this, 'Api', {
      domain: config.domain,
      retainLogs: retain,
      logRetention: config.logRetention,
    });
    const pool = config.signIn
      ? undefined
      : new UserPool(this, 'People', {
          callbackUrl: `${api.url}/console/signed-in`,
          signedOutUrl: `${api.url}/console/signed-out`,
          retain,
        });
    const signIn = (config.signIn ?? pool) as SignIn;

    const functions = addFunctions(this, { config, signIn, table });
    const sources = new PurgeSources(this, 'PurgeSources', { table, purge: functions.purge });
    new KeySweep(this, 'KeySweep', { sweep: functions.sweepKeys });
    const followed = this.#follow(config.deploymentsSource, functions);
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
    if (config.platformPrincipals) api.forPlatform(new Map(managed));

    new Monitoring(this, 'Monitoring', {
      stackName: Stack.of(this).stackName,
      topicArn: config.alarmTopic,
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
      consumerAccounts: config.consumerAccounts,
      concurrency: config.authorizerConcurrency,
    });

    const administrators = [signIn.adminGroup, signIn.adminScope, config.platformPrincipals];
    if (administrators.every((some) => some === undefined)) {
      Annotations.of(this).addWarningV2(
        'deployment-api-keys:no-administrators',
        'Nobody can register a Deployment: set adminGroup, adminScope or platformPrincipals, for example -c adminGroup=platform-admins.',
      );
    }
    if (config.permissionsBoundary !== undefined) {
      const boundary = ManagedPolicy.fromManagedPolicyArn(this, 'Boundary', config.permissionsBoundary);
      PermissionsBoundary.of(this).apply(boundary);
    }
    for (const [name, value] of Object.entries(config.tags)) Tags.of(this).add(name, value);

    this.url = api.url;
    this.platformUrl = config.platformPrincipals && api.platformUrl;
    this.platformArn = config.platformPrincipals && api.stageArn;
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
