import { Stack } from 'aws-cdk-lib';
import { AccountPrincipal } from 'aws-cdk-lib/aws-iam';
import { Alias, type Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';
import type { Concurrency } from './config.ts';

export interface SharedAuthorizerProps {
  readonly function: LambdaFunction;
  /** AWS accounts whose APIs may call it, besides its own. @default none */
  readonly consumerAccounts?: readonly string[];
  /** Environments kept warm stand behind an alias, which is then what others call. @default none */
  readonly concurrency?: Concurrency;
}

/**
 * The owner's side of the authorizer: tells its ARN, also as SSM parameter, and lets other accounts call
 * it. APIs of the own account need no permission here: `DeploymentKeyAuthorizer` brings a role that has it, so
 * that this stack never refers to a consumer's.
 */
export class SharedAuthorizer extends Construct {
  /** What other APIs call. */
  readonly arn: string;

  constructor(scope: Construct, id: string, props: SharedAuthorizerProps) {
    super(scope, id);
    const { stackName } = Stack.of(this);
    const provisioned = props.concurrency?.provisioned;
    const shared = provisioned
      ? new Alias(this, 'Warm', {
          aliasName: 'warm',
          version: props.function.currentVersion,
          provisionedConcurrentExecutions: provisioned,
        })
      : props.function;
    this.arn = shared.functionArn;
    new StringParameter(this, 'Parameter', {
      description: 'ARN of the Lambda authorizer for other APIs',
      parameterName: `/${stackName}/authorizer-function-arn`,
      stringValue: this.arn,
    });
    for (const account of props.consumerAccounts ?? []) {
      shared.addPermission(`Consumer${account}`, {
        principal: new AccountPrincipal(account),
        action: 'lambda:InvokeFunction',
      });
    }
  }
}
