import { App, CfnOutput, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { HttpApi, HttpMethod } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { describe, expect, it } from 'vitest';
import { DeploymentKeyAuthorizer } from '../../infra/deployment-key-authorizer.ts';
import { DeploymentKeys } from '../../infra/deployment-keys.ts';
import { EVERYTHING, type Json, templateOf, WITH_ISSUER } from '../support/template.ts';

const consumer = () =>
  new Stack(new App(), 'Consumer', { env: { account: '111122223333', region: 'eu-west-1' } });

/** Returns the values of the SSM parameters that a stack creates, by name. */
const parametersOf = (template: Template): Record<string, Json> =>
  Object.fromEntries(
    Object.values<Json>(template.findResources('AWS::SSM::Parameter')).map(({ Properties }) => [
      Properties.Name,
      Properties.Value,
    ]),
  );
/** Returns the names of the SSM parameters that CloudFormation reads when it deploys a stack. */
const readBy = (stack: Stack): string[] =>
  Object.values<Json>(Template.fromStack(stack).toJSON().Parameters ?? {})
    .filter(({ Type }) => Type === 'AWS::SSM::Parameter::Value<String>')
    .map(({ Default }) => Default)
    .filter((name) => !name.startsWith('/cdk-bootstrap/'))
    .toSorted();

describe("A consumer's stack can find the service with DeploymentKeys.fromStage", () => {
  it("DeploymentKeys.fromStage reads only parameters that the stage's stack publishes, with the values of the stack's outputs", () => {
    const stack = consumer();
    const keys = DeploymentKeys.fromStage(stack, 'Keys', 'production');
    const outputs = {
      ApiUrl: keys.url,
      AuthorizerFunctionArn: keys.authorizerFunctionArn,
      TableName: keys.tableName,
      EventBusName: keys.eventBusName,
      PlatformUrl: keys.platformUrl as string,
      PlatformArn: keys.platformArn as string,
    };
    for (const [id, value] of Object.entries(outputs)) new CfnOutput(stack, id, { value });
    const { Outputs, Parameters } = Template.fromStack(stack).toJSON();
    const service = templateOf(EVERYTHING);
    const published = parametersOf(service);
    expect(readBy(stack)).toStrictEqual(Object.keys(published).toSorted());
    for (const name of Object.keys(outputs)) {
      const { Default } = Parameters[Outputs[name].Value.Ref];
      expect(published[Default]).toStrictEqual(service.toJSON().Outputs[name].Value);
    }
  });

  it('a service without platformPrincipals publishes no parameters about /platform', () => {
    expect(Object.keys(parametersOf(templateOf(WITH_ISSUER))).toSorted()).toStrictEqual(
      ['api-url', 'authorizer-function-arn', 'event-bus-name', 'table-name'].map(
        (key) => `/deployment-api-keys-development/${key}`,
      ),
    );
  });

  it("DeploymentKeys.fromStage returns an authorizer for a route and reads only the authorizer's ARN", () => {
    const stack = consumer();
    const { authorizerFunctionArn: functionArn } = DeploymentKeys.fromStage(stack, 'Keys', 'production');
    const api = new HttpApi(stack, 'Api');
    const authorizer = new DeploymentKeyAuthorizer(stack, 'Authorizer', {
      api,
      functionArn,
      requiredScopes: { 'POST /deployments/{deploymentId}/deploys': ['code:deploy'] },
      handlerChecksDeployment: false,
    });
    const handler = LambdaFunction.fromFunctionName(stack, 'Handler', 'receive');
    api.addRoutes({
      path: '/deployments/{deploymentId}/deploys',
      methods: [HttpMethod.POST],
      integration: new HttpLambdaIntegration('Handler', handler),
      authorizer,
    });
    expect(readBy(stack)).toStrictEqual(['/deployment-api-keys-production/authorizer-function-arn']);
    const template = Template.fromStack(stack);
    const [parameter] = Object.keys(
      template.findParameters('*', { Default: '/deployment-api-keys-production/authorizer-function-arn' }),
    );
    const [found] = Object.values<Json>(template.findResources('AWS::ApiGatewayV2::Authorizer'));
    expect(found.Properties.AuthorizerUri['Fn::Join'][1]).toContainEqual({ Ref: parameter });
    const roles = Object.values<Json>(template.findResources('AWS::IAM::Role'));
    const allowed = roles.flatMap(({ Properties }) =>
      (Properties.Policies ?? []).flatMap((it: Json) => it.PolicyDocument.Statement),
    );
    expect(allowed).toStrictEqual([
      { Action: 'lambda:InvokeFunction', Effect: 'Allow', Resource: { Ref: parameter } },
    ]);
  });

  it('DeploymentKeys.fromStage finds the service, with its metrics, in a stack of any name', () => {
    const stack = consumer();
    const keys = DeploymentKeys.fromStackName(stack, 'Keys', 'our-keys');
    expect(keys.metricChecksFailed().dimensions).toStrictEqual({ stack: 'our-keys' });
    new CfnOutput(stack, 'Url', { value: keys.url });
    expect(readBy(stack)).toStrictEqual(['/our-keys/api-url']);
  });

  it("grantManage allows a role in a consumer's stack to call the management API", () => {
    const stack = consumer();
    const role = new iam.Role(stack, 'Role', {
      assumedBy: new iam.ServicePrincipal('codebuild.amazonaws.com'),
    });
    DeploymentKeys.fromStage(stack, 'Keys', 'production').grantManage(role);
    expect(readBy(stack)).toStrictEqual(['/deployment-api-keys-production/platform-arn']);
    const [policy] = Object.values<Json>(Template.fromStack(stack).findResources('AWS::IAM::Policy'));
    const [{ Action, Resource }] = policy.Properties.PolicyDocument.Statement;
    expect(Action).toBe('execute-api:Invoke');
    expect(Resource).toContainEqual({
      'Fn::Join': ['', [{ Ref: expect.any(String) }, '/GET/platform/deployments']],
    });
  });
});
