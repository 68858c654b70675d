import { describe, expect, it } from 'vitest';
import { idAt, type Json, resourceAt, templateOf, WITH_ISSUER } from '../support/template.ts';

const template = templateOf(WITH_ISSUER);
const arnOf = (path: string, attribute = 'Arn') => ({ 'Fn::GetAtt': [idAt(template, path), attribute] });
const table = arnOf('Table/Default');

/** What a function's role may do: the actions, the resource and any condition of each statement. */
function permissionsOf(name: string): Json[] {
  const { Properties: properties } = resourceAt(template, `${name}/Role/DefaultPolicy`);
  expect(properties.Roles).toStrictEqual([{ Ref: idAt(template, `${name}/Role`) }]);
  return properties.PolicyDocument.Statement.map(({ Action, Effect, Resource, Condition, ...more }: Json) => {
    expect([Effect, more]).toStrictEqual(['Allow', {}]);
    return [[Action].flat(), Resource, ...(Condition ? [Condition] : [])];
  });
}

const logs = (name: string) => [['logs:CreateLogStream', 'logs:PutLogEvents'], arnOf(`${name}/Logs`)];
const dynamodb = (...actions: string[]) => actions.map((action) => `dynamodb:${action}`);
/** A statement about items in some partitions of the table. */
const items = (actions: string[], ...partitions: string[]) => [
  dynamodb(...actions),
  table,
  { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': partitions } },
];
const DEPLOYMENT = 'DEPLOYMENT#*';
const EVENTS = 'EVENTS#*';

/** Sorts statements, because their order has no meaning. */
const sorted = (statements: Json[]) => statements.map((it) => JSON.stringify(it)).toSorted();
const expectPermissions = (name: string, ...statements: Json[]) =>
  expect(sorted(permissionsOf(name))).toStrictEqual(sorted([logs(name), ...statements]));

describe('the role of a function', () => {
  it.each(['Authorize', 'Whoami'])(
    'lets %s read, and update only the expiry of a token and the last use, never put or delete',
    (name) => {
      const [actions, resource, condition] = items(['UpdateItem'], DEPLOYMENT);
      const attributes = ['pk', 'sk', 'expiresAt', 'lastUsedAt', 'lastUsedAddress', 'lastUsedClient'];
      expectPermissions(name, items(['BatchGetItem'], DEPLOYMENT), [
        actions,
        resource,
        {
          ...(condition as object),
          'ForAllValues:StringEquals': { 'dynamodb:Attributes': attributes },
        },
      ]);
    },
  );

  it('lets IssueToken read, put, and mark a secret as used, never delete', () => {
    expectPermissions(
      'IssueToken',
      items(['BatchGetItem', 'UpdateItem'], DEPLOYMENT),
      items(['PutItem'], DEPLOYMENT, EVENTS, 'SUBJECT#*'),
    );
  });

  it('lets Introspect read', () => {
    expectPermissions('Introspect', items(['BatchGetItem'], DEPLOYMENT));
  });

  it('lets Revoke read and delete one item, never put or update', () => {
    expectPermissions('Revoke', items(['BatchGetItem', 'DeleteItem'], DEPLOYMENT));
  });

  it('lets ListEvents read, and update only the counts of rejected calls', () => {
    expectPermissions(
      'ListEvents',
      items(['GetItem'], DEPLOYMENT),
      items(['Query'], EVENTS),
      items(['UpdateItem'], 'REJECTED_CALLS'),
    );
  });

  it('lets SweepKeys read and mark, and delete only the counts of rejected calls', () => {
    expectPermissions(
      'SweepKeys',
      items(['GetItem'], DEPLOYMENT, 'RECONCILIATION'),
      items(['Query'], DEPLOYMENT, 'DEPLOYMENTS', EVENTS, 'REJECTED_CALLS'),
      items(['PutItem'], EVENTS, 'RECONCILIATION'),
      items(['UpdateItem'], DEPLOYMENT),
      items(['DeleteItem'], 'REJECTED_CALLS'),
    );
  });

  it('gives ReportLeak the single-item actions that its transactions need', () => {
    expectPermissions(
      'ReportLeak',
      items(['BatchGetItem', 'DeleteItem', 'UpdateItem'], DEPLOYMENT),
      items(['PutItem'], EVENTS),
    );
  });

  it('lets PublishEvents read the stream and put events on the bus, and reach no table', () => {
    expect(permissionsOf('PublishEvents')).toStrictEqual([
      logs('PublishEvents'),
      [['events:PutEvents'], arnOf('EventBus/Default')],
      [
        dynamodb('DescribeStream', 'GetRecords', 'GetShardIterator', 'ListStreams'),
        arnOf('Table/Default', 'StreamArn'),
      ],
      [['sqs:SendMessage'], arnOf('EventBus/StreamFailures')],
    ]);
  });

  it('lets Metadata reach no table', () => {
    expect(permissionsOf('Metadata')).toStrictEqual([logs('Metadata')]);
  });

  it('gives ManageDeployments the single-item actions that its transactions need, and Query on the directory', () => {
    expectPermissions(
      'ManageDeployments',
      items(['GetItem'], DEPLOYMENT, 'DEPLOYMENTS', 'SOURCES'),
      items(['Query'], 'DEPLOYMENTS'),
      items(['PutItem'], DEPLOYMENT, 'DEPLOYMENTS', EVENTS, 'PURGES'),
      items(['UpdateItem'], DEPLOYMENT, 'DEPLOYMENTS', 'REJECTED_CALLS'),
      items(['DeleteItem'], DEPLOYMENT, 'DEPLOYMENTS'),
    );
  });

  it('gives ManageKeys the single-item actions that its transactions need, and Query on a Deployment', () => {
    expectPermissions(
      'ManageKeys',
      items(['DeleteItem', 'GetItem', 'Query'], DEPLOYMENT),
      items(['PutItem'], DEPLOYMENT, EVENTS),
      items(['UpdateItem'], DEPLOYMENT, 'REJECTED_CALLS'),
    );
  });

  it('lets ManageTemporaryTokens update only the counts of rejected calls, so it never rewrites a temporary token', () => {
    expectPermissions(
      'ManageTemporaryTokens',
      items(['ConditionCheckItem', 'DeleteItem', 'GetItem', 'Query'], DEPLOYMENT),
      items(['PutItem'], DEPLOYMENT, EVENTS),
      items(['UpdateItem'], 'REJECTED_CALLS'),
    );
  });

  it('lets only Purge delete in bulk, read the stream and use the queues', () => {
    expectPermissions(
      'Purge',
      items(['BatchWriteItem', 'GetItem'], DEPLOYMENT),
      items(['Query'], DEPLOYMENT, 'PURGES'),
      items(['PutItem'], EVENTS),
      items(['UpdateItem'], 'PURGES'),
      items(['DeleteItem'], 'DEPLOYMENTS', 'PURGES'),
      [
        dynamodb('DescribeStream', 'GetRecords', 'GetShardIterator', 'ListStreams'),
        arnOf('Table/Default', 'StreamArn'),
      ],
      [['sqs:SendMessage'], arnOf('PurgeSources/StreamFailures')],
      [
        ['sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ReceiveMessage', 'sqs:SendMessage'],
        arnOf('PurgeSources/Continuations'),
      ],
    );
  });

  it('lets Reconcile read the whole table and delete one directory entry at a time, never in bulk', () => {
    expectPermissions(
      'Reconcile',
      [dynamodb('Scan'), table],
      items(['GetItem'], DEPLOYMENT, 'DEPLOYMENTS', 'RECONCILIATION', 'PURGES'),
      items(['BatchGetItem'], DEPLOYMENT, 'DEPLOYMENTS'),
      items(['PutItem'], 'DEPLOYMENTS', 'RECONCILIATION'),
      items(['UpdateItem'], 'PURGES'),
      items(['DeleteItem'], 'DEPLOYMENTS'),
      items(['ConditionCheckItem'], DEPLOYMENT),
    );
  });

  it('is assumed only by Lambda, has no managed policy and belongs to one function', () => {
    const roles = Object.entries<Json>(template.findResources('AWS::IAM::Role'));
    for (const [, role] of roles) {
      expect(role.Properties).toStrictEqual({
        AssumeRolePolicyDocument: {
          Version: '2012-10-17',
          Statement: [
            { Action: 'sts:AssumeRole', Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' } },
          ],
        },
      });
    }
    const used = Object.values<Json>(template.findResources('AWS::Lambda::Function')).map(
      (resource) => resource.Properties.Role['Fn::GetAtt'][0],
    );
    expect(used.toSorted()).toStrictEqual(roles.map(([id]) => id).toSorted());
  });
});

/** Wildcards that remain, each with its reason. */
const ACCEPTED = [
  {
    reason: 'A Deny of every call that is not over TLS, by anyone, takes away and gives nothing.',
    statement: {
      Effect: 'Deny',
      Action: 'sqs:*',
      Principal: { AWS: '*' },
      Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      Resource: { 'Fn::GetAtt': [expect.any(String), 'Arn'] },
    },
  },
];

const LEADING_KEYS = ['ForAllValues:StringLike', 'dynamodb:LeadingKeys'] as const;

/** The partition patterns of a statement on the table, or none if it has no such condition. */
function partitionsOf({ Condition }: Json): string[] {
  const [operator, key] = LEADING_KEYS;
  return [Condition?.[operator]?.[key] ?? []].flat();
}

/**
 * The wildcard at the end of a partition pattern stands for Deployment IDs or hashes, which are not known in
 * advance.
 */
const withoutPartitions = ({ Condition, ...statement }: Json): Json =>
  partitionsOf({ Condition }).every((it) => /^[A-Z_]+(#\*)?$/.test(it))
    ? { ...statement, Condition: { ...Condition, [LEADING_KEYS[0]]: undefined } }
    : { ...statement, Condition };

/** Every policy statement in a template. */
function statementsIn(node: Json): Json[] {
  if (typeof node !== 'object' || node === null) return [];
  const nested = Object.values(node).flatMap(statementsIn);
  return 'Effect' in node ? [node, ...nested] : nested;
}

const hasWildcard = (statement: Json) => JSON.stringify(withoutPartitions(statement)).includes('*');

function isAccepted(statement: Json): boolean {
  return ACCEPTED.some((accepted) => {
    try {
      expect(statement).toStrictEqual(accepted.statement);
      return true;
    } catch {
      return false;
    }
  });
}

const everyKindOfStack = [
  {},
  WITH_ISSUER,
  { stage: 'production' },
  { ...WITH_ISSUER, stage: 'production', maxTokenLifetime: 2_592_000 },
];

describe('a policy statement', () => {
  it.each(everyKindOfStack)('has a documented reason for every wildcard: %j', (context) => {
    const statements = statementsIn(templateOf(context).toJSON().Resources);
    expect(statements.length).toBeGreaterThan(10);
    const unexplained = statements.filter((statement) => hasWildcard(statement) && !isAccepted(statement));
    expect(unexplained).toStrictEqual([]);
  });

  it.each(everyKindOfStack)(
    'names the partitions of the table that it applies to, except for the one that scans: %j',
    (context) => {
      const ofTable = statementsIn(templateOf(context).toJSON().Resources).filter((statement) =>
        [statement.Action].flat().some((action) => /^dynamodb:.*(Item|Query|Scan)$/.test(String(action))),
      );
      expect(ofTable.length).toBeGreaterThan(20);
      const unbounded = ofTable.filter((statement) => partitionsOf(statement).length === 0);
      expect(unbounded.map(({ Action }) => Action)).toStrictEqual(['dynamodb:Scan']);
      // On AWS a condition with ForAllValues is also met by a call that names no partition.
      const scanning = ofTable.filter(({ Action }) => [Action].flat().includes('dynamodb:Scan'));
      expect(scanning).toStrictEqual(unbounded);
    },
  );

  it('never uses NotAction, NotResource or NotPrincipal', () => {
    const turned = statementsIn(template.toJSON().Resources).filter((statement) =>
      Object.keys(statement).some((key) => key.startsWith('Not')),
    );
    expect(turned).toStrictEqual([]);
  });
});
