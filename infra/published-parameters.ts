import { Stack } from 'aws-cdk-lib';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import type { Construct } from 'constructs';
import { DeploymentKeysReference } from './deployment-keys-reference.ts';

/** The values that a stack publishes as SSM parameters, as `/<stack name>/<key>`. */
const DESCRIPTIONS = {
  'authorizer-function-arn': 'ARN of the Lambda authorizer for other APIs',
  'api-url': 'URL of the service, without a trailing slash',
  'table-name': 'Name of the table with keys and tokens',
  'event-bus-name': "Name of the bus with the service's events",
  'platform-url': 'URL for IAM principals, without a trailing slash',
  'platform-arn': 'ARN prefix of all calls under /platform',
} as const;

type PublishedKey = keyof typeof DESCRIPTIONS;

const parameterName = (stackName: string, key: PublishedKey) => `/${stackName}/${key}`;

/** Publishes a value of the stack, so that `DeploymentKeys.fromStage` finds it. */
export function publish(scope: Construct, id: string, key: PublishedKey, value: string): void {
  new StringParameter(scope, id, {
    description: DESCRIPTIONS[key],
    parameterName: parameterName(Stack.of(scope).stackName, key),
    stringValue: value,
  });
}

/**
 * A service in a stack that is already deployed in the account and Region of this app's stack. CloudFormation reads the
 * stack's SSM parameters each time it deploys this app's stack, and only the parameters of the properties that the app
 * uses.
 */
export class PublishedDeploymentKeys extends DeploymentKeysReference {
  protected readonly stackName: string;

  constructor(scope: Construct, id: string, stackName: string) {
    super(scope, id);
    this.stackName = stackName;
  }

  get url(): string {
    return this.#read('api-url');
  }

  get authorizerFunctionArn(): string {
    return this.#read('authorizer-function-arn');
  }

  get tableName(): string {
    return this.#read('table-name');
  }

  get eventBusName(): string {
    return this.#read('event-bus-name');
  }

  get platformUrl(): string {
    return this.#read('platform-url');
  }

  get platformArn(): string {
    return this.#read('platform-arn');
  }

  #read(key: PublishedKey): string {
    return StringParameter.valueForStringParameter(this, parameterName(this.stackName, key));
  }
}
