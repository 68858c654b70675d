import type { APIGatewayProxyEventV2WithIAMAuthorizer } from 'aws-lambda';
import { ServiceError } from '../domain/errors.ts';
import type { Person } from '../domain/people.ts';
import { listedPrincipal } from '../domain/principals.ts';

/** The prefix of the paths that API Gateway authorizes by IAM. */
export const PLATFORM = '/platform';

/**
 * Reports whether API Gateway authorizes a route by IAM.
 * @param routeKey `METHOD /path/{parameter}`
 */
export const isPlatformRoute = (routeKey: string): boolean => routeKey.includes(` ${PLATFORM}/`);

/**
 * Returns the IAM role or user behind a call under /platform. It is an administrator.
 *
 * API Gateway has verified the signature, and that the caller's own policies allow the call. But an HTTP API has no
 * resource policy, so any administrator of the account could give access to anyone. The stack's list therefore decides.
 * @param listed ARNs of roles and users
 * @throws ServiceError 403 when the principal is not listed
 */
export function principalOf(
  { requestContext: { authorizer } }: Pick<APIGatewayProxyEventV2WithIAMAuthorizer, 'requestContext'>,
  listed: readonly string[],
): Person {
  // Without this, API Gateway has not verified the caller.
  const caller: unknown = authorizer?.iam?.userArn;
  const arn = typeof caller === 'string' ? listedPrincipal(caller, listed) : undefined;
  if (arn === undefined) {
    throw new ServiceError(403, 'forbidden', 'This IAM principal is not one of the platformPrincipals.');
  }
  return { sub: arn, groups: [], isAdministrator: true };
}
