import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { type CfnStage, LambdaIntegration, RestApi } from 'aws-cdk-lib/aws-apigateway';
import { HttpApi, HttpMethod, HttpRoute, HttpRouteKey, HttpStage } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { describe, expect, it } from 'vitest';
import { parseRequiredScopes } from '../../functions/domain/scopes.ts';
import {
  DeploymentKeyAuthorizer,
  type DeploymentKeyAuthorizerProps,
} from '../../infra/deployment-key-authorizer.ts';
import { type Json, resourceAt, templateOf, WITH_ISSUER } from '../support/template.ts';

const FUNCTION_ARN = 'arn:aws:lambda:eu-west-1:111122223333:function:keys-Authorize';
const URI = `arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/${FUNCTION_ARN}/invocations`;
const PATH = '/deployments/{deploymentId}/deploys';

type Options = Partial<Omit<DeploymentKeyAuthorizerProps, 'api'>>;
const defaults = {
  functionArn: FUNCTION_ARN,
  requiredScopes: { [`POST ${PATH}`]: ['code:deploy'] },
  handlerChecksDeployment: false,
} as const;

/**
 * Creates a stack of a consumer.
 * @param routes `METHOD /path` of the routes that use the authorizer
 */
function httpApi(options: Options = {}, routes: string[] = [`POST ${PATH}`]) {
  const stack = new Stack(new App(), 'Consumer', { env: { account: '444455556666', region: 'eu-west-1' } });
  const api = new HttpApi(stack, 'Api');
  const authorizer = new DeploymentKeyAuthorizer(stack, 'Authorizer', { ...defaults, ...options, api });
  const handler = LambdaFunction.fromFunctionName(stack, 'Handler', 'handler');
  for (const [index, route] of routes.entries()) {
    const [method = '', path = ''] = route.split(' ');
    const integration = new HttpLambdaIntegration(`Handler${index}`, handler);
    api.addRoutes({ path, methods: [method as HttpMethod], integration, authorizer });
  }
  return { stack, api, authorizer, handler };
}

function restApi(options: Options = {}, routes: string[] = [`POST ${PATH}`]) {
  const stack = new Stack(new App(), 'Consumer', { env: { account: '444455556666', region: 'eu-west-1' } });
  const api = new RestApi(stack, 'Api', { cloudWatchRole: false });
  const authorizer = new DeploymentKeyAuthorizer(stack, 'Authorizer', { ...defaults, ...options, api });
  const handler = LambdaFunction.fromFunctionName(stack, 'Handler', 'handler');
  for (const route of routes) {
    const [method = '', path = ''] = route.split(' ');
    const resource = path === '/' ? api.root : api.root.resourceForPath(path);
    resource.addMethod(method, new LambdaIntegration(handler), { authorizer });
  }
  return { stack, api, authorizer, handler };
}

/** Returns the properties of all resources of a given type in a stack. */
const propertiesOf = (stack: Stack, type: string): Json[] =>
  Object.values<Json>(Template.fromStack(stack).findResources(type)).map(({ Properties }) => Properties);

