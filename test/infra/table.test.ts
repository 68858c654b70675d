import { describe, expect, it } from 'vitest';
import { EVERYTHING, type Json, resourceAt, templateOf, WITH_ISSUER } from '../support/template.ts';

const tableOf = (context: Record<string, unknown>): Json => resourceAt(templateOf(context), 'Table/Default');
const { Properties: properties, Type: type } = tableOf({});
const [replica] = properties.Replicas;

describe('the table', () => {
  it('is the only one of the stack', () => {
    expect(type).toBe('AWS::DynamoDB::GlobalTable');
    templateOf().resourceCountIs('AWS::DynamoDB::GlobalTable', 1);
    templateOf().resourceCountIs('AWS::DynamoDB::Table', 0);
  });

  it('has the key attributes pk and sk, both strings, and no index', () => {
    expect(properties.KeySchema).toStrictEqual([
      { AttributeName: 'pk', KeyType: 'HASH' },
      { AttributeName: 'sk', KeyType: 'RANGE' },
    ]);
    expect(properties.AttributeDefinitions).toStrictEqual([
      { AttributeName: 'pk', AttributeType: 'S' },
      { AttributeName: 'sk', AttributeType: 'S' },
    ]);
    expect(properties).not.toHaveProperty('GlobalSecondaryIndexes');
    expect(properties).not.toHaveProperty('LocalSecondaryIndexes');
  });

  it('is billed on demand', () => {
    expect(properties.BillingMode).toBe('PAY_PER_REQUEST');
  });

  it('deletes by TTL on expiresAt', () => {
    expect(properties.TimeToLiveSpecification).toStrictEqual({ AttributeName: 'expiresAt', Enabled: true });
  });

  it('streams old and new images', () => {
    expect(properties.StreamSpecification).toStrictEqual({ StreamViewType: 'NEW_AND_OLD_IMAGES' });
  });

  it('can be restored to a point in time', () => {
    expect(replica.PointInTimeRecoverySpecification).toStrictEqual({ PointInTimeRecoveryEnabled: true });
  });

  it("is encrypted with a key whose use appears in the account's audit log", () => {
    expect(properties.SSESpecification).toStrictEqual({ SSEEnabled: true, SSEType: 'KMS' });
  });

  it("exists only in the stack's Region", () => {
    expect(properties.Replicas).toHaveLength(1);
    expect(replica.Region).toStrictEqual({ Ref: 'AWS::Region' });
  });

  it('is protected from deletion and kept after the stack in production', () => {
    const table = tableOf({ stage: 'production' });
    expect(table.Properties.Replicas[0].DeletionProtectionEnabled).toBe(true);
    expect(table).toMatchObject({ DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
  });

  it('is deleted with the stack in development', () => {
    const table = tableOf({ stage: 'development' });
    expect(table.Properties.Replicas[0].DeletionProtectionEnabled).toBe(false);
    expect(table).toMatchObject({ DeletionPolicy: 'Delete', UpdateReplacePolicy: 'Delete' });
  });
});

describe('the table with the data of a running stack', () => {
  // CloudFormation replaces the table with an empty one if any of these change, and leaves the old one behind.
  const IDENTITY = {
    logicalId: 'TableCD117FA1',
    keySchema: [
      { AttributeName: 'pk', KeyType: 'HASH' },
      { AttributeName: 'sk', KeyType: 'RANGE' },
    ],
  };

  it.each([
    ['without settings', {}],
    ['in production', { stage: 'production' }],
    ['with an issuer', WITH_ISSUER],
    ['with every setting', EVERYTHING],
  ])('keeps its logical ID, its key schema and no explicit name: %s', (_, context) => {
    const table = tableOf(context);
    expect({ logicalId: table.id, keySchema: table.Properties.KeySchema }).toStrictEqual(IDENTITY);
    expect(table.Properties).not.toHaveProperty('TableName');
  });
});
