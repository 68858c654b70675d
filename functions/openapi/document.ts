import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiResponsesObject } from 'zod-openapi';
import { accessTokenId, deploymentId, EXAMPLE, keyId, temporaryTokenId } from './answers.ts';
import { type CallerKind, OPERATIONS, type Operation, TAGS } from './operations.ts';
import { gateway, oauthError, orGateway, problem } from './responses.ts';

const { version, bugs } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

/** The schemas of path parameters. */
const PATH_PARAMETERS: Readonly<Record<string, z.ZodType>> = {
  deploymentId,
  keyId,
  tokenId: temporaryTokenId,
  accessTokenId,
};

/** Examples of the query parameters whose schemas have none. */
const QUERY_EXAMPLES: Readonly<Record<string, unknown>> = {
  limit: 20,
  cursor: EXAMPLE.cursor,
  prefix: EXAMPLE.deploymentId,
  order: 'newest',
  type: 'api_key.rotated',
  keyId: EXAMPLE.keyId,
};

/** The empty security requirement stands for client_id and client_secret in the body, which OpenAPI cannot describe. */
const SECURITY: Readonly<Record<CallerKind, Record<string, string[]>[]>> = {
  anyone: [],
  client: [{ client: [] }, {}],
  token: [{ token: [] }],
  person: [{ person: [] }],
  platform: [{ platform: [] }],
};

const BASIC = { 'WWW-Authenticate': 'Basic realm="deployment-api-keys", charset="UTF-8"' };
const RETRY = { 'Retry-After': '1' };
const BUSY = 'The service is busy. Try again in a second.';
const TOO_LARGE = 'The body must be at most 65536 bytes.';
const FAULT = 'Something went wrong here. It has been recorded.';

/** Responses that API Gateway can return on every route. */
const OF_ALL: ZodOpenApiResponsesObject = {
  429: { id: 'Throttled', ...gateway(429) },
  500: { id: 'Fault', ...gateway(500) },
  503: { id: 'Unavailable', ...gateway(503) },
};

/** Responses to management calls when the service fails. */
const OF_MANAGEMENT: ZodOpenApiResponsesObject = {
  500: { id: 'ManagementFault', ...orGateway(500, problem(500, 'server_error', FAULT)) },
  503: {
    id: 'ManagementUnavailable',
    ...orGateway(503, problem(503, 'temporarily_unavailable', BUSY, { headers: RETRY })),
  },
};

const OF_CALLER: Readonly<Record<CallerKind, ZodOpenApiResponsesObject>> = {
  anyone: OF_ALL,
  client: {
    ...OF_ALL,
    401: { id: 'ClientRefused', ...oauthError('invalid_client', 'Client authentication failed.', BASIC) },
    413: { id: 'ClientTooLarge', ...orGateway(413, oauthError('invalid_request', TOO_LARGE)) },
    500: { id: 'ClientFault', ...orGateway(500, oauthError('server_error', FAULT)) },
    503: {
      id: 'ClientUnavailable',
      ...orGateway(503, oauthError('temporarily_unavailable', BUSY, RETRY)),
    },
  },
  token: {
    ...OF_ALL,
    401: {
      id: 'TokenRefused',
      ...gateway(401),
      description: 'The token is missing or invalid; the `WWW-Authenticate` challenge says which.',
      headers: {
        'WWW-Authenticate': { schema: { type: 'string' }, example: 'Bearer error="invalid_token"' },
      },
    },
  },
  platform: {
    ...OF_ALL,
    ...OF_MANAGEMENT,
    403: {
      id: 'PrincipalRefused',
      ...orGateway(
        403,
        problem(403, 'forbidden', 'This IAM principal is not one of the platformPrincipals.'),
      ),
    },
  },
  person: {
    ...OF_ALL,
    ...OF_MANAGEMENT,
    401: {
      id: 'PersonRefused',
      ...orGateway(401, problem(401, 'invalid_token', 'Send an access token, not an ID token.')),
    },
  },
};

const OF_A_MANAGEMENT_BODY: ZodOpenApiResponsesObject = {
  413: { id: 'ManagementTooLarge', ...orGateway(413, problem(413, 'invalid_request', TOO_LARGE)) },
  415: {
    id: 'NotJson',
    ...problem(415, 'unsupported_media_type', 'Send the body as Content-Type: application/json.'),
  },
};

