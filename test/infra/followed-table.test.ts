import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { AttributeType, StreamViewType, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { describe, expect, it } from 'vitest';
import * as ENV from '../../functions/runtime/env.ts';
import { DeploymentKeys } from '../../infra/deployment-keys.ts';
import { ConfigError, readSettings } from '../../infra/settings.ts';
import { idAt, type Json, resourceAt, SOURCE, templateOf } from '../support/template.ts';

const { encryptionKey: _, ...plain } = SOURCE;
const template = templateOf({ deploymentsSource: SOURCE });
const mappingOf = (deploymentsSource: object) =>
  resourceAt(templateOf({ deploymentsSource }), 'SyncDeployments/Function/Stream').Properties;

describe('a followed table (deploymentsSource)', () => {
  const { Properties: mapping } = resourceAt(template, 'SyncDeployments/Function/Stream');

  it('triggers its own function through its stream, in order, from the oldest record', () => {
    expect(mapping).toMatchObject({
      EventSourceArn: SOURCE.stream,
      FunctionName: { Ref: idAt(template, 'SyncDeployments/Function') },
      StartingPosition: 'TRIM_HORIZON',
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      BisectBatchOnFunctionError: true,
    });
    expect(mapping).not.toHaveProperty('ParallelizationFactor');
  });

  it('retries a record for as long as the stream keeps it and then sends it to its own dead-letter queue', () => {
    const failures = { 'Fn::GetAtt': [idAt(template, 'DeploymentsSource/Failures'), 'Arn'] };
    expect(mapping).toMatchObject({
      MaximumRetryAttempts: 1000,
      MaximumRecordAgeInSeconds: 24 * 60 * 60,
      DestinationConfig: { OnFailure: { Destination: failures } },
    });
  });

  it('triggers the function only for rows that are or were Deployments, as far as an event filter can tell', () => {
    const filtersOf = (where?: object) =>
      mappingOf({ ...plain, where }).FilterCriteria?.Filters.map(({ Pattern }: Json) => JSON.parse(Pattern));
    const image = { type: { S: ['deployment'] }, version: { N: ['2', '3'] } };
    expect(filtersOf(SOURCE.where)).toStrictEqual([
      { dynamodb: { NewImage: image } },
      { dynamodb: { OldImage: image } },
    ]);
    for (const where of [undefined, { a: { exists: true } }, { a: true }, { a: [1, 'x'] }]) {
      expect(filtersOf(where)).toBeUndefined();
    }
  });

  it('is read by two functions, which can use its KMS key if it has one and do nothing else with the table', () => {
    const onSource = (name: string) =>
      resourceAt(template, `${name}/Role/DefaultPolicy`)
        .Properties.PolicyDocument.Statement.filter(({ Resource }: Json) => typeof Resource === 'string')
        .map(({ Action, Resource }: Json) => [[Action].flat(), Resource]);
    expect(onSource('Reconcile')).toStrictEqual([
      [['dynamodb:DescribeTable', 'dynamodb:GetItem', 'dynamodb:Scan'], SOURCE.table],
      [['kms:Decrypt'], SOURCE.encryptionKey],
    ]);
    expect(onSource('SyncDeployments')).toStrictEqual([
      [
        ['DescribeStream', 'GetRecords', 'GetShardIterator', 'ListStreams'].map((it) => `dynamodb:${it}`),
        SOURCE.stream,
      ],
      [['kms:Decrypt'], SOURCE.encryptionKey],
    ]);
    const others = ['Authorize', 'ManageDeployments', 'Purge'].map(onSource);
    expect(others).toStrictEqual([[], [], []]);
  });

  it('can be created in the same app, and its ARNs are passed to where they are needed', () => {
    const stack = new Stack(new App(), 'Theirs');
    const table = new TableV2(stack, 'Platform', {
      partitionKey: { name: 'id', type: AttributeType.STRING },
      dynamoStream: StreamViewType.NEW_AND_OLD_IMAGES,
    });
    const stream = table.tableStreamArn ?? '';
    new DeploymentKeys(stack, 'Keys', { deploymentsSource: { table: table.tableArn, stream, id: 'id' } });
    const functions = Object.values<Json>(Template.fromStack(stack).findResources('AWS::Lambda::Function'));
    const told = functions.map(({ Properties }) => Properties.Environment?.Variables[ENV.deploymentsSource]);
    const json = {
      'Fn::Join': [
        '',
        ['{"table":"', stack.resolve(table.tableArn), '","stream":"', stack.resolve(stream), '","id":"id"}'],
      ],
    };
    expect(told.filter(Boolean)).toStrictEqual([json, json, json]);
  });

  it('adds nothing to a stack without the setting', () => {
    const text = JSON.stringify(templateOf().toJSON());
    for (const word of ['SyncDeployments', 'DeploymentsSource', ENV.deploymentsSource, 'DescribeTable']) {
      expect(text).not.toContain(word);
    }
  });
});

describe('the setting deploymentsSource', () => {
  it('is JSON in the context, and an object in cdk.json and in a property', () => {
    expect(readSettings({ deploymentsSource: JSON.stringify(SOURCE) }).deploymentsSource).toStrictEqual(
      SOURCE,
    );
    expect(readSettings({ deploymentsSource: SOURCE }).deploymentsSource).toStrictEqual(SOURCE);
  });

  const wrong: [string, unknown, string][] = [
    ['what is no JSON', '{', ''],
    ['nothing', '', ''],
    ['a number', 7, ''],
    ['none of the attributes', { ...plain, id: undefined }, 'id'],
    ['an attribute without a name', { ...plain, id: '' }, 'id'],
    ['a name for an ARN', { ...plain, table: 'platform' }, 'table, stream'],
    [
      'the stream of another table',
      { ...plain, stream: SOURCE.stream.replace('platform', 'other') },
      'stream',
    ],
    ['a part that is unknown', { ...plain, lable: 'x' }, 'lable'],
    ['a condition of nothing', { ...plain, where: {} }, 'where'],
    ['an attribute that every object has', { ...plain, id: 'constructor' }, 'id'],
    ['a condition on one', { ...plain, where: { toString: 'x' } }, 'where'],
    [
      'a condition on __proto__',
      JSON.stringify({ ...plain, where: { x: 1 } }).replace('"x"', '"__proto__"'),
      'where',
    ],
    ['a rule that is null', { ...plain, where: { type: null } }, 'where.type'],
    ['a list of no values', { ...plain, deleted: { status: [] } }, 'deleted.status'],
    ['a rule of another kind', { ...plain, deleted: { status: { exist: true } } }, 'deleted.status'],
    ['two wrong parts', { ...plain, encryptionKey: 'alias/x', groups: 3 }, 'groups, encryptionKey'],
  ];
  it.each(wrong)('rejects %s with a sentence that names the error', (_, deploymentsSource, where) => {
    const read = () => readSettings({ deploymentsSource } as object);
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(
      /^deploymentsSource must be JSON with table and stream, .*, for example -c deploymentsSource='\{/,
    );
    try {
      read();
    } catch (error) {
      expect((error as Error).message.replace(/^.*\}'\./s, '')).toBe(
        where && ` Wrong or missing in it: ${where}.`,
      );
    }
  });
});
