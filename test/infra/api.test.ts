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

/** The function that an integration invokes, by its construct's ID. */
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
  it('is an HTTP API with one stage, $default, deployed by itself', () => {
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

  it('has exactly these routes, and only a pipeline comes without a sign-in', () => {
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

  it('takes 100 calls a second on each route of /oauth/, as a ceiling on cost, once the routes are there', () => {
    const stage = resourceAt(template, 'Api/Default/DefaultStage');
    const ceiling = { ThrottlingRateLimit: 100, ThrottlingBurstLimit: 200 };
    expect(stage.Properties.RouteSettings).toStrictEqual({
      'POST /oauth/token': ceiling,
      'POST /oauth/introspect': ceiling,
      'POST /oauth/revoke': ceiling,
      // Apart from the exchange, and low: nobody's pipeline waits for it.
      'POST /leaks': { ThrottlingRateLimit: 10, ThrottlingBurstLimit: 20 },
    });
    const keys = stage.DependsOn.map((id: string) => template.toJSON().Resources[id].Properties.RouteKey);
    expect(keys).toEqual(expect.arrayContaining(Object.keys(stage.Properties.RouteSettings)));
  });

  it('has five more for the console, none of which is a path of the API', () => {
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

  it('has more for IAM principals where some are listed: all that people manage, but for getting a temporary token', () => {
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

  it('verifies the access tokens of people against the configured issuer and audience', () => {
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

  it('knows every audience that is configured', () => {
    const several = templateOf({ ...WITH_ISSUER, audience: 'keys,cli' });
    expect(resourceAt(several, 'Api/Default/People').Properties.JwtConfiguration.Audience).toStrictEqual([
      'keys',
      'cli',
    ]);
  });
});

describe('the outputs', () => {
  const outputs = (context: Record<string, unknown>): Json => templateOf(context).toJSON().Outputs;

  it('say where the API is, which function authorises, what the table is called and who signs people in', () => {
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

  it('say where IAM principals call, where there are some: behind a distribution, past it', () => {
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

  it('name no console client where none is configured', () => {
    expect(outputs(WITH_ISSUER)).not.toHaveProperty('ConsoleClientId');
  });

  it('belong to a stack whose constructs all lie under one path', () => {
    const paths = Object.values<Json>(template.toJSON().Resources).map(
      (resource) => resource.Metadata['aws:cdk:path'].split('/')[0],
    );
    expect(new Set(paths)).toStrictEqual(new Set([STACK_ID]));
  });
});
