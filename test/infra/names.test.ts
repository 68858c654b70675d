import { createHash } from 'node:crypto';
import { App, Stack, Stage } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import fc from 'fast-check';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { bundleFunctions } from '../../infra/bundle.ts';
import { DeploymentKeys } from '../../infra/deployment-keys.ts';
import { DeploymentKeysStack } from '../../infra/stack.ts';
import { ARN, EVERYTHING, type Json, templateOf } from '../support/template.ts';

beforeAll(() => {
  bundleFunctions();
  // Validating a template takes longer than creating it, and other tests validate it.
  vi.stubEnv('CDK_VALIDATION', 'false');
});

/** Where a stack is deployed: the values of CloudFormation's pseudo parameters. */
interface Place {
  readonly stackName: string;
  readonly region: string;
}

const ACCOUNT = '111122223333';

/** Properties that hold a name, following CloudFormation's naming. */
const NAMES = /(^|[a-z])(Name|Prefix|Identifier|Alias|Domain)$/;

/** Names that are unique only within another resource, or that name something else. */
const SCOPED: Readonly<Record<string, string>> = {
  'AWS::ApiGatewayV2::Api.Name': 'API Gateway lets APIs have equal names.',
  'AWS::ApiGatewayV2::Authorizer.Name': 'It is unique in its API.',
  'AWS::ApiGatewayV2::Stage.StageName': 'It is unique in its API.',
  'AWS::ApiGatewayV2::ApiMapping.DomainName': 'It refers to a domain name.',
  'AWS::CloudWatch::Alarm.MetricName': 'It refers to a metric.',
  'AWS::Cognito::UserPoolGroup.GroupName': 'It is unique in its user pool.',
  'AWS::IAM::Policy.PolicyName': 'It is the name of an inline policy, unique in its role.',
  'AWS::Lambda::Alias.Name': 'It is unique in its function.',
  'AWS::Lambda::Permission.FunctionName': 'It refers to a function.',
};

/** Names that the operator chooses. Another stack has another one. */
const GIVEN = ['AWS::ApiGatewayV2::DomainName.DomainName'];

/**
 * Types whose names are unique in an account and Region. The names of all other types must also differ between
 * Regions.
 */
const REGIONAL = [
  'AWS::CloudWatch::Alarm',
  'AWS::Cognito::UserPoolDomain',
  'AWS::Events::EventBus',
  'AWS::SSM::Parameter',
];

/** A value after deployment. A reference points to a resource of this stack, which has its own name. */
function deployed(value: Json, place: Place): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const [[name, argument] = []] = Object.entries<Json>(value);
  const uuid = createHash('sha256').update(`${place.stackName} ${place.region}`).digest('hex').slice(0, 12);
  const stackId = `arn:aws:cloudformation:${place.region}:${ACCOUNT}:stack/${place.stackName}/0-0-0-0-${uuid}`;
  const pseudo: Record<string, string> = {
    'AWS::StackName': place.stackName,
    'AWS::StackId': stackId,
    'AWS::Region': place.region,
    'AWS::AccountId': ACCOUNT,
    'AWS::Partition': 'aws',
  };
  switch (name) {
    case 'Ref':
      return pseudo[argument] ?? `${stackId}/${argument}`;
    case 'Fn::GetAtt':
      return `${stackId}/${argument}`;
    case 'Fn::Join':
      return argument[1].map((part: Json) => deployed(part, place)).join(argument[0]);
    case 'Fn::Select':
      return listOf(argument[1], place)[argument[0]] ?? '';
    default:
      throw new Error(`A name is made with ${name}, which this test does not know.`);
  }
}

function listOf(value: Json, place: Place): string[] {
  const [separator, joined] = value['Fn::Split'];
  return deployed(joined, place).split(separator);
}

interface Name {
  readonly property: string;
  readonly value: string;
  readonly isRegional: boolean;
}

/** Every physical name and every export name in a template. */
function namesIn(template: Json, place: Place): Name[] {
  const resources = Object.values<Json>(template.Resources).flatMap(({ Type, Properties = {} }) =>
    Object.entries<Json>(Properties)
      .filter(([name]) => NAMES.test(name))
      .map(([name, value]) => ({
        property: `${Type}.${name}`,
        value: deployed(value, place),
        isRegional: REGIONAL.includes(Type),
      })),
  );
  const exported = Object.values<Json>(template.Outputs ?? {}).flatMap(({ Export }) =>
    Export ? [{ property: 'Export.Name', value: deployed(Export.Name, place), isRegional: true }] : [],
  );
  return [...resources, ...exported].filter(
    ({ property }) => !(property in SCOPED) && !GIVEN.includes(property),
  );
}

const isEqualTo = (one: Name) => (other: Name) =>
  one.property === other.property && one.value === other.value;

/** Names that both stacks would use, so that the second deployment fails. */
function clashes(one: Json, onePlace: Place, other: Json, otherPlace: Place): string[] {
  const taken = namesIn(other, otherPlace);
  return namesIn(one, onePlace)
    .filter(({ isRegional }) => !isRegional || onePlace.region === otherPlace.region)
    .filter((name) => taken.some(isEqualTo(name)))
    .map(({ property, value }) => `${property} ${value}`);
}