describe("A consumer's stack can use an authorizer in another account", () => {
  it('a REST API sends the whole request to an authorizer in another account and does not cache results', () => {
    expect(propertiesOf(restApi().stack, 'AWS::ApiGateway::Authorizer')).toMatchObject([
      {
        Type: 'REQUEST',
        IdentitySource: 'method.request.header.Authorization,stageVariables.requiredScopes',
        AuthorizerUri: URI,
        AuthorizerCredentials: { 'Fn::GetAtt': [expect.stringMatching(/^AuthorizerRole/), 'Arn'] },
        AuthorizerResultTtlInSeconds: 0,
      },
    ]);
  });

  it('an HTTP API uses payload 2.0, simple responses and no cache for an authorizer in another account', () => {
    expect(propertiesOf(httpApi().stack, 'AWS::ApiGatewayV2::Authorizer')).toMatchObject([
      {
        AuthorizerType: 'REQUEST',
        IdentitySource: ['$request.header.Authorization', '$stageVariables.requiredScopes'],
        AuthorizerPayloadFormatVersion: '2.0',
        EnableSimpleResponses: true,
        AuthorizerUri: URI,
        AuthorizerCredentialsArn: { 'Fn::GetAtt': [expect.stringMatching(/^AuthorizerRole/), 'Arn'] },
        AuthorizerResultTtlInSeconds: 0,
      },
    ]);
  });

  it.each([
    ['REST', () => restApi().stack],
    ['HTTP', () => httpApi().stack],
  ])('a %s API has a role with which API Gateway can only invoke the authorizer', (_, stack) => {
    expect(propertiesOf(stack(), 'AWS::IAM::Policy')).toStrictEqual([]);
    expect(propertiesOf(stack(), 'AWS::IAM::Role')).toStrictEqual([
      {
        Description: 'Lets API Gateway ask the authorizer of deployment-api-keys',
        AssumeRolePolicyDocument: {
          Version: '2012-10-17',
          Statement: [
            { Action: 'sts:AssumeRole', Effect: 'Allow', Principal: { Service: 'apigateway.amazonaws.com' } },
          ],
        },
        Policies: [
          {
            PolicyName: 'AskTheAuthorizer',
            PolicyDocument: {
              Version: '2012-10-17',
              Statement: [{ Action: 'lambda:InvokeFunction', Effect: 'Allow', Resource: FUNCTION_ARN }],
            },
          },
        ],
      },
    ]);
  });

  it('a protected REST API sends a Bearer challenge with each 401', () => {
    expect(propertiesOf(restApi().stack, 'AWS::ApiGateway::GatewayResponse')).toMatchObject([
      {
        ResponseType: 'UNAUTHORIZED',
        ResponseParameters: { 'gatewayresponse.header.WWW-Authenticate': "'Bearer'" },
      },
    ]);
  });

  it('a protected REST API is deployed again when its authorizer changes', () => {
    const deployment = (options: Options) =>
      Object.keys(Template.fromStack(restApi(options).stack).findResources('AWS::ApiGateway::Deployment'))[0];
    expect(deployment({})).toBe(deployment({}));
    expect(deployment({ functionArn: FUNCTION_ARN.replace('Authorize', 'Other') })).not.toBe(deployment({}));
  });
});

describe('DeploymentKeyAuthorizer can be in the same app as the service', () => {
  function inApp(isOneStack: boolean) {
    const app = new App();
    const owner = new Stack(app, 'Owner');
    const authorize = new LambdaFunction(owner, 'Authorize', {
      runtime: Runtime.NODEJS_24_X,
      handler: 'index.handler',
      code: Code.fromInline('exports.handler = async () => {};'),
    });
    const consumer = isOneStack ? owner : new Stack(app, 'Consumer');
    const api = new RestApi(consumer, 'Api', { cloudWatchRole: false });
    const authorizer = new DeploymentKeyAuthorizer(consumer, 'Authorizer', {
      ...defaults,
      functionArn: authorize.functionArn,
      api,
    });
    const handler = LambdaFunction.fromFunctionName(consumer, 'Handler', 'handler');
    api.root.resourceForPath(PATH).addMethod('POST', new LambdaIntegration(handler), { authorizer });
    app.synth();
    return { owner, consumer };
  }

  it('DeploymentKeyAuthorizer refers to the service, but the service does not refer to it', () => {
    const { owner, consumer } = inApp(false);
    expect(consumer.dependencies).toStrictEqual([owner]);
    expect(owner.dependencies).toStrictEqual([]);
    expect(propertiesOf(owner, 'AWS::Lambda::Permission')).toStrictEqual([]);
  });

  it("DeploymentKeyAuthorizer can be in the service's stack without a circular reference", () => {
    const { owner } = inApp(true);
    // The assertions library throws if there is a circular reference.
    expect(propertiesOf(owner, 'AWS::ApiGateway::Authorizer')).toHaveLength(1);
  });
});

