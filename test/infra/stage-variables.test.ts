import { App, Aspects, CfnParameter, CfnResource, Fn, Lazy, NestedStack, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as rest from 'aws-cdk-lib/aws-apigateway';
import * as http from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import {
  DeploymentKeyAuthorizer,
  type DeploymentKeyAuthorizerProps,
} from '../../infra/deployment-key-authorizer.ts';
import type { Json } from '../support/template.ts';

const PATH = '/deployments/{deploymentId}/deploys';
const SCOPES = 'POST/deployments/:deploymentId/deploys=code:deploy';
const ENV = { env: { account: '444455556666', region: 'eu-west-1' } };

type Options = Partial<Omit<DeploymentKeyAuthorizerProps, 'api'>>;
const defaults = {
  functionArn: 'arn:aws:lambda:eu-west-1:111122223333:function:keys-Authorize',
  requiredScopes: { [`POST ${PATH}`]: ['code:deploy'] },
  handlerChecksDeployment: false,
} as const;

// Skips the validation of the templates, which takes longer than creating them. These tests are about the validation by
// the construct.
beforeAll(() => void vi.stubEnv('CDK_VALIDATION', 'false'));

interface HttpConsumer {
  readonly app: App;
  readonly stack: Stack;
  readonly api: http.HttpApi;
}

interface RestConsumer {
  readonly app: App;
  readonly stack: Stack;
  readonly api: rest.RestApi;
  /** A deployment of a REST API that can be assigned to other stages. */
  readonly deployment: rest.Deployment;
}

/** Creates an authorizer for an API, and the function that the API invokes. */
function behind(api: http.HttpApi | rest.RestApi, options: Options) {
  const stack = Stack.of(api);
  const authorizer = new DeploymentKeyAuthorizer(stack, 'Authorizer', { ...defaults, ...options, api });
  return { authorizer, handler: LambdaFunction.fromFunctionName(stack, 'Handler', 'handler') };
}

/**
 * Creates an HTTP API behind the authorizer.
 * @param before a function that changes the API before the authorizer is created
 */
function httpConsumer(
  options: Options = {},
  apiProps: http.HttpApiProps = {},
  before: (it: HttpConsumer) => Options = () => ({}),
): HttpConsumer {
  const app = new App();
  const stack = new Stack(app, 'Consumer', ENV);
  const api = new http.HttpApi(stack, 'Api', apiProps);
  const { authorizer, handler } = behind(api, { ...options, ...before({ app, stack, api }) });
  const integration = new HttpLambdaIntegration('Handler', handler);
  api.addRoutes({ path: PATH, methods: [http.HttpMethod.POST], integration, authorizer });
  return { app, stack, api };
}

function restConsumer(
  options: Options = {},
  apiProps: rest.RestApiProps = {},
  before: (it: Omit<RestConsumer, 'deployment'>) => Options = () => ({}),
): RestConsumer {
  const app = new App();
  const stack = new Stack(app, 'Consumer', ENV);
  const api = new rest.RestApi(stack, 'Api', { cloudWatchRole: false, ...apiProps });
  const { authorizer, handler } = behind(api, { ...options, ...before({ app, stack, api }) });
  api.root.resourceForPath(PATH).addMethod('POST', new rest.LambdaIntegration(handler), { authorizer });
  return { app, stack, api, deployment: new rest.Deployment(stack, 'Second', { api: api.root.api }) };
}

/** Returns the error that stops the synthesis, or undefined if the synthesis succeeds. */
function faultOf({ app }: { app: App }): string | undefined {
  try {
    app.synth();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

const variablesIn = (stack: Stack, type: string, property: string): Json[] =>
  Object.values<Json>(Template.fromStack(stack).findResources(type)).map(
    ({ Properties }) => Properties[property],
  );

const weaker = { requiredScopes: 'POST/deployments/:deploymentId/deploys=any' };

const defaultStageOf = (api: http.HttpApi) =>
  api.node.findChild('DefaultStage').node.defaultChild as http.CfnStage;

/** Every way to add a stage to an HTTP API, by name. */
const HTTP_STAGES: [string, (it: HttpConsumer) => unknown][] = [
  ['addStage', ({ api }) => api.addStage('Beta', { stageName: 'beta', autoDeploy: true })],
  [
    'an HttpStage',
    ({ stack, api }) => new http.HttpStage(stack, 'Beta', { httpApi: api, stageName: 'beta' }),
  ],
  [
    'a CfnStage',
    ({ stack, api }) => new http.CfnStage(stack, 'Beta', { apiId: api.apiId, stageName: 'beta' }),
  ],
  [
    'a CfnResource',
    ({ stack, api }) =>
      new CfnResource(stack, 'Beta', {
        type: 'AWS::ApiGatewayV2::Stage',
        properties: { ApiId: api.apiId, StageName: 'beta' },
      }),
  ],
  [
    'a CfnStage that names the API lazily',
    ({ stack, api }) =>
      new http.CfnStage(stack, 'Beta', {
        apiId: Lazy.string({ produce: () => api.apiId }),
        stageName: 'beta',
      }),
  ],
  [
    'a CfnStage that names the API by its attribute',
    ({ stack, api }) =>
      new http.CfnStage(stack, 'Beta', {
        apiId: (api.node.defaultChild as http.CfnApi).attrApiId,
        stageName: 'beta',
      }),
  ],
  [
    'a CfnStage that names the API by its logical ID',
    ({ stack, api }) =>
      new http.CfnStage(stack, 'Beta', {
        apiId: Fn.ref(stack.getLogicalId(api.node.defaultChild as http.CfnApi)),
        stageName: 'beta',
      }),
  ],
  [
    'a stage of an imported API with the same ID',
    ({ stack, api }) =>
      new http.HttpStage(stack, 'Beta', {
        httpApi: http.HttpApi.fromHttpApiAttributes(stack, 'Imported', { httpApiId: api.apiId }),
        stageName: 'beta',
      }),
  ],
  [
    'a stage in another stack',
    ({ app, api }) =>
      new http.HttpStage(new Stack(app, 'Other', ENV), 'Beta', { httpApi: api, stageName: 'beta' }),
  ],
  [
    'a stage in a nested stack',
    ({ stack, api }) =>
      new http.HttpStage(new NestedStack(stack, 'Nested'), 'Beta', { httpApi: api, stageName: 'beta' }),
  ],
  [
    'a stage that an aspect adds',
    ({ app, stack, api }) =>
      Aspects.of(app).add({
        visit: (node) => {
          if (node === stack && !stack.node.tryFindChild('Beta')) {
            new http.CfnStage(stack, 'Beta', { apiId: api.apiId, stageName: 'beta' });
          }
        },
      }),
  ],
  [
    'a stage with weaker variables',
    ({ api }) => api.addStage('Beta', { stageName: 'beta', stageVariables: weaker }),
  ],
  [
    'a stage that checks another path parameter',
    ({ api }) =>
      api.addStage('Beta', {
        stageName: 'beta',
        stageVariables: { requiredScopes: SCOPES, deploymentParameter: 'other' },
      }),
  ],
  [
    'a stage with the variable of another name',
    ({ api }) => api.addStage('Beta', { stageName: 'beta', stageVariables: { requiredscopes: SCOPES } }),
  ],
  [
    'a weaker variable written over that of the default stage',
    ({ api }) =>
      defaultStageOf(api).addPropertyOverride('StageVariables.requiredScopes', weaker.requiredScopes),
  ],
  [
    'a variable removed from the default stage',
    ({ api }) => defaultStageOf(api).addPropertyDeletionOverride('StageVariables'),
  ],
];

const REST_STAGES: [string, (it: RestConsumer) => unknown][] = [
  ['a Stage', ({ stack, deployment }) => new rest.Stage(stack, 'Beta', { deployment, stageName: 'beta' })],
  [
    'a CfnStage',
    ({ stack, api, deployment }) =>
      new rest.CfnStage(stack, 'Beta', {
        restApiId: api.restApiId,
        deploymentId: deployment.deploymentId,
        stageName: 'beta',
      }),
  ],
  [
    'a Deployment with the name of a stage',
    ({ stack, api }) => new rest.Deployment(stack, 'Beta', { api: api.root.api, stageName: 'beta' }),
  ],
  [
    'a CfnDeployment with the description of a stage',
    ({ stack, api }) =>
      new rest.CfnDeployment(stack, 'Beta', {
        restApiId: api.restApiId,
        stageName: 'beta',
        stageDescription: { variables: weaker },
      }),
  ],
  [
    'a stage in another stack',
    ({ app, deployment }) =>
      new rest.Stage(new Stack(app, 'Other', ENV), 'Beta', { deployment, stageName: 'beta' }),
  ],
  [
    'a stage in a nested stack',
    ({ stack, deployment }) =>
      new rest.Stage(new NestedStack(stack, 'Nested'), 'Beta', { deployment, stageName: 'beta' }),
  ],
  [
    'a stage with weaker variables',
    ({ stack, deployment }) =>
      new rest.Stage(stack, 'Beta', { deployment, stageName: 'beta', variables: weaker }),
  ],
  [
    'a canary that overrides a variable of the default stage',
    ({ api }) => {
      (api.deploymentStage.node.defaultChild as rest.CfnStage).canarySetting = {
        percentTraffic: 1,
        stageVariableOverrides: weaker,
      };
    },
  ],
  [
    'a deployment whose canary overrides a variable',
    ({ stack, api }) =>
      new rest.CfnDeployment(stack, 'Beta', {
        restApiId: api.restApiId,
        stageName: 'prod',
        stageDescription: { variables: { requiredScopes: SCOPES } },
        deploymentCanarySettings: { percentTraffic: 1, stageVariableOverrides: weaker },
      }),
  ],
];

describe("Synthesis rejects a stage of a protected API without the authorizer's stage variables", () => {
  const EXPECTED =
    /is a stage of the same API, so its variable (requiredScopes|deploymentParameter) must be "/;

  it.each(HTTP_STAGES)('#49: synthesis fails if an HTTP API gets %s after the authorizer', (_, add) => {
    const consumer = httpConsumer();
    add(consumer);
    expect(faultOf(consumer)).toMatch(EXPECTED);
  });

  it.each(HTTP_STAGES.slice(0, 12))(
    '#49: synthesis fails if an HTTP API has %s before the authorizer',
    (_, add) => {
      expect(
        faultOf(
          httpConsumer({}, {}, (consumer) => {
            add(consumer);
            return {};
          }),
        ),
      ).toMatch(EXPECTED);
    },
  );

  it.each(REST_STAGES)('#49: synthesis fails if a REST API gets %s', (_, add) => {
    const consumer = restConsumer();
    add(consumer);
    expect(faultOf(consumer)).toMatch(EXPECTED);
  });

  it("#49: synthesis fails if the authorizer's list of stages lacks an API's default stage", () => {
    const one = httpConsumer({}, {}, ({ api }) => ({
      stages: [api.addStage('Beta', { stageName: 'beta' })],
    }));
    expect(faultOf(one)).toContain('Consumer/Api/DefaultStage/Resource is a stage of the same API');
    const beta = (api: rest.RestApi) => {
      const deployment = new rest.Deployment(api, 'Second', { api: api.root.api });
      return new rest.Stage(api, 'Beta', { deployment, stageName: 'beta' });
    };
    const other = restConsumer({}, {}, ({ api }) => ({ stages: [beta(api)] }));
    expect(faultOf(other)).toContain('Consumer/Api/DeploymentStage.prod/Resource is a stage of the same API');
  });

  it('#49: synthesis fails for an API that uses quick create, which creates its own stage', () => {
    const consumer = httpConsumer({}, { createDefaultStage: false }, ({ stack, api }) => {
      (api.node.defaultChild as http.CfnApi).target = 'https://example.com';
      return { stages: [new http.HttpStage(stack, 'Beta', { httpApi: api, stageName: 'beta' })] };
    });
    expect(faultOf(consumer)).toMatch(EXPECTED);
  });

  it("#49: synthesis fails for a stage without the authorizer's variables, even if the handlers check the Deployment", () => {
    const consumer = httpConsumer({ handlerChecksDeployment: true });
    consumer.api.addStage('Beta', { stageName: 'beta' });
    expect(faultOf(consumer)).toBe(
      `Validation failed with the following errors:\n  [Consumer/Authorizer] Consumer/Api/Beta/Resource is a stage of the same API, so its variable requiredScopes must be "${SCOPES}", not undefined: pass the stage in stages, and set this variable nowhere else.`,
    );
  });

  it('#49: synthesis fails if a stage does not set the variable deploymentParameter', () => {
    const options = {
      deploymentParameter: 'd',
      requiredScopes: { 'POST /x/{d}': 'any' },
      handlerChecksDeployment: true,
    } as const;
    const consumer = httpConsumer(options);
    consumer.api.addStage('Beta', { stageName: 'beta', stageVariables: { requiredScopes: 'POST/x/:d=any' } });
    expect(faultOf(consumer)).toContain('its variable deploymentParameter must be "d", not "deploymentId"');
  });

  it('synthesis fails if a protected API has no default stage and no stage is listed', () => {
    expect(() => httpConsumer({}, { createDefaultStage: false })).toThrow(
      'Consumer/Api made no stage for itself: name its stages.',
    );
    expect(() => restConsumer({}, { deploy: false })).toThrow(
      'Consumer/Api made no stage for itself: name its stages.',
    );
  });
});

describe('Synthesis accepts valid stages of a protected API', () => {
  it('synthesis accepts a listed stage of a protected API, no matter which construct created the stage', () => {
    const consumer = httpConsumer({}, { createDefaultStage: false }, ({ app, stack, api }) => ({
      stages: [
        new http.HttpStage(stack, 'Alpha', { httpApi: api, stageName: 'alpha' }),
        new http.CfnStage(stack, 'Beta', { apiId: api.apiId, stageName: 'beta' }),
        new http.HttpStage(new Stack(app, 'Other', ENV), 'Gamma', { httpApi: api, stageName: 'gamma' }),
      ],
    }));
    expect(faultOf(consumer)).toBeUndefined();
    const required = { requiredScopes: SCOPES };
    expect(variablesIn(consumer.stack, 'AWS::ApiGatewayV2::Stage', 'StageVariables')).toStrictEqual([
      required,
      required,
    ]);
  });

  it('synthesis accepts a listed CfnStage as a stage of a protected REST API', () => {
    const consumer = restConsumer({}, { deploy: false }, ({ stack, api }) => {
      const deployment = new rest.Deployment(stack, 'First', { api: api.root.api });
      const { restApiId } = api;
      const { deploymentId } = deployment;
      return {
        stages: [new rest.CfnStage(stack, 'Only', { restApiId, deploymentId, stageName: 'only' })],
      };
    });
    expect(faultOf(consumer)).toBeUndefined();
    expect(variablesIn(consumer.stack, 'AWS::ApiGateway::Stage', 'Variables')).toStrictEqual([
      { requiredScopes: SCOPES },
    ]);
  });

  it('synthesis accepts a default stage with additional variables, and any stage of another API', () => {
    const consumer = restConsumer({}, { deployOptions: { variables: { theirs: 'kept' } } });
    new rest.RestApi(consumer.stack, 'OtherRest', { cloudWatchRole: false }).root.addMethod('GET');
    const other = new http.HttpApi(consumer.stack, 'OtherHttp');
    // This resource refers to the protected API but is not a stage of that API.
    other.addStage('Beta', { stageName: 'beta', stageVariables: { apiId: consumer.api.restApiId } });
    expect(faultOf(consumer)).toBeUndefined();
    expect(variablesIn(consumer.stack, 'AWS::ApiGateway::Stage', 'Variables')).toContainEqual({
      requiredScopes: SCOPES,
      theirs: 'kept',
    });
  });

  it('synthesis ignores stages that are created elsewhere, because API Gateway returns 401 for every call to them', () => {
    const consumer = httpConsumer();
    const { stack } = consumer;
    const parameter = new CfnParameter(stack, 'ApiId');
    new http.CfnStage(stack, 'Beta', { apiId: parameter.valueAsString, stageName: 'beta' });
    expect(faultOf(consumer)).toBeUndefined();
    expect(variablesIn(stack, 'AWS::ApiGatewayV2::Authorizer', 'IdentitySource')).toStrictEqual([
      ['$request.header.Authorization', '$stageVariables.requiredScopes'],
    ]);
  });
});

describe("An authorizer's identity sources include its stage variables", () => {
  const options = {
    deploymentParameter: 'd',
    requiredScopes: { [`POST ${PATH}`]: 'any' },
    handlerChecksDeployment: true,
  } as const;

  it('every stage variable of the authorizer is an identity source, so a stage without these variables denies every call', () => {
    expect(
      variablesIn(httpConsumer(options).stack, 'AWS::ApiGatewayV2::Authorizer', 'IdentitySource'),
    ).toStrictEqual([
      [
        '$request.header.Authorization',
        '$stageVariables.requiredScopes',
        '$stageVariables.deploymentParameter',
      ],
    ]);
    expect(
      variablesIn(restConsumer(options).stack, 'AWS::ApiGateway::Authorizer', 'IdentitySource'),
    ).toStrictEqual([
      'method.request.header.Authorization,stageVariables.requiredScopes,stageVariables.deploymentParameter',
    ]);
  });
});
