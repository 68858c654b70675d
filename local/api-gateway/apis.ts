import type { Clock } from '../clock.ts';
import type { Invoke, Invokers } from '../lambda/invokers.ts';
import { ACCOUNT, REGION, type Resource, type Template } from '../template.ts';
import { type Authorizer, JwtAuthorizer, LambdaAuthorizer } from './authorizers.ts';
import { HttpApi, type Route } from './http-api.ts';
import { IamAuthorizer, type Identities } from './iam-authorizer.ts';

interface ApiProperties {
  ProtocolType?: string;
  CorsConfiguration?: object;
}

interface StageProperties {
  ApiId: string;
  StageName: string;
  StageVariables?: Record<string, string>;
}

interface RouteProperties {
  ApiId: string;
  RouteKey: string;
  Target?: string;
  AuthorizationType?: string;
  AuthorizerId?: string;
  AuthorizationScopes?: string[];
}

interface IntegrationProperties {
  IntegrationType: string;
  IntegrationUri: string;
  PayloadFormatVersion?: string;
}

interface AuthorizerProperties {
  AuthorizerType: string;
  IdentitySource: string[];
  JwtConfiguration?: { Issuer: string; Audience: string[] };
  AuthorizerUri?: string;
  AuthorizerCredentialsArn?: string;
  AuthorizerPayloadFormatVersion?: string;
  AuthorizerResultTtlInSeconds?: number;
  EnableSimpleResponses?: boolean;
}

/**
 * Reads the template's HTTP APIs: routes, integrations and authorizers. Throws an Error if the template contains
 * anything that is not emulated.
 */
export class ApiReader {
  readonly #template: Template;
  readonly #invokers: Invokers;
  readonly #clock: Clock;
  readonly #identities: Identities;

  constructor(template: Template, invokers: Invokers, clock: Clock, identities: Identities) {
    this.#template = template;
    this.#invokers = invokers;
    this.#clock = clock;
    this.#identities = identities;
  }

  httpApi(api: Resource): HttpApi {
    const template = this.#template;
    const { ProtocolType, CorsConfiguration } = template.properties<ApiProperties>(api);
    if (ProtocolType !== 'HTTP') throw new Error(`${api.path}: of this type only HTTP APIs run locally.`);
    if (CorsConfiguration) throw new Error(`${api.path}: the local gateway answers no CORS preflights.`);

    const apiId = template.ref(api);
    const [stage, ...others] = template
      .ofType('AWS::ApiGatewayV2::Stage')
      .map((resource) => template.properties<StageProperties>(resource))
      .filter((properties) => properties.ApiId === apiId);
    if (!stage || others.length > 0) throw new Error(`${api.path} must have one stage.`);
    const routes = template
      .ofType('AWS::ApiGatewayV2::Route')
      .map((resource) => template.properties<RouteProperties>(resource))
      .filter((properties) => properties.ApiId === apiId)
      .map((properties) => this.#route(apiId, stage.StageName, properties));
    return new HttpApi({
      apiId,
      stage: stage.StageName,
      stageVariables: stage.StageVariables,
      routes,
      clock: this.#clock,
    });
  }

  #route(apiId: string, stage: string, properties: RouteProperties): Route {
    const { RouteKey: key, Target = '', AuthorizationType = 'NONE', AuthorizerId = '' } = properties;
    const integration = this.#named(
      'AWS::ApiGatewayV2::Integration',
      Target.replace('integrations/', ''),
      key,
    );
    const { IntegrationType, IntegrationUri, PayloadFormatVersion } =
      this.#template.properties<IntegrationProperties>(integration);
    if (IntegrationType !== 'AWS_PROXY' || PayloadFormatVersion !== '2.0') {
      throw new Error(`${key}: only Lambda proxy integrations of payload format 2.0 run locally.`);
    }
    const [method = '', path = ''] = key === '$default' ? ['*', '/$default'] : key.split(' ');
    const invoke: Invoke = this.#invokers.byPermission(
      IntegrationUri,
      `${executeApiArn(apiId)}/${stage}/${method === 'ANY' ? '*' : method}${path}`,
    );
    const authorizer =
      AuthorizationType === 'NONE'
        ? undefined
        : this.#authorizer(apiId, key, AuthorizationType, AuthorizerId);
    return { key, authorizer, authorizationScopes: properties.AuthorizationScopes, invoke };
  }

  #authorizer(apiId: string, key: string, type: string, id: string): Authorizer {
    if (type === 'AWS_IAM') {
      return new IamAuthorizer({
        identities: this.#identities,
        apiArn: executeApiArn(apiId),
        clock: this.#clock,
      });
    }
    if (type !== 'JWT' && type !== 'CUSTOM')
      throw new Error(`${key}: ${type} authorization does not run locally.`);
    const resource = this.#named('AWS::ApiGatewayV2::Authorizer', id, key);
    const properties = this.#template.properties<AuthorizerProperties>(resource);
    const { IdentitySource, JwtConfiguration } = properties;
    if (JwtConfiguration) {
      return new JwtAuthorizer({
        identitySource: IdentitySource[0] ?? '',
        issuer: JwtConfiguration.Issuer,
        audience: JwtConfiguration.Audience,
        clock: this.#clock,
      });
    }
    if (properties.AuthorizerPayloadFormatVersion !== '2.0' || properties.AuthorizerResultTtlInSeconds) {
      throw new Error(`${resource.path}: only Lambda authorizers of format 2.0 without a cache run locally.`);
    }
    return new LambdaAuthorizer({
      identitySources: IdentitySource,
      isSimple: properties.EnableSimpleResponses ?? false,
      apiArn: executeApiArn(apiId),
      invoke: this.#invokers.ofAuthorizer(
        properties.AuthorizerUri,
        properties.AuthorizerCredentialsArn,
        `${executeApiArn(apiId)}/authorizers/${id}`,
      ),
    });
  }

  #named(type: string, name: string, key: string): Resource {
    const found = this.#template.find(name, type);
    if (found) return found;
    throw new Error(`${key} names ${name}, which no stack has as ${type}.`);
  }
}

const executeApiArn = (apiId: string) => `arn:aws:execute-api:${REGION}:${ACCOUNT}:${apiId}`;
