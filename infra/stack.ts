import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { DeploymentKeys } from './deployment-keys.ts';
import type { DeploymentKeysProps } from './deployment-keys-props.ts';
import { readSettings } from './settings.ts';

export interface DeploymentKeysStackProps extends StackProps {
  readonly settings?: DeploymentKeysProps | undefined;
}

/**
 * A stack that contains `DeploymentKeys`, with outputs for the people who use the stack. In production, the stack has
 * termination protection.
 */
export class DeploymentKeysStack extends Stack {
  /** Output for the `DeploymentKeyAuthorizer` construct in other stacks. */
  readonly authorizerFunctionArn: string;
  /** Output for the `DeploymentKeySecret` construct in other stacks; undefined if `platformPrincipals` is not set. */
  readonly platformUrl: string | undefined;
  readonly platformArn: string | undefined;

  constructor(scope: Construct, id: string, { settings, ...props }: DeploymentKeysStackProps) {
    const isProduction = readSettings(settings ?? {}).stage === 'production';
    super(scope, id, { terminationProtection: isProduction, ...props });
    // The construct ID Default is not part of logical IDs, so the logical IDs of the service's resources are short.
    const service = new DeploymentKeys(this, 'Default', settings);
    this.authorizerFunctionArn = service.authorizerFunctionArn;
    this.platformUrl = service.platformUrl;
    this.platformArn = service.platformArn;

    this.#addOutput('ApiUrl', 'Where the service answers', service.url);
    this.#addOutput('PlatformUrl', 'Where IAM principals call, under /platform', service.platformUrl);
    this.#addOutput(
      'PlatformArn',
      'What a policy of theirs names: execute-api:Invoke, method and path behind it',
      service.platformArn,
    );
    this.#addOutput(
      'AuthorizerFunctionArn',
      'The Lambda authorizer for other APIs',
      service.authorizerFunctionArn,
    );
    this.#addOutput('TableName', 'Where keys and tokens are kept', service.tableName);
    this.#addOutput('EventBusName', 'Where the service tells what happened', service.eventBusName);
    this.#addOutput('Issuer', 'Who signs people in', service.issuer);
    this.#addOutput(
      'ConsoleClientId',
      'The public client with which people sign in',
      service.consoleClientId,
    );
    this.#addOutput('DomainTarget', 'What the DNS record of domainName points to', service.domainTarget);
    for (const [name, value] of Object.entries(service.operatorNames)) {
      this.#addOutput(name, 'For the commands of docs/runbook.md', value);
    }
    const [create, promote] = service.firstAdministrator;
    this.#addOutput(
      'FirstAdministrator1Create',
      'First command that makes the first administrator: invites them, with their own address',
      create,
    );
    this.#addOutput(
      'FirstAdministrator2Promote',
      'Second command that makes the first administrator',
      promote,
    );
  }

  #addOutput(name: string, description: string, value: string | undefined): void {
    if (value !== undefined) new CfnOutput(this, name, { description, value });
  }
}
