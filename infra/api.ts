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
import type { Domain, SignIn } from './config.ts';
import { Front } from './front.ts';
import type { ServiceFunction } from './function.ts';

/** Methods of one path, as in `GET /deployments` or `PUT|GET|DELETE /deployments/{deploymentId}`. */
export type Route = `${string} /${string}`;

/** How many requests a route takes, over all callers; more get the gateway's 429. */
export interface Ceiling {
  /** Requests a second in the long run. */
  readonly rate: number;
  /** Requests at once. */
  readonly burst: number;
}

export interface ApiProps {
  /** The name under which it answers. @default API Gateway's own */
  readonly domain?: Domain;
  /** Whether the access log outlives the stack. */
  readonly retainLogs: boolean;
  /** Days that the access log is kept, one of CloudWatch Logs' own choices. */
  readonly logRetention: number;
}

/** What no route may exceed: half of what an account is given, so that other APIs in it go on. */
const CEILING: Ceiling = { rate: 5000, burst: 2500 };

/**
 * Fields of a line of the access log. The route and not the path, neither query nor headers, and the type of an error
 * instead of its message, which may quote a header: a secret or token in the wrong place must not be kept.
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

/** The service's HTTP API: payload format 2.0, the `$default` stage. */
export class Api extends Construct {
  /** Where clients reach it, without a slash at its end. */
  readonly url: string;
  /**
   * Where IAM principals reach it: a signature is for one name, and behind a distribution the name that arrives is
   * API Gateway's own.
   */
  readonly platformUrl: string;
  /** How the resource begins that a caller's policy names: ARN of the stage. */
  readonly stageArn: string;
  /** What the DNS record of its own name points to; undefined without one. */
  readonly domainTarget: string | undefined;
  readonly #api: HttpApi;

  constructor(scope: Construct, id: string, { domain, retainLogs, logRetention }: ApiProps) {
    super(scope, id);
    const isBehindDistribution = domain?.webAclArn !== undefined;
    const ownName =
      domain && !isBehindDistribution
        ? new DomainName(this, 'Domain', {
            domainName: domain.name,
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
    this.url = domain ? `https://${domain.name}` : this.#api.apiEndpoint;
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
   * Adds routes that need no sign-in: the function judges what a request carries.
   * @param ceiling for each of these routes; by default that of every route, `CEILING`
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

  /** Adds routes that API Gateway opens to a person's access token alone, verified against its issuer. */
  forPeople(signIn: SignIn, routes: ReadonlyMap<Route, ServiceFunction>): void {
    const people = new HttpJwtAuthorizer('People', signIn.issuer, { jwtAudience: [...signIn.audience] });
    this.#add(routes, people);
  }

  /**
   * Adds routes under /platform that API Gateway opens to signed calls (SigV4) of principals whose own policies allow
   * `execute-api:Invoke`. That may be anybody in the account, so the function has to look who it is.
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
      // API Gateway refuses settings of a route that it does not have yet.
      stage.node.addDependency(route);
    }
  }

  #stage(): CfnStage {
    return this.#api.defaultStage?.node.defaultChild as CfnStage;
  }
}
