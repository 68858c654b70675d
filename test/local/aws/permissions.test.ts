import { describe, expect, it } from 'vitest';
import { matches, Permissions } from '../../../local/aws/iam.ts';
import { startLocalStack } from '../../../local/local-stack.ts';
import type { CfnTemplate } from '../../../local/template.ts';
import { allow, arnOf, CALLS_AWS, Fixture, readsStream, ref } from '../../support/fixture.ts';
import { runStack } from '../../support/stack.ts';

const CALLER = `${CALLS_AWS}
exports.handler = ({ target, input }) =>
  call(target, JSON.parse(JSON.stringify(input).replaceAll('$TABLE', process.env.TABLE_NAME)
    .replaceAll('$QUEUE', process.env.QUEUE_URL)));`;

const fixture = new Fixture()
  .add('Queue', 'AWS::SQS::Queue', {})
  .function('Reader', CALLER, {
    statements: [allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem'])],
    environment: { QUEUE_URL: ref('Queue') },
  })
  .function('Writer', CALLER, {
    statements: [
      allow(['dynamodb:*Item']),
      { Effect: 'Deny', Action: 'dynamodb:DeleteItem', Resource: '*' },
      allow(['sqs:SendMessage'], arnOf('Queue')),
    ],
    environment: { QUEUE_URL: ref('Queue') },
  })
  .function('Counter', CALLER, {
    statements: [
      {
        ...allow(['dynamodb:UpdateItem', 'dynamodb:Query']),
        Condition: { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': ['COUNTS', 'SUMS'] } },
      },
    ],
    environment: { QUEUE_URL: ref('Queue') },
  });
fixture.function('Bounded', CALLER, {
  statements: [
    {
      ...allow(
        ['GetItem', 'PutItem', 'DeleteItem', 'BatchGetItem', 'BatchWriteItem', 'Query', 'Scan'].map(
          (action) => `dynamodb:${action}`,
        ),
      ),
      Condition: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['THING#*'] } },
    },
    {
      ...allow(['dynamodb:UpdateItem']),
      Condition: {
        'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['THING#*'] },
        'ForAllValues:StringEquals': { 'dynamodb:Attributes': ['pk', 'sk', 'seenAt', 'state', 'nothing'] },
      },
    },
  ],
  environment: { QUEUE_URL: ref('Queue') },
});
fixture.function('Stranger', `process.env.AWS_ACCESS_KEY_ID = 'AKIAIOSFODNN7EXAMPLE';${CALLER}`, {
  statements: [allow(['dynamodb:*'])],
});
const stack = await runStack({ synthesise: fixture.synthesise });

const key = { pk: { S: 'a' }, sk: { S: 'b' } };
const ddb = (name: string, operation: string, input: object) =>
  stack.invoke<{ status: number; body: { __type?: string; message?: string } }>(name, {
    target: `DynamoDB_20120810.${operation}`,
    input,
  });

