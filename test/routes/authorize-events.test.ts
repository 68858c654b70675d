import { describe, expect, it } from 'vitest';
import {
  type AuthorizerCall,
  parseAuthorizerEvent,
  requirementsOf,
} from '../../functions/routes/authorize.ts';
import { httpEvent, restEvent, tokenEvent } from '../support/events.ts';

const ARN = 'arn:aws:execute-api:us-east-1:123456789012:abcdef123/test/GET/request';
const EXPECTED =
  'Expected the event of an authorizer: of an HTTP API with payload format 2.0, or of a REST API, type REQUEST or TOKEN';
const parse = (event: unknown) => () => parseAuthorizerEvent(event);
const without = (event: object, name: string) => ({ ...event, [name]: undefined });

describe('parseAuthorizerEvent', () => {
  const parameters = { pathParameters: { a: 'b' }, stageVariables: { c: 'd' } };
  it.each([
    [
      'an HTTP API authorizer event',
      httpEvent({ headers: { authorization: 'Bearer x' }, ...parameters }),
      { answer: 'simple', requestId: 'Cz8YXjZPIAMEMXQ=' },
    ],
    [
      'a REST API authorizer event of type REQUEST',
      restEvent({ multiValueHeaders: { Authorization: ['Bearer x'] }, ...parameters }),
      { answer: 'rest', requestId: 'bb5ff0d8-1f1c-4e33-8f2d-1cd2bd1b8c0d' },
    ],
  ])('parses all details of a call from %s', (_, event, expected) => {
    expect(parseAuthorizerEvent(event)).toStrictEqual({
      ...expected,
      authorization: 'Bearer x',
      arn: ARN,
      route: { method: 'GET', template: '/request', parameters: { a: 'b' } },
      stageVariables: { c: 'd' },
      caller: { address: '192.0.2.1', userAgent: 'agent' },
      apiId: 'abcdef123',
    });
  });

  it('parses the token and the API ID from a REST API authorizer event of type TOKEN', () => {
    expect(parseAuthorizerEvent(tokenEvent('Bearer x'))).toStrictEqual({
      answer: 'rest',
      authorization: 'Bearer x',
      arn: ARN,
      route: undefined,
      stageVariables: {},
      caller: {},
      apiId: 'abcdef123',
      requestId: undefined,
    });
  });

  it('an authorizer event for the $default route has no path template', () => {
    expect(parseAuthorizerEvent(httpEvent({ routeKey: '$default' })).route?.template).toBeUndefined();
  });

  it('treats a null map in an authorizer event as empty', () => {
    const http = parseAuthorizerEvent({
      ...httpEvent(),
      headers: null,
      pathParameters: null,
      stageVariables: null,
    });
    expect(http).toMatchObject({ authorization: undefined, route: { parameters: {} }, stageVariables: {} });
    const rest = restEvent({ multiValueHeaders: null, headers: null, stageVariables: null });
    expect(parseAuthorizerEvent(rest)).toMatchObject({ authorization: undefined, stageVariables: {} });
  });

  it('rejects an event that is not an authorizer event with an error that names the expected types', () => {
    const named = (type: string, version: string) => `${EXPECTED}; type is ${type}, version ${version}.`;
    for (const event of [undefined, null, 'x', {}])
      expect(parse(event)).toThrow(named('undefined', 'undefined'));
    expect(parse(httpEvent({ version: '1.0' as '2.0' }))).toThrow(named('REQUEST', '1.0'));
    expect(parse({ ...httpEvent(), type: 'OTHER' })).toThrow(named('OTHER', '2.0'));
    expect(parse({ type: { a: 1 }, version: 2 })).toThrow(named('object', 'number'));
  });

  it("an error message contains an event's type or version only if that is a short word", () => {
    for (const type of ['x'.repeat(17), 'a b', 'a\n', '', 'é', ' a'])
      expect(parse({ type, version: '2.0' })).toThrow(`; type is string, version 2.0.`);
    expect(parse({ type: 'x'.repeat(16) })).toThrow(`; type is ${'x'.repeat(16)}, version undefined.`);
  });

  it.each<[string, object]>([
    ['routeArn', without(httpEvent(), 'routeArn')],
    ['routeArn', { ...httpEvent(), routeArn: '' }],
    ['routeKey', without(httpEvent(), 'routeKey')],
    ['requestContext.http.method', { ...httpEvent(), requestContext: {} }],
    ['methodArn', without(restEvent(), 'methodArn')],
    ['httpMethod', without(restEvent(), 'httpMethod')],
    ['resource', without(restEvent(), 'resource')],
    ['methodArn', without(tokenEvent('x'), 'methodArn')],
    ['methodArn', { ...tokenEvent('x'), methodArn: 7 }],
  ])('rejects an authorizer event without %s with an error that names what is missing', (name, event) => {
    expect(parse(event)).toThrow(`${EXPECTED}; ${name} is missing.`);
  });
});

describe('The stage variable authorizerResponse selects the response format', () => {
  const answer = (authorizerResponse: unknown) =>
    parseAuthorizerEvent(httpEvent({ stageVariables: { authorizerResponse } as Record<string, string> }))
      .answer;

  it('a stage variable selects the response format of the authorizer: simple or IAM', () => {
    expect([undefined, 'simple', 'iam'].map(answer)).toEqual(['simple', 'simple', 'iam']);
    for (const bad of ['IAM', '', 7])
      expect(() => answer(bad)).toThrow(
        'The stage variable authorizerResponse must be simple or iam, or be left out.',
      );
  });
});

