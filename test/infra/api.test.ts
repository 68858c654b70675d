import { describe, expect, it } from 'vitest';
import { STACK_ID } from '../../infra/app.ts';
import {
  ARN,
  EVERYTHING,
  idAt,
  type Json,
  resourceAt,
  templateOf,
  WITH_ISSUER,
} from '../support/template.ts';

const template = templateOf(WITH_ISSUER);

/** The function that an integration invokes, by the ID of its construct. */
function handlerOf(integrationId: string): string {
  const integration = template.toJSON().Resources[integrationId];
  expect(integration.Properties).toMatchObject({
    IntegrationType: 'AWS_PROXY',
    PayloadFormatVersion: '2.0',
  });
  const functionId = integration.Properties.IntegrationUri['Fn::GetAtt'][0];
  return template.toJSON().Resources[functionId].Metadata['aws:cdk:path'].split('/')[2];
}

const routes = Object.values<Json>(template.findResources('AWS::ApiGatewayV2::Route')).map(
  ({ Properties: { RouteKey, AuthorizationType, Target } }) =>
    `${RouteKey} ${AuthorizationType} ${handlerOf(Target['Fn::Join'][1][1].Ref)}`,
);

describe('the API', () => {
  it('is an HTTP API with one stage, $default, that deploys automatically', () => {
    template.resourceCountIs('AWS::ApiGatewayV2::Api', 1);
    expect(resourceAt(template, 'Api/Default').Properties).toStrictEqual({
      Name: 'deployment-api-keys-development',
      Description: 'API keys for Deployments',
      ProtocolType: 'HTTP',
    });
    template.resourceCountIs('AWS::ApiGatewayV2::Stage', 1);
    expect(resourceAt(template, 'Api/Default/DefaultStage').Properties).toMatchObject({
      StageName: '$default',
      AutoDeploy: true,
    });
  });

  it('has exactly these routes, and only the OAuth and leak report routes need no sign-in', () => {
    expect(routes.toSorted()).toStrictEqual([
      'DELETE /deployments/{deploymentId} JWT ManageDeployments',
      'DELETE /deployments/{deploymentId}/api-keys/{keyId} JWT ManageKeys',
      'DELETE /deployments/{deploymentId}/temporary-tokens/{tokenId} JWT ManageTemporaryTokens',
      'GET /.well-known/oauth-authorization-server NONE Metadata',
      'GET /deployments JWT ManageDeployments',
      'GET /deployments/{deploymentId} JWT ManageDeployments',
      'GET /deployments/{deploymentId}/api-keys JWT ManageKeys',
      'GET /deployments/{deploymentId}/api-keys/{keyId} JWT ManageKeys',
      'GET /deployments/{deploymentId}/events JWT ListEvents',
      'GET /deployments/{deploymentId}/temporary-tokens JWT ManageTemporaryTokens',
      'GET /whoami NONE Whoami',
      'PATCH /deployments/{deploymentId}/api-keys/{keyId} JWT ManageKeys',
      'POST /deployments/{deploymentId}/api-keys JWT ManageKeys',
      'POST /deployments/{deploymentId}/api-keys/{keyId}/rotate JWT ManageKeys',
      'POST /deployments/{deploymentId}/temporary-tokens JWT ManageTemporaryTokens',
      'POST /leaks NONE ReportLeak',
      'POST /oauth/introspect NONE Introspect',
      'POST /oauth/revoke NONE Revoke',
      'POST /oauth/token NONE IssueToken',
      'PUT /deployments/{deploymentId} JWT ManageDeployments',
    ]);
  });

  it('limits each route under /oauth/ to 100 calls a second to cap the cost, after the routes exist', () => {
    const stage = resourceAt(template, 'Api/Default/DefaultStage');
    const ceiling = { ThrottlingRateLimit: 100, ThrottlingBurstLimit: 200 };
    expect(stage.Properties.RouteSettings).toStrictEqual({
      'POST /oauth/token': ceiling,
      'POST /oauth/introspect': ceiling,
      'POST /oauth/revoke': ceiling,
      // Separate from the token endpoint and low, because no pipeline waits for it.
      'POST /leaks': { ThrottlingRateLimit: 10, ThrottlingBurstLimit: 20 },
    });
    const keys = stage.DependsOn.map((id: string) => template.toJSON().Resources[id].Properties.RouteKey);
    expect(keys).toEqual(expect.arrayContaining(Object.keys(stage.Properties.RouteSettings)));
  });

  it('gets five more routes for the console, none of which is a path of the API', () => {
    const withConsole = templateOf({ ...WITH_ISSUER, consoleClientId: 'console' });
    const keys = (of: typeof template) =>
      Object.values<Json>(of.findResources('AWS::ApiGatewayV2::Route')).map(
        (route) => `${route.Properties.RouteKey} ${route.Properties.AuthorizationType}`,
      );
    expect(
      keys(withConsole)
        .filter((key) => !keys(template).includes(key))
        .toSorted(),
    ).toStrictEqual([
      'GET / NONE',
      'GET /console NONE',
      'GET /console/assets/{file} NONE',
      'GET /console/{proxy+} NONE',
      'GET /token NONE',
    ]);
    expect(keys(template).filter((key) => !keys(withConsole).includes(key))).toStrictEqual([]);
  });

  it('gets a /platform route for each management operation except getting a temporary token when the stack lists IAM principals', () => {
    const keys = (context: Record<string, unknown>) =>
      Object.values<Json>(templateOf(context).findResources('AWS::ApiGatewayV2::Route')).map(
        ({ Properties: { RouteKey, AuthorizationType } }) => `${RouteKey} ${AuthorizationType}`,
      );
    const platform = keys({ ...WITH_ISSUER, platformPrincipals: ARN.PRINCIPAL });
    expect(platform.filter((key) => !keys(WITH_ISSUER).includes(key)).toSorted()).toStrictEqual([
      'DELETE /platform/deployments/{deploymentId} AWS_IAM',
      'DELETE /platform/deployments/{deploymentId}/api-keys/{keyId} AWS_IAM',
      'DELETE /platform/deployments/{deploymentId}/temporary-tokens/{tokenId} AWS_IAM',
      'GET /platform/deployments AWS_IAM',
      'GET /platform/deployments/{deploymentId} AWS_IAM',
      'GET /platform/deployments/{deploymentId}/api-keys AWS_IAM',
      'GET /platform/deployments/{deploymentId}/api-keys/{keyId} AWS_IAM',
      'GET /platform/deployments/{deploymentId}/events AWS_IAM',
      'GET /platform/deployments/{deploymentId}/temporary-tokens AWS_IAM',
      'PATCH /platform/deployments/{deploymentId}/api-keys/{keyId} AWS_IAM',
      'POST /platform/deployments/{deploymentId}/api-keys AWS_IAM',
      'POST /platform/deployments/{deploymentId}/api-keys/{keyId}/rotate AWS_IAM',
      'PUT /platform/deployments/{deploymentId} AWS_IAM',
    ]);
    expect(keys(WITH_ISSUER).join()).not.toMatch(/platform|AWS_IAM/);
  });

  it("verifies people's access tokens against the configured issuer and audience", () => {
    const authorizer = resourceAt(template, 'Api/Default/People');
    expect(authorizer.Properties).toStrictEqual({
      ApiId: { Ref: idAt(template, 'Api/Default') },
      Name: 'People',
      AuthorizerType: 'JWT',
      IdentitySource: ['$request.header.Authorization'],
      JwtConfiguration: { Issuer: WITH_ISSUER.issuer, Audience: [WITH_ISSUER.audience] },
    });
    template.resourceCountIs('AWS::ApiGatewayV2::Authorizer', 1);
    const used = Object.values<Json>(template.findResources('AWS::ApiGatewayV2::Route')).flatMap(
      (route) => route.Properties.AuthorizerId ?? [],
    );
    expect(used).toStrictEqual(Array(14).fill({ Ref: authorizer.id }));
  });

  it('accepts every configured audience', () => {
    const several = templateOf({ ...WITH_ISSUER, audience: 'keys,cli' });
    expect(resourceAt(several, 'Api/Default/People').Properties.JwtConfiguration.Audience).toStrictEqual([
      'keys',
      'cli',
    ]);
  });
});

