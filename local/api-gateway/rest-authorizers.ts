import { evaluate } from '../aws/policy.ts';
import type { InvocationResult } from '../lambda/worker-pool.ts';
import type { RestAuthorizer, RestDecision, RestEvent } from './rest-api.ts';

/** The settings of a Lambda authorizer for a REST API. */
export interface RestAuthorizerOptions {
  readonly type: 'REQUEST' | 'TOKEN';
  /** Identity sources, such as `method.request.header.Authorization`. */
  readonly identitySources: readonly string[];
  /** Regular expression that the token must match. It exists only for authorizers of type TOKEN. */
  readonly validation?: string | undefined;
  /** ARN of the API, without the stage, method and path. */
  readonly apiArn: string;
  readonly invoke: (event: object) => Promise<InvocationResult>;
}

/** Emulates both types of Lambda authorizer for REST APIs (TOKEN and REQUEST), without a cache. */
export class RestLambdaAuthorizer implements RestAuthorizer {
  readonly #options: RestAuthorizerOptions;

  /** Creates the authorizer. @throws Error for an identity source that is not emulated */
  constructor(options: RestAuthorizerOptions) {
    this.#options = options;
    for (const source of options.identitySources) {
      if (!SOURCE.test(source)) {
        throw new Error(`The local gateway does not know the identity source ${source}.`);
      }
    }
  }

  async decide(event: RestEvent): Promise<RestDecision> {
    const { type, identitySources, validation, apiArn, invoke } = this.#options;
    const identities = identitySources.map((source) => identity(source, event));
    const isMissing = identities.some((value) => value === undefined || value === '');
    const isMalformed =
      validation !== undefined && !new RegExp(`^(?:${validation})$`).test(identities[0] ?? '');
    if (isMissing || isMalformed) return UNAUTHORIZED;

    const methodArn = `${apiArn}/${event.requestContext.stage}/${event.httpMethod}${event.path}`;
    const { body, isBase64Encoded, ...rest } = event;
    const outcome = await invoke(
      type === 'TOKEN'
        ? { type, authorizationToken: identities[0], methodArn }
        : { type, methodArn, ...rest },
    );
    // Only this exact error message leads to a 401. Every other error leads to a 500.
    if (!outcome.ok) return outcome.error.errorMessage === 'Unauthorized' ? UNAUTHORIZED : FAILED;
    return decisionOf(JSON.parse(outcome.payload), methodArn);
  }
}

const UNAUTHORIZED: RestDecision = { refusal: 'UNAUTHORIZED', message: 'Unauthorized' };
const FAILED: RestDecision = { refusal: 'AUTHORIZER_CONFIGURATION_ERROR', message: null };

/** The messages that a REST API returns if a policy does not allow the call. */
const DENIALS = {
  denied: 'User is not authorized to access this resource with an explicit deny',
  'not allowed': 'User is not authorized to access this resource',
};

function decisionOf(answer: unknown, methodArn: string): RestDecision {
  const { principalId, policyDocument, context } = Object(answer) as Record<string, unknown>;
  const verdict = evaluate(policyDocument, methodArn);
  const isFlat = Object.values(Object(context)).every((value) =>
    ['string', 'number', 'boolean'].includes(typeof value),
  );
  if (verdict === undefined || typeof principalId !== 'string' || !isFlat) return FAILED;
  if (verdict !== 'allowed') return { refusal: 'ACCESS_DENIED', message: DENIALS[verdict] };
  const texts = Object.entries(Object(context)).map(([name, value]) => [name, String(value)]);
  return { context: { ...Object.fromEntries(texts), principalId } };
}

const SOURCE = /^(?<place>method\.request\.(?:header|querystring)|stageVariables)\.(?<name>[\w-]+)$/;

function identity(source: string, event: RestEvent): string | undefined {
  const { place, name = '' } = SOURCE.exec(source)?.groups ?? {};
  if (place === 'stageVariables') return event.stageVariables?.[name];
  if (place === 'method.request.querystring') return event.queryStringParameters?.[name];
  return Object.entries(event.headers ?? {}).find(
    ([given]) => given.toLowerCase() === name.toLowerCase(),
  )?.[1];
}