const IDEMPOTENCY_KEY = z.object({
  'Idempotency-Key': z
    .string()
    .regex(/^[!-+\--~]{1,255}$/)
    .optional()
    .meta({
      description:
        'Identifies this call for 24 hours. A retry with the same Idempotency-Key creates nothing. The retry gets the response to ' +
        'the first call, with `Idempotent-Replayed: true` and without the secret.',
      example: '2f1f3c5e-5a0e-4c55-8d0f-5f2f4f8d7d3a',
    }),
});

const OF_ONCE: ZodOpenApiResponsesObject = {
  422: {
    id: 'OtherBody',
    ...problem(
      422,
      'idempotency_key_reused',
      'This Idempotency-Key came with another body before. Use a new one.',
    ),
  },
};

function operationOf(path: string, operation: Operation): ZodOpenApiOperationObject {
  const { id, tag, caller, summary, description, query, body, once, answers } = operation;
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const parameters = names.map((name) => {
    const schema = PATH_PARAMETERS[name];
    if (!schema) throw new Error(`No schema describes the path parameter {${name}}.`);
    return [name, schema];
  });
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description && { description }),
    security: SECURITY[caller],
    requestParams: {
      ...(names.length > 0 && { path: z.object(Object.fromEntries(parameters)) }),
      ...(query && { query }),
      ...(once && { header: IDEMPOTENCY_KEY }),
    },
    ...(body && { requestBody: requestBodyOf(body) }),
    responses: {
      ...OF_CALLER[caller],
      ...(body && (caller === 'person' || caller === 'platform') && OF_A_MANAGEMENT_BODY),
      ...(once && OF_ONCE),
      ...answers,
    },
  };
}

function requestBodyOf({
  schema,
  examples,
  types = ['application/json'],
  required = true,
}: NonNullable<Operation['body']>) {
  const named = Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }]));
  return {
    required,
    content: Object.fromEntries(types.map((type) => [type, { schema, examples: named }])),
  };
}

/** Returns the OpenAPI document of the whole API. It is generated from the schemas that validate requests. */
export function openApiDocument() {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const [key, operation] of Object.entries(OPERATIONS)) {
    const [method = '', path = ''] = key.split(' ');
    paths[path] = { ...paths[path], [method.toLowerCase()]: operationOf(path, operation) };
  }
  const document = createDocument({
    openapi: '3.1.1',
    info: {
      title: 'Deployment API Keys',
      version,
      description:
        'A Deployment has API keys. A pipeline exchanges a key for an access token. Each use extends the token to 24 hours from ' +
        'then. Clients must ignore fields that they do not know, because new ones can be added. A management call with an unknown or ' +
        'repeated query parameter gets 400; those of a signature (`X-Amz-*`) are accepted.',
      contact: {
        name: 'Issues of the project',
        url: bugs,
      },
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [
      {
        url: 'https://{host}',
        description: 'The URL of the stack: its output ApiUrl, or its domainName.',
        variables: { host: { default: 'keys.acme.test' } },
      },
      { url: 'http://127.0.0.1:8787', description: 'npm start' },
    ],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      securitySchemes: {
        client: {
          type: 'http',
          scheme: 'basic',
          description:
            'ID and secret of a key (client_secret_basic). A client can also send them in the body (client_secret_post).',
        },
        token: { type: 'http', scheme: 'bearer', description: 'An access token or a temporary token.' },
        person: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'An access token of the stack’s OIDC issuer.',
        },
        platform: {
          type: 'apiKey',
          in: 'header',
          name: 'Authorization',
          description:
            'AWS Signature Version 4, for the service `execute-api`, by an IAM role or user that is one of the stack’s ' +
            '`platformPrincipals`. Without any, the stack has no such routes.',
          'x-amazon-apigateway-authtype': 'awsSigv4',
        },
      },
    },
  });
  for (const item of Object.values(document.paths ?? {}))
    for (const { parameters = [] } of Object.values(item as Record<string, Parameters>))
      parameters.forEach(addExample);
  return document;
}

/** The parameters of an operation in the OpenAPI document. */
interface Parameters {
  parameters?: { in: string; name: string; schema?: { example?: unknown }; example?: unknown }[];
}

function addExample(parameter: NonNullable<Parameters['parameters']>[number]): void {
  const isMissing = parameter.in === 'query' && parameter.schema?.example === undefined;
  if (isMissing) parameter.example = QUERY_EXAMPLES[parameter.name];
}

/** Returns the content of docs/openapi.json. */
export function openApiText(): string {
  return `${JSON.stringify(openApiDocument(), null, 2)}\n`;
}
