import type { APIGatewayProxyEventV2WithIAMAuthorizer } from 'aws-lambda';
import { ServiceError } from '../domain/errors.ts';
import type { Person } from '../domain/people.ts';
import { listedPrincipal } from '../domain/principals.ts';

/** Prefix of the paths for which API Gateway authorizes callers with IAM. */
export const PLATFORM = '/platform';

/**
 * Reports whether API Gateway authorizes a route with IAM.
 * @param routeKey `METHOD /path/{parameter}`
 */
export const isPlatformRoute = (routeKey: string): boolean => routeKey.includes(` ${PLATFORM}/`);

/**
 * Returns the IAM role or user behind a call under /platform, as an administrator.
 *
 * API Gateway has verified the signature, and has checked that the caller's own policies allow the call. But an HTTP
 * API has no resource policy, so any administrator of the AWS account could give access to anyone. For this reason, the
 * stack's list decides.
 * @param listed ARNs of roles and users
 * @throws ServiceError 403 if the principal is not listed
 */
export function principalOf(
  { requestContext: { authorizer } }: Pick<APIGatewayProxyEventV2WithIAMAuthorizer, 'requestContext'>,
  listed: readonly string[],
): Person {
  // If this field is missing, API Gateway has not verified the caller.
  const caller: unknown = authorizer?.iam?.userArn;
  const arn = typeof caller === 'string' ? listedPrincipal(caller, listed) : undefined;
  if (arn === undefined) {
    throw new ServiceError(403, 'forbidden', 'This IAM principal is not one of the platformPrincipals.');
  }
  return { sub: arn, groups: [], isAdministrator: true, signIn: undefined };
}
