import { RemovalPolicy } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import { Construct } from 'constructs';
import * as ENV from '../functions/runtime/env.ts';
import {
  DELETIONS_PARTITION,
  DIRECTORY_PARTITION,
  deploymentPartition,
  eventsPartition,
  groupPartition,
  PASSES_PARTITION,
  PEOPLE_PARTITION,
  PURGES_PARTITION,
  personPartition,
  REJECTED_CALLS_PARTITION,
  SOURCES_PARTITION,
  subjectPartition,
} from '../functions/table/item-keys.ts';
import type { EncryptionKey, ServiceFunction } from './function.ts';
import type { Settings } from './settings.ts';
import type { TableStream } from './stream-reader.ts';

export interface TableProps {
  /** Whether the table outlives the stack and has deletion protection. */
  readonly retain: boolean;
  /** ARN of the customer managed key that encrypts the table. @default the AWS managed key */
  readonly encryptionKey?: string | undefined;
  /** Units per second. @default on demand */
  readonly capacity?: Settings['capacity'];
}

/** Patterns that match partition keys in IAM conditions. */
const DEPLOYMENT = deploymentPartition('*');
const EVENTS = eventsPartition('*');
const GROUP = groupPartition('*');
const PERSON = personPartition('*');
const USED_SUBJECT_TOKEN = subjectPartition('*');

/** The attributes that a check updates: the primary key, the token's expiry and the last use. */
const CHANGED_BY_CHECK = [
  'pk',
  'sk',
  'expiresAt',
  'lastUsedAt',
  'lastUsedAddress',
  'lastUsedClient',
  'activeDays',
];

/** The KMS operations that DynamoDB performs with the table's key on behalf of its callers. */
const KEY_ACTIONS = ['Decrypt', 'DescribeKey', 'Encrypt', 'GenerateDataKey', 'ReEncryptFrom', 'ReEncryptTo'];

/**
 * The partitions that an action is allowed to name, and the attributes if not all of them are allowed. A Scan does not
 * name a partition, so its permission cannot be limited.
 */
type Limits =
  | 'no limits'
  | readonly string[]
  | { readonly partitions: readonly string[]; readonly attributes: readonly string[] };

/**
 * The ways in which functions use the table, each with its DynamoDB actions and their limits. A transaction needs the
 * actions of all its parts.
 */