/** Every setting that adds or omits resources. */
const OPTIONAL = [
  { consoleClientId: 'console', ...pick('issuer', 'audience', 'adminGroup') },
  pick('domainName', 'certificateArn'),
  pick('domainName', 'certificateArn', 'webAclArn'),
  pick('encryptionKey'),
  pick('permissionsBoundary'),
  pick('authorizerConcurrency'),
  pick('alarmTopic'),
  pick('platformPrincipals'),
  pick('consumerAccounts'),
  pick('tracing'),
  pick('deploymentsSource'),
  { console: 'false' },
];

function pick(...names: (keyof typeof EVERYTHING)[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, EVERYTHING[name]]));
}

const settings = fc.subarray(OPTIONAL).map((chosen) => Object.assign({}, ...chosen));
const stages = fc.constantFrom<string>('development', 'production');
const regions = fc.constantFrom<string>('eu-west-1', 'us-east-1');

const made = new Map<string, Json>();

/** The template that `npx cdk deploy` deploys, with or without a Region at synthesis. */
function synthesised(stage: string, context: object, region?: string): { template: Json; stackName: string } {
  const stackName = `deployment-api-keys-${stage}`;
  const key = JSON.stringify([stage, context, region]);
  const template = made.get(key) ?? synthesise();
  made.set(key, template);
  return { template, stackName };

  function synthesise(): Json {
    const stack = new DeploymentKeysStack(new App({ analyticsReporting: false }), 'DeploymentApiKeys', {
      stackName,
      settings: { ...context, stage } as object,
      ...(region !== undefined && { env: { account: ACCOUNT, region } }),
    });
    return Template.fromStack(stack).toJSON();
  }
}

const at = (stackName: string): Place => ({ stackName, region: 'eu-west-1' });

describe('two stacks in one account', { timeout: 240_000 }, () => {
  it('#60: have no physical name in common in two stages or two Regions, whatever the settings', () => {
    const places = fc.record({ stage: stages, region: regions, context: settings });
    const place = (stage: string, region: string) => ({ stage, region, context: EVERYTHING });
    fc.assert(
      fc.property(places, places, fc.boolean(), (one, other, isRegionKnown) => {
        fc.pre(one.stage !== other.stage || one.region !== other.region);
        const [first, second] = [one, other].map(({ stage, region, context }) => ({
          ...synthesised(stage, context, isRegionKnown ? region : undefined),
          region,
        })) as [Json, Json];
        expect(clashes(first.template, first, second.template, second)).toStrictEqual([]);
      }),
      {
        numRuns: 5,
        examples: [
          [place('production', 'eu-west-1'), place('development', 'eu-west-1'), false],
          [place('production', 'eu-west-1'), place('production', 'us-east-1'), false],
          [place('production', 'eu-west-1'), place('production', 'us-east-1'), true],
        ],
      },
    );
  });

  it('#60: have no physical name in common when an app has the construct in two stacks', () => {
    const inStack = (id: string): Json => {
      const stack = new Stack(new App(), id);
      new DeploymentKeys(stack, 'Keys', EVERYTHING as object);
      return Template.fromStack(stack).toJSON();
    };
    expect(clashes(inStack('One'), at('One'), inStack('Two'), at('Two'))).toStrictEqual([]);
  });

  it('#60: have no physical name in common when an app has the same stack in two of its CDK stages', () => {
    const app = new App();
    const inStage = (id: string): { template: Json; place: Place } => {
      const stack = new Stack(new Stage(app, id), 'Platform');
      new DeploymentKeys(stack, 'Keys');
      return { template: Template.fromStack(stack).toJSON(), place: at(stack.stackName) };
    };
    const [beta, gamma] = [inStage('Beta'), inStage('Gamma')];
    expect(clashes(beta.template, beta.place, gamma.template, gamma.place)).toStrictEqual([]);
  });

  it('two stacks in one account have every physical name in common when they have the same stack name and Region', () => {
    const { template, stackName } = synthesised('production', { encryptionKey: ARN.KEY });
    const found = clashes(template, at(stackName), template, at(stackName));
    expect(found).toHaveLength(namesIn(template, at(stackName)).length);
    expect(found).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^AWS::Events::EventBus\.Name /),
        expect.stringMatching(/^AWS::CloudWatch::Dashboard\.DashboardName /),
        expect.stringMatching(/^AWS::SSM::Parameter\.Name /),
        expect.stringMatching(/^AWS::Cognito::UserPoolDomain\.Domain /),
      ]),
    );
  });
});

it('a failed first deployment in production leaves only resources with generated names, which block no other attempt', () => {
  const { Resources } = templateOf({ stage: 'production' }).toJSON();
  const left = Object.values<Json>(Resources).filter(({ DeletionPolicy }) => DeletionPolicy === 'Retain');
  expect(new Set(left.map(({ Type }) => Type))).toStrictEqual(
    new Set(['AWS::Cognito::UserPool', 'AWS::DynamoDB::GlobalTable', 'AWS::Logs::LogGroup']),
  );
  const named = left.filter(({ Properties }) =>
    ['LogGroupName', 'TableName', 'UserPoolName'].some((name) => name in Properties),
  );
  expect(named).toStrictEqual([]);
});
