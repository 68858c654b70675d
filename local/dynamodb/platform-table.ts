import { ACCOUNT, type Assembly, type CfnTemplate, REGION } from '../template.ts';

/** The parts of the setting that say what the table is; the rest is for functions. */
interface Source {
  readonly table: string;
  readonly stream: string;
  readonly id: string;
}

const PREFIX = `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/`;
const STREAM = '/stream/2026-01-01T00:00:00.000';

/**
 * Adds the table that `deploymentsSource` names to what runs here, in a stack of its own: on AWS it is in somebody
 * else's template. Its key is the attribute with the ID.
 *
 * @param setting the object or its JSON, judged by the synthesis; undefined: nothing is added
 * @throws Error for a table of another account, Region or stream than those of this machine
 */
export function withPlatformTable(assembly: Assembly, setting: unknown): Assembly {
  if (setting === undefined) return assembly;
  const { table, stream, id }: Source = typeof setting === 'string' ? JSON.parse(setting) : setting;
  if (!table.startsWith(PREFIX) || stream !== table + STREAM) {
    throw new Error(
      `Locally deploymentsSource must name a table ${PREFIX}<name>, and as its stream the same with ${STREAM}.`,
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
