import type { APIGatewayProxyEventV2WithIAMAuthorizer } from 'aws-lambda';
import { ServiceError } from '../domain/errors.ts';
import type { Person } from '../domain/people.ts';
import { listedPrincipal } from '../domain/principals.ts';

/** What stands before the paths that IAM authorises. */
export const PLATFORM = '/platform';

/** Whether API Gateway has authorised a route by IAM. @param routeKey `METHOD /path/{parameter}` */
export const isPlatformRoute = (routeKey: string): boolean => routeKey.includes(` ${PLATFORM}/`);

/**
 * The IAM role or user behind a call under /platform: an administrator. API Gateway has verified the signature, and
 * that the caller's own policies allow the call; but an HTTP API has no policy that says who may come, so whoever
 * administers the account could let anybody in. Here it is the stack's list that decides.
 * @param listed ARNs of roles and users
 * @throws ServiceError 403 for a principal that is not listed
 */
export function principalOf(
  { requestContext: { authorizer } }: Pick<APIGatewayProxyEventV2WithIAMAuthorizer, 'requestContext'>,
  listed: readonly string[],
): Person {
  // Without the gateway's word nothing has verified who calls.
  const caller: unknown = authorizer?.iam?.userArn;
  const arn = typeof caller === 'string' ? listedPrincipal(caller, listed) : undefined;
  if (arn === undefined) {
    throw new ServiceError(403, 'forbidden', 'This IAM principal is not one of the platformPrincipals.');
  }
  return { sub: arn, groups: [], isAdministrator: true };
}
