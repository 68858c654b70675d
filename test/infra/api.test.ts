import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { STACK_ID } from '../../infra/app.ts';
import {
  ARN,
  EVERYTHING,
  idAt,
  type Json,
  resourceAt,
  SOURCE,
  templateOf,
  WITH_ISSUER,
} from '../support/template.ts';

const template = templateOf(WITH_ISSUER);

/** Returns the construct ID of the Lambda function that an API Gateway integration invokes. */
function handlerOf(integrationId: string): string {
  const integration = template.toJSON().Resources[integrationId];
  expect(integration.Properties).toMatchObject({
    IntegrationType: 'AWS_PROXY',
    PayloadFormatVersion: '2.0',
  });
  const functionId = integration.Properties.IntegrationUri['Fn::GetAtt'][0];
  return template.toJSON().Resources[functionId].Metadata['aws:cdk:path'].split('/')[2];
}

/** The rate limit is low because each call can make the service fetch an issuer's public keys. */
const EXPLAIN = {
  'POST /deployments/{deploymentId}/api-keys/{keyId}/explain': {
    ThrottlingRateLimit: 10,
    ThrottlingBurstLimit: 10,
  },
};

const routes = Object.values<Json>(template.findResources('AWS::ApiGatewayV2::Route')).map(
  ({ Properties: { RouteKey, AuthorizationType, Target } }) =>
    `${RouteKey} ${AuthorizationType} ${handlerOf(Target['Fn::Join'][1][1].Ref)}`,
);

