import { RemovalPolicy } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import { Construct } from 'constructs';
import * as ENV from '../functions/runtime/env.ts';
import { PARTITION } from '../functions/table/key-prefixes.ts';
import type { ServiceFunction } from './function.ts';
import type { TableStream } from './stream-reader.ts';

export interface TableProps {
  /** Whether the table outlives the stack and refuses to be deleted. */
  readonly retain: boolean;
  /** ARN of the customer managed key that encrypts it. @default the AWS managed key */
  readonly encryptionKey?: string;
}

/** Patterns of partition keys, for conditions of IAM. */
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

/** What an update by a check names: the key, the expiry of the token, and the last use. */
const CHANGED_BY_CHECK = ['pk', 'sk', 'expiresAt', 'lastUsedAt', 'lastUsedAddress', 'lastUsedClient'];

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

  /** To check a token and slide it. It can delete nothing, and change no attribute that decides about access. */
  grantCheck(grantee: ServiceFunction): void {
    this.#grant(grantee, { BatchGetItem: [DEPLOYMENT] });
    this.#allow(grantee, ['UpdateItem'], [DEPLOYMENT], CHANGED_BY_CHECK);
  }

  /** To swap a key for a token: one read, one write; and to mark which of a key's secrets was used. */
  grantIssue(grantee: ServiceFunction): void {
    this.#grant(grantee, {
      BatchGetItem: [DEPLOYMENT],
      PutItem: [DEPLOYMENT, EVENTS, USED_SUBJECT_TOKEN],
      UpdateItem: [DEPLOYMENT],
    });
  }

  /** To tell what a token may do, which is no use of it: reads alone. */
  grantIntrospect(grantee: ServiceFunction): void {
    this.#grant(grantee, { BatchGetItem: [DEPLOYMENT] });
  }

  /** To delete the token that a key gives up: one read of the key, one deletion. */
  grantRevoke(grantee: ServiceFunction): void {
    this.#grant(grantee, { BatchGetItem: [DEPLOYMENT], DeleteItem: [DEPLOYMENT] });
  }

  /** To register, list, change and delete Deployments, with marker and event. */
  grantManageDeployments(grantee: ServiceFunction): void {
    this.#grant(grantee, {
      GetItem: [DEPLOYMENT, DIRECTORY, SOURCES],
      Query: [DIRECTORY],
      PutItem: [DEPLOYMENT, DIRECTORY, EVENTS, PURGES],
      UpdateItem: [DEPLOYMENT, DIRECTORY, REJECTED_CALLS],
      DeleteItem: [DEPLOYMENT, DIRECTORY],
    });
  }

  /** To make, list, change and delete keys, with the Deployment's count of them and the event. */
  grantManageKeys(grantee: ServiceFunction): void {
    this.#grant(grantee, {
      GetItem: [DEPLOYMENT],
      Query: [DEPLOYMENT],
      PutItem: [DEPLOYMENT, EVENTS],
      UpdateItem: [DEPLOYMENT, REJECTED_CALLS],
      DeleteItem: [DEPLOYMENT],
    });
  }

  /** To issue, list and revoke the temporary tokens of a Deployment that is checked to live in the same transaction. */
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

  /** To list events, and count a rejected listing. */
  grantListEvents(grantee: ServiceFunction): void {
    this.#grant(grantee, { GetItem: [DEPLOYMENT], Query: [EVENTS], UpdateItem: [REJECTED_CALLS] });
  }

  /** To look at every key and mark some, with the event; to continue where time ran out; to move rejected calls. */
  grantSweepKeys(grantee: ServiceFunction): void {
    this.#grant(grantee, {
      GetItem: [DEPLOYMENT, PASSES],
      Query: [DEPLOYMENT, DIRECTORY, EVENTS, REJECTED_CALLS],
      PutItem: [EVENTS, PASSES],
      UpdateItem: [DEPLOYMENT],
      DeleteItem: [REJECTED_CALLS],
    });
  }

  /** To disable a key or delete a token, with the event. */
  grantReportLeak(grantee: ServiceFunction): void {
    this.#grant(grantee, {
      BatchGetItem: [DEPLOYMENT],
      PutItem: [EVENTS],
      UpdateItem: [DEPLOYMENT],
      DeleteItem: [DEPLOYMENT],
    });
  }

  /** To delete what a removed Deployment or key leaves behind: alone in deleting many at once. */
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

  /** To register, change and delete Deployments as a source says, with what was heard of it, marker and event. */
  grantFollowSource(grantee: ServiceFunction): void {
    this.#grant(grantee, {
      GetItem: [DEPLOYMENT, DIRECTORY, SOURCES],
      PutItem: [DEPLOYMENT, DIRECTORY, EVENTS, PURGES, SOURCES],
      UpdateItem: [DEPLOYMENT, DIRECTORY],
      DeleteItem: [DEPLOYMENT, DIRECTORY],
    });
  }

  /** To compare what was heard from a source with what is registered, and repair what differs. */
  grantCompareSource(grantee: ServiceFunction): void {
    this.#grant(grantee, { Query: [SOURCES], BatchGetItem: [DEPLOYMENT, SOURCES] });
    this.grantFollowSource(grantee);
  }

  /** To look through the whole table, alone in that; to leave purge markers and mend the directory. */
  grantReconcile(grantee: ServiceFunction): void {
    // A Scan names no partition: a condition on it would be met by any.
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

  /** @param uses of each action, without `dynamodb:`, the partitions that it names */
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
   * Allows actions on items of some partitions, so that a function that is taken over reaches no others.
   * @param attributes that the actions may name; all where left out
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
