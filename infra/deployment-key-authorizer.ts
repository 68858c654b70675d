import { CfnResource, Stack, Token } from 'aws-cdk-lib';
import * as rest from 'aws-cdk-lib/aws-apigateway';
import * as http from 'aws-cdk-lib/aws-apigatewayv2';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct, type IConstruct } from 'constructs';
import { DEPLOYMENT_PARAMETER, isParameterName, writtenRoute } from '../functions/domain/required-scopes.ts';
import { isScope } from '../functions/domain/scopes.ts';
import { setStageVariables, stageVariablesOf } from './stage-variables.ts';

/** A route as `METHOD /path/{parameter}`; `$default` is an HTTP API's own. */
export type ProtectedRoute = `${string} /${string}` | '$default';

export interface DeploymentKeyAuthorizerProps {
  /** The API to protect, of this stack. One authorizer is for one API. */
  readonly api: rest.RestApi | http.HttpApi;
  /**
   * ARN of the service's function `authorize`: its stack's output `AuthorizerFunctionArn`, or the same from its SSM
   * parameter. It may be of another stack or account in the same Region. Another account must be one of the
   * service's `consumerAccounts`.
   */
  readonly functionArn: string;
  /**
   * What a token must be allowed, by route: all of the scopes listed, or `any` for a good token alone. Every route
   * that uses the authorizer stands here, or synthesis fails. `ANY /path` is for the methods not listed by name.
   */
  readonly requiredScopes: Readonly<Partial<Record<ProtectedRoute, readonly string[] | 'any'>>>;
  /**
   * Whether your handlers compare the context's `deploymentId` with what they are about to touch. `false`: the
   * authorizer alone decides, so every route must have the parameter `deploymentParameter`, or synthesis fails.
   */
  readonly handlerChecksDeployment: boolean;
  /**
   * The path parameter that says which Deployment a call is about. A token of another one is refused.
   * @default deploymentId
   */
  readonly deploymentParameter?: string;
  /**
   * Every stage of the API, which get the variables that tell the function what to check. Synthesis fails when the API
   * has another stage in this app; API Gateway answers 401 to every call of a stage that synthesis could not see.
   * @default the stage that the API made for itself
   */
  readonly stages?: readonly (rest.Stage | rest.CfnStage | http.HttpStage | http.CfnStage)[];
}

/** Most characters of a stage variable's value. */
const MAX_VARIABLE = 512;
const FUNCTION_ARN = /^arn:[\w-]+:lambda:[\w-]+:\d{12}:function:[\w:$-]+$/;

/**
 * Protects an API with the service's access tokens: pass it as `authorizer` of a method or route. It answers no
 * call out of a cache, and cannot be told to: a cached answer outlives a revocation, and is a use that slides
 * nothing.
 */