describe('An emulated call to DynamoDB requires permissions', () => {
  it('a DynamoDB call is allowed if the role allows the action on the table', async () => {
    expect(await ddb('reader', 'GetItem', { TableName: '$TABLE', Key: key })).toEqual({
      status: 200,
      body: {},
    });
  });

  it("a DynamoDB call that no statement allows is denied with AWS's message", async () => {
    const { status, body } = await ddb('reader', 'PutItem', { TableName: '$TABLE', Item: key });
    expect(status).toBe(400);
    expect(body.__type).toBe('com.amazon.coral.service#AccessDeniedException');
    expect(body.message).toMatch(
      new RegExp(
        '^User: arn:aws:sts::000000000000:assumed-role/fixture-ReaderRole-\\w+/fixture-Reader-\\w+ is not authorized ' +
          `to perform: dynamodb:PutItem on resource: arn:aws:dynamodb:us-east-1:000000000000:table/${stack.table.name} ` +
          'because no identity-based policy allows the dynamodb:PutItem action$',
      ),
    );
  });

  it('a DynamoDB call is denied if one statement allows the call and another statement denies it', async () => {
    expect(await ddb('writer', 'PutItem', { TableName: '$TABLE', Item: key })).toMatchObject({ status: 200 });
    const { status, body } = await ddb('writer', 'DeleteItem', { TableName: '$TABLE', Key: key });
    expect(status).toBe(400);
    expect(body.message).toMatch(/with an explicit deny in an identity-based policy$/);
  });

  it('a DynamoDB call on a table that the role does not name is denied', async () => {
    const { body } = await ddb('reader', 'GetItem', { TableName: 'another', Key: key });
    expect(body.message).toContain(
      'dynamodb:GetItem on resource: arn:aws:dynamodb:us-east-1:000000000000:table/another',
    );
  });

  it('a DynamoDB call on an index needs permission for the index, not for the table', async () => {
    const { body } = await ddb('reader', 'Query', { TableName: '$TABLE', IndexName: 'i' });
    expect(body.message).toContain(
      `dynamodb:Query on resource: arn:aws:dynamodb:us-east-1:000000000000:table/${stack.table.name}/index/i`,
    );
  });

  it('a condition on dynamodb:LeadingKeys allows a DynamoDB call only in the named partitions', async () => {
    const update = (pk: string) => ({
      TableName: '$TABLE',
      Key: { pk: { S: pk }, sk: { S: 'b' } },
      UpdateExpression: 'SET a = sk',
    });
    for (const pk of ['COUNTS', 'SUMS']) {
      expect(await ddb('counter', 'UpdateItem', update(pk))).toMatchObject({ status: 200 });
    }
    for (const pk of ['OTHERS', 'COUNTS#1', 'counts']) {
      const { status, body } = await ddb('counter', 'UpdateItem', update(pk));
      expect([status, body.message]).toEqual([400, expect.stringContaining('dynamodb:UpdateItem')]);
    }
    const parts = ['COUNTS', 'OTHERS'].map((pk) => ({ Update: update(pk) }));
    const transaction = (TransactItems: object[]) => ddb('counter', 'TransactWriteItems', { TransactItems });
    expect(await transaction(parts.slice(0, 1))).toMatchObject({ status: 200 });
    expect(await transaction(parts)).toMatchObject({ status: 400 });
  });

  it('a condition on dynamodb:LeadingKeys can contain patterns for partitions', async () => {
    const named = (pk: string) => ({ pk: { S: pk }, sk: { S: 'b' } });
    const calls: [string, (pk: string) => object][] = [
      ['GetItem', (pk) => ({ TableName: '$TABLE', Key: named(pk) })],
      ['PutItem', (pk) => ({ TableName: '$TABLE', Item: named(pk) })],
      ['DeleteItem', (pk) => ({ TableName: '$TABLE', Key: named(pk) })],
      ['BatchGetItem', (pk) => ({ RequestItems: { $TABLE: { Keys: [named('THING#1'), named(pk)] } } })],
      [
        'BatchWriteItem',
        (pk) => ({
          RequestItems: {
            $TABLE: [{ PutRequest: { Item: named('THING#1') } }, { DeleteRequest: { Key: named(pk) } }],
          },
        }),
      ],
      [
        'Query',
        (pk) => ({
          TableName: '$TABLE',
          KeyConditionExpression: 'pk = :pk AND begins_with(sk, :sk)',
          ExpressionAttributeValues: { ':pk': { S: pk }, ':sk': { S: 'x' } },
        }),
      ],
    ];
    for (const [operation, input] of calls) {
      expect(await ddb('bounded', operation, input('THING#2')), operation).toMatchObject({ status: 200 });
      for (const pk of ['OTHER#1', 'THING', 'thing#1', 'xTHING#1']) {
        const { status, body } = await ddb('bounded', operation, input(pk));
        expect([status, body.message]).toEqual([400, expect.stringContaining(`dynamodb:${operation} on`)]);
      }
    }
    // A Scan names no partition, so the condition does not allow it.
    expect(await ddb('bounded', 'Scan', { TableName: '$TABLE' })).toMatchObject({ status: 400 });
  });

  it('a condition on dynamodb:Attributes allows a DynamoDB call only for the named attributes', async () => {
    const update = (more: object) =>
      ddb('bounded', 'UpdateItem', {
        TableName: '$TABLE',
        Key: { pk: { S: 'THING#1' }, sk: { S: 'b' } },
        ...more,
      });
    const at = { ':at': { N: '1' } };
    const allowed = [
      { UpdateExpression: 'SET seenAt = :at', ExpressionAttributeValues: at },
      {
        UpdateExpression: 'SET #s = :at REMOVE state.part[0].secret',
        ConditionExpression: 'attribute_not_exists(nothing) OR seenAt <= :at AND size(sk) > :at',
        ExpressionAttributeNames: { '#s': 'seenAt' },
        ExpressionAttributeValues: at,
      },
    ];
    for (const more of allowed) {
      const { body } = await update(more);
      expect(body.message ?? '').not.toContain('not authorized');
    }
    const denied = [
      { UpdateExpression: 'SET secret = :at', ExpressionAttributeValues: at },
      {
        UpdateExpression: 'SET seenAt = :at, #s = :at',
        ExpressionAttributeNames: { '#s': 'secret' },
        ExpressionAttributeValues: at,
      },
      { UpdateExpression: 'SET seenAt = secret' },
      { UpdateExpression: 'ADD secret.part :at', ExpressionAttributeValues: at },
      { UpdateExpression: 'REMOVE seenAt, secret[0]' },
      { UpdateExpression: 'SET seenAt = if_not_exists(secret, :at)', ExpressionAttributeValues: at },
      {
        UpdateExpression: 'SET seenAt = :at',
        ConditionExpression: 'attribute_exists(secret)',
        ExpressionAttributeValues: at,
      },
    ];
    for (const more of denied) {
      expect((await update(more)).body.message, JSON.stringify(more)).toContain(
        'not authorized to perform: dynamodb:UpdateItem on',
      );
    }
  });

  it('a DynamoDB call whose access key belongs to no function is denied', async () => {
    const { status, body } = await ddb('stranger', 'GetItem', { TableName: '$TABLE', Key: key });
    expect(status).toBe(400);
    expect(body.__type).toBe('com.amazon.coral.service#UnrecognizedClientException');
  });
});

