import { Stack } from 'aws-cdk-lib';
import { HttpApi, type HttpMethod, type IHttpRouteAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpJwtAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Construct } from 'constructs';
import type { SignIn } from './config.ts';
import type { ServiceFunction } from './function.ts';

/** Methods of one path, as in `GET /deployments` or `PUT|GET|DELETE /deployments/{deploymentId}`. */
export type Route = `${string} /${string}`;

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

  /** Adds routes that need no sign-in: the function judges what a request carries. */
  open(routes: ReadonlyMap<Route, ServiceFunction>): void {
    this.#add(routes);
  }

  /** Adds routes that API Gateway opens to a person's access token alone, verified against its issuer. */
  forPeople(signIn: SignIn, routes: ReadonlyMap<Route, ServiceFunction>): void {
    const people = new HttpJwtAuthorizer('People', signIn.issuer, { jwtAudience: [...signIn.audience] });
    this.#add(routes, people);
  }

  #add(routes: ReadonlyMap<Route, ServiceFunction>, authorizer?: IHttpRouteAuthorizer): void {
    for (const [route, { node, function: handler }] of routes) {
      const [methods = '', path = ''] = route.split(' ');
      this.#api.addRoutes({
        path,
        methods: methods.split('|') as HttpMethod[],
        integration: new HttpLambdaIntegration(node.id, handler),
        authorizer,
      });
    }
  }
}
