import { Stack } from 'aws-cdk-lib';
import {
  type CfnRoute,
  type CfnStage,
  HttpApi,
  type HttpMethod,
  type HttpRoute,
  type IHttpRouteAuthorizer,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpJwtAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Construct } from 'constructs';
import type { SignIn } from './config.ts';
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

/** The service's HTTP API: payload format 2.0, the `$default` stage. */
export class Api extends Construct {
  /** Without a slash at its end. */
  readonly url: string;
  readonly #api: HttpApi;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    this.#api = new HttpApi(this, 'Default', {
      apiName: Stack.of(this).stackName,
      description: 'API keys for Deployments',
    });
    this.url = this.#api.apiEndpoint;
  }

  /**
   * Adds routes that need no sign-in: the function judges what a request carries.
   * @param ceiling for each of these routes; by default what the account allows
   */
  open(routes: ReadonlyMap<Route, ServiceFunction>, ceiling?: Ceiling): void {
    const added = this.#add(routes);
    if (ceiling) this.#throttle(added, ceiling);
  }

  /** Adds routes that API Gateway opens to a person's access token alone, verified against its issuer. */
  forPeople(signIn: SignIn, routes: ReadonlyMap<Route, ServiceFunction>): void {
    const people = new HttpJwtAuthorizer('People', signIn.issuer, { jwtAudience: [...signIn.audience] });
    this.#add(routes, people);
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
    const stage = this.#api.defaultStage?.node.defaultChild as CfnStage;
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
}
