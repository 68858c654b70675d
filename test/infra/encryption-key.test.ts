import { describe, expect, it } from 'vitest';
import { ARN, EVERYTHING, type Json, templateOf } from '../support/template.ts';

const OTHER_KEY = 'arn:aws:kms:eu-west-1:111122223333:key/5d4c3b2a-0000-4000-8000-000000000000';

const resourcesOf = (encryptionKey: string | undefined): Record<string, Json> =>
  templateOf({ ...EVERYTHING, encryptionKey }).toJSON().Resources;

const isPolicy = ([, { Type }]: [string, Json]) => Type === 'AWS::IAM::Policy';
const statementsOf = (policy: Json): Json[] => policy.Properties.PolicyDocument.Statement;
const roleOf = (policy: Json): string => policy.Properties.Roles[0].Ref;

/** Returns the policies of a template that allow the use of a KMS key, by logical ID. */
const policiesOfKey = (resources: Record<string, Json>, key: string) =>
  Object.entries(resources)
    .filter(isPolicy)
    .filter(([, policy]) => statementsOf(policy).some(({ Resource }) => Resource === key));

const [tableId] = Object.entries(resourcesOf(undefined)).find(
  ([, { Type }]) => Type === 'AWS::DynamoDB::GlobalTable',
) as [string, Json];

/** The roles that use the table or read its stream. */
const usersOfTable = (resources: Record<string, Json>) =>
  Object.entries(resources)
    .filter(isPolicy)
    .filter(([, policy]) =>
      statementsOf(policy).some(({ Resource }) => Resource?.['Fn::GetAtt']?.[0] === tableId),
    )
    .map(([, policy]) => roleOf(policy));

describe('The encryptionKey of a running stack can be changed', { timeout: 120_000 }, () => {
  it.each([
    ['to another key', ARN.KEY, OTHER_KEY],
    ['from the AWS managed key', undefined, ARN.KEY],
  ])(
    "#60: changing encryptionKey creates the new key's policies before updating the table, %s",
    (_, before, after) => {
      const existing = resourcesOf(before);
      const updated = resourcesOf(after);
      const created = policiesOfKey(updated, after);
      // CloudFormation updates an existing policy after the table, because the policy contains the table's ARN.
      expect(created.filter(([id]) => id in existing && before !== undefined)).toStrictEqual([]);
      const ofTable = created.filter(([id]) => updated[tableId].DependsOn?.includes(id));
      expect(ofTable.map(([, policy]) => roleOf(policy)).toSorted()).toStrictEqual(
        usersOfTable(updated).toSorted(),
      );
    },
  );

  it.each([
    ['to another key', OTHER_KEY],
    ['to the AWS managed key', undefined],
  ])(
    "#60: changing encryptionKey deletes the previous key's policies after updating the table, %s",
    (_, after) => {
      // A followed table has its own KMS key, which stays the same in this test.
      const withoutSource = { ...EVERYTHING, deploymentsSource: undefined };
      const of = (encryptionKey?: string) =>
        templateOf({ ...withoutSource, encryptionKey }).toJSON().Resources;
      // When a resource is no longer in the template, CloudFormation deletes it at the end of the update.
      const previous = policiesOfKey(of(ARN.KEY), ARN.KEY);
      expect(previous.length).toBeGreaterThan(10);
      const left = previous.filter(([id]) => id in of(after));
      expect(left).toStrictEqual([]);
    },
  );

  it('a change of encryptionKey does not change any other policy', () => {
    const others = (key: string) =>
      Object.fromEntries(
        Object.entries(resourcesOf(key))
          .filter(isPolicy)
          .filter(([, policy]) => !JSON.stringify(policy).includes('kms:')),
      );
    expect(others(OTHER_KEY)).toStrictEqual(others(ARN.KEY));
    expect(Object.keys(others(ARN.KEY)).length).toBeGreaterThan(10);
  });
});
