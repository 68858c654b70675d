import { describe, expect, it } from 'vitest';
import { idAt, type Json, resourceAt, templateOf, WITH_ISSUER } from '../support/template.ts';

const template = templateOf(WITH_ISSUER);
const arnOf = (path: string, attribute = 'Arn') => ({ 'Fn::GetAtt': [idAt(template, path), attribute] });
const table = arnOf('Table/Default');

/** Returns the permissions of a function's role: the actions, the resource and any condition of each statement. */
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
/** A policy statement that is limited to some partitions of the table. */
const items = (actions: string[], ...partitions: string[]) => [
  dynamodb(...actions),
  table,
  { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': partitions } },
];
const DEPLOYMENT = 'DEPLOYMENT#*';
const EVENTS = 'EVENTS#*';
const GROUP = 'GROUP#*';
const PERSON = 'PERSON#*';

/** Sorts policy statements, because their order has no meaning. */
const sorted = (statements: Json[]) => statements.map((it) => JSON.stringify(it)).toSorted();
const expectPermissions = (name: string, ...statements: Json[]) =>
  expect(sorted(permissionsOf(name))).toStrictEqual(sorted([logs(name), ...statements]));

describe("A function's role allows only what the function needs", () => {
  it.each(['Authorize', 'Whoami'])(
    "the %s function's role can read, and can update only a token's expiry and the time of last use",
    (name) => {
      const [actions, resource, condition] = items(['UpdateItem'], DEPLOYMENT);
      const attributes = [
        'pk',
        'sk',
        'expiresAt',
        'lastUsedAt',
        'lastUsedAddress',
        'lastUsedClient',
        'activeDays',
      ];
      expectPermissions(name, items(['BatchGetItem'], DEPLOYMENT, PERSON), [
        actions,
        resource,
        {
          ...(condition as object),
          'ForAllValues:StringEquals': { 'dynamodb:Attributes': attributes },
        },
      ]);
    },
  );

  it("the IssueToken function's role can read, create tokens and mark a secret as used, but cannot delete", () => {
    expectPermissions(
      'IssueToken',
      items(['BatchGetItem', 'UpdateItem'], DEPLOYMENT),
      items(['PutItem'], DEPLOYMENT, EVENTS, 'SUBJECT#*'),
    );
  });

  it("the Introspect function's role can only read", () => {
    expectPermissions('Introspect', items(['BatchGetItem'], DEPLOYMENT, PERSON));
  });

  it("the Revoke function's role can read and delete single items, but cannot put or update", () => {
    expectPermissions('Revoke', items(['BatchGetItem', 'DeleteItem'], DEPLOYMENT));
  });

  it("the ListEvents function's role can read, and can update only the counts of rejected calls", () => {
    expectPermissions(
      'ListEvents',
      items(['GetItem'], PERSON),
      items(['GetItem'], DEPLOYMENT),
      items(['Query'], EVENTS),
      items(['UpdateItem'], 'REJECTED_CALLS'),
    );
  });

  it("the SweepKeys function's role can mark keys, and can delete only the counts of rejected calls", () => {
    expectPermissions(
      'SweepKeys',
      items(['GetItem'], DEPLOYMENT, 'RECONCILIATION'),
      items(['Query'], DEPLOYMENT, 'DEPLOYMENTS', EVENTS, 'REJECTED_CALLS'),
      items(['PutItem'], 'DEPLOYMENTS', EVENTS, GROUP, 'RECONCILIATION'),
      items(['ConditionCheckItem', 'UpdateItem'], DEPLOYMENT),
      items(['DeleteItem'], 'REJECTED_CALLS'),
    );
  });

  it("the ReportLeak function's role has only the single-item actions that its transactions need", () => {
    expectPermissions(
      'ReportLeak',
      items(['BatchGetItem', 'DeleteItem', 'UpdateItem'], DEPLOYMENT),
      items(['PutItem'], EVENTS),
    );
  });

  it("the PublishEvents function's role can read the stream and put events on the bus, but cannot access a table", () => {
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

  it.each(['Metadata', 'Reference'])("the %s function's role cannot access any table", (name) => {
    expect(permissionsOf(name)).toStrictEqual([logs(name)]);
  });

  it("the ManageDeployments function's role has the single-item actions that its transactions need, and Query on the directory", () => {
    expectPermissions(
      'ManageDeployments',
      items(['GetItem'], PERSON),
      items(['GetItem'], DEPLOYMENT, 'DEPLOYMENTS', 'RECONCILIATION', 'SOURCES'),
      items(['Query'], 'DEPLOYMENTS', GROUP),
      items(['PutItem'], DEPLOYMENT, 'DEPLOYMENTS', EVENTS, GROUP, 'PURGES'),
      items(['UpdateItem'], DEPLOYMENT, 'DEPLOYMENTS', 'REJECTED_CALLS'),
      items(['DeleteItem'], DEPLOYMENT, 'DEPLOYMENTS', GROUP),
    );
  });

  it("the ManageKeys function's role has the single-item actions that its transactions need, and Query on a Deployment", () => {
    expectPermissions(
      'ManageKeys',
      items(['ConditionCheckItem', 'GetItem'], PERSON),
      items(['DeleteItem', 'GetItem', 'Query'], DEPLOYMENT),
      items(['PutItem'], DEPLOYMENT, EVENTS),
      items(['UpdateItem'], DEPLOYMENT, 'REJECTED_CALLS'),
    );
  });

  it("the ManageTemporaryTokens function's role can update only the counts of rejected calls, and cannot update a temporary token", () => {
    expectPermissions(
      'ManageTemporaryTokens',
      items(['ConditionCheckItem', 'GetItem'], PERSON),
      items(['ConditionCheckItem', 'DeleteItem', 'GetItem', 'Query'], DEPLOYMENT),
      items(['PutItem'], DEPLOYMENT, EVENTS),
      items(['UpdateItem'], 'REJECTED_CALLS'),
    );
  });

  it("the ManagePeople function's role can change only the records of people, and can start the job that ends their access", () => {
    expectPermissions(
      'ManagePeople',
      items(['BatchGetItem', 'ConditionCheckItem', 'GetItem', 'UpdateItem'], PERSON),
      items(['PutItem', 'Query'], EVENTS, 'PEOPLE', PERSON),
      [['sqs:SendMessage'], arnOf('PeopleJob/Queue')],
    );
  });

  it("the EndAccess function's role can read all keys, update keys and the records of people, and use the queue", () => {
    expectPermissions(
      'EndAccess',
      items(['GetItem', 'UpdateItem'], DEPLOYMENT, PERSON),
      items(['Query'], DEPLOYMENT, 'DEPLOYMENTS', 'PEOPLE', PERSON),
      items(['PutItem'], EVENTS, PERSON),
      items(['DeleteItem'], 'PEOPLE'),
      [
        ['sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ReceiveMessage', 'sqs:SendMessage'],
        arnOf('PeopleJob/Queue'),
      ],
    );
  });

  it("the EndAccess function's role can sign users out of the stack's own user pool, but cannot do anything else with the pool", () => {
    const own = templateOf({});
    const { Properties: properties } = resourceAt(own, 'EndAccess/Role/DefaultPolicy');
    const statements = properties.PolicyDocument.Statement.filter(({ Action }: Json) =>
      JSON.stringify(Action).includes('cognito'),
    );
    expect(statements).toStrictEqual([
      {
        Action: 'cognito-idp:AdminUserGlobalSignOut',
        Effect: 'Allow',
        Resource: { 'Fn::GetAtt': [idAt(own, 'People/Default'), 'Arn'] },
      },
    ]);
  });

  it("only the Purge function's role can delete in bulk, read the stream and use the queues", () => {
    expectPermissions(
      'Purge',
      items(['GetItem'], DEPLOYMENT, 'DEPLOYMENTS'),
      items(['Query'], DEPLOYMENT, 'PURGES'),
      items(['BatchWriteItem'], DEPLOYMENT),
      items(['PutItem'], EVENTS),
      items(['UpdateItem'], 'PURGES'),
      items(['DeleteItem'], 'DEPLOYMENTS', GROUP, 'PURGES'),
      [
        dynamodb('DescribeStream', 'GetRecords', 'GetShardIterator', 'ListStreams'),
        arnOf('Table/Default', 'StreamArn'),
      ],
      [['sqs:SendMessage'], [arnOf('PurgeSources/Continuations'), arnOf('PurgeSources/StreamFailures')]],
      [
        ['sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ReceiveMessage'],
        arnOf('PurgeSources/Continuations'),
      ],
    );
  });

  it("the Reconcile function's role can read the whole table, but can delete only one directory entry at a time", () => {
    expectPermissions(
      'Reconcile',
      [dynamodb('Scan'), table],
      items(['GetItem'], DEPLOYMENT, 'DEPLOYMENTS', 'RECONCILIATION', 'PURGES'),
      items(['BatchGetItem'], DEPLOYMENT, 'DEPLOYMENTS', GROUP),
      items(['PutItem'], 'DEPLOYMENTS', GROUP, 'RECONCILIATION'),
      items(['UpdateItem'], 'PURGES'),
      items(['DeleteItem'], 'DEPLOYMENTS', GROUP),
      items(['ConditionCheckItem'], DEPLOYMENT),
    );
  });

  it('each role belongs to one function, has no managed policy and can be assumed only by Lambda', () => {
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

/** Policy statements with a wildcard, each with the reason. */
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

/**
 * Returns the partition patterns of a statement on the table, or an empty list if the statement is not limited to
 * partitions.
 */
function partitionsOf({ Condition }: Json): string[] {
  const [operator, key] = LEADING_KEYS;
  return [Condition?.[operator]?.[key] ?? []].flat();
}

/** A wildcard at the end of a partition pattern stands for Deployment IDs or hashes, which are not known in advance. */
const withoutPartitions = ({ Condition, ...statement }: Json): Json =>
  partitionsOf({ Condition }).every((it) => /^[A-Z_]+(#\*)?$/.test(it))
    ? { ...statement, Condition: { ...Condition, [LEADING_KEYS[0]]: undefined } }
    : { ...statement, Condition };

/** Returns every policy statement in a template. */
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

describe('Policy statements are as narrow as possible', () => {
  it.each(everyKindOfStack)(
    'a policy statement has a documented reason for every wildcard: %j',
    (context) => {
      const statements = statementsIn(templateOf(context).toJSON().Resources);
      expect(statements.length).toBeGreaterThan(10);
      const unexplained = statements.filter((statement) => hasWildcard(statement) && !isAccepted(statement));
      expect(unexplained).toStrictEqual([]);
    },
  );

  it.each(everyKindOfStack)(
    'a policy statement names the partitions of the table that it allows, unless it allows Scan: %j',
    (context) => {
      const ofTable = statementsIn(templateOf(context).toJSON().Resources).filter((statement) =>
        [statement.Action].flat().some((action) => /^dynamodb:.*(Item|Query|Scan)$/.test(String(action))),
      );
      expect(ofTable.length).toBeGreaterThan(20);
      const unbounded = ofTable.filter((statement) => partitionsOf(statement).length === 0);
      expect(unbounded.map(({ Action }) => Action)).toStrictEqual(['dynamodb:Scan']);
      // On AWS, a condition with ForAllValues is also satisfied by a call that names no partition.
      const scanning = ofTable.filter(({ Action }) => [Action].flat().includes('dynamodb:Scan'));
      expect(scanning).toStrictEqual(unbounded);
    },
  );

  it('no policy statement uses NotAction, NotResource or NotPrincipal', () => {
    const turned = statementsIn(template.toJSON().Resources).filter((statement) =>
      Object.keys(statement).some((key) => key.startsWith('Not')),
    );
    expect(turned).toStrictEqual([]);
  });
});
