import { CfnResource, Stack, Token } from 'aws-cdk-lib';
import * as rest from 'aws-cdk-lib/aws-apigateway';
import * as http from 'aws-cdk-lib/aws-apigatewayv2';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct, type IConstruct } from 'constructs';
import { DEPLOYMENT_PARAMETER, isParameterName, writtenRoute } from '../functions/domain/required-scopes.ts';
import { isScope } from '../functions/domain/scopes.ts';
import { setStageVariables, stageVariablesOf } from './stage-variables.ts';

/** A route, such as `GET /path/{parameter}`, or `$default` of an HTTP API. */
export type ProtectedRoute = `${string} /${string}` | '$default';

export interface DeploymentKeyAuthorizerProps {
  /** The API to protect. It must be in the same stack. Create one authorizer per API. */
  readonly api: rest.RestApi | http.HttpApi;
  /**
   * ARN of the service's authorizer function: the stack output `AuthorizerFunctionArn`, or its SSM parameter. The
   * function can be in another stack or account, but must be in the same Region. Add another account to the service's
   * `consumerAccounts`.
   */
  readonly functionArn: string;
  /**
   * The scopes that each route requires: a token needs all scopes of the list. `'any'` requires a valid token, but no
   * scope. Synthesis fails if a route that uses the authorizer is missing here. `ANY /path` covers the methods that are
   * not listed by name.
   */
  readonly requiredScopes: Readonly<Partial<Record<ProtectedRoute, readonly string[] | 'any'>>>;
  /**
   * Whether your handlers compare `deploymentId` of the authorizer's context with the Deployment that they access. If
   * `false`, the authorizer compares it with the path, and synthesis fails if a route has no `deploymentParameter`.
   */
  readonly handlerChecksDeployment: boolean;
  /**
   * The path parameter that contains the Deployment ID. The authorizer denies tokens of other Deployments.
   * @default deploymentId
   */
  readonly deploymentParameter?: string;
  /**
   * All stages of the API. Each gets stage variables with the rules that the authorizer checks. Synthesis fails if the API
   * has another stage in this app. API Gateway answers 401 to every call of a stage that was created elsewhere.
   * @default the API's default stage
   */
  readonly stages?: readonly (rest.Stage | rest.CfnStage | http.HttpStage | http.CfnStage)[];
}

/** The most characters that the value of a stage variable can have. */
const MAX_VARIABLE = 512;
const FUNCTION_ARN = /^arn:[\w-]+:lambda:[\w-]+:\d{12}:function:[\w:$-]+$/;

/**
 * Protects an API with the service's access tokens: pass it as the `authorizer` of a method or route.
 *
 * It never caches results, and caching can't be turned on: a cached result keeps a revoked token working, and does not
 * extend a valid one.
 *
 * @example
 * ```ts
 * const api = new apigatewayv2.HttpApi(this, 'Api');
 * const authorizer = new DeploymentKeyAuthorizer(this, 'Authorizer', {
 *   api,
 *   functionArn: service.authorizerFunctionArn,
 *   requiredScopes: { 'POST /deployments/{deploymentId}/deploys': ['code:deploy'] },
 *   handlerChecksDeployment: false,
 * });
 * api.addRoutes({
 *   path: '/deployments/{deploymentId}/deploys',
 *   methods: [apigatewayv2.HttpMethod.POST],
 *   integration: new HttpLambdaIntegration('Deploy', handler),
 *   authorizer,
 * });
 * ```
 */
export class DeploymentKeyAuthorizer
  extends Construct
  implements rest.IAuthorizer, http.IHttpRouteAuthorizer
{
  /** For a REST API's methods. */
  readonly authorizerId: string;
  readonly authorizationType = rest.AuthorizationType.CUSTOM;
  /** The role with which API Gateway invokes the function. It allows nothing else. */
  readonly role: iam.Role;
  readonly #props: DeploymentKeyAuthorizerProps;
  readonly #parameter: string;
  /** The stage variables with the rules of this API. */
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
    // Without it, API Gateway's 401 does not name the required scheme (RFC 9110, section 11.6.1).
    new rest.GatewayResponse(this, 'Unauthorized', {
      restApi: api,
      type: rest.ResponseType.UNAUTHORIZED,
      responseHeaders: { 'WWW-Authenticate': "'Bearer'" },
    });
    // A REST API serves its last deployment until it is deployed again.
    api.latestDeployment?.node.addDependency(authorizer);
    const inDeployment = [authorizer.logicalId, this.#uri(), identitySource];
    api.latestDeployment?.addToLogicalId({ deploymentKeyAuthorizer: inDeployment });
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
   * Stage variables that are identity sources besides the header. If one is missing, API Gateway answers 401 without
   * invoking the function. So a stage that this construct does not know denies every call.
   */
  #variableNames(): string[] {
    return Object.keys(this.#variables);
  }

  /** The URI by which API Gateway invokes the function, in the function's Region. */
  #uri(): string {
    const { functionArn } = this.#props;
    const [, partition, , region] = Token.isUnresolved(functionArn)
      ? ['', Stack.of(this).partition, '', Stack.of(this).region]
      : functionArn.split(':');
    return `arn:${partition}:apigateway:${region}:lambda:path/2015-03-31/functions/${functionArn}/invocations`;
  }

  /** @throws Error naming the wrong property */
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

  /** Returns the errors of routes and stages. It runs at synthesis, when all of them have been added. */
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

  /** Returns an error for each stage with other rules than this authorizer's. */
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

/** Whether a rule applies to calls of a route: their paths are equal, and their methods are equal or `ANY`. */
function meet(route: string, rule: string): boolean {
  const [method, path] = route.split(' ');
  const [ruleMethod, rulePath] = rule.split(' ');
  return path === rulePath && (method === ruleMethod || method === 'ANY' || ruleMethod === 'ANY');
}

/** Returns a rule as the stage variable contains it, without braces and spaces, which it can't contain. */
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

/** Returns the CloudFormation resource of a construct, or the resource itself. */
function resourceOf(construct: IConstruct): CfnResource {
  const resource = CfnResource.isCfnResource(construct) ? construct : construct.node.defaultChild;
  if (resource && CfnResource.isCfnResource(resource)) return resource;
  throw new Error(`${construct.node.path} is imported: pass what this app makes.`);
}