describe('DeploymentKeyAuthorizer passes requiredScopes in stage variables', () => {
  const variable = (requiredScopes: DeploymentKeyAuthorizerProps['requiredScopes'], routes: string[]) => {
    const options = { requiredScopes, handlerChecksDeployment: true };
    const ofHttp = Template.fromStack(httpApi(options, routes).stack).findResources(
      'AWS::ApiGatewayV2::Stage',
    );
    return Object.values(ofHttp)[0]?.Properties.StageVariables;
  };

  it('the function can parse the stage variable that contains requiredScopes', () => {
    const routes = ['POST /deploys', 'GET /deployments/{deploymentId}/dags', 'ANY /files/{path+}', 'GET /'];
    const variables = variable(
      {
        'POST /deploys': ['code:deploy'],
        'GET /deployments/{deploymentId}/dags': ['airflow:read', 'airflow:write'],
        'ANY /files/{path+}': 'any',
        'GET /': 'any',
      },
      routes,
    );
    expect(variables).toStrictEqual({
      requiredScopes:
        'POST/deploys=code:deploy&GET/deployments/:deploymentId/dags=airflow:read,airflow:write&ANY/files/:path...=any&GET/=any',
    });
    expect(parseRequiredScopes(variables.requiredScopes)?.size).toBe(4);
  });

  it("requiredScopes is added to a REST API's existing stage variables", () => {
    const { stack, api } = restApi({ deploymentParameter: 'd', requiredScopes: { 'GET /{d}': 'any' } }, [
      'GET /{d}',
    ]);
    (api.deploymentStage.node.defaultChild as CfnStage).variables = { theirs: 'kept' };
    expect(propertiesOf(stack, 'AWS::ApiGateway::Stage')).toMatchObject([
      { Variables: { requiredScopes: 'GET/:d=any', deploymentParameter: 'd', theirs: 'kept' } },
    ]);
  });

  it('requiredScopes is passed in a variable of every stage in the list', () => {
    const stack = new Stack(new App(), 'Consumer');
    const api = new HttpApi(stack, 'Api');
    const beta = new HttpStage(stack, 'Beta', { httpApi: api, stageName: 'beta' });
    const stages = [api.defaultStage as HttpStage, beta];
    const requiredScopes = { $default: 'any' } as const;
    const props = { functionArn: FUNCTION_ARN, requiredScopes, handlerChecksDeployment: true, api, stages };
    const authorizer = new DeploymentKeyAuthorizer(stack, 'Authorizer', props);
    const handler = LambdaFunction.fromFunctionName(stack, 'Handler', 'handler');
    const integration = new HttpLambdaIntegration('Handler', handler);
    new HttpRoute(stack, 'Route', { httpApi: api, routeKey: HttpRouteKey.DEFAULT, integration, authorizer });
    const stageVariables = { StageVariables: { requiredScopes: 'default=any' } };
    expect(propertiesOf(stack, 'AWS::ApiGatewayV2::Stage')).toMatchObject([stageVariables, stageVariables]);
  });

  it.each([
    ['no route', {}, 'requiredScopes must name at least one route.'],
    [
      'a route without a method',
      { '/deploys': 'any' },
      '"/deploys" in requiredScopes must be a method and a path',
    ],
    [
      'a route with a method in lower case',
      { 'post /deploys': 'any' },
      '"post /deploys" in requiredScopes must be',
    ],
    ['a path with a space', { 'GET /a b': 'any' }, '"GET /a b" in requiredScopes must be'],
    ['no scope', { 'GET /a': [] }, "GET /a in requiredScopes must have one or more scopes, or 'any'."],
    [
      'an invalid scope',
      { 'GET /a': ['Code'] },
      "GET /a in requiredScopes must have one or more scopes, or 'any'.",
    ],
    [
      '"any" among scopes',
      { 'GET /a': ['any'] },
      "GET /a in requiredScopes must have one or more scopes, or 'any'.",
    ],
    [
      'more than a stage variable can hold',
      Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`GET /path${n}`, 'any'])),
      'which holds 512',
    ],
  ])('synthesis fails for requiredScopes with %s', (_, requiredScopes, message) => {
    expect(() => httpApi({ requiredScopes } as Options)).toThrow(message);
  });
});

