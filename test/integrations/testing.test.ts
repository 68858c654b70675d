import type { APIGatewayProxyEvent, APIGatewayProxyEventV2WithLambdaAuthorizer } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { mintCredential } from '../../functions/domain/credentials.ts';
import { expiryAfter, toSeconds } from '../../functions/domain/expiry.ts';
import { authorizer } from '../../functions/routes/authorize.ts';
import { callerOf } from '../../infra/example/handlers/caller.ts';
import { handler as receiveDeploy } from '../../infra/example/handlers/receive-deploy.ts';
import {
  type AuthorizerContext,
  authorizerContext,
  httpApiEvent,
  restApiEvent,
} from '../../integrations/testing/index.ts';
import { LambdaAuthorizer } from '../../local/api-gateway/authorizers.ts';
import { HttpApi } from '../../local/api-gateway/http-api.ts';
import { RestApi } from '../../local/api-gateway/rest-api.ts';
import { RestLambdaAuthorizer } from '../../local/api-gateway/rest-authorizers.ts';
import { RestResponses } from '../../local/api-gateway/rest-responses.ts';
import { Clock } from '../../local/clock.ts';
import type { Json } from '../support/template.ts';

const NOW = Date.parse('2027-01-15T08:00:00Z');
const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const ROUTE = 'POST /deployments/{deploymentId}/deploys';
const clock = Object.assign(new Clock(), { now: () => NOW });

/** The deployed authorizer, with a key of the Deployment `etl` in its table. */
const authorize = authorizer({
  store: {
    read: async () => ({
      deployment: { generation: ULID },
      key: { generation: ULID, epoch: 0, enabled: true, scopes: ['code:deploy'] },
      token: { generation: ULID, epoch: 0, issuedAt: toSeconds(NOW), expiresAt: expiryAfter(NOW, 86_400) },
      readEnd: async () => undefined,
    }),
    extend: async (_credential, _hash, until) => until,
    recordUse: async () => {},
  },
  clock: () => NOW,
  rules: { tokenLifetime: 86_400, slideInterval: 0, scopes: ['code:deploy'], lastUsedFrom: 'off' },
  report: { denied: () => {}, failed: () => {} },
});

const answered = (answer: unknown) => ({ ok: true, payload: JSON.stringify(answer) }) as const;
const invokeAuthorizer = async (event: object) => answered(await authorize(event as never));

/**
 * Calls the route through the emulator's API and the real authorizer. @returns the event that the route's function
 * received
 */
async function emulated(kind: 'HTTP' | 'REST', query: string, body: string): Promise<Json> {
  let received: Json;
  const invoke = async (event: object) => {
    received = event;
    return answered({ statusCode: 200 });
  };
  const apiArn = 'arn:aws:execute-api:us-east-1:000000000000:api';
  const api =
    kind === 'HTTP'
      ? new HttpApi({
          apiId: 'api',
          stage: '$default',
          clock,
          routes: [
            {
              key: ROUTE,
              invoke,
              authorizer: new LambdaAuthorizer({
                identitySources: ['$request.header.Authorization'],
                isSimple: true,
                apiArn,
                invoke: invokeAuthorizer,
              }),
            },
          ],
        })
      : new RestApi({
          apiId: 'api',
          stage: 'prod',
          clock,
          responses: new RestResponses([]),
          methods: [
            {
              method: 'POST',
              resourcePath: '/deployments/{deploymentId}/deploys',
              resourceId: 'abc123',
              invoke,
              authorizer: new RestLambdaAuthorizer({
                type: 'REQUEST',
                identitySources: ['method.request.header.Authorization'],
                apiArn,
                invoke: invokeAuthorizer,
              }),
            },
          ],
        });
  const token = mintCredential('token', 'etl', ULID);
  await api.handle({
    id: 'request',
    method: 'POST',
    path: `${kind === 'HTTP' ? '' : '/prod'}/deployments/etl/deploys`,
    query,
    protocol: 'HTTP/1.1',
    headers: [
      ['Authorization', `Bearer ${token}`],
      ['Content-Type', 'application/json'],
      ['Host', 'localhost:3000'],
      ['User-Agent', 'curl/8.9.1'],
    ],
    sourceIp: '192.0.2.10',
    body: Buffer.from(body),
  } as never);
  return received;
}

