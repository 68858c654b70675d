import { RemovalPolicy } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import { Construct } from 'constructs';
import * as ENV from '../functions/runtime/env.ts';
import { PARTITION } from '../functions/table/key-prefixes.ts';
import type { ServiceFunction } from './function.ts';
import type { TableStream } from './stream-reader.ts';

export interface TableProps {
  /** Whether the table outlives the stack and has deletion protection. */
  readonly retain: boolean;
  /** ARN of the customer managed key that encrypts it. @default the AWS managed key */
  readonly encryptionKey?: string;
}

/** Patterns of partition keys for IAM conditions. */
const DEPLOYMENT = PARTITION.deployment('*');
const EVENTS = PARTITION.events('*');
const USED_SUBJECT_TOKEN = PARTITION.subject('*');
const {
  directory: DIRECTORY,
  passes: PASSES,
  purges: PURGES,
  rejectedCalls: REJECTED_CALLS,
  sources: SOURCES,
} = PARTITION;

/** The attributes in the update of a check: the primary key, the token's expiry and the last use. */
const CHANGED_BY_CHECK = ['pk', 'sk', 'expiresAt', 'lastUsedAt', 'lastUsedAddress', 'lastUsedClient'];

/** What DynamoDB does with the table's KMS key on behalf of its callers. */
const KEY_ACTIONS = ['Decrypt', 'DescribeKey', 'Encrypt', 'GenerateDataKey', 'ReEncryptFrom', 'ReEncryptTo'];

