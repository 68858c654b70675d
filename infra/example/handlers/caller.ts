import type { APIGatewayEvent, APIGatewayProxyEventV2WithLambdaAuthorizer } from 'aws-lambda';

/** The authorizer's context, which identifies the caller. */
export interface Caller {
  /** The key's ID, or the person's `sub`. */
  principalId: string;
  principalType: string;
  deploymentId: string;
  /** The token's scopes, separated by single spaces. The first scope is `deployment:<id>`. */
  scope: string;
}

/** An HTTP API puts the authorizer's context under `lambda`; a REST API does not. */
export type Event = APIGatewayEvent | APIGatewayProxyEventV2WithLambdaAuthorizer<Caller>;

export function callerOf({ requestContext }: Event): Caller {
  const { authorizer } = requestContext;
  return (authorizer && 'lambda' in authorizer ? authorizer.lambda : authorizer) as Caller;
}
