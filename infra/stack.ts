import { Annotations, CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { ENV } from '../functions/runtime/env.ts';
import { Api } from './api.ts';
import type { Config, SignIn } from './config.ts';
import { ServiceFunction } from './function.ts';
import { Purge } from './purge.ts';
import { Table } from './table.ts';
import { UserPool } from './user-pool.ts';

export interface DeploymentKeysStackProps extends StackProps {
  readonly config: Config;
}

/** The whole service. Read it as the diagram in the README: a table, functions around it, an API in front. */
export class DeploymentKeysStack extends Stack {
  constructor(scope: Construct, id: string, { config, ...props }: DeploymentKeysStackProps) {
    super(scope, id, props);
    const retain = config.stage === 'production';
    const api = new Api(this, 'Api');
    const table = new Table(this, 'Table', { retain });
    const signIn: SignIn =
      config.signIn ?? new UserPool(this, 'People', { callbackUrl: `${api.url}/`, retain });

    const lifetimes = {
      [ENV.tokenLifetime]: String(config.tokenLifetime),
      [ENV.slideInterval]: String(config.slideInterval),
      [ENV.maxTokenLifetime]: config.maxTokenLifetime?.toString(),
    };
    const scopes = { [ENV.scopes]: config.scopes.join(' ') };
    const people = {
      [ENV.groupsClaim]: signIn.groupsClaim,
      [ENV.adminGroup]: signIn.adminGroup,
      [ENV.adminScope]: signIn.adminScope,
    };

    const authorize = new ServiceFunction(this, 'authorize', {
      description: 'Checks an access token for the APIs behind it, and slides it',
      timeout: Duration.seconds(5),
      environment: { ...lifetimes, ...scopes },
      retainLogs: retain,
    });
    table.grantCheck(authorize);

    const whoami = new ServiceFunction(this, 'whoami', {
      description: 'Checks an access token, slides it and says whose it is',
      timeout: Duration.seconds(5),
      environment: { ...lifetimes, ...scopes },
      retainLogs: retain,
    });
    table.grantCheck(whoami);

    const issueToken = new ServiceFunction(this, 'issue-token', {
      description: 'Swaps the ID and secret of a key for an access token',
      timeout: Duration.seconds(10),
      environment: { ...lifetimes, ...scopes },
      retainLogs: retain,
    });
    table.grantIssue(issueToken);

    const manageDeployments = new ServiceFunction(this, 'manage-deployments', {
      description: 'Registers, lists, changes and deletes Deployments',
      timeout: Duration.seconds(10),
      environment: people,
      retainLogs: retain,
    });
    table.grantManageDeployments(manageDeployments);

    const manageKeys = new ServiceFunction(this, 'manage-keys', {
      description: 'Makes, lists, changes and deletes the keys of a Deployment',
      timeout: Duration.seconds(10),
      environment: { ...people, ...scopes },
      retainLogs: retain,
    });
    table.grantManageKeys(manageKeys);

    const purgeTimeout = Duration.seconds(60);
    const purge = new ServiceFunction(this, 'purge', {
      description: 'Deletes what a removed Deployment or key leaves behind',
      timeout: purgeTimeout,
      memory: 512,
      retainLogs: retain,
      mayWakeItself: true,
    });
    table.grantPurge(purge);
    new Purge(this, 'PurgeSources', { table, function: purge, timeout: purgeTimeout });

    api.open(
      new Map([
        ['POST /oauth/token', issueToken],
        ['GET /whoami', whoami],
      ]),
    );
    api.forPeople(
      signIn,
      new Map([
        ['GET /deployments', manageDeployments],
        ['PUT|GET|DELETE /deployments/{deploymentId}', manageDeployments],
        ['POST|GET /deployments/{deploymentId}/api-keys', manageKeys],
        ['GET|PATCH|DELETE /deployments/{deploymentId}/api-keys/{keyId}', manageKeys],
      ]),
    );

    if (signIn.adminGroup === undefined && signIn.adminScope === undefined) {
      Annotations.of(this).addWarningV2(
        'deployment-api-keys:no-administrators',
        'Nobody can register a Deployment: set adminGroup or adminScope, for example -c adminGroup=platform-admins.',
      );
    }

    new CfnOutput(this, 'ApiUrl', { description: 'Where the service answers', value: api.url });
    new CfnOutput(this, 'AuthorizerFunctionArn', {
      description: 'The Lambda authorizer for other APIs',
      value: authorize.function.functionArn,
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