describe('Synthesis rejects routes that DeploymentKeyAuthorizer cannot check', () => {
  const faultsOf = ({ authorizer }: { authorizer: DeploymentKeyAuthorizer }) => authorizer.node.validate();

  it.each([
    ['REST', restApi],
    ['HTTP', httpApi],
  ])(
    'synthesis fails on a %s API if a route uses the authorizer but is not listed in requiredScopes',
    (_, make) => {
      expect(faultsOf(make({ handlerChecksDeployment: true }, [`POST ${PATH}`, 'GET /open']))).toStrictEqual([
        'GET /open uses this authorizer and is not in requiredScopes: every call would be 403.',
      ]);
    },
  );

  it.each([
    ['REST', restApi],
    ['HTTP', httpApi],
  ])(
    'synthesis fails on a %s API if requiredScopes lists a route that does not use the authorizer',
    (_, make) => {
      expect(faultsOf(make({}, []))).toStrictEqual([
        `POST ${PATH} is in requiredScopes, and no such route uses this authorizer: is it open?`,
      ]);
    },
  );

  it.each([
    ['REST', restApi],
    ['HTTP', httpApi],
  ])(
    'synthesis fails on a %s API if a route names no Deployment and no handler checks the Deployment',
    (_, make) => {
      const requiredScopes = { 'POST /deploys': ['code:deploy'] };
      expect(faultsOf(make({ requiredScopes }, ['POST /deploys']))).toStrictEqual([
        "POST /deploys has no parameter {deploymentId}, so tokens of every Deployment would be let in: add it, or let the handler compare the context's deploymentId and set handlerChecksDeployment.",
      ]);
      expect(
        faultsOf(make({ requiredScopes, handlerChecksDeployment: true }, ['POST /deploys'])),
      ).toStrictEqual([]);
    },
  );

  it('requiredScopes can cover a GET route with a rule for ANY, and an ANY route with a rule for GET', () => {
    const of = (rule: string, route: string) => {
      const requiredScopes: Options['requiredScopes'] = { [rule as `GET /${string}`]: 'any' };
      return faultsOf(restApi({ requiredScopes, handlerChecksDeployment: true }, [route]));
    };
    expect(of('ANY /a', 'GET /a')).toStrictEqual([]);
    expect(of('GET /a', 'ANY /a')).toStrictEqual([]);
    expect(of('GET /a', 'POST /a')).toHaveLength(2);
  });

  it("synthesis fails if an HTTP API uses another API's authorizer", () => {
    const { stack, authorizer, handler } = httpApi();
    const other = new HttpApi(stack, 'Other');
    const integration = new HttpLambdaIntegration('Other', handler);
    expect(() => other.addRoutes({ path: '/', methods: [HttpMethod.GET], integration, authorizer })).toThrow(
      'Consumer/Authorizer is the authorizer of another API: make one for each API.',
    );
  });

  it.each([
    [
      'function name',
      { functionArn: 'keys-Authorize' },
      'functionArn must be the ARN of a Lambda function, not "keys-Authorize".',
    ],
    [
      'parameter in braces',
      { deploymentParameter: '{d}' },
      'deploymentParameter must be the name of a path parameter, without braces.',
    ],
  ])('synthesis fails for a DeploymentKeyAuthorizer with an invalid %s', (_, options, message) => {
    expect(() => httpApi(options)).toThrow(message);
  });

  it('DeploymentKeyAuthorizer has no property that turns on result caching', () => {
    // @ts-expect-error: this compiles only if someone adds such a property.
    const options: Options = { resultsCacheTtl: 300 };
    expect(JSON.stringify(Template.fromStack(httpApi(options).stack).toJSON())).toContain(
      '"AuthorizerResultTtlInSeconds":0',
    );
  });
});

describe("Other accounts can find and invoke the service's authorizer", () => {
  it("the service's stack publishes the authorizer's ARN as an output and an SSM parameter", () => {
    const template = templateOf(WITH_ISSUER);
    const arn = { 'Fn::GetAtt': [resourceAt(template, 'Authorize/Function').id, 'Arn'] };
    expect(template.toJSON().Outputs.AuthorizerFunctionArn.Value).toStrictEqual(arn);
    expect(resourceAt(template, 'SharedAuthorizer/Parameter').Properties).toMatchObject({
      Name: '/deployment-api-keys-development/authorizer-function-arn',
      Type: 'String',
      Value: arn,
    });
  });

  it('only the consumer accounts may invoke the authorizer', () => {
    const permissions = (context: object) =>
      Object.values(templateOf({ ...WITH_ISSUER, ...context }).findResources('AWS::Lambda::Permission'))
        .map(({ Properties }) => Properties)
        .filter(({ FunctionName }) => JSON.stringify(FunctionName).includes('Authorize'))
        .map(({ Action, Principal }) => [Action, Principal]);
    expect(permissions({})).toStrictEqual([]);
    expect(permissions({ consumerAccounts: '111122223333,444455556666' })).toStrictEqual([
      ['lambda:InvokeFunction', expect.stringMatching(/111122223333/)],
      ['lambda:InvokeFunction', expect.stringMatching(/444455556666/)],
    ]);
  });
});
