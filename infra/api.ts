import { RemovalPolicy, Stack } from 'aws-cdk-lib';
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
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { Front } from './front.ts';
import type { ServiceFunction } from './function.ts';
import type { Domain, SignIn } from './settings.ts';

/** Methods and a path, such as `GET /deployments` or `PUT|GET|DELETE /deployments/{deploymentId}`. */
export type Route = `${string} /${string}`;

/** The rate limit of a route for all callers together. API Gateway answers further requests with 429. */
export interface Ceiling {
  /** Requests per second on average. */
  readonly rate: number;
  /** Requests at the same time. */
  readonly burst: number;
}

export interface ApiProps {
  /** The custom domain. @default the domain of API Gateway */
  readonly domain?: Domain;
  /** Whether the access log outlives the stack. */
  readonly retainLogs: boolean;
  /** Days that the access log is kept: one of the values that CloudWatch Logs allows. */
  readonly logRetention: number;
}

/** The limit of every route: half of an account's default quota, so that other APIs in the account stay available. */
const CEILING: Ceiling = { rate: 5000, burst: 2500 };

/**
 * Fields of the access log. A misplaced secret or token must not be logged, so there is the route instead of the path, the
 * type of an error instead of its message (which may quote a header), and neither a query string nor headers.
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

/** The service's HTTP API, with payload format 2.0 and the stage `$default`. */
export class Api extends Construct {
  /** The URL of the API, without a slash at the end. */
  readonly url: string;
  /**
   * The URL for IAM principals. A SigV4 signature covers the host name, and behind a CloudFront distribution the host name
   * that arrives is API Gateway's own.
   */
  readonly platformUrl: string;
  /** ARN of the stage. The resource in a caller's policy begins with it. */
  readonly stageArn: string;
  /** The target for the DNS record of the custom domain; undefined without one. */
  readonly domainTarget: string | undefined;
  readonly #api: HttpApi;

  constructor(scope: Construct, id: string, { domain, retainLogs, logRetention }: ApiProps) {
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
      defaultDomainMapping: ownName && { domainName: ownName },
      disableExecuteApiEndpoint: ownName && true,
    });
    const accessLog = new LogGroup(this, 'AccessLog', {
      retention: logRetention,
      removalPolicy: retainLogs ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    const stage = this.#stage();
    stage.accessLogSettings = { destinationArn: accessLog.logGroupArn, format: JSON.stringify(LOGGED) };
    stage.defaultRouteSettings = {
      throttlingRateLimit: CEILING.rate,
      throttlingBurstLimit: CEILING.burst,
    };
    this.url = domain ? `https://${domain.domainName}` : this.#api.apiEndpoint;
    this.stageArn = Stack.of(this).formatArn({
      service: 'execute-api',
      resource: this.#api.apiId,
      resourceName: stage.stageName,
    });
    this.platformUrl = isBehindDistribution ? this.#api.apiEndpoint : this.url;
    this.domainTarget = domain?.webAclArn
      ? new Front(this, 'Front', { domain, api: this.#api }).domainTarget
      : ownName?.regionalDomainName;
  }

  /**
   * Adds routes without an authorizer. Their functions authenticate the request themselves.
   * @param ceiling rate limit of each of these routes; `CEILING` by default
   */
  open(routes: ReadonlyMap<Route, ServiceFunction>, ceiling?: Ceiling): void {
    const added = this.#add(routes);
    for (const route of added) {
      acknowledge(route, {
        'AwsSolutions-APIG4':
          'Open to who has not signed in: it takes the secret of a key or an access token and judges it itself, or it ' +
          'is public (the metadata of OAuth, the files of the console). API Gateway has no authorizer for either.',
      });
    }
    if (ceiling) this.#throttle(added, ceiling);
  }

  /** Adds routes that need an access token of a person. API Gateway verifies the token against its issuer. */
  forPeople(signIn: SignIn, routes: ReadonlyMap<Route, ServiceFunction>): void {
    const people = new HttpJwtAuthorizer('People', signIn.issuer, { jwtAudience: [...signIn.audience] });
    this.#add(routes, people);
  }

  /**
   * Adds routes under /platform that need a SigV4 signature. API Gateway admits every principal whose policies allow
   * `execute-api:Invoke`, which may be anyone in the account. So the function must check the principal.
   */
  forPlatform(routes: ReadonlyMap<Route, ServiceFunction>): void {
    const signed = [...routes].map(([route, handler]): [Route, ServiceFunction] => {
      const [methods, path] = route.split(' ');
      return [`${methods} /platform${path}`, handler];
    });
    this.#add(new Map(signed), new HttpIamAuthorizer());
  }

  #add(routes: ReadonlyMap<Route, ServiceFunction>, authorizer?: IHttpRouteAuthorizer): HttpRoute[] {
    return [...routes].flatMap(([route, { node, function: handler }]) => {
      const [methods = '', path = ''] = route.split(' ');
      return this.#api.addRoutes({
        path,
        methods: methods.split('|') as HttpMethod[],
        integration: new HttpLambdaIntegration(node.id, handler),
        authorizer,
      });
    });
  }

  #throttle(routes: readonly HttpRoute[], { rate, burst }: Ceiling): void {
    const stage = this.#stage();
    for (const route of routes) {
      const { routeKey } = route.node.defaultChild as CfnRoute;
      stage.addPropertyOverride(`RouteSettings.${routeKey.replaceAll('.', '\\.')}`, {
        ThrottlingRateLimit: rate,
        ThrottlingBurstLimit: burst,
      });
      // API Gateway rejects settings for a route that does not exist yet.
      stage.node.addDependency(route);
    }
  }

  #stage(): CfnStage {
    return this.#api.defaultStage?.node.defaultChild as CfnStage;
  }
}
