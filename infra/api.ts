import { Stack } from 'aws-cdk-lib';
import {
  type CfnRoute,
  type CfnStage,
  DomainName,
  HttpApi,
  type HttpMethod,
  type HttpRoute,
  type IHttpRouteAuthorizer,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpIamAuthorizer, HttpJwtAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge-findings.ts';
import { ApiDistribution } from './api-distribution.ts';
import type { ServiceFunction } from './function.ts';
import { type LogSettings, ServiceLogGroup } from './log-group.ts';
import type { Domain, RateLimit, SignIn } from './settings.ts';
import { stackSuffix } from './stack-suffix.ts';

/** One or more methods and a path, such as `GET /deployments` or `PUT|GET|DELETE /deployments/{deploymentId}`. */
export type Route = `${string} /${string}`;

/** The routes that have their own limit. */
export type Limits = ReadonlyMap<Route, RateLimit>;

/** The settings of the access log and the custom domain. */
export interface ApiProps extends LogSettings {
  /** The custom domain. @default API Gateway's domain */
  readonly domain?: Domain | undefined;
  /** The limit for each route that does not have its own limit. */
  readonly defaultRateLimit: RateLimit;
}

/**
 * Fields of the access log. The log must not contain a secret or token that was sent in the wrong place. It therefore
 * contains the route instead of the path, and the type of an error instead of its message, which can quote a header. It
 * omits the query string and the headers.
 */
const LOGGED = {
  requestId: '$context.requestId',
  time: '$context.requestTime',
  route: '$context.routeKey',
  status: '$context.status',
  error: '$context.error.responseType',
  address: '$context.identity.sourceIp',
  principal: '$context.authorizer.claims.sub',
  caller: '$context.identity.userArn',
  milliseconds: '$context.responseLatency',
  functionMilliseconds: '$context.integrationLatency',
  bytes: '$context.responseLength',
};

/** The service's HTTP API, with payload format 2.0 and the `$default` stage. */
export class Api extends Construct {
  /** The URL of the API, without a trailing slash. */
  readonly url: string;
  /**
   * The URL for IAM principals. A SigV4 signature covers the host name, and API Gateway receives its own host name even
   * if a CloudFront distribution is in front of it.
   */
  readonly platformUrl: string;
  /** ARN of the stage. The resource ARN in a caller's policy begins with this ARN. */
  readonly stageArn: string;
  /** The target for the DNS record of the custom domain; undefined if there is no custom domain. */
  readonly domainTarget: string | undefined;
  readonly accessLogGroupName: string;
  readonly #api: HttpApi;

  constructor(scope: Construct, id: string, { domain, defaultRateLimit, ...logSettings }: ApiProps) {
    super(scope, id);
    const isBehindDistribution = domain?.webAclArn !== undefined;
    const ownName =
      domain && !isBehindDistribution
        ? new DomainName(this, 'Domain', {
            domainName: domain.domainName,
            certificate: Certificate.fromCertificateArn(this, 'Certificate', domain.certificateArn),
          })
        : undefined;
    this.#api = new HttpApi(this, 'Default', {
      apiName: Stack.of(this).stackName,
      description: 'API keys for Deployments',
      ...(ownName && { defaultDomainMapping: { domainName: ownName }, disableExecuteApiEndpoint: true }),
    });
    const accessLog = new ServiceLogGroup(this, 'AccessLog', {
      ...logSettings,
      // For a log group without this prefix, API Gateway extends a resource policy that all APIs in the account share
      // and that is limited to 5,120 characters. The name must be different for each new stack, because a retained log
      // group keeps its name.
      logGroupName: `/aws/vendedlogs/apis/${Stack.of(this).stackName}-${stackSuffix()}`,
    });
    this.accessLogGroupName = accessLog.logGroupName;
    const stage = this.#stage();
    stage.accessLogSettings = { destinationArn: accessLog.logGroupArn, format: JSON.stringify(LOGGED) };
    stage.defaultRouteSettings = {
      throttlingRateLimit: defaultRateLimit.rate,
      throttlingBurstLimit: defaultRateLimit.burst,
    };
    this.url = domain ? `https://${domain.domainName}` : this.#api.apiEndpoint;
    this.stageArn = Stack.of(this).formatArn({
      service: 'execute-api',
      resource: this.#api.apiId,
      resourceName: stage.stageName,
    });
    this.platformUrl = isBehindDistribution ? this.#api.apiEndpoint : this.url;
    this.domainTarget = domain?.webAclArn
      ? new ApiDistribution(this, 'Front', { domain, webAclArn: domain.webAclArn, api: this.#api })
          .domainTarget
      : ownName?.regionalDomainName;
  }

  /**
   * Adds routes without an authorizer. The functions behind these routes authenticate the request themselves.
   * @param limit the limit of each of these routes; `defaultRateLimit` by default
   */
  open(routes: ReadonlyMap<Route, ServiceFunction>, limit?: RateLimit): void {
    const added = this.#add(routes);
    for (const route of added) {
      acknowledge(route, {
        'AwsSolutions-APIG4':
          'Open to who has not signed in: it takes the secret of a key or an access token and judges it itself, or it ' +
          'is public (the metadata of OAuth, the reference, the files of the console). API Gateway has no authorizer for either.',
      });
    }
    if (limit) this.#throttle(added, limit);
  }

  /**
   * Adds routes that need a person's access token. API Gateway verifies the token with the keys of its issuer.
   * @param limits limits by route; `defaultRateLimit` for any other route
   */
  forPeople(signIn: SignIn, routes: ReadonlyMap<Route, ServiceFunction>, limits: Limits = new Map()): void {
    const people = new HttpJwtAuthorizer('People', signIn.issuer, { jwtAudience: [...signIn.audience] });
    this.#addLimited(routes, people, limits);
  }

  /**
   * Adds routes under /platform that need a SigV4 signature. API Gateway admits every principal whose policies allow
   * `execute-api:Invoke`, which could be anyone in the account, so the function must check the principal.
   * @param limits limits by route without /platform; `defaultRateLimit` for any other route
   */
  forPlatform(routes: ReadonlyMap<Route, ServiceFunction>, limits: Limits = new Map()): void {
    this.#addLimited(underPlatform(routes), new HttpIamAuthorizer(), underPlatform(limits));
  }

  #addLimited(
    routes: ReadonlyMap<Route, ServiceFunction>,
    authorizer: IHttpRouteAuthorizer,
    limits: Limits,
  ): void {
    for (const one of routes) {
      const added = this.#add(new Map([one]), authorizer);
      const limit = limits.get(one[0]);
      if (limit) this.#throttle(added, limit);
    }
  }

  #add(routes: ReadonlyMap<Route, ServiceFunction>, authorizer?: IHttpRouteAuthorizer): HttpRoute[] {
    return [...routes].flatMap(([route, { node, function: handler }]) => {
      const [methods = '', path = ''] = route.split(' ');
      return this.#api.addRoutes({
        path,
        methods: methods.split('|') as HttpMethod[],
        integration: new HttpLambdaIntegration(node.id, handler),
        ...(authorizer && { authorizer }),
      });
    });
  }

  #throttle(routes: readonly HttpRoute[], { rate, burst }: RateLimit): void {
    const stage = this.#stage();
    for (const route of routes) {
      const { routeKey } = route.node.defaultChild as CfnRoute;
      stage.addPropertyOverride(`RouteSettings.${routeKey.replaceAll('.', '\\.')}`, {
        ThrottlingRateLimit: rate,
        ThrottlingBurstLimit: burst,
      });
      // Make the stage depend on the route, because API Gateway rejects settings for a route that does not exist yet.
      stage.node.addDependency(route);
    }
  }

  #stage(): CfnStage {
    return this.#api.defaultStage?.node.defaultChild as CfnStage;
  }
}

/** Returns the routes with the prefix /platform. */
function underPlatform<T>(routes: ReadonlyMap<Route, T>): Map<Route, T> {
  return new Map([...routes].map(([route, it]) => [route.replace(' /', ' /platform/') as Route, it]));
}
