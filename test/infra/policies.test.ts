import { describe, expect, it } from 'vitest';
import { idAt, type Json, resourceAt, templateOf, WITH_ISSUER } from '../support/template.ts';

const template = templateOf(WITH_ISSUER);
const arnOf = (path: string, attribute = 'Arn') => ({ 'Fn::GetAtt': [idAt(template, path), attribute] });
const table = arnOf('Table/Default');

/** What the role of a function may do: actions, resource and, where there is one, condition of each statement. */
function permissionsOf(name: string): Json[] {
  const { Properties: properties } = resourceAt(template, `${name}/Role/DefaultPolicy`);
  expect(properties.Roles).toStrictEqual([{ Ref: idAt(template, `${name}/Role`) }]);
  return properties.PolicyDocument.Statement.map(({ Action, Effect, Resource, Condition, ...more }: Json) => {
    expect([Effect, more]).toStrictEqual(['Allow', {}]);
    return [[Action].flat(), Resource, ...(Condition ? [Condition] : [])];
  });
}

const logs = (name: string) => [['logs:CreateLogStream', 'logs:PutLogEvents'], arnOf(`${name}/Logs`)];
/** Only items that count rejected calls. */
const rejectedCalls = { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': ['REJECTED_CALLS'] } };
const dynamodb = (...actions: string[]) => actions.map((action) => `dynamodb:${action}`);

describe('a role', () => {
  it.each(['Authorize', 'Whoami'])('of %s can read and update, never put or delete', (name) => {
    expect(permissionsOf(name)).toStrictEqual([logs(name), [dynamodb('BatchGetItem', 'UpdateItem'), table]]);
  });

  it('of IssueToken can read, put, and mark a secret as used, never delete', () => {
    expect(permissionsOf('IssueToken')).toStrictEqual([
      logs('IssueToken'),
      [dynamodb('BatchGetItem', 'PutItem', 'UpdateItem'), table],
    ]);
  });

  it('of Introspect can read', () => {
    expect(permissionsOf('Introspect')).toStrictEqual([
      logs('Introspect'),
      [dynamodb('BatchGetItem'), table],
    ]);
  });

  it('of Revoke can read and delete one item, never put or update', () => {
    expect(permissionsOf('Revoke')).toStrictEqual([
      logs('Revoke'),
      [dynamodb('BatchGetItem', 'DeleteItem'), table],
    ]);
  });

  it('of ListEvents can read, and only update the counts of rejected calls', () => {
    expect(permissionsOf('ListEvents')).toStrictEqual([
      logs('ListEvents'),
      [dynamodb('GetItem', 'Query'), table],
      [dynamodb('UpdateItem'), table, rejectedCalls],
    ]);
  });

  it('of SweepKeys can read and mark, and only delete the counts of rejected calls', () => {
    expect(permissionsOf('SweepKeys')).toStrictEqual([
      logs('SweepKeys'),
      [dynamodb('GetItem', 'PutItem', 'Query', 'UpdateItem'), table],
      [dynamodb('DeleteItem'), table, rejectedCalls],
    ]);
  });

  it('of ReportLeak has the single-item calls of which its transactions are made', () => {
    expect(permissionsOf('ReportLeak')).toStrictEqual([
      logs('ReportLeak'),
      [dynamodb('BatchGetItem', 'DeleteItem', 'PutItem', 'UpdateItem'), table],
    ]);
  });

  it('of PublishEvents reads the stream and puts events on the bus, and reaches no table', () => {
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

  it('of Metadata reaches no table', () => {
    expect(permissionsOf('Metadata')).toStrictEqual([logs('Metadata')]);
  });

  it.each(['ManageDeployments', 'ManageKeys'])(
    'of %s has the single-item calls of which its transactions are made, and Query',
    (name) => {
      expect(permissionsOf(name)).toStrictEqual([
        logs(name),
        [dynamodb('DeleteItem', 'GetItem', 'PutItem', 'Query', 'UpdateItem'), table],
      ]);
    },
  );

  it('of ManageTemporaryTokens can only update the counts of rejected calls: no temporary token is written again', () => {
    expect(permissionsOf('ManageTemporaryTokens')).toStrictEqual([
      logs('ManageTemporaryTokens'),
      [dynamodb('ConditionCheckItem', 'DeleteItem', 'GetItem', 'PutItem', 'Query'), table],
      [dynamodb('UpdateItem'), table, rejectedCalls],
    ]);
  });

  it('of Purge, and of no other function, deletes in bulk, reads the stream and uses the queues', () => {
    expect(permissionsOf('Purge')).toStrictEqual([
      logs('Purge'),
      [dynamodb('BatchWriteItem', 'DeleteItem', 'GetItem', 'PutItem', 'Query', 'UpdateItem'), table],
      [
        dynamodb('DescribeStream', 'GetRecords', 'GetShardIterator', 'ListStreams'),
        arnOf('Table/Default', 'StreamArn'),
      ],
      [['sqs:SendMessage'], arnOf('PurgeSources/StreamFailures')],
      [
        ['sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ReceiveMessage', 'sqs:SendMessage'],
        arnOf('PurgeSources/Continuations'),
      ],
    ]);
  });

  it('of Reconcile reads all of the table, and can delete one item at a time, never in bulk', () => {
    const reads = ['BatchGetItem', 'ConditionCheckItem', 'DeleteItem', 'GetItem', 'PutItem', 'Scan'];
    expect(permissionsOf('Reconcile')).toStrictEqual([
      logs('Reconcile'),
      [dynamodb(...reads, 'UpdateItem'), table],
    ]);
  });

  it('is assumed by Lambda alone, has no managed policy, and belongs to one function', () => {
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

/** Wildcards that stay, each with its reason. */
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

/** Every policy statement in a template, wherever it stands. */
function statementsIn(node: Json): Json[] {
  if (typeof node !== 'object' || node === null) return [];
  const nested = Object.values(node).flatMap(statementsIn);
  return 'Effect' in node ? [node, ...nested] : nested;
}

const hasWildcard = (statement: Json) => JSON.stringify(statement).includes('*');

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
  it.each(everyKindOfStack)('with a wildcard is one of those that have a reason: %j', (context) => {
    const statements = statementsIn(templateOf(context).toJSON().Resources);
    expect(statements.length).toBeGreaterThan(10);
    const unexplained = statements.filter((statement) => hasWildcard(statement) && !isAccepted(statement));
    expect(unexplained).toStrictEqual([]);
  });

  it('does not turn its meaning around by NotAction, NotResource or NotPrincipal', () => {
    const turned = statementsIn(template.toJSON().Resources).filter((statement) =>
      Object.keys(statement).some((key) => key.startsWith('Not')),
    );
    expect(turned).toStrictEqual([]);
  });
});
