import type { ZodType } from 'zod';
import * as z from 'zod/mini';
import type { ZodOpenApiResponseObject } from 'zod-openapi';
import * as answers from './answers.ts';

type Headers = Record<string, string>;

const headersOf = (headers: Headers) =>
  Object.fromEntries(
    Object.entries(headers).map(([name, example]) => [
      name,
      { schema: { type: 'string' as const }, example },
    ]),
  );

/** Describes a JSON response with one example. */
export const json = (
  description: string,
  schema: ZodType,
  example: unknown,
  headers: Headers = {},
): ZodOpenApiResponseObject => ({
  description,
  headers: headersOf({ 'Cache-Control': 'no-store', ...headers }),
  content: { 'application/json': { schema, example } },
});

/** Describes a public file that caches can store. */
export const cacheable = (
  description: string,
  type: 'application/json' | 'text/html',
  example: unknown,
): ZodOpenApiResponseObject => ({
  description,
  headers: headersOf({ 'Cache-Control': 'public, max-age=3600' }),
  content: { [type]: { schema: type === 'text/html' ? z.string() : z.looseObject({}), example } },
});

/** Describes a response without a body. */
export const empty = (description: string): ZodOpenApiResponseObject => ({
  description,
  headers: headersOf({ 'Cache-Control': 'no-store' }),
});

const TITLES: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  413: 'Payload Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Entity',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** Describes an error response to a management call. */
export const problem = (
  status: number,
  code: string,
  detail: string,
  { errors, headers = {} }: { errors?: { field: string; rule: string }[]; headers?: Headers } = {},
): ZodOpenApiResponseObject => ({
  description: detail,
  headers: headersOf({ 'Cache-Control': 'no-store', ...headers }),
  content: {
    'application/problem+json': {
      schema: answers.problem,
      example: {
        type: `/errors#${code}`,
        title: TITLES[status],
        status,
        code,
        detail,
        ...(errors && { errors }),
      },
    },
  },
});

/** Describes an error response from /oauth/*. */
export const oauthError = (
  error: string,
  description: string,
  headers: Headers = {},
): ZodOpenApiResponseObject =>
  json(description, answers.oauthError, { error, error_description: description }, headers);

/** The message of API Gateway's own response for each status. */
const GATEWAY_MESSAGES = {
  401: 'Unauthorized',
  403: 'Forbidden',
  413: 'Request Entity Too Large',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};
type GatewayStatus = keyof typeof GATEWAY_MESSAGES;

/** Describes a response that API Gateway itself returns. */
export const gateway = (status: GatewayStatus): ZodOpenApiResponseObject => ({
  description: `${GATEWAY_MESSAGES[status]}, by API Gateway.`,
  content: { 'application/json': contentOfGateway(status) },
});

const contentOfGateway = (status: GatewayStatus) => ({
  schema: answers.gatewayMessage,
  example: { message: GATEWAY_MESSAGES[status] },
});

/** Describes a response that comes either from the service or, with the same status, from API Gateway. */
export function orGateway(
  status: GatewayStatus,
  { content = {}, ...response }: ZodOpenApiResponseObject,
): ZodOpenApiResponseObject {
  const own = content['application/json'];
  const byGateway = contentOfGateway(status);
  const both = own && {
    schema: answers.oauthError.or(answers.gatewayMessage),
    examples: { service: { value: own.example }, gateway: { value: byGateway.example } },
  };
  return { ...response, content: { ...content, 'application/json': both ?? byGateway } };
}
