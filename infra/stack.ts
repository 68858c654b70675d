import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { DeploymentKeys } from './deployment-keys.ts';
import type { DeploymentKeysProps } from './deployment-keys-props.ts';
import { readSettings } from './settings.ts';

export interface DeploymentKeysStackProps extends StackProps {
  readonly settings?: DeploymentKeysProps | undefined;
}

/** An output of the stack. An output without a value is left out. */
type Output = readonly [name: string, description: string, value: string | undefined];

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

    const [create, promote] = service.firstAdministrator;
    const outputs: Output[] = [
      ['ApiUrl', 'Where the service answers', service.url],
      ['PlatformUrl', 'Where IAM principals call, under /platform', service.platformUrl],
      [
        'PlatformArn',
        'What a policy of theirs names: execute-api:Invoke, method and path behind it',
        service.platformArn,
      ],
      ['AuthorizerFunctionArn', 'The Lambda authorizer for other APIs', service.authorizerFunctionArn],
      ['TableName', 'Where keys and tokens are kept', service.tableName],
      ['EventBusName', 'Where the service tells what happened', service.eventBusName],
      ['Issuer', 'Who signs people in', service.issuer],
      ['ConsoleClientId', 'The public client with which people sign in', service.consoleClientId],
      ['DomainTarget', 'What the DNS record of domainName points to', service.domainTarget],
      ...Object.entries(service.operatorNames).map(
        ([name, value]): Output => [name, 'For the commands of docs/runbook.md', value],
      ),
      [
        'FirstAdministrator1Create',
        'First command that makes the first administrator: invites them, with their own address',
        create,
      ],
      ['FirstAdministrator2Promote', 'Second command that makes the first administrator', promote],
    ];
    for (const [name, description, value] of outputs) {
      if (value !== undefined) new CfnOutput(this, name, { description, value });
    }
  }
}
