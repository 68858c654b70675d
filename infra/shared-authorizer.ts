import { AccountPrincipal } from 'aws-cdk-lib/aws-iam';
import { Alias, type Function as LambdaFunction, Version } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { publish } from './published-parameters.ts';
import type { Settings } from './settings.ts';

export interface SharedAuthorizerProps {
  readonly function: LambdaFunction;
  /** Other AWS accounts whose APIs are allowed to call the authorizer. @default none */
  readonly consumerAccounts?: readonly string[] | undefined;
  /** Provisioned concurrency. It belongs to an alias, which other APIs then call. @default none */
  readonly concurrency?: Settings['authorizerConcurrency'];
}

/**
 * Shares the authorizer with other APIs: publishes its ARN as an SSM parameter, and lets other accounts call it. APIs
 * in the same account need no permission here, because `DeploymentKeyAuthorizer` creates a role with that permission.
 * This stack therefore never refers to the stacks that use the authorizer.
 */
export class SharedAuthorizer extends Construct {
  /** ARN of the function or alias that other APIs call. */
  readonly arn: string;

  constructor(scope: Construct, id: string, props: SharedAuthorizerProps) {
    super(scope, id);
    const provisioned = props.concurrency?.provisioned;
    const shared = provisioned
      ? new Alias(this, 'Warm', {
          aliasName: 'warm',
          // With `exactOptionalPropertyTypes`, the CDK's type `Version` is not assignable to `IVersion`.
          version: Version.fromVersionAttributes(this, 'Version', {
            lambda: props.function,
            version: props.function.currentVersion.version,
          }),
          provisionedConcurrentExecutions: provisioned,
        })
      : props.function;
    this.arn = shared.functionArn;
    publish(this, 'Parameter', 'authorizer-function-arn', this.arn);
    for (const account of props.consumerAccounts ?? []) {
      shared.addPermission(`Consumer${account}`, {
        principal: new AccountPrincipal(account),
        action: 'lambda:InvokeFunction',
      });
    }
  }
}