export class DeploymentKeyAuthorizer
  extends Construct
  implements rest.IAuthorizer, http.IHttpRouteAuthorizer
{
  /** For a REST API's methods. */
  readonly authorizerId: string;
  readonly authorizationType = rest.AuthorizationType.CUSTOM;
  /** What API Gateway calls the function as. It may do nothing else. */
  readonly role: iam.Role;
  readonly #props: DeploymentKeyAuthorizerProps;
  readonly #parameter: string;
  /** The stage variables that tell the function what this API requires. */
  readonly #variables: Readonly<Record<string, string>>;

  constructor(scope: Construct, id: string, props: DeploymentKeyAuthorizerProps) {
    super(scope, id);
    this.#props = props;
    this.#parameter = props.deploymentParameter ?? DEPLOYMENT_PARAMETER;
    this.#variables = this.#readVariables();
    if (!Token.isUnresolved(props.functionArn) && !FUNCTION_ARN.test(props.functionArn)) {
      throw new Error(`functionArn must be the ARN of a Lambda function, not "${props.functionArn}".`);
    }

    this.role = new iam.Role(this, 'Role', {
      description: 'Lets API Gateway ask the authorizer of deployment-api-keys',
      assumedBy: new iam.ServicePrincipal('apigateway.amazonaws.com'),
      inlinePolicies: {
        AskTheAuthorizer: new iam.PolicyDocument({
          statements: [
            new iam.PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [props.functionArn] }),
          ],
        }),
      },
    });
    this.authorizerId =
      props.api instanceof rest.RestApi ? this.#authorizeRest(props.api) : this.#authorizeHttp(props.api);
    for (const stage of props.stages ?? [ownStage(props.api)]) {
      setStageVariables(resourceOf(stage), this.#variables);
    }
    this.node.addValidation({ validate: () => this.#faults() });
  }

  /** For an HTTP API's routes. */
  bind({ route }: http.HttpRouteAuthorizerBindOptions): http.HttpRouteAuthorizerConfig {
    if (route.httpApi !== this.#props.api) {
      throw new Error(`${this.node.path} is the authorizer of another API: make one for each API.`);
    }
    return { authorizerId: this.authorizerId, authorizationType: this.authorizationType };
  }

  #authorizeRest(api: rest.RestApi): string {
    const identitySource = [
      rest.IdentitySource.header('Authorization'),
      ...this.#variableNames().map((name) => rest.IdentitySource.stageVariable(name)),
    ].join(',');
    const authorizer = new rest.CfnAuthorizer(this, 'Default', {
      restApiId: api.restApiId,
      name: this.node.id,
      type: 'REQUEST',
      identitySource,
      authorizerUri: this.#uri(),
      authorizerCredentials: this.role.roleArn,
      authorizerResultTtlInSeconds: 0,
    });
    // Without it API Gateway's 401 does not say which scheme it wants (RFC 9110 §11.6.1).
    new rest.GatewayResponse(this, 'Unauthorized', {
      restApi: api,
      type: rest.ResponseType.UNAUTHORIZED,
      responseHeaders: { 'WWW-Authenticate': "'Bearer'" },
    });
    // A REST API goes on serving what it last deployed until it is deployed anew.
    api.latestDeployment?.node.addDependency(authorizer);
    const told = [authorizer.logicalId, this.#uri(), identitySource];
    api.latestDeployment?.addToLogicalId({ deploymentKeyAuthorizer: told });
    return authorizer.ref;
  }

  #authorizeHttp(api: http.HttpApi): string {
    return new http.CfnAuthorizer(this, 'Default', {
      apiId: api.apiId,
      name: this.node.id,
      authorizerType: 'REQUEST',
      identitySource: [
        '$request.header.Authorization',
        ...this.#variableNames().map((name) => `$stageVariables.${name}`),
      ],
      authorizerPayloadFormatVersion: '2.0',
      enableSimpleResponses: true,
      authorizerUri: this.#uri(),
      authorizerCredentialsArn: this.role.roleArn,
      authorizerResultTtlInSeconds: 0,
    }).ref;
  }

  /**
   * Identity sources beside the header: API Gateway answers 401, without asking the function, where one is missing. So a
   * stage that was made without them, out of sight of this construct, lets nobody in.
   */
  #variableNames(): string[] {
    return Object.keys(this.#variables);
  }

  /** Where API Gateway invokes the function, in the function's own Region. */
  #uri(): string {
    const { functionArn } = this.#props;
    const [, partition, , region] = Token.isUnresolved(functionArn)
      ? ['', Stack.of(this).partition, '', Stack.of(this).region]
      : functionArn.split(':');
    return `arn:${partition}:apigateway:${region}:lambda:path/2015-03-31/functions/${functionArn}/invocations`;
  }

  /** @throws Error a sentence for a property that is wrong */
  #readVariables(): Record<string, string> {
    const { requiredScopes, deploymentParameter } = this.#props;
    const rules = Object.entries(requiredScopes).map(([route, scopes]) => written(route, scopes ?? []));
    const text = rules.join('&');
    if (rules.length === 0) throw new Error('requiredScopes must name at least one route.');
    if (text.length > MAX_VARIABLE) {
      throw new Error(
        `requiredScopes takes ${text.length} characters as a stage variable, which holds ${MAX_VARIABLE}: protect fewer routes with one API, or shorter paths.`,
      );
    }
    if (!isParameterName(this.#parameter)) {
      throw new Error('deploymentParameter must be the name of a path parameter, without braces.');
    }
    return { requiredScopes: text, ...(deploymentParameter !== undefined && { deploymentParameter }) };
  }

  /** What would be refused, or let through, against all intention. Asked when everything has been added. */
  #faults(): string[] {
    const protectedRoutes = this.#protectedRoutes();
    const listed = Object.keys(this.#props.requiredScopes);
    const isListed = (route: string) => listed.some((rule) => meet(route, rule));
    const isProtected = (rule: string) => protectedRoutes.some((route) => meet(route, rule));
    const isAboutDeployment = (route: string) => route.includes(`{${this.#parameter}}`);
    return [
      ...this.#stageFaults(),
      ...protectedRoutes
        .filter((route) => !isListed(route))
        .map(
          (route) => `${route} uses this authorizer and is not in requiredScopes: every call would be 403.`,
        ),
      ...listed
        .filter((rule) => !isProtected(rule))
        .map((rule) => `${rule} is in requiredScopes, and no such route uses this authorizer: is it open?`),
      ...protectedRoutes
        .filter((route) => !this.#props.handlerChecksDeployment && !isAboutDeployment(route))
        .map(
          (route) =>
            `${route} has no parameter {${this.#parameter}}, so tokens of every Deployment would be let in: add it, or let the handler compare the context's deploymentId and set handlerChecksDeployment.`,
        ),
    ];
  }

  /** Stages that would not check what the others check. */
  #stageFaults(): string[] {
    const required = { ...this.#variables, deploymentParameter: this.#parameter };
    return stageVariablesOf(resourceOf(this.#props.api)).flatMap(({ path, variables }) => {
      const found: Record<string, unknown> = { deploymentParameter: DEPLOYMENT_PARAMETER, ...variables };
      return Object.entries(required)
        .filter(([name, value]) => found[name] !== value)
        .map(
          ([name, value]) =>
            `${path} is a stage of the same API, so its variable ${name} must be ${JSON.stringify(value)}, not ${JSON.stringify(found[name])}: pass the stage in stages, and set this variable nowhere else.`,
        );
    });
  }

  /** The routes of the API that use this authorizer. */
  #protectedRoutes(): string[] {
    const { api } = this.#props;
    if (api instanceof rest.RestApi) {
      return api.methods
        .filter((method) => (method.node.defaultChild as rest.CfnMethod).authorizerId === this.authorizerId)
        .map((method) => `${method.httpMethod} ${method.resource.path}`);
    }
    return this.node.root.node
      .findAll()
      .filter(
        (it): it is http.CfnRoute => it instanceof http.CfnRoute && it.authorizerId === this.authorizerId,
      )
      .map((route) => route.routeKey);
  }
}