describe('parseAuthorizerEvent reads the Authorization header', () => {
  const ofRest = (change: object) => parseAuthorizerEvent(restEvent(change)).authorization;

  it('finds the Authorization header in a REST API event regardless of its case', () => {
    for (const name of ['Authorization', 'authorization', 'AUTHORIZATION'])
      expect(ofRest({ multiValueHeaders: { Accept: ['x'], [name]: ['Bearer x'] } })).toBe('Bearer x');
  });

  it('finds the Authorization header in a REST API event that has no multi-value headers', () => {
    expect(ofRest({ multiValueHeaders: null, headers: { Authorization: 'Bearer x' } })).toBe('Bearer x');
    expect(ofRest({ multiValueHeaders: {}, headers: { Authorization: 'Bearer x' } })).toBeUndefined();
  });

  it('ignores an Authorization header that occurs twice', () => {
    expect(ofRest({ multiValueHeaders: { Authorization: ['Bearer x', 'Bearer x'] } })).toBeUndefined();
    expect(ofRest({ multiValueHeaders: { Authorization: ['x'], authorization: ['x'] } })).toBeUndefined();
    expect(ofRest({ multiValueHeaders: { Authorization: [] } })).toBeUndefined();
  });

  it('ignores an Authorization header that is not a string', () => {
    expect(ofRest({ multiValueHeaders: { Authorization: [7] } })).toBeUndefined();
    const headers = { authorization: 7 } as never;
    expect(parseAuthorizerEvent(httpEvent({ headers })).authorization).toBeUndefined();
    expect(parseAuthorizerEvent({ ...tokenEvent('x'), authorizationToken: 7 }).authorization).toBeUndefined();
  });
});

it('parseAuthorizerEvent ignores a source IP address, API ID or request ID that is not a string', () => {
  const context = { apiId: 7, requestId: 7 };
  const nothing = {
    caller: { address: undefined, userAgent: undefined },
    apiId: undefined,
    requestId: undefined,
  };
  const http = { method: 'GET', sourceIp: 7, userAgent: null };
  expect(parseAuthorizerEvent({ ...httpEvent(), requestContext: { ...context, http } })).toMatchObject(
    nothing,
  );
  expect(parseAuthorizerEvent({ ...restEvent(), requestContext: context })).toMatchObject(nothing);
});

describe('requirementsOf', () => {
  const route = { method: 'GET', template: '/d/{deploymentId}', parameters: { deploymentId: 'etl' } };
  const requirementsWith = (change: Partial<AuthorizerCall>) =>
    requirementsOf({ route, stageVariables: {}, ...change } as AuthorizerCall);

  it('without stage variables, the authorizer checks the Deployment in the path but requires no scopes', () => {
    expect(requirementsWith({})).toStrictEqual({ deploymentId: 'etl', scopes: [] });
    expect(requirementsWith({ route: { method: 'GET', template: '/x', parameters: {} } })).toStrictEqual({
      deploymentId: undefined,
      scopes: [],
    });
    expect(requirementsWith({ route: undefined })).toStrictEqual({ scopes: [] });
    expect(
      requirementsWith({ route: undefined, stageVariables: { requiredScopes: 'GET/x=any' } }),
    ).toStrictEqual({
      scopes: [],
    });
  });

  it('the authorizer requires the scopes that the stage variable lists for the route', () => {
    const stageVariables = { requiredScopes: 'GET/d/:deploymentId=a:b,c' };
    expect(requirementsWith({ stageVariables })).toStrictEqual({ deploymentId: 'etl', scopes: ['a:b', 'c'] });
  });

  it.each([
    ['is missing from it', 'POST/d/:deploymentId=any'],
    ['is in a variable that does not parse', 'nonsense'],
    ['is in an empty variable', ''],
    ['is in a variable that is not text', 7],
  ])(
    'the authorizer denies a call if the stage variable requiredScopes is set but the route %s',
    (_, requiredScopes) => {
      expect(requirementsWith({ stageVariables: { requiredScopes } })).toBeUndefined();
    },
  );

  it('the authorizer reads the Deployment ID from the path parameter that the stage variable names', () => {
    const ofName = { method: 'GET', template: '/d/{name}', parameters: { name: 'etl', deploymentId: 'x' } };
    expect(
      requirementsWith({ route: ofName, stageVariables: { deploymentParameter: 'name' } }),
    ).toMatchObject({
      deploymentId: 'etl',
    });
    for (const deploymentParameter of ['a b', '', '{name}', 7])
      expect(requirementsWith({ route: ofName, stageVariables: { deploymentParameter } })).toBeUndefined();
    expect(
      requirementsWith({ route: undefined, stageVariables: { deploymentParameter: '' } }),
    ).toBeUndefined();
  });

  it("the authorizer denies every token when the Deployment's path parameter is empty", () => {
    for (const template of ['/d/{deploymentId}', '/{deploymentId+}', '/x/{deploymentId}/y'])
      expect(requirementsWith({ route: { method: 'GET', template, parameters: {} } })).toMatchObject({
        deploymentId: '',
      });
    for (const template of ['/d/deploymentId', '/d/x{deploymentId}', '/d/{deploymentIdx}', undefined])
      expect(requirementsWith({ route: { method: 'GET', template, parameters: {} } })).toMatchObject({
        deploymentId: undefined,
      });
    const parameters = { deploymentId: 7 };
    expect(requirementsWith({ route: { method: 'GET', template: undefined, parameters } })).toMatchObject({
      deploymentId: '',
    });
    const inherited = Object.create({ deploymentId: 'etl' });
    expect(
      requirementsWith({ route: { method: 'GET', template: '/x', parameters: inherited } }),
    ).toMatchObject({
      deploymentId: undefined,
    });
  });
});