/**
 * The service's table. Each `grant…` method gives a function one kind of use: the environment variable with the table's
 * name, and only the IAM actions that the use needs. A transaction needs the actions of its parts.
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
      // The CDK's property for it works only if the Region is known at synthesis.
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

  /** To check a token and extend its expiry. It can't delete items or change attributes that decide about access. */
  grantCheck(grantee: ServiceFunction): void {
    this.#grant(grantee, { BatchGetItem: [DEPLOYMENT] });
    this.#allow(grantee, ['UpdateItem'], [DEPLOYMENT], CHANGED_BY_CHECK);
  }

  /** To exchange a key for a token (one read, one write), and to record which of the key's secrets was used. */
  grantIssue(grantee: ServiceFunction): void {
    this.#grant(grantee, {
      BatchGetItem: [DEPLOYMENT],
      PutItem: [DEPLOYMENT, EVENTS, USED_SUBJECT_TOKEN],
      UpdateItem: [DEPLOYMENT],
    });
  }

  /** To introspect a token. Read-only; introspection does not extend the token. */
  grantIntrospect(grantee: ServiceFunction): void {
    this.#grant(grantee, { BatchGetItem: [DEPLOYMENT] });
  }

  /** To revoke a token at its key's request: one read of the key, one deletion. */
  grantRevoke(grantee: ServiceFunction): void {
    this.#grant(grantee, { BatchGetItem: [DEPLOYMENT], DeleteItem: [DEPLOYMENT] });
  }

  /** To register, list, change and delete Deployments, with their purge markers and events. */
  grantManageDeployments(grantee: ServiceFunction): void {
    this.#grant(grantee, {
      GetItem: [DEPLOYMENT, DIRECTORY, SOURCES],
      Query: [DIRECTORY],
      PutItem: [DEPLOYMENT, DIRECTORY, EVENTS, PURGES],
      UpdateItem: [DEPLOYMENT, DIRECTORY, REJECTED_CALLS],
      DeleteItem: [DEPLOYMENT, DIRECTORY],
    });
  }

  /** To create, list, change and delete keys, with the Deployment's count of keys and the events. */
  grantManageKeys(grantee: ServiceFunction): void {
    this.#grant(grantee, {
      GetItem: [DEPLOYMENT],
      Query: [DEPLOYMENT],
      PutItem: [DEPLOYMENT, EVENTS],
      UpdateItem: [DEPLOYMENT, REJECTED_CALLS],
      DeleteItem: [DEPLOYMENT],
    });
  }

  /** To issue, list and revoke temporary tokens. The same transaction checks that the Deployment exists. */
  grantManageTemporaryTokens(grantee: ServiceFunction): void {
    this.#grant(grantee, {
      GetItem: [DEPLOYMENT],
      Query: [DEPLOYMENT],
      PutItem: [DEPLOYMENT, EVENTS],
      DeleteItem: [DEPLOYMENT],
      ConditionCheckItem: [DEPLOYMENT],
      UpdateItem: [REJECTED_CALLS],
    });
  }

  /** To list events, and to count a rejected listing. */
  grantListEvents(grantee: ServiceFunction): void {
    this.#grant(grantee, { GetItem: [DEPLOYMENT], Query: [EVENTS], UpdateItem: [REJECTED_CALLS] });
  }

  /** To read every key and mark some, with the events; to resume after a time-out; to move rejected calls to the events. */
  grantSweepKeys(grantee: ServiceFunction): void {
    this.#grant(grantee, {
      GetItem: [DEPLOYMENT, PASSES],
      Query: [DEPLOYMENT, DIRECTORY, EVENTS, REJECTED_CALLS],
      PutItem: [EVENTS, PASSES],
      UpdateItem: [DEPLOYMENT],
      DeleteItem: [REJECTED_CALLS],
    });
  }

  /** To disable a leaked key or delete a leaked token, with the event. */
  grantReportLeak(grantee: ServiceFunction): void {
    this.#grant(grantee, {
      BatchGetItem: [DEPLOYMENT],
      PutItem: [EVENTS],
      UpdateItem: [DEPLOYMENT],
      DeleteItem: [DEPLOYMENT],
    });
  }

  /** To delete the remaining items of a deleted Deployment or key. Only the purge may use BatchWriteItem. */
  grantPurge(grantee: ServiceFunction): void {
    this.#grant(grantee, {
      GetItem: [DEPLOYMENT],
      Query: [DEPLOYMENT, PURGES],
      BatchWriteItem: [DEPLOYMENT],
      PutItem: [EVENTS],
      UpdateItem: [PURGES],
      DeleteItem: [DIRECTORY, PURGES],
    });
  }

  /** To register, change and delete Deployments from a followed table, with its latest rows, purge markers and events. */
  grantFollowSource(grantee: ServiceFunction): void {
    this.#grant(grantee, {
      GetItem: [DEPLOYMENT, DIRECTORY, SOURCES],
      PutItem: [DEPLOYMENT, DIRECTORY, EVENTS, PURGES, SOURCES],
      UpdateItem: [DEPLOYMENT, DIRECTORY],
      DeleteItem: [DEPLOYMENT, DIRECTORY],
    });
  }

  /** To compare the rows of a followed table with the registered Deployments, and to repair differences. */
  grantCompareSource(grantee: ServiceFunction): void {
    this.#grant(grantee, { Query: [SOURCES], BatchGetItem: [DEPLOYMENT, SOURCES] });
    this.grantFollowSource(grantee);
  }

  /** To scan the whole table, write purge markers and repair the directory. Only reconciliation may use Scan. */
  grantReconcile(grantee: ServiceFunction): void {
    // A Scan names no partition key, so a condition on leading keys would always be met.
    grantee.allow(['dynamodb:Scan'], this.#arn);
    this.#grant(grantee, {
      GetItem: [DEPLOYMENT, DIRECTORY, PASSES, PURGES],
      BatchGetItem: [DEPLOYMENT, DIRECTORY],
      PutItem: [DIRECTORY, PASSES],
      UpdateItem: [PURGES],
      DeleteItem: [DIRECTORY],
      ConditionCheckItem: [DEPLOYMENT],
    });
  }

  /** @param uses the partitions that each action names; actions are written without `dynamodb:` */
  #grant(grantee: ServiceFunction, uses: Readonly<Record<string, readonly string[]>>): void {
    grantee.tell({ [ENV.tableName]: this.tableName });
    // Not Map.groupBy: Node.js 20, which may run a synthesis, does not have it.
    const partitionSets = new Set(Object.values(uses).map((partitions) => partitions.join()));
    for (const partitionSet of partitionSets) {
      const actions = Object.keys(uses).filter((action) => uses[action]?.join() === partitionSet);
      this.#allow(grantee, actions, partitionSet.split(','));
    }
    if (this.#keyArn !== undefined) grantee.allowKey(KEY_ACTIONS, this.#keyArn);
  }

  /**
   * Allows actions on items of some partitions only, so that a compromised function reaches no others.
   * @param attributes the attributes that the actions may name; all of them by default
   */
  #allow(
    grantee: ServiceFunction,
    actions: readonly string[],
    partitions: readonly string[],
    attributes?: readonly string[],
  ): void {
    grantee.allow(
      actions.map((action) => `dynamodb:${action}`),
      this.#arn,
      {
        'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': partitions },
        ...(attributes && { 'ForAllValues:StringEquals': { 'dynamodb:Attributes': attributes } }),
      },
    );
  }
}
