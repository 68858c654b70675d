import { CfnResource, Stack, Token } from 'aws-cdk-lib';
import * as rest from 'aws-cdk-lib/aws-apigateway';
import * as http from 'aws-cdk-lib/aws-apigatewayv2';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct, type IConstruct } from 'constructs';
import { DEPLOYMENT_PARAMETER, isParameterName, isScope, writtenRoute } from '../functions/domain/scopes.ts';
import { setStageVariables, stageVariablesOf } from './stage-variables.ts';

/** A route, such as `GET /path/{parameter}`, or an HTTP API's `$default` route. */
export type ProtectedRoute = `${string} /${string}` | '$default';

export interface DeploymentKeyAuthorizerProps {
  /** The API to protect. It must be in the same stack. Create one authorizer per API. */
  readonly api: rest.RestApi | http.HttpApi;
  /**
   * ARN of the service's authorizer function: the stack's `AuthorizerFunctionArn` output, or its SSM parameter. The
   * function can be in another stack or account, but must be in the same Region. Add another account to the service's
   * `consumerAccounts`.
   */
  readonly functionArn: string;
  /**
   * The scopes that each route requires. A token needs all of a route's scopes. `'any'` requires a valid token, but no
   * scope. Synthesis fails if a route that uses the authorizer is missing from this map. `ANY /path` covers the methods
   * that are not listed by name.
   */
  readonly requiredScopes: Readonly<Partial<Record<ProtectedRoute, readonly string[] | 'any'>>>;
  /**
   * Whether your handlers compare `deploymentId` in the authorizer's context with the Deployment that they access. If
   * `false`, the authorizer compares the token's Deployment with the path, and synthesis fails if a route has no
   * `deploymentParameter`.
   */
  readonly handlerChecksDeployment: boolean;
  /**
   * The path parameter that contains the Deployment ID. The authorizer denies tokens that belong to other Deployments.
   * @default deploymentId
   */
  readonly deploymentParameter?: string | undefined;
  /**
   * All stages of the API. Each stage gets stage variables with the rules that the authorizer checks. Synthesis fails
   * if the API has another stage in this app. API Gateway returns 401 for every call to a stage that was created
   * elsewhere.
   * @default the API's default stage
   */
  readonly stages?: readonly (rest.Stage | rest.CfnStage | http.HttpStage | http.CfnStage)[] | undefined;
}

/** Maximum length of a stage variable's value, in characters. */
const MAX_VARIABLE = 512;
const FUNCTION_ARN = /^arn:[\w-]+:lambda:[\w-]+:\d{12}:function:[\w:$-]+$/;

/**
 * Protects an API with the service's access tokens. Pass the construct as the `authorizer` of a method or route.
 *
 * The authorizer never caches results, and you cannot turn caching on, because a cached result keeps a revoked token
 * working and does not extend a valid token.
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
  /** Binds the authorizer to the methods of a REST API. */
  readonly authorizerId: string;
  readonly authorizationType = rest.AuthorizationType.CUSTOM;
  /** The role with which API Gateway invokes the authorizer function. The role does not allow anything else. */
  readonly role: iam.Role;
  readonly #props: DeploymentKeyAuthorizerProps;
  readonly #parameter: string;
  /** The stage variables that contain the rules for this API. */
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

  /** Binds the authorizer to the routes of an HTTP API. */
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
    // Without a `WWW-Authenticate` header, API Gateway's 401 does not name the required scheme (RFC 9110, section
    // 11.6.1).
    new rest.GatewayResponse(this, 'Unauthorized', {
      // The same API. With `exactOptionalPropertyTypes`, the CDK's type `RestApi` is not assignable to `IRestApi`.
      restApi: api.root.api,
      type: rest.ResponseType.UNAUTHORIZED,
      responseHeaders: { 'WWW-Authenticate': "'Bearer'" },
    });
    // A REST API keeps serving its last deployment until someone redeploys the API.
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
   * Stage variables that are identity sources in addition to the header. If one of them is missing, API Gateway returns
   * 401 without invoking the function. A stage that this construct does not know therefore denies every call.
   */
  #variableNames(): string[] {
    return Object.keys(this.#variables);
  }

  /** The URI with which API Gateway invokes the function, in the function's Region. */
  #uri(): string {
    const { functionArn } = this.#props;
    const [, partition, , region] = Token.isUnresolved(functionArn)
      ? ['', Stack.of(this).partition, '', Stack.of(this).region]
      : functionArn.split(':');
    return `arn:${partition}:apigateway:${region}:lambda:path/2015-03-31/functions/${functionArn}/invocations`;
  }

  /** Returns the stage variables. @throws Error that names the invalid property */
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

  /** Returns the errors in routes and stages. Runs during synthesis, after the app has added all routes and stages. */
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

  /** Returns an error for each stage whose rules differ from this authorizer's rules. */
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

/**
 * Reports whether a rule applies to calls of a route: the paths must be equal, and the methods must be equal unless one
 * of them is `ANY`.
 */
function meet(route: string, rule: string): boolean {
  const [method, path] = route.split(' ');
  const [ruleMethod, rulePath] = rule.split(' ');
  return path === rulePath && (method === ruleMethod || method === 'ANY' || ruleMethod === 'ANY');
}

/** Returns a rule in the format of the stage variable, which cannot contain braces or spaces. */
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

/** Returns the CloudFormation resource of a construct, or the construct itself if it is such a resource. */
function resourceOf(construct: IConstruct): CfnResource {
  const resource = CfnResource.isCfnResource(construct) ? construct : construct.node.defaultChild;
  if (resource && CfnResource.isCfnResource(resource)) return resource;
  throw new Error(`${construct.node.path} is imported: pass what this app makes.`);
}