describe('the outputs of the stack', () => {
  const outputs = (context: Record<string, unknown>): Json => templateOf(context).toJSON().Outputs;

  it("name the API's URL, the authorizer function, the table and the sign-in issuer", () => {
    expect(outputs({ ...WITH_ISSUER, consoleClientId: 'console' })).toStrictEqual({
      ApiUrl: {
        Description: 'Where the service answers',
        Value: { 'Fn::GetAtt': [idAt(template, 'Api/Default'), 'ApiEndpoint'] },
      },
      AuthorizerFunctionArn: {
        Description: 'The Lambda authorizer for other APIs',
        Value: { 'Fn::GetAtt': [idAt(template, 'Authorize/Function'), 'Arn'] },
      },
      TableName: {
        Description: 'Where keys and tokens are kept',
        Value: { Ref: idAt(template, 'Table/Default') },
      },
      EventBusName: {
        Description: 'Where the service tells what happened',
        Value: { Ref: idAt(template, 'EventBus/Default') },
      },
      Issuer: { Description: 'Who signs people in', Value: WITH_ISSUER.issuer },
      ConsoleClientId: {
        Description: 'The public client with which people sign in',
        Value: 'console',
      },
    });
  });

  it('name the URL for IAM principals, which bypasses CloudFront', () => {
    const platformPrincipals = ARN.PRINCIPAL;
    const { domainName, certificateArn } = EVERYTHING;
    const own = { 'Fn::GetAtt': [idAt(template, 'Api/Default'), 'ApiEndpoint'] };
    const urlOf = (context: Record<string, unknown>) =>
      outputs({ ...WITH_ISSUER, ...context }).PlatformUrl?.Value;
    expect(urlOf({ platformPrincipals })).toStrictEqual(own);
    expect(urlOf({ platformPrincipals, domainName, certificateArn })).toBe('https://keys.example.com');
    expect(outputs(EVERYTHING).PlatformUrl.Value).toStrictEqual(own);
    expect(urlOf({})).toBeUndefined();
    const { PlatformArn } = outputs({ ...WITH_ISSUER, platformPrincipals });
    expect(PlatformArn.Value['Fn::Join'][1].filter((it: Json) => typeof it === 'string').join('·')).toBe(
      'arn:·:execute-api:·:·:·/$default',
    );
    expect(outputs(WITH_ISSUER)).not.toHaveProperty('PlatformArn');
  });

  it('name no console client when none is configured', () => {
    expect(outputs(WITH_ISSUER)).not.toHaveProperty('ConsoleClientId');
  });

  it('the outputs of the stack belong to a stack whose constructs share one path', () => {
    const paths = Object.values<Json>(template.toJSON().Resources).map(
      (resource) => resource.Metadata['aws:cdk:path'].split('/')[0],
    );
    expect(new Set(paths)).toStrictEqual(new Set([STACK_ID]));
  });
});
