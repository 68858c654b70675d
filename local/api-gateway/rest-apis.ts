import type { Clock } from '../clock.ts';
import { functionOfUri, type Invokers } from '../lambda/invokers.ts';
import { ACCOUNT, REGION, type Resource, type Template } from '../template.ts';
import { RestApi, type RestAuthorizer, type RestMethod } from './rest-api.ts';
import { RestLambdaAuthorizer } from './rest-authorizers.ts';
import { type GatewayResponseProperties, RestResponses } from './rest-responses.ts';

interface OfApi {
  RestApiId: string;
}

interface StageProperties extends OfApi {
  StageName: string;
  Variables?: Record<string, string>;
}

interface ResourceProperties extends OfApi {
  ParentId: string;
  PathPart: string;
}

interface MethodProperties extends OfApi {
  HttpMethod: string;
  ResourceId: string;
  AuthorizationType?: string;
  AuthorizerId?: string;
  ApiKeyRequired?: boolean;
  Integration?: { Type?: string; Uri?: string };
}

interface AuthorizerProperties extends OfApi {
  Type: string;
  IdentitySource?: string;
  IdentityValidationExpression?: string;
  AuthorizerUri?: string;
  AuthorizerCredentials?: string;
  AuthorizerResultTtlInSeconds?: number;
}

/**
 * Reads the template's REST APIs: resources, methods, authorizers and gateway responses. Throws an Error if the
 * template contains anything that is not emulated.
 */
export class RestApiReader {
  readonly #template: Template;
  readonly #invokers: Invokers;
  readonly #clock: Clock;

  constructor(template: Template, invokers: Invokers, clock: Clock) {
    this.#template = template;
    this.#invokers = invokers;
    this.#clock = clock;
    for (const stage of template.ofType('AWS::ApiGateway::Stage')) {
      template.set(stage, 'Ref', template.properties<StageProperties>(stage).StageName);
    }
  }

  restApi(api: Resource): { api: RestApi; stage: string } {
    const apiId = this.#template.ref(api);
    const [stage, ...others] = this.#of<StageProperties>('AWS::ApiGateway::Stage', apiId);
    if (!stage || others.length > 0) throw new Error(`${api.path} must have one stage.`);
    const restApi = new RestApi({
      apiId,
      stage: stage.StageName,
      stageVariables: stage.Variables,
      methods: this.#of<MethodProperties>('AWS::ApiGateway::Method', apiId).map((method) =>
        this.#method(api, stage.StageName, method),
      ),
      responses: new RestResponses(
        this.#of<GatewayResponseProperties & OfApi>('AWS::ApiGateway::GatewayResponse', apiId),
      ),
      clock: this.#clock,
    });
    return { api: restApi, stage: stage.StageName };
  }

  #method(api: Resource, stage: string, properties: MethodProperties): RestMethod {
    const { HttpMethod, ResourceId, AuthorizationType = 'NONE', AuthorizerId = '' } = properties;
    const resourcePath = this.#pathOf(api, ResourceId);
    const name = `${HttpMethod} ${resourcePath} of ${api.path}`;
    const { Type, Uri } = properties.Integration ?? {};
    if (Type !== 'AWS_PROXY') throw new Error(`${name}: only Lambda proxy integrations run locally.`);
    if (properties.ApiKeyRequired) throw new Error(`${name}: API Gateway's own API keys do not run locally.`);
    const apiArn = `arn:aws:execute-api:${REGION}:${ACCOUNT}:${this.#template.ref(api)}`;
    const path = resourcePath.replaceAll(/\{[^}]+\}/g, '*');
    const sourceArn = `${apiArn}/${stage}/${HttpMethod === 'ANY' ? '*' : HttpMethod}${path}`;
    return {
      method: HttpMethod,
      resourcePath,
      resourceId: ResourceId,
      authorizer:
        AuthorizationType === 'NONE'
          ? undefined
          : this.#authorizer(apiArn, name, AuthorizationType, AuthorizerId),
      invoke: this.#invokers.byPermission(functionOfUri(Uri), sourceArn),
    };
  }

  #authorizer(apiArn: string, name: string, type: string, id: string): RestAuthorizer {
    const resource = this.#template.find(id, 'AWS::ApiGateway::Authorizer');
    if (type !== 'CUSTOM' || !resource)
      throw new Error(`${name}: ${type} authorization does not run locally.`);
    const properties = this.#template.properties<AuthorizerProperties>(resource);
    if (properties.Type !== 'REQUEST' && properties.Type !== 'TOKEN') {
      throw new Error(`${resource.path}: authorizers of type ${properties.Type} do not run locally.`);
    }
    // Require an explicit 0, because API Gateway caches an authorizer's result for 300 seconds by default.
    if (properties.AuthorizerResultTtlInSeconds !== 0) {
      throw new Error(`${resource.path}: only authorizers whose result cache is set to 0 run locally.`);
    }
    return new RestLambdaAuthorizer({
      type: properties.Type,
      identitySources: properties.IdentitySource?.split(',').map((source) => source.trim()) ?? [],
      validation: properties.IdentityValidationExpression,
      apiArn,
      invoke: this.#invokers.ofAuthorizer(
        properties.AuthorizerUri,
        properties.AuthorizerCredentials,
        `${apiArn}/authorizers/${id}`,
      ),
    });
  }

  #of<T extends OfApi>(type: string, apiId: string): T[] {
    return this.#template
      .ofType(type)
      .map((resource) => this.#template.properties<T>(resource))
      .filter(({ RestApiId }) => RestApiId === apiId);
  }

  /**
   * Returns the full path of a resource, such as `/deployments/{deploymentId}`, by following its parents to the root.
   */
  #pathOf(api: Resource, resourceId: string): string {
    const parts: string[] = [];
    for (let id = resourceId; id !== this.#template.attribute(api, 'RootResourceId'); ) {
      const resource = this.#template.find(id, 'AWS::ApiGateway::Resource');
      if (!resource) throw new Error(`${api.path} has no resource ${id}.`);
      const { ParentId, PathPart } = this.#template.properties<ResourceProperties>(resource);
      parts.unshift(PathPart);
      id = ParentId;
    }
    return `/${parts.join('/')}`;
  }
}
