import { Annotations, CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { Alarms } from './alarms.ts';
import { Api, type Route } from './api.ts';
import type { Config, SignIn } from './config.ts';
import { addFunctions } from './functions.ts';
import { PurgeSources } from './purge-sources.ts';
import { SharedAuthorizer } from './shared-authorizer.ts';
import { Table } from './table.ts';
import { UserPool } from './user-pool.ts';

export interface DeploymentKeysStackProps extends StackProps {
  readonly config: Config;
}

/** What the console answers: its page on every path of a view, so that a reload keeps the place, and its files. */
const CONSOLE_ROUTES: readonly Route[] = [
  'GET /',
  'GET /console',
  'GET /console/{proxy+}',
  'GET /console/assets/{file}',
  'GET /token',
];

/** The whole service. Read it as the diagram in the README: a table, functions around it, an API in front. */
export class DeploymentKeysStack extends Stack {
  /** For the `DeploymentKeyAuthorizer` of other stacks. */
  readonly authorizerFunctionArn: string;

  constructor(scope: Construct, id: string, { config, ...props }: DeploymentKeysStackProps) {
    super(scope, id, props);
    const retain = config.stage === 'production';
    const api = new Api(this, 'Api');
    const table = new Table(this, 'Table', { retain });
    const signIn: SignIn =
      config.signIn ??
      new UserPool(this, 'People', {
        callbackUrl: `${api.url}/console/signed-in`,
        signedOutUrl: `${api.url}/console/signed-out`,
        retain,
      });

    const functions = addFunctions(this, { config, signIn, table, retainLogs: retain });
    new PurgeSources(this, 'PurgeSources', { table, purge: functions.purge });

    api.open(
      new Map([
        ['POST /oauth/token', functions.issueToken],
        ['POST /oauth/introspect', functions.introspect],
        ['POST /oauth/revoke', functions.revoke],
      ]),
      // A ceiling on what strangers can make the service cost; far above what a thousand pipelines ask for.
      { rate: 100, burst: 200 },
    );
    api.open(
      new Map([
        ['GET /.well-known/oauth-authorization-server', functions.metadata],
        ['GET /whoami', functions.whoami],
      ]),
    );
    const page = functions.console;
    if (page) api.open(new Map(CONSOLE_ROUTES.map((route) => [route, page])));
    api.forPeople(
      signIn,
      new Map([
        ['GET /deployments', functions.manageDeployments],
        ['PUT|GET|DELETE /deployments/{deploymentId}', functions.manageDeployments],
        ['POST|GET /deployments/{deploymentId}/api-keys', functions.manageKeys],
        ['GET|PATCH|DELETE /deployments/{deploymentId}/api-keys/{keyId}', functions.manageKeys],
        ['POST /deployments/{deploymentId}/api-keys/{keyId}/rotate', functions.manageKeys],
        ['POST|GET /deployments/{deploymentId}/temporary-tokens', functions.manageTemporaryTokens],
        ['DELETE /deployments/{deploymentId}/temporary-tokens/{tokenId}', functions.manageTemporaryTokens],
      ]),
    );

    new Alarms(this, 'Alarms', { stackName: this.stackName });

    if (signIn.adminGroup === undefined && signIn.adminScope === undefined) {
      Annotations.of(this).addWarningV2(
        'deployment-api-keys:no-administrators',
        'Nobody can register a Deployment: set adminGroup or adminScope, for example -c adminGroup=platform-admins.',
      );
    }

    new CfnOutput(this, 'ApiUrl', { description: 'Where the service answers', value: api.url });
    this.authorizerFunctionArn = functions.authorize.function.functionArn;
    new SharedAuthorizer(this, 'SharedAuthorizer', {
      function: functions.authorize.function,
      consumerAccounts: config.consumerAccounts,
    });
    new CfnOutput(this, 'TableName', {
      description: 'Where keys and tokens are kept',
      value: table.tableName,
    });
    new CfnOutput(this, 'Issuer', { description: 'Who signs people in', value: signIn.issuer });
    if (signIn.consoleClientId) {
      new CfnOutput(this, 'ConsoleClientId', {
        description: 'The public client with which people sign in',
        value: signIn.consoleClientId,
      });
    }
  }
}
