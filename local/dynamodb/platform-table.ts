import { UsageError } from '../options.ts';
import { ACCOUNT, type Assembly, type CfnTemplate, REGION } from '../template.ts';

/** The parts of the setting that describe the table. Only functions use the other parts. */
interface Source {
  readonly table: string;
  readonly stream: string;
  readonly id: string;
}

const PREFIX = `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/`;
const STREAM = '/stream/2026-01-01T00:00:00.000';

/**
 * Adds the table that `deploymentsSource` names to the assembly, in a separate stack, because on AWS another template
 * defines it. The table's key is the attribute that holds the ID.
 *
 * @param setting the setting as an object or as JSON, already validated by synthesis. If undefined, nothing is added.
 * @throws UsageError if the table's account, Region or stream differs from this machine's
 */
export function withPlatformTable(assembly: Assembly, setting: unknown): Assembly {
  if (setting === undefined) return assembly;
  const { table, stream, id }: Source = typeof setting === 'string' ? JSON.parse(setting) : setting;
  if (!table.startsWith(PREFIX) || stream !== table + STREAM) {
    throw new UsageError(
      `deploymentsSource: on this machine, table must be ${PREFIX}<name>, and stream must be the same followed by ${STREAM}.`,
    );
  }
  const template: CfnTemplate = {
    Resources: {
      Deployments: {
        Type: 'AWS::DynamoDB::Table',
        Properties: {
          TableName: table.slice(PREFIX.length),
          KeySchema: [{ AttributeName: id, KeyType: 'HASH' }],
          AttributeDefinitions: [{ AttributeName: id, AttributeType: 'S' }],
          StreamSpecification: { StreamViewType: 'NEW_AND_OLD_IMAGES' },
        },
        Metadata: { 'aws:cdk:path': 'Platform/Deployments/Resource' },
      },
    },
  };
  return { ...assembly, stacks: [...assembly.stacks, { stackName: 'platform', template }] };
}
