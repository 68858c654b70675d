import { join } from 'node:path';
import { type Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type * as ENV from '../functions/runtime/env.ts';
import { acknowledge } from './acknowledge.ts';
import { bundlesDirectory } from './bundles.ts';

/** The environment of a function, by the names that functions read; an undefined value is left out. */
export type Environment = { readonly [name in (typeof ENV)[keyof typeof ENV]]?: string | undefined };

/** How every function is run. */
export interface Operation {
  /** Whether logs outlive the stack. */
  readonly retainLogs: boolean;
  /** Days that logs are kept, one of CloudWatch Logs' own choices. */
  readonly logRetention: number;
  /** Whether X-Ray traces it. */
  readonly tracing: boolean;
}

export interface ServiceFunctionProps extends Operation {
  /** What it does, for whoever meets it in the account. */
  readonly description: string;
  /** Its time limit. */
  readonly timeout: Duration;
  /** Memory in MiB; CPU comes in proportion. @default 256 */
  readonly memory?: number;
  /** What it is told. Grants add what belongs to them. @default nothing */
  readonly environment?: Environment;
  /** The name of its role, where somebody must know it before it is made. @default CloudFormation makes one */
  readonly roleName?: string;
  /** Why it has no queue for events that it failed at. @default as for those that API Gateway calls */
  readonly withoutDeadLetters?: string;
  /** How many of it run at once, at most; other functions cannot take these. @default what the account has left */
  readonly reservedConcurrency?: number;
  /** Whether Lambda lets it send messages to a queue that wakes it. @default false */
  readonly mayWakeItself?: boolean;
}

/**
 * One file of `functions/` as a Lambda function with a role and a log group of its own. The role may write to
 * that log group and do nothing else until something is granted.
 */
export class ServiceFunction extends Construct {
  readonly function: lambda.Function;
  readonly role: iam.Role;
  readonly timeout: Duration;

  /** @param file name of the file in `functions/`, without `.ts`; the construct's ID is the same in PascalCase. */
  constructor(scope: Construct, file: string, props: ServiceFunctionProps) {
    super(
      scope,
      file.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    );

    this.timeout = props.timeout;
    const logGroup = new logs.LogGroup(this, 'Logs', {
      retention: props.logRetention,
      removalPolicy: props.retainLogs ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    // Not AWSLambdaBasicExecutionRole: that may create and write any log group of the account.
    this.role = new iam.Role(this, 'Role', {
      roleName: props.roleName,
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
    });
    this.allow(['logs:CreateLogStream', 'logs:PutLogEvents'], logGroup.logGroupArn);

    this.function = new lambda.Function(this, 'Function', {
      description: props.description,
      runtime: lambda.Runtime.NODEJS_24_X,
      architecture: lambda.Architecture.ARM_64,
      code: lambda.Code.fromAsset(join(bundlesDirectory, file)),
      handler: 'index.handler',
      memorySize: props.memory ?? 256,
      timeout: props.timeout,
      role: this.role,
      reservedConcurrentExecutions: props.reservedConcurrency,
      logGroup,
      tracing: props.tracing ? lambda.Tracing.ACTIVE : lambda.Tracing.DISABLED,
      recursiveLoop: props.mayWakeItself ? lambda.RecursiveLoop.ALLOW : lambda.RecursiveLoop.TERMINATE,
    });
    this.tell(props.environment ?? {});
    acknowledge(this.function, {
      'Serverless-LambdaDLQ':
        props.withoutDeadLetters ??
        'Lambda uses it for asynchronous calls alone. This function is called by API Gateway, whose caller gets the ' +
          'error; the purge also by stream and queue, which have failure queues, and by a schedule that comes again.',
      ...(!props.tracing && {
        'Serverless-LambdaTracing':
          'Tracing is an option of the stack, off by default: it costs money for each check, and logs have request IDs.',
      }),
    });
    if (props.tracing) {
      acknowledge(this.role.node.findChild('DefaultPolicy'), {
        'AwsSolutions-IAM5[Resource::*]':
          'X-Ray has no resources to name: its two actions for writing traces take * alone. Nothing else here does.',
      });
    }
  }

  /** Adds to its environment. */
  tell(environment: Environment): void {
    for (const [name, value] of Object.entries(environment)) {
      if (value !== undefined) this.function.addEnvironment(name, value);
    }
  }

  /** Lets it do exactly these actions on exactly this resource. */
  allow(actions: string[], resourceArn: string, conditions?: Record<string, object>): void {
    this.role.addToPolicy(new iam.PolicyStatement({ actions, resources: [resourceArn], conditions }));
  }

  /**
   * Lets it use a KMS key through DynamoDB, and nowhere else: DynamoDB uses a table's key on behalf of whoever calls it.
   * @param actions without `kms:`
   */
  allowKey(actions: string[], keyArn: string): void {
    const { region, urlSuffix } = Stack.of(this);
    this.allow(
      actions.map((action) => `kms:${action}`),
      keyArn,
      { StringEquals: { 'kms:ViaService': `dynamodb.${region}.${urlSuffix}` } },
    );
  }
}
