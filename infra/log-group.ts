import { RemovalPolicy } from 'aws-cdk-lib';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';

/** Retention settings for logs. */
export interface LogSettings {
  /** Whether logs outlive the stack. */
  readonly retainLogs: boolean;
  /** Number of days that CloudWatch Logs keeps logs. It must be one of the values that CloudWatch Logs allows. */
  readonly logRetention: number;
}

export interface ServiceLogGroupProps extends LogSettings {
  /** Name of the log group. @default a name that CloudFormation generates */
  readonly logGroupName?: string;
}

/**
 * A log group for the service. If the creation of a stack fails, CloudFormation deletes the log group, because the
 * group contains no logs worth keeping and nothing prevents its deletion.
 */
export class ServiceLogGroup extends logs.LogGroup {
  constructor(
    scope: Construct,
    id: string,
    { retainLogs, logRetention, logGroupName }: ServiceLogGroupProps,
  ) {
    super(scope, id, {
      ...(logGroupName !== undefined && { logGroupName }),
      retention: logRetention,
      removalPolicy: retainLogs ? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE : RemovalPolicy.DESTROY,
    });
  }
}
