import type { Logger } from '@aws-lambda-powertools/logger';
import middy from '@middy/core';
import type {
  APIGatewayProxyEventV2WithIAMAuthorizer,
  APIGatewayProxyEventV2WithJWTAuthorizer,
} from 'aws-lambda';
import { invalidFields, ServiceError } from '../domain/errors.ts';
import { isDeploymentId } from '../domain/identifiers.ts';
import type { PeopleConfig, Person } from '../domain/people.ts';
import type { Actor } from '../domain/records.ts';
import { hashOf } from '../domain/secrets.ts';
import { type Answer, answers, asProblem, invocation } from './answer.ts';
import { jsonBody } from './body.ts';
import { personOf } from './person.ts';
import { isPlatformRoute, PLATFORM, principalOf } from './principal.ts';
import { requireKnownParameters } from './query.ts';

type ManagementEvent = APIGatewayProxyEventV2WithJWTAuthorizer | APIGatewayProxyEventV2WithIAMAuthorizer;

/** A call of a signed-in person or an IAM principal, as a route sees it. */
export interface ManagementRequest {
  person: Person;
  /** The same, for the record. */
  actor: Actor;
  /** From the path; '' where the route has none. A Deployment ID is known to be well formed. */
  params: { deploymentId: string; keyId: string; tokenId: string };
  /** The parameters of the query: those of the route, each at most once, and those of a signature. */
  query: Record<string, string | undefined>;
  /** `METHOD /path/{parameter}`, as API Gateway has it: with /platform where the call came so. */
  routeKey: string;
  /** What stands before every path that this caller calls. */
  base: '' | typeof PLATFORM;
  /**
   * The JSON body, not yet judged.
   * @param whenEmpty what stands for no body at all, where none is needed
   * @throws ServiceError 400, 413, 415
   */
  body: (whenEmpty?: object) => unknown;
  /** The body as it came, hashed: two requests with one hash ask for the same. */
  bodyHash: string;
  /**
   * The Idempotency-Key, undefined where there is none.
   * @throws ServiceError 400 for one that is malformed
   */
  idempotencyKey: () => string | undefined;
}

export type ManagementRoute = (request: ManagementRequest) => Promise<Answer>;

export interface ManagementOptions {
  logger: Logger;
  people: PeopleConfig;
  /** ARNs of the IAM roles and users that may call under /platform. @default nobody */
  platformPrincipals?: readonly string[];
  /** Records a rejected call. Where that fails, the call is rejected all the same. */
  onRejected: (request: ManagementRequest, error: ServiceError) => Promise<void>;
}

/**
 * A function that people and IAM principals call: what its routes have in common, in the order in which it happens.
 * @param routes by their keys without /platform: it is the same route, whoever calls
 */
export function managementHandler(
  routes: Record<string, ManagementRoute>,
  { logger, onRejected, ...callers }: ManagementOptions,
) {
  return middy<ManagementEvent>()
    .use(invocation(logger))
    .use(answers(logger, asProblem))
    .handler(async (event): Promise<Answer> => {
      const routeKey = event.routeKey.replace(` ${PLATFORM}/`, ' /');
      const route = routes[routeKey];
      // The gateway has no route that is not in the map: this is a fault of the stack.
      if (!route) throw new Error(`no route for ${event.routeKey}`);
      const request = requestOf(event, callers);
      logger.appendKeys({ principal: request.person.sub, deployment_id: request.params.deploymentId });
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

type Callers = Pick<ManagementOptions, 'people' | 'platformPrincipals'>;

/** @throws ServiceError 401 or 403 for a caller that has no business here */
function callerOf(event: ManagementEvent, { people, platformPrincipals = [] }: Callers): Person {
  return isPlatformRoute(event.routeKey)
    ? principalOf(event as APIGatewayProxyEventV2WithIAMAuthorizer, platformPrincipals)
    : personOf(event as APIGatewayProxyEventV2WithJWTAuthorizer, people);
}

function requestOf(event: ManagementEvent, callers: Callers): ManagementRequest {
  const person = callerOf(event, callers);
  const { deploymentId = '', keyId = '', tokenId = '' } = event.pathParameters ?? {};
  if (event.routeKey.includes('{deploymentId}') && !isDeploymentId(deploymentId)) {
    const rule = 'must be 1 to 64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit';
    throw invalidFields([{ field: 'deploymentId', rule }]);
  }
  const { requestId, http } = event.requestContext;
  return {
    person,
    actor: {
      principal: person.sub,
      type: isPlatformRoute(event.routeKey) ? 'iam' : 'person',
      address: http.sourceIp,
      requestId,
    },
    params: { deploymentId, keyId, tokenId },
    query: Object.fromEntries(new URLSearchParams(event.rawQueryString)),
    routeKey: event.routeKey,
    base: isPlatformRoute(event.routeKey) ? PLATFORM : '',
    body: (whenEmpty) => (whenEmpty && !event.body ? whenEmpty : bodyOf(event)),
    bodyHash: hashOf(event.body ?? ''),
    idempotencyKey: () => idempotencyKeyOf(event.headers['idempotency-key']),
  };
}

/** @throws ServiceError 400, 413, 415 */
function bodyOf(event: ManagementEvent): unknown {
  const body = jsonBody(event);
  // A gateway that passes a body on as text puts U+FFFD in place of bytes that are not UTF-8.
  if (event.body?.includes('\uFFFD')) {
    throw new ServiceError(400, 'invalid_request', 'The body must be UTF-8.');
  }
  return body;
}

/** Any name that the client finds for the call. Without commas: API Gateway joins a repeated header with them. */
function idempotencyKeyOf(header: string | undefined): string | undefined {
  if (header === undefined || /^[!-+\--~]{1,255}$/.test(header)) return header;
  const rule = 'must be 1 to 255 printable ASCII characters without space and comma';
  throw invalidFields([{ field: 'Idempotency-Key', rule }]);
}
