import { createHash } from 'node:crypto';
import { App, Stack, Stage } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import fc from 'fast-check';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { bundleFunctions } from '../../infra/bundle.ts';
import { DeploymentKeys } from '../../infra/deployment-keys.ts';
import { describedSettings } from '../../infra/settings.ts';
import { DeploymentKeysStack } from '../../infra/stack.ts';
import { ARN, EVERYTHING, type Json, templateOf } from '../support/template.ts';

beforeAll(() => {
  bundleFunctions();
  // Skips the validation of the template, which takes longer than creating it. Other tests validate the template.
  vi.stubEnv('CDK_VALIDATION', 'false');
});

/** Where a stack is deployed, given as the values of CloudFormation's pseudo parameters. */
interface Place {
  readonly stackName: string;
  readonly region: string;
  /** A value that distinguishes a stack from an earlier, deleted stack with the same name. */
  readonly attempt?: number;
}

const ACCOUNT = '111122223333';

/** Resource properties that hold the resource's name in CloudFormation. */
const NAMES = /(^|[a-z])(Name|Prefix|Identifier|Alias|Domain)$/;

/**
 * Properties with names that are unique only within another resource, or that name something other than their own
 * resource.
 */
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

/** Names that the operator chooses and that therefore differ between stacks. */
const GIVEN = ['AWS::ApiGatewayV2::DomainName.DomainName'];

/**
 * Resource types whose names must be unique in an account and Region. The names of all other types must be globally
 * unique.
 */
const REGIONAL = [
  'AWS::CloudWatch::Alarm',
  'AWS::Cognito::UserPoolDomain',
  'AWS::Events::EventBus',
  'AWS::Logs::LogGroup',
  'AWS::SSM::Parameter',
];

/**
 * Returns the value that a template's property has after deployment. A reference becomes the name of the given stack's
 * resource.
 */
function deployed(value: Json, place: Place): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const [[name, argument] = []] = Object.entries<Json>(value);
  const identity = `${place.stackName} ${place.region} ${place.attempt ?? 1}`;
  const uuid = createHash('sha256').update(identity).digest('hex').slice(0, 12);
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

/** Returns every physical name and every export name in a template. */
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

/** Returns the names that two stacks have in common. Any name in common would make the second deployment fail. */
function clashes(one: Json, onePlace: Place, other: Json, otherPlace: Place): string[] {
  const taken = namesIn(other, otherPlace);
  return namesIn(one, onePlace)
    .filter(({ isRegional }) => !isRegional || onePlace.region === otherPlace.region)
    .filter((name) => taken.some(isEqualTo(name)))
    .map(({ property, value }) => `${property} ${value}`);
}

/** Every setting that adds or removes resources. */
const OPTIONAL = [
  { consoleClientId: 'console', ...pick('issuer', 'audience', 'adminGroup') },
  pick('domainName', 'certificateArn'),
  pick('domainName', 'certificateArn', 'webAclArn'),
  pick('encryptionKey'),
  pick('capacity'),
  pick('permissionsBoundary'),
  pick('authorizerConcurrency'),
  pick('memory'),
  pick('alarmTopic'),
  pick('platformPrincipals'),
  pick('consumerAccounts'),
  pick('nameClaim'),
  pick('tracing'),
  pick('platformLogs'),
  pick('deploymentsSource'),
  { console: 'false' },
];

function pick(...names: (keyof typeof EVERYTHING)[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, EVERYTHING[name]]));
}

const OF_ISSUER = ['audience', 'groupsClaim', 'adminGroup', 'adminScope', 'consoleClientId'];
const OF_CONSOLE = ['consoleScopes', 'consoleOrigins'];
const OF_DOMAIN = ['domainName', 'certificateArn', 'webAclArn'];

/** Returns one setting together with the settings that it requires. */
function contextWith(name: keyof typeof EVERYTHING): Record<string, unknown> {
  const isOfIssuer = [...OF_ISSUER, ...OF_CONSOLE].includes(name);
  return {
    ...(isOfIssuer && pick('issuer', 'audience')),
    ...(name === 'issuer' && pick('audience')),
    ...(OF_CONSOLE.includes(name) && pick('consoleClientId')),
    ...(OF_DOMAIN.includes(name) && pick('domainName', 'certificateArn')),
    ...pick(name),
  };
}

const settings = fc.subarray(OPTIONAL).map((chosen) => Object.assign({}, ...chosen));
const stages = fc.constantFrom<string>('development', 'production');
const regions = fc.constantFrom<string>('eu-west-1', 'us-east-1');

const made = new Map<string, Json>();

/** Returns the template that `npx cdk deploy` deploys, with or without a Region at synthesis. */
function synthesised(stage: string, context: object, region?: string): { template: Json; stackName: string } {
  const stackName = `deployment-api-keys-${stage}`;
  const key = JSON.stringify([stage, context, region]);
  const template = made.get(key) ?? synthesise();
  made.set(key, template);
  return { template, stackName };

  function synthesise(): Json {
    const stack = new DeploymentKeysStack(new App({ analyticsReporting: false }), 'DeploymentApiKeys', {
      stackName,
      settings: { ...(region === undefined ? context : inRegion(context, region)), stage } as object,
      ...(region !== undefined && { env: { account: ACCOUNT, region } }),
    });
    return Template.fromStack(stack).toJSON();
  }
}