describe('An emulated transaction requires permission for each of its parts', () => {
  const item = (part: string, more: object = {}) => ({ [part]: { TableName: '$TABLE', ...more } });

  it.each([
    ['Put', 'PutItem', { Item: key }],
    ['Update', 'UpdateItem', { Key: key, UpdateExpression: 'SET a = pk' }],
    ['Delete', 'DeleteItem', { Key: key }],
    ['ConditionCheck', 'ConditionCheckItem', { Key: key, ConditionExpression: 'attribute_exists(pk)' }],
  ])('an emulated transaction with a %s needs permission for dynamodb:%s', async (part, action, more) => {
    const { body } = await ddb('reader', 'TransactWriteItems', { TransactItems: [item(part, more)] });
    expect(body.message).toContain(`not authorized to perform: dynamodb:${action} on`);
  });

  it('a transaction is denied as a whole if one of its parts is denied', async () => {
    const other = { pk: { S: 'x' }, sk: { S: 'y' } };
    const TransactItems = [item('Put', { Item: other }), item('Delete', { Key: key })];
    expect((await ddb('writer', 'TransactWriteItems', { TransactItems })).body.message).toContain(
      'DeleteItem',
    );
    expect(await ddb('reader', 'GetItem', { TableName: '$TABLE', Key: other })).toEqual({
      status: 200,
      body: {},
    });
  });

  it('a transaction that reads an item needs dynamodb:GetItem', async () => {
    const TransactItems = [item('Get', { Key: key })];
    expect(await ddb('reader', 'TransactGetItems', { TransactItems })).toMatchObject({ status: 200 });
  });
});

describe('An emulated batch requires permission for each of its tables', () => {
  it('a batch needs permission for its action on each of its tables', async () => {
    const read = { RequestItems: { $TABLE: { Keys: [key] } } };
    expect(await ddb('reader', 'BatchGetItem', read)).toMatchObject({ status: 200 });
    const both = { RequestItems: { ...read.RequestItems, another: { Keys: [key] } } };
    expect((await ddb('reader', 'BatchGetItem', both)).body.message).toContain('table/another');
    const write = { RequestItems: { $TABLE: [{ PutRequest: { Item: key } }] } };
    expect((await ddb('reader', 'BatchWriteItem', write)).body.message).toContain('dynamodb:BatchWriteItem');
  });
});