const USES = {
  /**
   * Reads a token with its key and Deployment, and the record of a temporary token's holder. The access is read-only,
   * because introspection does not extend the token.
   */
  readToken: { BatchGetItem: [DEPLOYMENT, PERSON] },
  /**
   * Extends a token's expiry. Does not allow a function to delete items, or to change attributes on which access
   * depends.
   */
  extendToken: { UpdateItem: { partitions: [DEPLOYMENT], attributes: CHANGED_BY_CHECK } },
  /** Checks whether a signed-in person's access was ended. */
  readPerson: { GetItem: [PERSON] },
  /**
   * Checks that the access of the person who makes a change was not ended. The check is part of the transaction that
   * makes the change.
   */
  checkPerson: { ConditionCheckItem: [PERSON] },
  /** Ends and restores people's access and writes the event. Lists people and the keys that the job has found. */
  managePeople: {
    GetItem: [PERSON],
    BatchGetItem: [PERSON],
    Query: [EVENTS, PEOPLE_PARTITION, PERSON],
    PutItem: [EVENTS, PEOPLE_PARTITION, PERSON],
    UpdateItem: [PERSON],
    ConditionCheckItem: [PERSON],
  },
  /**
   * For the job that follows the end of a person's access: reads all keys, stores, counts and disables the person's keys, and writes the events.
   */
  findKeys: {
    GetItem: [DEPLOYMENT, PERSON],
    Query: [DEPLOYMENT, DIRECTORY_PARTITION, PEOPLE_PARTITION, PERSON],
    PutItem: [EVENTS, PERSON],
    UpdateItem: [DEPLOYMENT, PERSON],
    DeleteItem: [PEOPLE_PARTITION],
  },
  /**
   * Exchanges a key's credentials for a token, with one read and one write, and records which of the key's secrets was
   * used.
   */
  issue: {
    BatchGetItem: [DEPLOYMENT],
    PutItem: [DEPLOYMENT, EVENTS, USED_SUBJECT_TOKEN],
    UpdateItem: [DEPLOYMENT],
  },
  /** Revokes a token at its key's request, with one read of the key and one deletion. */
  revoke: { BatchGetItem: [DEPLOYMENT], DeleteItem: [DEPLOYMENT] },
  /** Registers, lists, changes and deletes Deployments, and writes their purge markers and events. */
  manageDeployments: {
    GetItem: [DEPLOYMENT, DIRECTORY_PARTITION, PASSES_PARTITION, SOURCES_PARTITION],
    Query: [DIRECTORY_PARTITION, GROUP],
    PutItem: [DEPLOYMENT, DIRECTORY_PARTITION, EVENTS, GROUP, PURGES_PARTITION],
    UpdateItem: [DEPLOYMENT, DIRECTORY_PARTITION, REJECTED_CALLS_PARTITION],
    DeleteItem: [DEPLOYMENT, DIRECTORY_PARTITION, GROUP],
  },
  /**
   * Creates, lists, changes and deletes keys, updates the Deployment's count of keys, and lists and revokes the keys'
   * tokens.
   */
  manageKeys: {
    GetItem: [DEPLOYMENT],
    Query: [DEPLOYMENT],
    PutItem: [DEPLOYMENT, EVENTS],
    UpdateItem: [DEPLOYMENT, REJECTED_CALLS_PARTITION],
    DeleteItem: [DEPLOYMENT],
  },
  /**
   * Issues, lists and revokes temporary tokens. The transaction that issues a token also checks that the Deployment
   * exists.
   */
  manageTemporaryTokens: {
    GetItem: [DEPLOYMENT],
    Query: [DEPLOYMENT],
    PutItem: [DEPLOYMENT, EVENTS],
    DeleteItem: [DEPLOYMENT],
    ConditionCheckItem: [DEPLOYMENT],
    UpdateItem: [REJECTED_CALLS_PARTITION],
  },
  /** Lists events, and counts rejected calls that list events. */
  listEvents: { GetItem: [DEPLOYMENT], Query: [EVENTS], UpdateItem: [REJECTED_CALLS_PARTITION] },
  /**
   * Reads every key, marks the reported keys, writes their events, stores the position for the next run, and moves
   * rejected calls to the events.
   */
  sweepKeys: {
    GetItem: [DEPLOYMENT, PASSES_PARTITION],
    Query: [DEPLOYMENT, DIRECTORY_PARTITION, EVENTS, REJECTED_CALLS_PARTITION],
    PutItem: [DIRECTORY_PARTITION, EVENTS, GROUP, PASSES_PARTITION],
    UpdateItem: [DEPLOYMENT],
    DeleteItem: [REJECTED_CALLS_PARTITION],
    ConditionCheckItem: [DEPLOYMENT],
  },
  /** Disables a leaked key or deletes a leaked token, and writes the event. */
  reportLeak: {
    BatchGetItem: [DEPLOYMENT],
    PutItem: [EVENTS],
    UpdateItem: [DEPLOYMENT],
    DeleteItem: [DEPLOYMENT],
  },
  /** Deletes the remaining items of a deleted Deployment or key. Only the purge is allowed to use BatchWriteItem. */
  purge: {
    GetItem: [DEPLOYMENT, DIRECTORY_PARTITION],
    Query: [DEPLOYMENT, PURGES_PARTITION],
    BatchWriteItem: [DEPLOYMENT],
    PutItem: [EVENTS],
    UpdateItem: [PURGES_PARTITION],
    DeleteItem: [DIRECTORY_PARTITION, GROUP, PURGES_PARTITION],
  },
  /**
   * Registers, changes and deletes Deployments from a followed table, and writes its latest rows, the count of
   * deletions, purge markers and events.
   */
  followSource: {
    GetItem: [DELETIONS_PARTITION, DEPLOYMENT, DIRECTORY_PARTITION, SOURCES_PARTITION],
    Query: [SOURCES_PARTITION],
    PutItem: [
      DELETIONS_PARTITION,
      DEPLOYMENT,
      DIRECTORY_PARTITION,
      EVENTS,
      GROUP,
      PURGES_PARTITION,
      SOURCES_PARTITION,
    ],
    UpdateItem: [DEPLOYMENT, DIRECTORY_PARTITION],
    DeleteItem: [DEPLOYMENT, DIRECTORY_PARTITION, GROUP],
  },
  /** Compares the rows of a followed table with the registered Deployments. Repairs also need `followSource`. */
  compareSource: { Query: [SOURCES_PARTITION], BatchGetItem: [DEPLOYMENT, SOURCES_PARTITION] },
  /**
   * Scans the whole table, writes purge markers and repairs the directory. Only reconciliation is allowed to use Scan.
   */
  reconcile: {
    Scan: 'no limits',
    GetItem: [DEPLOYMENT, DIRECTORY_PARTITION, PASSES_PARTITION, PURGES_PARTITION],
    BatchGetItem: [DEPLOYMENT, DIRECTORY_PARTITION, GROUP],
    PutItem: [DIRECTORY_PARTITION, GROUP, PASSES_PARTITION],
    UpdateItem: [PURGES_PARTITION],
    DeleteItem: [DIRECTORY_PARTITION, GROUP],
    ConditionCheckItem: [DEPLOYMENT],
  },
} satisfies Record<string, Readonly<Record<string, Limits>>>;

