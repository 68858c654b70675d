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

describe('The service can follow a table that contains Deployments (deploymentsSource)', () => {
  const { Properties: mapping } = resourceAt(template, 'SyncDeployments/Function/Stream');

  it("a followed table's stream triggers its own function, in order, from the oldest record", () => {
    expect(mapping).toMatchObject({
      EventSourceArn: SOURCE.stream,
      FunctionName: { Ref: idAt(template, 'SyncDeployments/Function') },
      StartingPosition: 'TRIM_HORIZON',
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      BisectBatchOnFunctionError: true,
    });
    expect(mapping).not.toHaveProperty('ParallelizationFactor');
  });

  it('a failed record of a followed table is retried until it expires and is then sent to a separate dead-letter queue', () => {
    const failures = { 'Fn::GetAtt': [idAt(template, 'DeploymentsSource/Failures'), 'Arn'] };
    expect(mapping).toMatchObject({
      MaximumRetryAttempts: 1000,
      MaximumRecordAgeInSeconds: 24 * 60 * 60,
      DestinationConfig: { OnFailure: { Destination: failures } },
    });
  });

  it('the event filter of a followed table passes only rows that look like current or former Deployments', () => {
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

  it('two functions can read a followed table and use its KMS key, but can do nothing else with it', () => {
    const onSource = (name: string) =>
      Object.values<Json>(template.findResources('AWS::IAM::Policy'))
        .filter(({ Metadata }) => Metadata['aws:cdk:path'].includes(`/${name}/Role/`))
        .flatMap(({ Properties }) => Properties.PolicyDocument.Statement)
        .filter(({ Resource }: Json) => typeof Resource === 'string')
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

  it("a followed table can be created in the service's app, which passes its ARNs to the service", () => {
    const stack = new Stack(new App(), 'Theirs');
    const table = new TableV2(stack, 'Platform', {
      partitionKey: { name: 'id', type: AttributeType.STRING },
      dynamoStream: StreamViewType.NEW_AND_OLD_IMAGES,
    });
    const stream = table.tableStreamArn ?? '';
    new DeploymentKeys(stack, 'Keys', { deploymentsSource: { table: table.tableArn, stream, id: 'id' } });
    const functions = Object.values<Json>(Template.fromStack(stack).findResources('AWS::Lambda::Function'));
    const configured = functions.map(
      ({ Properties }) => Properties.Environment?.Variables[ENV.deploymentsSource],
    );
    const json = {
      'Fn::Join': [
        '',
        ['{"table":"', stack.resolve(table.tableArn), '","stream":"', stack.resolve(stream), '","id":"id"}'],
      ],
    };
    expect(configured.filter(Boolean)).toStrictEqual([json, json, json]);
  });

  it('a stack without deploymentsSource has no resources for a followed table', () => {
    const text = JSON.stringify(templateOf().toJSON());
    for (const word of ['SyncDeployments', 'DeploymentsSource', ENV.deploymentsSource, 'DescribeTable']) {
      expect(text).not.toContain(word);
    }
  });
});

describe('The deploymentsSource setting is validated', () => {
  it('deploymentsSource is a JSON string in the CDK context, and an object in cdk.json or as a property', () => {
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
    ['a share above 1', { ...plain, deletions: { share: 1.1 } }, 'deletions.share'],
    ['a rate that is a fraction', { ...plain, deletions: { perHour: 0.5 } }, 'deletions.perHour'],
    ['a limit with an unknown part', { ...plain, deletions: { perDay: 5 } }, 'deletions.perDay'],
    ['two wrong parts', { ...plain, encryptionKey: 'alias/x', groups: 3 }, 'groups, encryptionKey'],
  ];
  it.each(wrong)(
    'deploymentsSource rejects %s with a sentence that explains the error',
    (_, deploymentsSource, where) => {
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
    },
  );
});