describe('An emulated call to SQS requires permissions', () => {
  const send = (name: string) =>
    stack.invoke<{ status: number; body: { message?: string } }>(name, {
      target: 'AmazonSQS.SendMessage',
      input: { QueueUrl: '$QUEUE', MessageBody: 'hello' },
    });

  it('calls to SQS are allowed or denied in the same way as calls to DynamoDB', async () => {
    expect(await send('writer')).toMatchObject({ status: 200 });
    expect(stack.queue('Queue').messages.map((message) => message.body)).toEqual(['hello']);
    const refused = await send('reader');
    expect(refused.body.message).toContain(
      'sqs:SendMessage on resource: arn:aws:sqs:us-east-1:000000000000:',
    );
    expect(stack.queue('Queue').messages).toHaveLength(1);
  });
});

describe('The emulator counts calls to AWS', () => {
  it('calls are counted for each function, and only if they are allowed', async () => {
    stack.resetCalls();
    await ddb('reader', 'GetItem', { TableName: '$TABLE', Key: key });
    await ddb('reader', 'GetItem', { TableName: '$TABLE', Key: key });
    await ddb('reader', 'PutItem', { TableName: '$TABLE', Item: key });
    expect(stack.calls('reader')).toEqual({ GetItem: 2 });
    expect(stack.calls('writer')).toEqual({});
  });
});

describe('Policies can contain wildcards', () => {
  it.each([
    ['dynamodb:*', 'dynamodb:GetItem', true],
    ['dynamodb:Get*', 'dynamodb:BatchGetItem', false],
    ['dynamodb:GetIte?', 'dynamodb:GetItem', true],
    ['arn:aws:dynamodb:*:*:table/a.b', 'arn:aws:dynamodb:r:1:table/axb', false],
    ['*', 'anything\nat all', true],
  ])('the result of matching the pattern %s with the value %s is: %s', (pattern, text, expected) => {
    expect(matches(pattern, text)).toBe(expected);
  });

  it('policy patterns ignore case in actions, but not in resources', () => {
    const permissions = new Permissions(
      [{ Effect: 'Allow', Action: 'DynamoDB:getitem', Resource: 'a' }],
      'x',
    );
    expect(permissions.refusal('dynamodb:GetItem', 'a')).toBeUndefined();
    expect(permissions.refusal('dynamodb:GetItem', 'A')).toBe('no identity-based policy allows');
  });
});

describe('The emulator rejects a template that would fail on AWS', () => {
  const start = (change: (fixture: Fixture) => unknown, alterTemplate?: (template: CfnTemplate) => void) => {
    const changed = new Fixture().function('F', 'exports.handler = async () => 1;', {
      statements: [readsStream],
    });
    change(changed);
    return startLocalStack({ synthesise: changed.synthesise, alterTemplate });
  };

  it('startLocalStack rejects a template in which a function lacks permission to read the stream that triggers it', async () => {
    const starting = start(
      (it) => it.stream('F'),
      (template) => {
        (template.Resources.FRole as { Properties: object }).Properties = {};
      },
    );
    await expect(starting).rejects.toThrow(
      'The role of f lacks dynamodb:DescribeStream, dynamodb:GetRecords, dynamodb:GetShardIterator, dynamodb:ListStreams',
    );
  });

  it('startLocalStack rejects a template in which API Gateway lacks permission to invoke the function of a route', async () => {
    const starting = start((it) => {
      it.route('GET /x', 'F');
      delete it.resources.FPermission0;
    });
    await expect(starting).rejects.toThrow(
      'apigateway.amazonaws.com may not invoke F/Resource for arn:aws:execute-api:',
    );
  });

  it.each([
    {},
    { StringEquals: { 'aws:SourceIp': '192.0.2.1' } },
    { 'ForAnyValue:StringLike': { 'dynamodb:LeadingKeys': ['a*'] } },
    { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': ['a'], 'dynamodb:Select': ['COUNT'] } },
    {
      'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': ['a'] },
      Bool: { 'aws:SecureTransport': 'true' },
    },
  ])(
    'startLocalStack rejects a template in which a policy has a condition that is not emulated: %j',
    async (Condition) => {
      const starting = start((it) =>
        it.function('G', '', { statements: [{ ...allow(['dynamodb:GetItem']), Condition }] }),
      );
      await expect(starting).rejects.toThrow(
        'The local runner does not evaluate Condition in a policy of GRole/Resource.',
      );
    },
  );
});
