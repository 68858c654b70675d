import { RemovalPolicy } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import { Construct } from 'constructs';
import * as ENV from '../functions/runtime/env.ts';
import type { ServiceFunction } from './function.ts';
import type { TableStream } from './stream-reader.ts';

export interface TableProps {
  /** Whether the table outlives the stack and refuses to be deleted. */
  readonly retain: boolean;
  /** ARN of the customer managed key that encrypts it. @default the AWS managed key */
  readonly encryptionKey?: string;
}

/** What DynamoDB does with the key of a table on behalf of whoever reads and writes it. */
const KEY_ACTIONS = ['Decrypt', 'DescribeKey', 'Encrypt', 'GenerateDataKey', 'ReEncryptFrom', 'ReEncryptTo'];

/**
 * The one table. Each kind of use is handed out whole: the environment that names the table and the IAM actions
 * that the use makes, no more. A transaction is authorised by the actions of its parts.
 */
export class Table extends Construct {
  readonly tableName: string;
  /** The stream of changes, with old and new images. */
  readonly stream: TableStream;
  readonly #arn: string;
  readonly #keyArn: string | undefined;

  constructor(scope: Construct, id: string, props: TableProps) {
    super(scope, id);
    const table = new dynamodb.TableV2(this, 'Default', {
      partitionKey: { name: 'pk', type: dynamodb.AttributeType.STRING },
      sortKey: { name: 'sk', type: dynamodb.AttributeType.STRING },
      billing: dynamodb.Billing.onDemand(),
      timeToLiveAttribute: 'expiresAt',
      dynamoStream: dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      encryption: dynamodb.TableEncryptionV2.awsManagedKey(),
      deletionProtection: props.retain,
      removalPolicy: props.retain ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    if (props.encryptionKey !== undefined) {
      // The CDK has a property for it that works only where the Region is known at synthesis.
      const { defaultChild } = table.node;
      const sse = { KMSMasterKeyId: props.encryptionKey };
      (defaultChild as dynamodb.CfnGlobalTable).addPropertyOverride('Replicas.0.SSESpecification', sse);
    }
    this.tableName = table.tableName;
    this.#arn = table.tableArn;
    this.#keyArn = props.encryptionKey;
    if (!table.tableStreamArn) throw new Error('The table must have a stream.');
    this.stream = { streamArn: table.tableStreamArn, encryptionKey: props.encryptionKey };
  }

  /** To check a token and slide it. It can delete nothing. */
  grantCheck(grantee: ServiceFunction): void {
    this.#grant(grantee, ['BatchGetItem', 'UpdateItem']);
  }

  /** To swap a key for a token: one read, one write; and to mark which of a key's secrets was used. */
  grantIssue(grantee: ServiceFunction): void {
    this.#grant(grantee, ['BatchGetItem', 'PutItem', 'UpdateItem']);
  }

  /** To tell what a token may do, which is no use of it: reads alone. */
  grantIntrospect(grantee: ServiceFunction): void {
    this.#grant(grantee, ['BatchGetItem']);
  }

  /** To delete the token that a key gives up: one read of the key, one deletion. */
  grantRevoke(grantee: ServiceFunction): void {
    this.#grant(grantee, ['BatchGetItem', 'DeleteItem']);
  }

  /** To register, list, change and delete Deployments, with marker and event. */
  grantManageDeployments(grantee: ServiceFunction): void {
    this.#grant(grantee, ['GetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem']);
  }

  /** To make, list, change and delete keys, with the Deployment's count of them and the event. */
  grantManageKeys(grantee: ServiceFunction): void {
    this.#grant(grantee, ['GetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem']);
  }

  /** To issue, list and revoke the temporary tokens of a Deployment that is checked to live in the same transaction. */
  grantManageTemporaryTokens(grantee: ServiceFunction): void {
    this.#grant(grantee, ['GetItem', 'Query', 'PutItem', 'DeleteItem', 'ConditionCheckItem']);
    this.#grantRejectedCalls(grantee, ['UpdateItem']);
  }

  /** To list events, and count a rejected listing. */
  grantListEvents(grantee: ServiceFunction): void {
    this.#grant(grantee, ['GetItem', 'Query']);
    this.#grantRejectedCalls(grantee, ['UpdateItem']);
  }

  /** To look at every key and mark some, with the event; to continue where time ran out; to move rejected calls. */
  grantSweepKeys(grantee: ServiceFunction): void {
    this.#grant(grantee, ['GetItem', 'Query', 'PutItem', 'UpdateItem']);
    this.#grantRejectedCalls(grantee, ['DeleteItem']);
  }

  /** To disable a key or delete a token, with the event. */
  grantReportLeak(grantee: ServiceFunction): void {
    this.#grant(grantee, ['BatchGetItem', 'PutItem', 'UpdateItem', 'DeleteItem']);
  }

  /** To delete what a removed Deployment or key leaves behind: alone in deleting many at once. */
  grantPurge(grantee: ServiceFunction): void {
    this.#grant(grantee, ['GetItem', 'Query', 'BatchWriteItem', 'PutItem', 'UpdateItem', 'DeleteItem']);
  }

  /** To register, change and delete Deployments as a source says, with what was heard of it, marker and event. */
  grantFollowSource(grantee: ServiceFunction): void {
    this.#grant(grantee, ['GetItem', 'PutItem', 'UpdateItem', 'DeleteItem']);
  }

  /** To list what was heard from a source. */
  grantListSourced(grantee: ServiceFunction): void {
    this.#grant(grantee, ['Query']);
  }

  /** To look through the whole table, alone in that; to leave purge markers and mend the directory. */
  grantReconcile(grantee: ServiceFunction): void {
    const reads = ['GetItem', 'BatchGetItem', 'Scan'];
    this.#grant(grantee, [...reads, 'PutItem', 'UpdateItem', 'DeleteItem', 'ConditionCheckItem']);
  }

  /** Only on the items that count rejected calls. */
  #grantRejectedCalls(grantee: ServiceFunction, actions: string[]): void {
    grantee.allow(
      actions.map((action) => `dynamodb:${action}`),
      this.#arn,
      { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': ['REJECTED_CALLS'] } },
    );
  }

  #grant(grantee: ServiceFunction, actions: string[]): void {
    grantee.tell({ [ENV.tableName]: this.tableName });
    grantee.allow(
      actions.map((action) => `dynamodb:${action}`),
      this.#arn,
    );
    if (this.#keyArn !== undefined) grantee.allowKey(KEY_ACTIONS, this.#keyArn);
  }
}