/** Whether some call of a route is judged by a rule: it is of the same path, and of its method or of any. */
function meet(route: string, rule: string): boolean {
  const [method, path] = route.split(' ');
  const [ruleMethod, rulePath] = rule.split(' ');
  return path === rulePath && (method === ruleMethod || method === 'ANY' || ruleMethod === 'ANY');
}

/** A rule as the stage variable writes it: a stage variable can hold neither braces nor spaces. */
function written(route: string, scopes: readonly string[] | 'any'): string {
  const name = writtenRoute(route);
  if (name === undefined) {
    throw new Error(
      `"${route}" in requiredScopes must be a method and a path, such as "POST /deployments/{deploymentId}/deploys".`,
    );
  }
  if (scopes !== 'any' && (scopes.length === 0 || !scopes.every(isScope))) {
    throw new Error(`${route} in requiredScopes must have one or more scopes, or 'any'.`);
  }
  return `${name}=${scopes === 'any' ? 'any' : scopes.join(',')}`;
}

function ownStage(api: rest.RestApi | http.HttpApi): rest.Stage | http.IStage {
  const stage = api instanceof rest.RestApi ? api.deploymentStage : api.defaultStage;
  if (stage) return stage;
  throw new Error(`${api.node.path} made no stage for itself: name its stages.`);
}

/** The resource of a construct that stands for one, or the resource itself. */
function resourceOf(construct: IConstruct): CfnResource {
  const resource = CfnResource.isCfnResource(construct) ? construct : construct.node.defaultChild;
  if (resource && CfnResource.isCfnResource(resource)) return resource;
  throw new Error(`${construct.node.path} is imported: pass what this app makes.`);
}