/**
 * Moves the resources that settings refer to into the stack's Region, except resources that CloudFront needs in
 * us-east-1.
 */
function inRegion(context: object, region: string): object {
  const isOfCloudFront = 'webAclArn' in context;
  return Object.fromEntries(
    Object.entries(context).map(([name, value]) => [
      name,
      typeof value === 'string' && !(isOfCloudFront && OF_DOMAIN.includes(name))
        ? value.replaceAll(/:(eu-west-1|us-east-1):/g, `:${region}:`)
        : value,
    ]),
  );
}

const at = (stackName: string): Place => ({ stackName, region: 'eu-west-1' });

describe('Two stacks in one account have no physical names in common', { timeout: 240_000 }, () => {
  it('#60: stacks in different stages or Regions share no physical names, regardless of their settings', () => {
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

  it('#60: two stacks that contain the construct in one app share no physical names', () => {
    const inStack = (id: string): Json => {
      const stack = new Stack(new App(), id);
      new DeploymentKeys(stack, 'Keys', EVERYTHING as object);
      return Template.fromStack(stack).toJSON();
    };
    expect(clashes(inStack('One'), at('One'), inStack('Two'), at('Two'))).toStrictEqual([]);
  });

  it('#60: the same stack in two CDK stages of an app shares no physical names', () => {
    const app = new App();
    const inStage = (id: string): { template: Json; place: Place } => {
      const stack = new Stack(new Stage(app, id), 'Platform');
      new DeploymentKeys(stack, 'Keys');
      return { template: Template.fromStack(stack).toJSON(), place: at(stack.stackName) };
    };
    const [beta, gamma] = [inStage('Beta'), inStage('Gamma')];
    expect(clashes(beta.template, beta.place, gamma.template, gamma.place)).toStrictEqual([]);
  });

  it.each(
    describedSettings()
      .map(({ name }) => name)
      .filter((name) => name !== 'stage'),
  )('#60: stacks in different stages or Regions share no physical names when %s is set', (name) => {
    const context = contextWith(name);
    const [production, development] = ['production', 'development'].map((stage) =>
      synthesised(stage, context),
    );
    for (const one of [production, development] as const) {
      const { template, stackName } = one as { template: Json; stackName: string };
      const [ireland, virginia] = ['eu-west-1', 'us-east-1'].map((region) => ({ stackName, region }));
      expect(clashes(template, ireland as Place, template, virginia as Place)).toStrictEqual([]);
    }
    const [first, second] = [production, development] as { template: Json; stackName: string }[];
    expect(
      clashes(
        first?.template,
        at(first?.stackName as string),
        second?.template,
        at(second?.stackName as string),
      ),
    ).toStrictEqual([]);
  });

  it('#60: every physical name contains the name or the UUID of its stack, and the Region if the name is global', () => {
    const { template, stackName } = synthesised('production', EVERYTHING);
    const place = { stackName, region: 'ap-south-2' };
    const [, uuid] = deployed({ Ref: 'AWS::StackId' }, place).split('0-0-0-0-');
    const names = namesIn(template, place);
    expect(names.length).toBeGreaterThan(10);
    for (const { property, value, isRegional } of names) {
      expect(value.includes(stackName) || value.includes(uuid as string), `${property} ${value}`).toBe(true);
      if (!isRegional) expect(value, property).toContain('ap-south-2');
    }
  });

  it('two stacks with the same name in the same Region get identical physical names', () => {
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

const DELETION_POLICIES = {
  'AWS::Cognito::UserPool': 'Retain',
  'AWS::DynamoDB::GlobalTable': 'Retain',
  'AWS::Logs::LogGroup': 'RetainExceptOnCreate',
};

/** Returns the resources of a production stack that are retained when the stack is deleted. */
const retained = () =>
  Object.values<Json>(templateOf({ stage: 'production' }).toJSON().Resources).filter(
    ({ DeletionPolicy = 'Delete' }) => DeletionPolicy !== 'Delete',
  );

describe('A production stack can be deleted and created again', () => {
  it('a production stack retains its table, users and logs when it is deleted', () => {
    const policies = retained().map(({ Type, DeletionPolicy }) => [Type, DeletionPolicy]);
    expect(Object.fromEntries(policies)).toStrictEqual(DELETION_POLICIES);
    const isProtected = ({ Properties }: Json) =>
      Properties.DeletionProtection === 'ACTIVE' ||
      Properties.Replicas?.[0].DeletionProtectionEnabled === true;
    for (const resource of retained()) {
      expect(resource.DeletionPolicy, resource.Type).toBe(
        isProtected(resource) ? 'Retain' : 'RetainExceptOnCreate',
      );
    }
  });

  it('a production stack can be created again, because the new resources have names that differ from those of the retained ones', () => {
    const Resources = Object.fromEntries(retained().map((resource, index) => [`R${index}`, resource]));
    const first = { ...at('deployment-api-keys-production'), attempt: 1 };
    expect(namesIn({ Resources }, first).map(({ property }) => property)).toStrictEqual([
      'AWS::Logs::LogGroup.LogGroupName',
    ]);
    expect(clashes({ Resources }, first, { Resources }, { ...first, attempt: 2 })).toStrictEqual([]);
  });
});