/** The name of one way in which functions use the table. */
export type TableUse = keyof typeof USES;

/** The service's table. */
export class Table extends Construct {
  readonly tableName: string;
  /** The stream of changes, with old and new images. */
  readonly stream: TableStream;
  readonly #arn: string;
  readonly #key: EncryptionKey | undefined;

  constructor(scope: Construct, id: string, props: TableProps) {
    super(scope, id);
    const table = new dynamodb.TableV2(this, 'Default', {
      partitionKey: { name: 'pk', type: dynamodb.AttributeType.STRING },
      sortKey: { name: 'sk', type: dynamodb.AttributeType.STRING },
      billing: billingOf(props.capacity),
      timeToLiveAttribute: 'expiresAt',
      dynamoStream: dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      encryption: dynamodb.TableEncryptionV2.awsManagedKey(),
      deletionProtection: props.retain,
      // Does not use RETAIN_ON_UPDATE_OR_DELETE. After a failed creation, CloudFormation would then try to delete this
      // resource, and deletion protection would make the rollback end in ROLLBACK_FAILED.
      removalPolicy: props.retain ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    if (props.encryptionKey !== undefined) {
      // Override the property for the encryption key, because the CDK's own property works only if the Region is known
      // during synthesis.
      const { defaultChild } = table.node;
      const sse = { KMSMasterKeyId: props.encryptionKey };
      (defaultChild as dynamodb.CfnGlobalTable).addPropertyOverride('Replicas.0.SSESpecification', sse);
    }
    this.tableName = table.tableName;
    this.#arn = table.tableArn;
    this.#key = props.encryptionKey === undefined ? undefined : { arn: props.encryptionKey, table };
    if (!table.tableStreamArn) throw new Error('The table must have a stream.');
    this.stream = { streamArn: table.tableStreamArn, encryptionKey: this.#key };
  }

  /**
   * Gives a function everything that a use of the table requires: the table's name, permission for the actions, and the
   * table's KMS key.
   */
  grant(grantee: ServiceFunction, use: TableUse): void {
    grantee.addEnvironment({ [ENV.tableName]: this.tableName });
    for (const { actions, limits } of statementsOf(USES[use])) {
      grantee.allow(actions, this.#arn, conditionsOf(limits));
    }
    if (this.#key) grantee.allowKey(KEY_ACTIONS, this.#key);
  }
}

/**
 * Returns how the table is billed. CloudFormation needs the seed capacities to switch a running table between on-demand
 * and provisioned capacity, and to switch it back when such an update is rolled back.
 *
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-dynamodb-globaltable-capacityautoscalingsettings.html
 */
function billingOf(capacity: Settings['capacity']): dynamodb.Billing {
  if (capacity === undefined) return dynamodb.Billing.onDemand();
  const { minRead, maxRead, minWrite, maxWrite, utilization } = capacity;
  const between = (minCapacity: number, maxCapacity: number) =>
    dynamodb.Capacity.autoscaled({
      minCapacity,
      maxCapacity,
      seedCapacity: minCapacity,
      targetUtilizationPercent: utilization,
    });
  return dynamodb.Billing.provisioned({
    readCapacity: between(minRead, maxRead),
    writeCapacity: between(minWrite, maxWrite),
  });
}

/**
 * Groups the actions that have the same limits. Does not use Map.groupBy, because synthesis can run on Node.js 20,
 * which does not have that function.
 */
function statementsOf(use: Readonly<Record<string, Limits>>): { actions: string[]; limits: Limits }[] {
  const statements = new Map<string, { actions: string[]; limits: Limits }>();
  for (const [action, limits] of Object.entries(use)) {
    const key = JSON.stringify(limits);
    const statement = statements.get(key) ?? { actions: [], limits };
    statement.actions.push(`dynamodb:${action}`);
    statements.set(key, statement);
  }
  return [...statements.values()];
}

/** Returns the IAM conditions that enforce the limits, so that a compromised function cannot access anything else. */
function conditionsOf(limits: Limits): Record<string, object> | undefined {
  if (limits === 'no limits') return undefined;
  const { partitions, attributes } = 'partitions' in limits ? limits : { partitions: limits };
  return {
    'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': partitions },
    ...(attributes && { 'ForAllValues:StringEquals': { 'dynamodb:Attributes': attributes } }),
  };
}
