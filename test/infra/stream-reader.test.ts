import { describe, expect, it } from 'vitest';
import { ARN, EVERYTHING, type Json, SOURCE, templateOf } from '../support/template.ts';

const OTHER_KEY = 'arn:aws:kms:eu-west-1:111122223333:key/5d4c3b2a-0000-4000-8000-000000000000';
const sourceWithKey = (encryptionKey?: string) => JSON.stringify({ ...SOURCE, encryptionKey });

const READERS = ['PublishEvents', 'Purge', 'SyncDeployments'];

/** A function that a DynamoDB stream triggers, and the KMS key of that stream. */
interface Reader {
  readonly name: string;
  readonly functionId: string;
  readonly key: string | undefined;
}

/** Returns every function in a template that reads a stream of the service's own table or of a followed table. */
function readersIn(template: Json, sourceKey: string | undefined): Reader[] {
  const resources = Object.values<Json>(template.Resources);
  const table = resources.find(({ Type }) => Type === 'AWS::DynamoDB::GlobalTable');
  const ownKey = table.Properties.Replicas[0].SSESpecification?.KMSMasterKeyId;
  return resources
    .filter(({ Type }) => Type === 'AWS::Lambda::EventSourceMapping')
    .filter(({ Properties }) =>
      /StreamArn|:stream\/|\/stream\//.test(JSON.stringify(Properties.EventSourceArn)),
    )
    .map(({ Properties, Metadata }) => ({
      name: Metadata['aws:cdk:path'].split('/')[2],
      functionId: Properties.FunctionName.Ref,
      key: typeof Properties.EventSourceArn === 'string' ? sourceKey : ownKey,
    }));
}

/** Returns the KMS keys that a function's role may use to decrypt. */
function keysOf(template: Json, functionId: string): string[] {
  const roleId = template.Resources[functionId].Properties.Role['Fn::GetAtt'][0];
  return Object.values<Json>(template.Resources)
    .filter(({ Type, Properties }) => Type === 'AWS::IAM::Policy' && Properties.Roles[0].Ref === roleId)
    .flatMap(({ Properties }) => Properties.PolicyDocument.Statement)
    .filter(({ Effect, Action }) => Effect === 'Allow' && [Action].flat().includes('kms:Decrypt'))
    .map(({ Resource }) => Resource);
}

describe('Every function that reads a stream can decrypt it and has an alarm', { timeout: 120_000 }, () => {
  it.each([
    ["with a key of the service's table", ARN.KEY, undefined],
    ['with a key of the followed table', undefined, OTHER_KEY],
    ['with the same key of both tables', ARN.KEY, ARN.KEY],
    ['with two keys', ARN.KEY, OTHER_KEY],
  ])(
    '#60: the role of every function that reads a stream may decrypt the stream, %s',
    (_, encryptionKey, sourceKey) => {
      const settings = { ...EVERYTHING, encryptionKey, deploymentsSource: sourceWithKey(sourceKey) };
      const template = templateOf(settings).toJSON();
      const readers = readersIn(template, sourceKey);
      expect(readers.map(({ name }) => name).toSorted()).toStrictEqual(READERS);
      for (const { name, functionId, key } of readers) {
        if (key !== undefined) expect(keysOf(template, functionId), name).toContain(key);
      }
    },
  );

  it('every function that reads a stream has an alarm on its iterator age', () => {
    const template = templateOf(EVERYTHING).toJSON();
    const watched = Object.values<Json>(template.Resources)
      .filter(
        ({ Type, Properties }) =>
          Type === 'AWS::CloudWatch::Alarm' && Properties.MetricName === 'IteratorAge',
      )
      .map(({ Properties }) => Properties.Dimensions[0].Value.Ref);
    expect(watched.toSorted()).toStrictEqual(
      readersIn(template, undefined)
        .map(({ functionId }) => functionId)
        .toSorted(),
    );
  });
});
