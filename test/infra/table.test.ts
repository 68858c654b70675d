import { describe, expect, it } from 'vitest';
import { EVERYTHING, type Json, resourceAt, templateOf, WITH_ISSUER } from '../support/template.ts';

const tableOf = (context: Record<string, unknown>): Json => resourceAt(templateOf(context), 'Table/Default');
const { Properties: properties, Type: type } = tableOf({});
const [replica] = properties.Replicas;

describe('The stack stores all data in one table', () => {
  it('the stack has only one table', () => {
    expect(type).toBe('AWS::DynamoDB::GlobalTable');
    templateOf().resourceCountIs('AWS::DynamoDB::GlobalTable', 1);
    templateOf().resourceCountIs('AWS::DynamoDB::Table', 0);
  });

  it('the table has the key attributes pk and sk, both strings, and no index', () => {
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

  it('the table is billed on demand by default', () => {
    expect(properties.BillingMode).toBe('PAY_PER_REQUEST');
    expect(properties).not.toHaveProperty('WriteProvisionedThroughputSettings');
  });

  it('the capacity setting turns on auto scaling and sets the initial capacity for a change of the billing mode', () => {
    const provisioned = tableOf({
      capacity: { minRead: 100, maxRead: 1000, minWrite: 50, maxWrite: 500, utilization: 70 },
    }).Properties;
    const scaling = (MinCapacity: number, MaxCapacity: number) => ({
      MinCapacity,
      MaxCapacity,
      SeedCapacity: MinCapacity,
      TargetTrackingScalingPolicyConfiguration: { TargetValue: 70 },
    });
    expect(provisioned.BillingMode).toBe('PROVISIONED');
    expect(provisioned.WriteProvisionedThroughputSettings).toStrictEqual({
      WriteCapacityAutoScalingSettings: scaling(50, 500),
    });
    expect(provisioned.Replicas[0].ReadProvisionedThroughputSettings).toStrictEqual({
      ReadCapacityAutoScalingSettings: scaling(100, 1000),
    });
  });

  it('the table deletes items by TTL on expiresAt', () => {
    expect(properties.TimeToLiveSpecification).toStrictEqual({ AttributeName: 'expiresAt', Enabled: true });
  });

  it("the table's stream contains old and new images", () => {
    expect(properties.StreamSpecification).toStrictEqual({ StreamViewType: 'NEW_AND_OLD_IMAGES' });
  });

  it('the table can be restored to a point in time', () => {
    expect(replica.PointInTimeRecoverySpecification).toStrictEqual({ PointInTimeRecoveryEnabled: true });
  });

  it("the table is encrypted with a KMS key whose use is recorded in the account's audit log", () => {
    expect(properties.SSESpecification).toStrictEqual({ SSEEnabled: true, SSEType: 'KMS' });
  });

  it("the table exists only in the stack's Region", () => {
    expect(properties.Replicas).toHaveLength(1);
    expect(replica.Region).toStrictEqual({ Ref: 'AWS::Region' });
  });

  it('in production, the table is protected from deletion and retained when the stack is deleted', () => {
    const table = tableOf({ stage: 'production' });
    expect(table.Properties.Replicas[0].DeletionProtectionEnabled).toBe(true);
    expect(table).toMatchObject({ DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
  });

  it('in development, the table is deleted together with the stack', () => {
    const table = tableOf({ stage: 'development' });
    expect(table.Properties.Replicas[0].DeletionProtectionEnabled).toBe(false);
    expect(table).toMatchObject({ DeletionPolicy: 'Delete', UpdateReplacePolicy: 'Delete' });
  });
});

describe('An update of a running stack never replaces the table', () => {
  // If any of these properties changes, CloudFormation creates an empty table and leaves the old table behind.
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
  ])(
    "a running stack's table keeps its logical ID and key schema, and has no explicit name: %s",
    (_, context) => {
      const table = tableOf(context);
      expect({ logicalId: table.id, keySchema: table.Properties.KeySchema }).toStrictEqual(IDENTITY);
      expect(table.Properties).not.toHaveProperty('TableName');
    },
  );
});
