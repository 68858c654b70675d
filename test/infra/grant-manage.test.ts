import { App, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as iam from 'aws-cdk-lib/aws-iam';
import { describe, expect, it } from 'vitest';
import * as ENV from '../../functions/runtime/env.ts';
import { DeploymentKeys } from '../../infra/deployment-keys.ts';
import type { DeploymentKeysProps } from '../../infra/deployment-keys-props.ts';
import { managedCalls } from '../../infra/managed-routes.ts';
import type { Json } from '../support/template.ts';

const ACCOUNT = '111122223333';
const PRINCIPAL = `arn:aws:iam::${ACCOUNT}:role/ci/platform`;
const PLATFORM_ARN = 'arn:aws:execute-api:ap-southeast-2:111122223333:a1b2c3d4e5/$default';

function service(props: DeploymentKeysProps = {}) {
  const app = new App();
  const stack = new Stack(app, 'Keys', { env: { account: ACCOUNT, region: 'eu-west-1' } });
  const keys = new DeploymentKeys(stack, 'Service', props);
  return { app, stack, keys, role: () => new iam.Role(stack, 'Role', { assumedBy: TRUSTED }) };
}
const TRUSTED = new iam.ServicePrincipal('codebuild.amazonaws.com');

const ofType = (stack: Stack, type: string): Json[] =>
  Object.values(Template.fromStack(stack).findResources(type));
/** Returns the keys of the routes that require a SigV4 signature. */
const platformRoutes = (stack: Stack): string[] =>
  ofType(stack, 'AWS::ApiGatewayV2::Route')
    .filter(({ Properties }) => Properties.AuthorizationType === 'AWS_IAM')
    .map(({ Properties }) => Properties.RouteKey)
    .toSorted();
/** Returns the lists of IAM principals in the functions' environment variables. */
const lists = (stack: Stack): Json[] =>
  ofType(stack, 'AWS::Lambda::Function')
    .map(({ Properties }) => Properties.Environment?.Variables?.[ENV.platformPrincipals])
    .filter((it) => it !== undefined);
/** Returns the statements about execute-api in the policies of a stack. */
const statements = (stack: Stack): Json[] =>
  ofType(stack, 'AWS::IAM::Policy')
    .flatMap(({ Properties }) => Properties.PolicyDocument.Statement)
    .filter(({ Action }) => Action === 'execute-api:Invoke');

describe('grantManage lets an IAM role call the management API', () => {
  it('grantManage creates the routes under /platform and adds the role to the list in every function that serves them', () => {
    const { stack, keys, role } = service();
    expect(keys.platformUrl).toBeUndefined();
    keys.grantManage(role());
    expect(keys.platformUrl).toBe(keys.url);
    expect(platformRoutes(stack)).toStrictEqual(
      platformRoutes(service({ platformPrincipals: [PRINCIPAL] }).stack),
    );
    const arn = { 'Fn::GetAtt': [expect.stringMatching(/^Role/), 'Arn'] };
    expect(lists(stack)).toStrictEqual(Array(5).fill(arn));
  });

  it("grantManage allows every route under /platform, and no other route of the service's API", () => {
    const { stack, keys, role } = service();
    keys.grantManage(role());
    const [{ Resource: resources }] = statements(stack);
    const patterns = resources.map((resource: Json) => {
      const text = resource['Fn::Join'][1].at(-1) as string;
      expect(text).toMatch(/^\/\$default\/[A-Z]+\/platform\//);
      return new RegExp(`^${text.slice('/$default/'.length).replaceAll('*', '.*')}$`);
    });
    const isAllowed = (route: string) => {
      const call = route.replace(' /', '/').replaceAll(/\{[^}]+\}/g, 'x');
      return patterns.some((pattern: RegExp) => pattern.test(call));
    };
    const all = ofType(stack, 'AWS::ApiGatewayV2::Route').map(({ Properties }) => Properties.RouteKey);
    expect(all.filter(isAllowed).toSorted()).toStrictEqual(platformRoutes(stack));
    expect(isAllowed('POST /platform/deployments/{deploymentId}/temporary-tokens')).toBe(false);
    expect(isAllowed('PATCH /platform/deployments/{deploymentId}')).toBe(false);
    expect(isAllowed('PUT /platform/people')).toBe(false);
  });

  it("the policy of grantManage leaves room in the 2,048 characters that IAM allows for a user's inline policies", () => {
    const statement = { Effect: 'Allow', Action: 'execute-api:Invoke', Resource: managedCalls(PLATFORM_ARN) };
    const policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
    expect(policy.length).toBeLessThan(1900);
  });

  it('grantManage keeps the principals in platformPrincipals, and adds each principal only once', () => {
    const { stack, keys } = service({ platformPrincipals: [PRINCIPAL] });
    const user = iam.User.fromUserArn(stack, 'Ada', `arn:aws:iam::${ACCOUNT}:user/ada`);
    keys.grantManage(iam.Role.fromRoleArn(stack, 'Role', PRINCIPAL));
    keys.grantManage(user);
    keys.grantManage(user);
    expect(lists(stack)).toStrictEqual(Array(5).fill(`${PRINCIPAL} arn:aws:iam::${ACCOUNT}:user/ada`));
    expect(new Set(platformRoutes(stack)).size).toBe(platformRoutes(stack).length);
  });

  it('grantManage removes the warning that nobody can register a Deployment', () => {
    const withoutAdministrators = { issuer: 'https://login.example.com', audience: 'keys' };
    const warnings = ({ stack }: { stack: Stack }) =>
      Annotations.fromStack(stack).findWarning('*', Match.stringLikeRegexp('Nobody can')).length;
    expect(warnings(service(withoutAdministrators))).toBe(1);
    const granted = service(withoutAdministrators);
    granted.keys.grantManage(granted.role());
    expect(warnings(granted)).toBe(0);
  });

  it('grantManage rejects a principal that /platform cannot accept', () => {
    const { app, stack, keys } = service();
    const message = 'grantManage needs an IAM role or user, because /platform accepts no other principal.';
    expect(() => keys.grantManage(TRUSTED)).toThrow(message);
    expect(() => keys.grantManage(new iam.AccountPrincipal(ACCOUNT))).toThrow(message);
    const foreign = iam.Role.fromRoleArn(stack, 'Foreign', 'arn:aws:iam::444455556666:role/platform');
    expect(() => keys.grantManage(foreign)).toThrow(
      `platformPrincipals must be of the stack's own account, for example -c platformPrincipals=arn:aws:iam::${ACCOUNT}:role/platform.`,
    );
    const other = new Stack(app, 'Other', { env: { account: ACCOUNT, region: 'eu-west-1' } });
    expect(() => keys.grantManage(new iam.Role(other, 'Role', { assumedBy: TRUSTED }))).toThrow(
      'Other/Role belongs to another stack, and the two stacks would need each other. Create it in the stack of DeploymentKeys, ' +
        'or give it a name and pass Role.fromRoleArn or User.fromUserArn with its ARN as text.',
    );
    expect(platformRoutes(stack)).toStrictEqual([]);
  });

  it('grantManage rejects a list with more than 20 principals or with more text than the functions can hold', () => {
    const { stack, keys } = service();
    const role = (name: string) => iam.Role.fromRoleArn(stack, name, `arn:aws:iam::${ACCOUNT}:role/${name}`);
    for (let at = 0; at < 20; at++) keys.grantManage(role(`r${at}`));
    expect(() => keys.grantManage(role('r20'))).toThrow(
      /^platformPrincipals must be 1 to 20 different ARNs /,
    );
    const other = service();
    const long = (at: number) => `arn:aws:iam::${ACCOUNT}:role/${'x'.repeat(200)}/r${at}`;
    expect(() => {
      for (let at = 0; at < 20; at++) {
        other.keys.grantManage(iam.Role.fromRoleArn(other.stack, `r${at}`, long(at)));
      }
    }).toThrow(/^platformPrincipals must be shorter: the settings of the function /);
  });

  it("grantManage adds the policy of an imported role to the role's stack", () => {
    const { app, stack, keys } = service();
    const other = new Stack(app, 'Other', { env: { account: ACCOUNT, region: 'eu-west-1' } });
    keys.grantManage(iam.Role.fromRoleArn(other, 'Role', PRINCIPAL));
    expect(lists(stack)).toStrictEqual(Array(5).fill(PRINCIPAL));
    expect(statements(other)).toHaveLength(1);
    expect(statements(stack)).toHaveLength(0);
  });
});