describe('The stack creates the HTTP API', () => {
  it('the API is an HTTP API with a single stage, $default, that deploys automatically', () => {
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

  it('the API has exactly the listed routes, and only the OAuth and leak report routes are public', () => {
    expect(routes.toSorted()).toStrictEqual([
      'DELETE /deployments/{deploymentId} JWT ManageDeployments',
      'DELETE /deployments/{deploymentId}/api-keys/{keyId} JWT ManageKeys',
      'DELETE /deployments/{deploymentId}/api-keys/{keyId}/tokens JWT ManageKeys',
      'DELETE /deployments/{deploymentId}/api-keys/{keyId}/tokens/{accessTokenId} JWT ManageKeys',
      'DELETE /deployments/{deploymentId}/temporary-tokens/{tokenId} JWT ManageTemporaryTokens',
      'GET /.well-known/oauth-authorization-server NONE Metadata',
      'GET /deployments JWT ManageDeployments',
      'GET /deployments/{deploymentId} JWT ManageDeployments',
      'GET /deployments/{deploymentId}/api-keys JWT ManageKeys',
      'GET /deployments/{deploymentId}/api-keys/{keyId} JWT ManageKeys',
      'GET /deployments/{deploymentId}/api-keys/{keyId}/tokens JWT ManageKeys',
      'GET /deployments/{deploymentId}/events JWT ListEvents',
      'GET /deployments/{deploymentId}/temporary-tokens JWT ManageTemporaryTokens',
      'GET /errors NONE Reference',
      'GET /openapi.json NONE Reference',
      'GET /people JWT ManagePeople',
      'GET /people/events JWT ManagePeople',
      'GET /whoami NONE Whoami',
      'PATCH /deployments/{deploymentId}/api-keys/{keyId} JWT ManageKeys',
      'POST /deployments/{deploymentId}/api-keys JWT ManageKeys',
      'POST /deployments/{deploymentId}/api-keys/{keyId}/explain JWT ManageKeys',
      'POST /deployments/{deploymentId}/api-keys/{keyId}/rotate JWT ManageKeys',
      'POST /deployments/{deploymentId}/temporary-tokens JWT ManageTemporaryTokens',
      'POST /leaks NONE ReportLeak',
      'POST /oauth/introspect NONE Introspect',
      'POST /oauth/revoke NONE Revoke',
      'POST /oauth/token NONE IssueToken',
      'POST /people/end-access JWT ManagePeople',
      'POST /people/find JWT ManagePeople',
      'POST /people/restore-access JWT ManagePeople',
      'PUT /deployments/{deploymentId} JWT ManageDeployments',
    ]);
  });

  it('the API limits each route under /oauth/ to 100 calls a second to cap the cost', () => {
    const stage = resourceAt(template, 'Api/Default/DefaultStage');
    const ceiling = { ThrottlingRateLimit: 100, ThrottlingBurstLimit: 200 };
    expect(stage.Properties.RouteSettings).toStrictEqual({
      'POST /oauth/token': ceiling,
      'POST /oauth/introspect': ceiling,
      'POST /oauth/revoke': ceiling,
      // This rate limit is separate from the token endpoint's limit. It can be low, because no pipeline waits for this
      // call.
      'POST /leaks': { ThrottlingRateLimit: 10, ThrottlingBurstLimit: 20 },
      ...EXPLAIN,
    });
    const keys = stage.DependsOn.map((id: string) => template.toJSON().Resources[id].Properties.RouteKey);
    expect(keys).toEqual(expect.arrayContaining(Object.keys(stage.Properties.RouteSettings)));
  });

  it('the API uses the configured rate limits, and default limits where none are configured', () => {
    const limited = templateOf({
      ...WITH_ISSUER,
      oauthRateLimit: 'rate=500,burst=1000',
      leaksRateLimit: 'rate=20',
      defaultRateLimit: 'burst=1250',
    });
    const { RouteSettings, DefaultRouteSettings } = resourceAt(
      limited,
      'Api/Default/DefaultStage',
    ).Properties;
    const oauth = { ThrottlingRateLimit: 500, ThrottlingBurstLimit: 1000 };
    expect(RouteSettings).toStrictEqual({
      'POST /oauth/token': oauth,
      'POST /oauth/introspect': oauth,
      'POST /oauth/revoke': oauth,
      'POST /leaks': { ThrottlingRateLimit: 20, ThrottlingBurstLimit: 20 },
      ...EXPLAIN,
    });
    expect(DefaultRouteSettings).toStrictEqual({ ThrottlingRateLimit: 5000, ThrottlingBurstLimit: 1250 });
  });

  it("the API limits explain calls to 10 a second, both with a person's sign-in and under /platform", () => {
    const both = templateOf({ ...WITH_ISSUER, platformPrincipals: ARN.PRINCIPAL });
    const { RouteSettings } = resourceAt(both, 'Api/Default/DefaultStage').Properties;
    const limit = { ThrottlingRateLimit: 10, ThrottlingBurstLimit: 10 };
    expect(RouteSettings).toMatchObject({
      'POST /deployments/{deploymentId}/api-keys/{keyId}/explain': limit,
      'POST /platform/deployments/{deploymentId}/api-keys/{keyId}/explain': limit,
    });
    expect(Object.keys(RouteSettings)).toHaveLength(6);
  });

  it("the routes of the console do not collide with the API's other routes", () => {
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

  it('if the stack lists IAM principals, every management operation except creating a temporary token has a /platform route', () => {
    const keys = (context: Record<string, unknown>) =>
      Object.values<Json>(templateOf(context).findResources('AWS::ApiGatewayV2::Route')).map(
        ({ Properties: { RouteKey, AuthorizationType } }) => `${RouteKey} ${AuthorizationType}`,
      );
    const platform = keys({ ...WITH_ISSUER, platformPrincipals: ARN.PRINCIPAL });
    expect(platform.filter((key) => !keys(WITH_ISSUER).includes(key)).toSorted()).toStrictEqual([
      'DELETE /platform/deployments/{deploymentId} AWS_IAM',
      'DELETE /platform/deployments/{deploymentId}/api-keys/{keyId} AWS_IAM',
      'DELETE /platform/deployments/{deploymentId}/api-keys/{keyId}/tokens AWS_IAM',
      'DELETE /platform/deployments/{deploymentId}/api-keys/{keyId}/tokens/{accessTokenId} AWS_IAM',
      'DELETE /platform/deployments/{deploymentId}/temporary-tokens/{tokenId} AWS_IAM',
      'GET /platform/deployments AWS_IAM',
      'GET /platform/deployments/{deploymentId} AWS_IAM',
      'GET /platform/deployments/{deploymentId}/api-keys AWS_IAM',
      'GET /platform/deployments/{deploymentId}/api-keys/{keyId} AWS_IAM',
      'GET /platform/deployments/{deploymentId}/api-keys/{keyId}/tokens AWS_IAM',
      'GET /platform/deployments/{deploymentId}/events AWS_IAM',
      'GET /platform/deployments/{deploymentId}/temporary-tokens AWS_IAM',
      'GET /platform/people AWS_IAM',
      'GET /platform/people/events AWS_IAM',
      'PATCH /platform/deployments/{deploymentId}/api-keys/{keyId} AWS_IAM',
      'POST /platform/deployments/{deploymentId}/api-keys AWS_IAM',
      'POST /platform/deployments/{deploymentId}/api-keys/{keyId}/explain AWS_IAM',
      'POST /platform/deployments/{deploymentId}/api-keys/{keyId}/rotate AWS_IAM',
      'POST /platform/people/end-access AWS_IAM',
      'POST /platform/people/find AWS_IAM',
      'POST /platform/people/restore-access AWS_IAM',
      'PUT /platform/deployments/{deploymentId} AWS_IAM',
    ]);
    expect(keys(WITH_ISSUER).join()).not.toMatch(/platform|AWS_IAM/);
  });

  it("the API verifies people's access tokens using the configured issuer and audience", () => {
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
    expect(used).toStrictEqual(Array(23).fill({ Ref: authorizer.id }));
  });

  it('the API accepts every configured audience', () => {
    const several = templateOf({ ...WITH_ISSUER, audience: 'keys,cli' });
    expect(resourceAt(several, 'Api/Default/People').Properties.JwtConfiguration.Audience).toStrictEqual([
      'keys',
      'cli',
    ]);
  });
});

describe('The stack has outputs for other stacks and for operators', () => {
  const FOR_RUNBOOK = 'For the commands of docs/runbook.md';
  const outputs = (context: Record<string, unknown>): Json => templateOf(context).toJSON().Outputs;

  it("the stack outputs the API's URL, the authorizer function, the table and the sign-in issuer", () => {
    const named = outputs({ ...WITH_ISSUER, consoleClientId: 'console' });
    const forUsers = Object.entries<Json>(named).filter(([, it]) => it.Description !== FOR_RUNBOOK);
    expect(Object.fromEntries(forUsers)).toStrictEqual({
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

  it("the stack's outputs include the arguments of the runbook's commands: functions, dead-letter queues and the access log", () => {
    const named = Object.entries<Json>(outputs({ ...WITH_ISSUER, deploymentsSource: SOURCE }));
    const names = named.filter(([, it]) => it.Description === FOR_RUNBOOK).map(([name]) => name);
    expect(names.toSorted()).toStrictEqual([
      'AccessLogGroupName',
      'ContinuationFailuresArn',
      'ContinuationFailuresUrl',
      'EventFailuresUrl',
      'PeopleFailuresUrl',
      'PublishEventsFunctionName',
      'PurgeFunctionName',
      'SourceFailuresUrl',
      'StreamFailuresUrl',
      'SweepKeysFunctionName',
      'SyncDeploymentsFunctionName',
    ]);
    const runbook = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8');
    const used = [...runbook.matchAll(/"\$(\w+(?:Name|Url|Arn))"/g)].map(([, name]) => name);
    const known = named.map(([name]) => name);
    expect(used.filter((name) => !known.includes(String(name)))).toStrictEqual([]);
    expect(used).toContain('PurgeFunctionName');
  });

  it('the stack outputs the URL for calls by IAM principals, which bypass CloudFront', () => {
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

  it("the stack has no output for the console's client if no client is configured", () => {
    expect(outputs(WITH_ISSUER)).not.toHaveProperty('ConsoleClientId');
  });

  it('all constructs of the tested stacks have the same root path', () => {
    const paths = Object.values<Json>(template.toJSON().Resources).map(
      (resource) => resource.Metadata['aws:cdk:path'].split('/')[0],
    );
    expect(new Set(paths)).toStrictEqual(new Set([STACK_ID]));
  });
});
