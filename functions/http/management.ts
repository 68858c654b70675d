import type { Logger } from '@aws-lambda-powertools/logger';
import middy from '@middy/core';
import type {
  APIGatewayProxyEventV2WithIAMAuthorizer,
  APIGatewayProxyEventV2WithJWTAuthorizer,
} from 'aws-lambda';
import { hashOf, isDeploymentId } from '../domain/credentials.ts';
import { invalidFields, ServiceError } from '../domain/errors.ts';
import type { PeopleConfig, Person } from '../domain/people.ts';
import type { Actor, SignIn } from '../domain/records.ts';
import { type Answer, answers, asProblem, invocation } from './answer.ts';
import { jsonBody } from './body.ts';
import { issuerOf } from './issuer.ts';
import { isPlatformRoute, PLATFORM, personOf, principalOf } from './person.ts';
import { requireKnownParameters } from './query.ts';

type ManagementEvent = APIGatewayProxyEventV2WithJWTAuthorizer | APIGatewayProxyEventV2WithIAMAuthorizer;

/** A call by a signed-in person or an IAM principal, as passed to a route. */
export interface ManagementRequest {
  person: Person;
  /** The caller, in the form in which events store it. */
  actor: Actor;
  /** Path parameters; '' for a parameter that the route does not have. The Deployment ID has already been validated. */
  params: { deploymentId: string; keyId: string; tokenId: string; accessTokenId: string };
  /** Query parameters of the route and of a SigV4 signature. Each parameter occurs at most once. */
  query: Record<string, string | undefined>;
  /**
   * Route of the call, `METHOD /path/{parameter}`, as in API Gateway. Includes /platform if the caller used that
   * prefix.
   */
  routeKey: string;
  /** The service's issuer, which is also the default audience of a trust rule. */
  issuer: string;
  /** The prefix of all paths for this caller. */
  base: '' | typeof PLATFORM;
  /**
   * Returns the body parsed as JSON, but not validated.
   * @param whenEmpty what to return for an empty body, if the body is optional
   * @throws ServiceError 400, 413, 415
   */
  body: (whenEmpty?: object) => unknown;
  /** Hash of the body. Requests with equal hashes have equal bodies. */
  bodyHash: string;
  /**
   * Returns the Idempotency-Key; undefined if there is none.
   * @throws ServiceError 400 if it is malformed
   */
  idempotencyKey: () => string | undefined;
}

export type ManagementRoute = (request: ManagementRequest) => Promise<Answer>;

export interface ManagementOptions {
  logger: Logger;
  people: PeopleConfig;
  /** ARNs of the IAM roles and users that are allowed to call routes under /platform. @default none */
  platformPrincipals?: readonly string[];
  /** The URL that clients use, if another service is in front of API Gateway. @default the domain of the request */
  publicUrl?: string | undefined;
  /** Called for each response with a status of 500 or higher. */
  onFailed: () => void;
  /**
   * Rejects a person whose access was ended.
   * @throws ServiceError 401
   */
  requireAccess: (signIn: SignIn) => Promise<void>;
  /** Records a rejected call. If the recording fails, the service still rejects the call. */
  onRejected: (request: ManagementRequest, error: ServiceError) => Promise<void>;
}

/**
 * Returns a Lambda handler for people and IAM principals. The handler identifies the caller, parses the request and
 * calls the route.
 * @param routes routes by route key without /platform, because a route is the same for both kinds of callers
 */
export function managementHandler(
  routes: Record<string, ManagementRoute>,
  { logger, onFailed, onRejected, requireAccess, ...callers }: ManagementOptions,
) {
  return middy<ManagementEvent>()
    .use(invocation(logger))
    .use(answers(logger, asProblem, onFailed))
    .handler(async (event): Promise<Answer> => {
      const routeKey = event.routeKey.replace(` ${PLATFORM}/`, ' /');
      const route = routes[routeKey];
      // API Gateway has only the routes in this map, so a call to any other route means that the stack is faulty.
      if (!route) throw new Error(`no route for ${event.routeKey}`);
      const request = requestOf(event, callers);
      logger.appendKeys({ principal: request.person.sub, deployment_id: request.params.deploymentId });
      if (request.person.signIn) await requireAccess(request.person.signIn);
      try {
        requireKnownParameters(event.rawQueryString, routeKey);
        return await route(request);
      } catch (error) {
        const isRejection = error instanceof ServiceError && error.status < 500;
        if (isRejection) {
          await onRejected(request, error).catch((cause) =>
            logger.error('rejected call not recorded', cause as Error),
          );
        }
        throw error;
      }
    });
}

type Callers = Pick<ManagementOptions, 'people' | 'platformPrincipals' | 'publicUrl'>;

/**
 * Returns the caller.
 * @throws ServiceError 401 or 403 if the caller is not authorized
 */
function callerOf(event: ManagementEvent, { people, platformPrincipals = [] }: Callers): Person {
  return isPlatformRoute(event.routeKey)
    ? principalOf(event as APIGatewayProxyEventV2WithIAMAuthorizer, platformPrincipals)
    : personOf(event as APIGatewayProxyEventV2WithJWTAuthorizer, people);
}

function requestOf(event: ManagementEvent, callers: Callers): ManagementRequest {
  const person = callerOf(event, callers);
  const { deploymentId = '', keyId = '', tokenId = '', accessTokenId = '' } = event.pathParameters ?? {};
  if (event.routeKey.includes('{deploymentId}') && !isDeploymentId(deploymentId)) {
    const rule = 'must be 1 to 64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit';
    throw invalidFields([{ field: 'deploymentId', rule }]);
  }
  const { requestId, http } = event.requestContext;
  return {
    person,
    actor: {
      principal: person.sub,
      ...(person.name !== undefined && { name: person.name }),
      type: isPlatformRoute(event.routeKey) ? 'iam' : 'person',
      address: http.sourceIp,
      requestId,
    },
    params: { deploymentId, keyId, tokenId, accessTokenId },
    query: Object.fromEntries(new URLSearchParams(event.rawQueryString)),
    routeKey: event.routeKey,
    issuer: issuerOf(event, callers.publicUrl),
    base: isPlatformRoute(event.routeKey) ? PLATFORM : '',
    body: (whenEmpty) => (whenEmpty && !event.body ? whenEmpty : bodyOf(event)),
    bodyHash: hashOf(event.body ?? ''),
    idempotencyKey: () => idempotencyKeyOf(event.headers['idempotency-key']),
  };
}

/**
 * Returns the body parsed as JSON.
 * @throws ServiceError 400, 413, 415
 */
function bodyOf(event: ManagementEvent): unknown {
  const body = jsonBody(event);
  // When API Gateway passes a body as text, it replaces bytes that are not UTF-8 with U+FFFD.
  if (event.body?.includes('\uFFFD')) {
    throw new ServiceError(400, 'invalid_request', 'The body must be UTF-8.');
  }
  return body;
}

/**
 * Returns the Idempotency-Key from a header. The key must not contain commas, because API Gateway joins repeated
 * headers with a comma.
 * @throws ServiceError 400 if it is malformed
 */
function idempotencyKeyOf(header: string | undefined): string | undefined {
  if (header === undefined || /^[!-+\--~]{1,255}$/.test(header)) return header;
  const rule = 'must be 1 to 255 printable ASCII characters without space and comma';
  throw invalidFields([{ field: 'Idempotency-Key', rule }]);
}