/** Returns the path and type of each value in an event, except header names, which the client chooses. */
function shapeOf(value: Json, path = ''): string[] {
  if (value === undefined) return [];
  if (typeof value !== 'object' || value === null)
    return [`${path} ${value === null ? 'null' : typeof value}`];
  if (/[hH]eaders$/.test(path)) return [path];
  return Object.entries(value).flatMap(([name, nested]) => shapeOf(nested, `${path}/${name}`));
}

const call = {
  route: ROUTE,
  caller: { deploymentId: 'etl', scopes: ['code:deploy'] },
  query: { dry: 'run' },
  body: { image: 'etl:1.4.0' },
};

describe('The sample events for API owners match real events', () => {
  it.each([
    ['HTTP', httpApiEvent(call)],
    ['REST', restApiEvent(call)],
  ] as const)(
    'a sample event has the fields that the emulator sends to a function behind a %s API',
    async (kind, sample: Json) => {
      const event = await emulated(kind, 'dry=run', call.body && JSON.stringify(call.body));
      const emulatedShape = shapeOf(event);
      const sampleShape = shapeOf(sample);
      expect(emulatedShape.filter((field) => !sampleShape.includes(field))).toStrictEqual([]);
      // AWS also sends the following fields, which the emulator omits.
      const more = sampleShape.filter((field) => !emulatedShape.includes(field));
      expect(more.filter((field) => !/^\/requestContext\/identity\/\w+ null$/.test(field))).toStrictEqual([]);
      for (const field of [
        'body',
        'pathParameters',
        'queryStringParameters',
        'isBase64Encoded',
        'rawPath',
        'path',
        'resource',
        'routeKey',
      ]) {
        expect(sample[field], field).toStrictEqual(event[field]);
      }
      expect(callerOf(sample)).toStrictEqual(callerOf(event));
    },
  );

  it('a sample event has the context that the authorizer returns', async () => {
    const event = await emulated('HTTP', '', '{}');
    expect(event.requestContext.authorizer.lambda).toStrictEqual(
      authorizerContext({ deploymentId: 'etl', scopes: ['code:deploy'] }),
    );
  });

  it('a sample event matches the types in @types/aws-lambda and the example handler', async () => {
    const http: APIGatewayProxyEventV2WithLambdaAuthorizer<AuthorizerContext> = httpApiEvent(call);
    const rest: APIGatewayProxyEvent = restApiEvent(call);
    for (const event of [http, rest]) {
      expect(await receiveDeploy(event)).toMatchObject({
        statusCode: 202,
        body: JSON.stringify({ deploying: 'etl', by: `dk_etl_${ULID}` }),
      });
    }
  });

  it('a sample event can have a person as the caller, different parameters and headers, and a text body', () => {
    const event = httpApiEvent({
      route: 'PUT /files/{name}/{path+}',
      caller: { person: 'ada', issuedAt: new Date(NOW + 1000) },
      parameters: { name: 'a', path: 'b/c' },
      headers: { 'If-Match': 'x' },
      body: 'text',
    });
    expect(event).toMatchObject({
      rawPath: '/files/a/b/c',
      pathParameters: { name: 'a', path: 'b/c' },
      headers: { 'if-match': 'x' },
      body: 'text',
      requestContext: {
        authorizer: {
          lambda: {
            principalId: 'ada',
            principalType: 'person',
            deploymentId: 'etl',
            scope: 'deployment:etl',
            issuedAt: '2027-01-15T08:00:01.000Z',
            expiresAt: '2027-01-16T08:00:01.000Z',
          },
        },
      },
    });
    expect(event.headers).not.toHaveProperty('content-type');
  });

  it('creating a sample event fails if the route is not a method and a path, or if a path parameter has no value', () => {
    expect(() => httpApiEvent({ route: '/deploys' })).toThrow(
      'route must be a method and a path, such as POST /deployments/{deploymentId}/deploys, not /deploys.',
    );
    expect(() => restApiEvent({ route: 'GET /files/{name}' })).toThrow(
      'parameters.name must have a value, because the route GET /files/{name} has it.',
    );
  });
});
