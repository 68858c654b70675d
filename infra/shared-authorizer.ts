import { CfnOutput, Stack } from 'aws-cdk-lib';
import { AccountPrincipal } from 'aws-cdk-lib/aws-iam';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';

export interface SharedAuthorizerProps {
  readonly function: LambdaFunction;
  /** AWS accounts whose APIs may call it, besides its own. @default none */
  readonly consumerAccounts?: readonly string[];
}

/**
 * The owner's side of the authorizer: tells its ARN, as output and as SSM parameter, and lets other accounts call
 * it. APIs of the own account need no permission here: `DeploymentKeyAuthorizer` brings a role that has it, so
 * that this stack never refers to a consumer's.
 */
export class SharedAuthorizer extends Construct {
  constructor(scope: Construct, id: string, props: SharedAuthorizerProps) {
    super(scope, id);
    const { stackName } = Stack.of(this);
    const { functionArn } = props.function;
    new CfnOutput(this, 'Arn', {
      description: 'The Lambda authorizer for other APIs',
      value: functionArn,
    }).overrideLogicalId('AuthorizerFunctionArn');
    new StringParameter(this, 'Parameter', {
      description: 'ARN of the Lambda authorizer for other APIs',
      parameterName: `/${stackName}/authorizer-function-arn`,
      stringValue: functionArn,
    });
    for (const account of props.consumerAccounts ?? []) {
      props.function.addPermission(`Consumer${account}`, {
        principal: new AccountPrincipal(account),
        action: 'lambda:InvokeFunction',
      });
    }
  }
}
