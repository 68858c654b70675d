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

/** The partitions that an action may name, and the attributes if not all. A Scan names no partition, so nothing can limit it. */
type Limits =
  | 'no limits'
  | readonly string[]
  | { readonly partitions: readonly string[]; readonly attributes: readonly string[] };

/**
 * The uses of the table, each with its DynamoDB actions and their limits. A transaction needs the actions of its
 * parts.
 */
const USES = {
  /** To read a token with its key and Deployment. Read-only; introspection does not extend the token. */
  readToken: { BatchGetItem: [DEPLOYMENT] },
  /** To extend a token's expiry. It can't delete items or change attributes that decide about access. */
  extendToken: { UpdateItem: { partitions: [DEPLOYMENT], attributes: CHANGED_BY_CHECK } },
  /** To exchange a key for a token (one read, one write), and to record which of the key's secrets was used. */
  issue: {
    BatchGetItem: [DEPLOYMENT],
    PutItem: [DEPLOYMENT, EVENTS, USED_SUBJECT_TOKEN],
    UpdateItem: [DEPLOYMENT],
  },
  /** To revoke a token at its key's request: one read of the key, one deletion. */
  revoke: { BatchGetItem: [DEPLOYMENT], DeleteItem: [DEPLOYMENT] },
  /** To register, list, change and delete Deployments, with their purge markers and events. */
  manageDeployments: {
    GetItem: [DEPLOYMENT, DIRECTORY, SOURCES],
    Query: [DIRECTORY],
    PutItem: [DEPLOYMENT, DIRECTORY, EVENTS, PURGES],
    UpdateItem: [DEPLOYMENT, DIRECTORY, REJECTED_CALLS],
    DeleteItem: [DEPLOYMENT, DIRECTORY],
  },
  /** To create, list, change and delete keys, with the Deployment's count of keys and the events. */
  manageKeys: {
    GetItem: [DEPLOYMENT],
    Query: [DEPLOYMENT],
    PutItem: [DEPLOYMENT, EVENTS],
    UpdateItem: [DEPLOYMENT, REJECTED_CALLS],
    DeleteItem: [DEPLOYMENT],
  },
  /** To issue, list and revoke temporary tokens. The same transaction checks that the Deployment exists. */
  manageTemporaryTokens: {
    GetItem: [DEPLOYMENT],
    Query: [DEPLOYMENT],
    PutItem: [DEPLOYMENT, EVENTS],
    DeleteItem: [DEPLOYMENT],
    ConditionCheckItem: [DEPLOYMENT],
    UpdateItem: [REJECTED_CALLS],
  },
  /** To list events, and to count a rejected listing. */
  listEvents: { GetItem: [DEPLOYMENT], Query: [EVENTS], UpdateItem: [REJECTED_CALLS] },
  /** To read every key and mark some, with the events; to resume after a time-out; to move rejected calls to the events. */
  sweepKeys: {
    GetItem: [DEPLOYMENT, PASSES],
    Query: [DEPLOYMENT, DIRECTORY, EVENTS, REJECTED_CALLS],
    PutItem: [EVENTS, PASSES],
    UpdateItem: [DEPLOYMENT],
    DeleteItem: [REJECTED_CALLS],
  },
  /** To disable a leaked key or delete a leaked token, with the event. */
  reportLeak: {
    BatchGetItem: [DEPLOYMENT],
    PutItem: [EVENTS],
    UpdateItem: [DEPLOYMENT],
    DeleteItem: [DEPLOYMENT],
  },
  /** To delete the remaining items of a deleted Deployment or key. Only the purge may use BatchWriteItem. */
  purge: {
    GetItem: [DEPLOYMENT],
    Query: [DEPLOYMENT, PURGES],
    BatchWriteItem: [DEPLOYMENT],
    PutItem: [EVENTS],
    UpdateItem: [PURGES],
    DeleteItem: [DIRECTORY, PURGES],
  },
  /** To register, change and delete Deployments from a followed table, with its latest rows, purge markers and events. */
  followSource: {
    GetItem: [DEPLOYMENT, DIRECTORY, SOURCES],
    PutItem: [DEPLOYMENT, DIRECTORY, EVENTS, PURGES, SOURCES],
    UpdateItem: [DEPLOYMENT, DIRECTORY],
    DeleteItem: [DEPLOYMENT, DIRECTORY],
  },
  /** To compare the rows of a followed table with the registered Deployments. Repairs also need `followSource`. */
  compareSource: { Query: [SOURCES], BatchGetItem: [DEPLOYMENT, SOURCES] },
  /** To scan the whole table, write purge markers and repair the directory. Only reconciliation may use Scan. */
  reconcile: {
    Scan: 'no limits',
    GetItem: [DEPLOYMENT, DIRECTORY, PASSES, PURGES],
    BatchGetItem: [DEPLOYMENT, DIRECTORY],
    PutItem: [DIRECTORY, PASSES],
    UpdateItem: [PURGES],
    DeleteItem: [DIRECTORY],
    ConditionCheckItem: [DEPLOYMENT],
  },
} satisfies Record<string, Readonly<Record<string, Limits>>>;

/** A use of the table. */
export type TableUse = keyof typeof USES;

/** The service's table. */
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

  /** Gives a function what a use takes: the table's name, the use's actions, and the table's key. */
  grant(grantee: ServiceFunction, use: TableUse): void {
    grantee.addEnvironment({ [ENV.tableName]: this.tableName });
    for (const { actions, limits } of statementsOf(USES[use])) {
      grantee.allow(actions, this.#arn, conditionsOf(limits));
    }
    if (this.#keyArn !== undefined) grantee.allowKey(KEY_ACTIONS, this.#keyArn);
  }
}

/** Groups the actions that have the same limits. Not by Map.groupBy: Node.js 20, which may run a synthesis, lacks it. */
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

/** The IAM conditions that enforce the limits, so that a compromised function reaches nothing else. */
function conditionsOf(limits: Limits): Record<string, object> | undefined {
  if (limits === 'no limits') return undefined;
  const { partitions, attributes } = 'partitions' in limits ? limits : { partitions: limits };
  return {
    'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': partitions },
    ...(attributes && { 'ForAllValues:StringEquals': { 'dynamodb:Attributes': attributes } }),
  };
}
