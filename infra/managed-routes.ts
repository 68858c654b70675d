import type { Route } from './api.ts';
import type { Functions } from './functions.ts';

/** The management calls, each with its function. People call them with a token; IAM principals call them under /platform. */
export const MANAGED_ROUTES = {
  'GET /deployments': 'manageDeployments',
  'PUT|GET|DELETE /deployments/{deploymentId}': 'manageDeployments',
  'GET /deployments/{deploymentId}/events': 'listEvents',
  'POST|GET /deployments/{deploymentId}/api-keys': 'manageKeys',
  'GET|PATCH|DELETE /deployments/{deploymentId}/api-keys/{keyId}': 'manageKeys',
  'POST /deployments/{deploymentId}/api-keys/{keyId}/rotate': 'manageKeys',
  'GET|DELETE /deployments/{deploymentId}/api-keys/{keyId}/tokens': 'manageKeys',
  'DELETE /deployments/{deploymentId}/api-keys/{keyId}/tokens/{accessTokenId}': 'manageKeys',
  'POST /deployments/{deploymentId}/api-keys/{keyId}/explain': 'manageKeys',
  'GET /deployments/{deploymentId}/temporary-tokens': 'manageTemporaryTokens',
  'DELETE /deployments/{deploymentId}/temporary-tokens/{tokenId}': 'manageTemporaryTokens',
  'POST /people/end-access': 'managePeople',
  'POST /people/restore-access': 'managePeople',
  'POST /people/find': 'managePeople',
  'GET /people': 'managePeople',
  'GET /people/events': 'managePeople',
} as const satisfies Readonly<Record<Route, keyof Functions>>;

/**
 * Returns the resources of a policy that allows all management calls under /platform, and no other call.
 *
 * A wildcard in a policy also matches slashes, so one pattern can cover longer paths. Covered patterns are omitted,
 * because an inline policy of an IAM user is limited to 2,048 characters.
 * @param platformArn ARN prefix of the calls, up to and including the API's stage
 */
export function managedCalls(platformArn: string): string[] {
  const patterns = Object.keys(MANAGED_ROUTES).flatMap((route) => {
    const [methods = '', path = ''] = route.split(' ');
    return methods.split('|').map((method) => `${method}/platform${path.replaceAll(/\{\w+\}/g, '*')}`);
  });
  const isCovered = (pattern: string) =>
    patterns.some((other) => other !== pattern && covers(other, pattern));
  return patterns.filter((pattern) => !isCovered(pattern)).map((pattern) => `${platformArn}/${pattern}`);
}

const covers = (pattern: string, text: string) => new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(text);
