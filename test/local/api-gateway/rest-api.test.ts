import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { chooseMethod } from '../../../local/api-gateway/rest-api.ts';
import { evaluate } from '../../../local/aws/policy.ts';
import { startLocalStack } from '../../../local/local-stack.ts';
import { arnOf, Fixture, ref } from '../../support/fixture.ts';
import { call, runStack } from '../../support/stack.ts';

const uriOf = (functionId: string) => ({
  'Fn::Join': [
    '',
    ['arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/', arnOf(functionId), '/invocations'],
  ],
});

/** Returns a REST API with methods, and one resource for each path segment. */
class RestFixture extends Fixture {
  constructor() {
    super();
    delete this.resources.Api;
    delete this.resources.Stage;
    this.add('Api', 'AWS::ApiGateway::RestApi', {});
    this.add('RestStage', 'AWS::ApiGateway::Stage', {
      RestApiId: ref('Api'),
      StageName: 'prod',
      Variables: { v: '1' },
    });
  }

  method(method: string, path: string, functionId: string, authorizer: Record<string, unknown> = {}): this {
    let parent: object = { 'Fn::GetAtt': ['Api', 'RootResourceId'] };
    let id = 'Root';
    for (const part of path.split('/').filter(Boolean)) {
      id += part.replaceAll(/\W/g, '') + part.length;
      if (!this.resources[id]) {
        this.add(id, 'AWS::ApiGateway::Resource', {
          RestApiId: ref('Api'),
          ParentId: parent,
          PathPart: part,
        });
      }
      parent = ref(id);
    }
    return this.add(`${id}${method}`, 'AWS::ApiGateway::Method', {
      RestApiId: ref('Api'),
      ResourceId: parent,
      HttpMethod: method,
      Integration: { Type: 'AWS_PROXY', Uri: uriOf(functionId) },
      ...authorizer,
    });
  }

  authorizer(id: string, functionId: string, properties: Record<string, unknown> = {}): this {
    return this.add(id, 'AWS::ApiGateway::Authorizer', {
      RestApiId: ref('Api'),
      Type: 'REQUEST',
      IdentitySource: 'method.request.header.Authorization',
      AuthorizerUri: uriOf(functionId),
      AuthorizerResultTtlInSeconds: 0,
      ...properties,
    });
  }
}

const by = (id: string) => ({ AuthorizationType: 'CUSTOM', AuthorizerId: ref(id) });

/**
 * An authorizer whose token determines the result: it returns the token parsed as JSON, or throws the text after "!".
 */
const AUTHORIZE = `exports.handler = async (event) => {
  const token = event.authorizationToken ?? event.headers.Authorization;
  if (token.startsWith('!')) throw new Error(token.slice(1));
  return JSON.parse(token.replaceAll('$ARN', event.methodArn).replaceAll('$EVENT', Buffer.from(JSON.stringify(event)).toString('hex')));
};`;

const stack = await runStack({
  synthesise: new RestFixture()
    .function(
      'Echo',
      'exports.handler = async (event) => ({ statusCode: 200, body: JSON.stringify(event) });',
    )
    .function('Render', 'exports.handler = async (event) => JSON.parse(event.body);')
    .function('Fail', 'exports.handler = async () => { throw new Error("no"); };')
    .function('Authorize', AUTHORIZE)
    .authorizer('Request', 'Authorize')
    .authorizer('Token', 'Authorize', { Type: 'TOKEN', IdentityValidationExpression: '[!{].*' })
    .add('Unauthorized', 'AWS::ApiGateway::GatewayResponse', {
      RestApiId: ref('Api'),
      ResponseType: 'UNAUTHORIZED',
      ResponseParameters: { 'gatewayresponse.header.WWW-Authenticate': "'Bearer'" },
    })
    .add('MissingToken', 'AWS::ApiGateway::GatewayResponse', {
      RestApiId: ref('Api'),
      ResponseType: 'MISSING_AUTHENTICATION_TOKEN',
      ResponseParameters: { 'gatewayresponse.header.X-Own': "'yes'" },
    })
    .add('Default5xx', 'AWS::ApiGateway::GatewayResponse', {
      RestApiId: ref('Api'),
      ResponseType: 'DEFAULT_5XX',
      ResponseParameters: { 'gatewayresponse.header.Access-Control-Allow-Origin': "'*'" },
    })
    .method('POST', '/things/{id}/parts', 'Echo')
    .method('GET', '/things/fixed', 'Echo')
    .method('POST', '/render', 'Render')
    .method('GET', '/fail', 'Fail')
    .method('ANY', '/rest/{proxy+}', 'Echo')
    .method('GET', '/request', 'Echo', by('Request'))
    .method('GET', '/token', 'Echo', by('Token')).synthesise,
});
const url = stack.urls['Api/Resource'] as string;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

describe('Functions behind an emulated REST API receive events in payload format 1.0', () => {
  it('a REST API event has payload format 1.0, with all values unchanged', async () => {
    stack.clock.freeze(Date.parse('2030-01-02T03:04:05Z'));
    const { json: event, headers } = await call(url, 'POST', '/things/a%2Fb/parts?q=1&q=2&e=', {
      headers: { 'X-Mixed-Case': 'Kept', 'content-type': 'text/plain', 'user-agent': 'test' },
      body: 'täxt',
    });
    stack.clock.release();
    expect(event).toStrictEqual({
      resource: '/things/{id}/parts',
      path: '/things/a%2Fb/parts',
      httpMethod: 'POST',
      headers: expect.objectContaining({ 'X-Mixed-Case': 'Kept', 'X-Forwarded-For': '127.0.0.1' }),
      multiValueHeaders: expect.objectContaining({ 'X-Mixed-Case': ['Kept'] }),
      queryStringParameters: { q: '2', e: '' },
      multiValueQueryStringParameters: { q: ['1', '2'], e: [''] },
      pathParameters: { id: 'a%2Fb' },
      stageVariables: { v: '1' },
      requestContext: {
        resourceId: expect.any(String),
        resourcePath: '/things/{id}/parts',
        httpMethod: 'POST',
        requestTime: '02/Jan/2030:03:04:05 +0000',
        requestTimeEpoch: Date.parse('2030-01-02T03:04:05Z'),
        path: '/prod/things/a%2Fb/parts',
        accountId: '000000000000',
        protocol: 'HTTP/1.1',
        stage: 'prod',
        domainName: new URL(url).host,
        domainPrefix: '127',
        requestId: headers['x-amzn-requestid'],
        apiId: 'Api',
        identity: expect.objectContaining({ sourceIp: '127.0.0.1', userAgent: 'test', user: null }),
      },
      body: 'täxt',
      isBase64Encoded: false,
    });
    expect(headers['x-amzn-requestid']).toMatch(UUID);
    expect(headers['apigw-requestid']).toBeUndefined();
  });

  it.each([
    ['a trailing slash', '/prod/rest/a/b/', '/rest/a/b/', '/prod/rest/a/b/', 'a/b'],
    ['two slashes inside', '/prod/rest/a//b', '/rest/a//b', '/prod/rest/a//b', 'a//b'],
    ['two slashes after the stage', '/prod//rest/a', '/rest/a', '/prod//rest/a', 'a'],
    ['two slashes before the stage', '//prod/rest/a', '/rest/a', '/prod/rest/a', 'a'],
  ])(
    'a REST API event has the path that API Gateway passes for %s',
    async (_, sent, path, pathWithStage, proxy) => {
      const { json: event } = await call(new URL(url).origin, 'GET', sent);
      expect(event).toMatchObject({
        resource: '/rest/{proxy+}',
        path,
        pathParameters: { proxy },
        requestContext: { path: pathWithStage },
      });
    },
  );

  it('#53: a REST API event keeps query parameters that are named like properties of Object.prototype', async () => {
    const names = Object.getOwnPropertyNames(Object.prototype);
    const query = names.map((name) => `${name}=1&${name}=2`).join('&');
    const { status, json: event } = await call(url, 'POST', `/things/a/parts?${query}`);
    expect(status).toBe(200);
    expect(Object.entries(event.queryStringParameters)).toEqual(names.map((name) => [name, '2']));
    expect(Object.entries(event.multiValueQueryStringParameters)).toEqual(
      names.map((name) => [name, ['1', '2']]),
    );
  });

  it('a REST API event has null for each empty map', async () => {
    const { json: event } = await call(url, 'GET', '/things/fixed');
    expect(event).toMatchObject({
      pathParameters: null,
      queryStringParameters: null,
      multiValueQueryStringParameters: null,
      body: null,
    });
    expect(event.requestContext.authorizer).toBeUndefined();
  });
});

describe('An emulated REST API responds like API Gateway', () => {
  const render = (answer: unknown) => call(url, 'POST', '/render', { json: answer });

  it("a REST API returns the function's response, with JSON as the default content type", async () => {
    const { status, headers, text } = await render({
      statusCode: 201,
      headers: { 'X-One': 'a' },
      multiValueHeaders: { 'X-Many': ['b', 'c'] },
      body: 'text',
    });
    expect([status, headers['content-type'], headers['x-one'], headers['x-many'], text]).toStrictEqual([
      201,
      'application/json',
      'a',
      'b, c',
      'text',
    ]);
  });

  it('a REST API renames a WWW-Authenticate header from the function', async () => {
    const { headers } = await render({ statusCode: 401, headers: { 'WWW-Authenticate': 'Bearer' } });
    expect(headers['x-amzn-remapped-www-authenticate']).toBe('Bearer');
    expect(headers['www-authenticate']).toBeUndefined();
  });

  const own = async (method: string, path: string, base = url) => {
    const { status, headers, json } = await call(base, method, path);
    return [status, headers['x-amzn-errortype'], json];
  };

  it.each([
    ['an unknown path', 'GET', '/nothing'],
    ['an unknown method of a path', 'DELETE', '/things/fixed'],
  ])('a REST API returns 403 Missing Authentication Token for %s', async (_, method, path) => {
    expect(await own(method, path)).toStrictEqual([
      403,
      'MissingAuthenticationTokenException',
      { message: 'Missing Authentication Token' },
    ]);
  });

  it.each([
    ['an unknown path', 'GET', '/nothing', 'Bearer secret'],
    ['an unknown method of a path', 'DELETE', '/things/fixed', 'bearer secret'],
    ['an unknown path and another scheme', 'GET', '/nothing', 'Basic secret'],
  ])(
    'a REST API returns 403 with a hash of the Authorization header for %s',
    async (_, method, path, authorization) => {
      const { status, headers, json, text } = await call(url, method, path, { headers: { authorization } });
      const hash = createHash('sha256').update(authorization).digest('base64');
      expect([status, headers['x-amzn-errortype'], json]).toStrictEqual([
        403,
        'IncompleteSignatureException',
        {
          message: `Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '${hash}'.`,
        },
      ]);
      expect(headers['x-own']).toBe('yes');
      expect(text).not.toContain('secret');
    },
  );

  it('a REST API returns 403 Missing Authentication Token for an unknown path with an empty Authorization header', async () => {
    const { json } = await call(url, 'GET', '/nothing', { headers: { authorization: '' } });
    expect(json).toStrictEqual({ message: 'Missing Authentication Token' });
  });

  it('a REST API returns 403 Forbidden for an unknown stage', async () => {
    expect(await own('GET', '/beta/things/fixed', new URL(url).origin)).toStrictEqual([
      403,
      'ForbiddenException',
      { message: 'Forbidden' },
    ]);
  });

  it.each([['text'], [null], [{ body: 'x' }], [{ statusCode: 99 }], [{ statusCode: 200, body: {} }]])(
    'a REST API returns 502 for a malformed response from the function: %j',
    async (answer) => {
      const { status, json, headers } = await render(answer);
      expect([status, json]).toStrictEqual([502, { message: 'Internal server error' }]);
      expect(headers['access-control-allow-origin']).toBe('*');
    },
  );

  it('a REST API returns 502 if the function fails', async () => {
    expect(await own('GET', '/fail')).toStrictEqual([
      502,
      'InternalServerErrorException',
      { message: 'Internal server error' },
    ]);
  });
});

it.each([
  ['GET', '/things/fixed', 'GET /things/fixed'],
  ['GET', '/things/other', 'GET /things/{id}'],
  ['POST', '/things/other', 'ANY /things/{id}'],
  ['GET', '/things/a/b', 'GET /things/{rest+}'],
  // API Gateway chooses the resource first, and does not look for the method in other resources.
  ['POST', '/things/fixed', undefined],
  ['GET', '/things/', undefined],
  ['GET', '/things/fixed/', 'GET /things/fixed'],
  ['GET', '//things/fixed', 'GET /things/fixed'],
  ['GET', '/things/other/', 'GET /things/{id}'],
  ['GET', '/things/a/b/', 'GET /things/{rest+}'],
  ['GET', '/things//b', 'GET /things/{rest+}'],
])('a REST API routes the call %s %s to %s', (method, path, expected) => {
  const methods = ['GET /things/{rest+}', 'GET /things/{id}', 'ANY /things/{id}', 'GET /things/fixed'].map(
    (route) => {
      const [name = '', resourcePath = ''] = route.split(' ');
      return { method: name, resourcePath };
    },
  );
  const found = chooseMethod(methods, method, path)?.method;
  expect(found && `${found.method} ${found.resourcePath}`).toBe(expected);
});

const policy = (effect: string, resource: string) => ({
  principalId: 'me',
  policyDocument: {
    Version: '2012-10-17',
    Statement: [{ Action: 'execute-api:Invoke', Effect: effect, Resource: resource }],
  },
});

describe.each(['/request', '/token'])(
  'The Lambda authorizer of a REST API protects a route at %s',
  (path) => {
    const callWith = (answer: unknown) =>
      call(url, 'GET', path, {
        headers: { Authorization: typeof answer === 'string' ? answer : JSON.stringify(answer) },
      });
    const outcomeOf = async (answer: unknown) => {
      const { status, headers, json } = await callWith(answer);
      return [status, headers['x-amzn-errortype'], json];
    };

    it("a REST API's Lambda authorizer allows only calls that its policy allows, and passes its context as strings", async () => {
      const reply = await callWith({ ...policy('Allow', '$ARN'), context: { n: 1, yes: true, text: 'x' } });
      expect(reply.status).toBe(200);
      expect(reply.json.requestContext.authorizer).toStrictEqual({
        n: '1',
        yes: 'true',
        text: 'x',
        principalId: 'me',
      });
    });

    it.each([
      [
        'a Deny',
        policy('Deny', '$ARN'),
        'User is not authorized to access this resource with an explicit deny',
      ],
      [
        'an Allow for another method',
        policy('Allow', 'arn:aws:execute-api:*:*:*/prod/POST/*'),
        'User is not authorized to access this resource',
      ],
      [
        'an Allow for nothing',
        { ...policy('Allow', ''), principalId: 'me' },
        'User is not authorized to access this resource',
      ],
    ])('a REST API returns 403 if the authorizer returns %s', async (_, answer, message) => {
      expect(await outcomeOf(answer)).toStrictEqual([403, 'AccessDeniedException', { Message: message }]);
    });

    it('a REST API returns 401 with its gateway response if the authorizer throws "Unauthorized" or the identity is missing', async () => {
      for (const reply of [await callWith('!Unauthorized'), await call(url, 'GET', path)]) {
        expect([reply.status, reply.headers['www-authenticate'], reply.json]).toStrictEqual([
          401,
          'Bearer',
          { message: 'Unauthorized' },
        ]);
      }
    });

    it.each([
      ['another error', '!unauthorized'],
      ['no policy', { principalId: 'me' }],
      ['no principal', { ...policy('Allow', '$ARN'), principalId: undefined }],
      ['a context that is not flat', { ...policy('Allow', '$ARN'), context: { deep: {} } }],
      ['a resource that is too long', policy('Allow', `${'a'.repeat(512)}*`)],
    ])('a REST API returns 500 if the authorizer returns %s', async (_, answer) => {
      expect(await outcomeOf(answer)).toStrictEqual([
        500,
        'AuthorizerConfigurationException',
        { message: null },
      ]);
    });

    it("a REST API's Lambda authorizer receives the event format for its type", async () => {
      const reply = await callWith({ ...policy('Allow', '$ARN'), context: { event: '$EVENT' } });
      const event = JSON.parse(Buffer.from(reply.json.requestContext.authorizer.event, 'hex').toString());
      const methodArn = `arn:aws:execute-api:us-east-1:000000000000:Api/prod/GET${path}`;
      if (path === '/token') {
        expect(event).toStrictEqual({ type: 'TOKEN', methodArn, authorizationToken: expect.any(String) });
      } else {
        expect(event).toMatchObject({
          type: 'REQUEST',
          methodArn,
          resource: path,
          httpMethod: 'GET',
          stageVariables: { v: '1' },
        });
        expect(event).not.toHaveProperty('body');
        expect(event).not.toHaveProperty('version');
      }
    });
  },
);

it('a TOKEN authorizer is not called for a token that does not match its pattern', async () => {
  const { status } = await call(url, 'GET', '/token', { headers: { Authorization: 'Bearer x' } });
  expect(status).toBe(401);
});

describe('The policy of a Lambda authorizer is evaluated like an IAM policy', () => {
  const of = (...statements: object[]) => evaluate({ Statement: statements }, 'a/prod/GET/x');
  const allow = { Effect: 'Allow', Action: 'execute-api:*', Resource: ['b', 'a/prod/*'] };

  it('a policy of an authorizer denies a call if any of its statements denies the call', () => {
    expect(of(allow)).toBe('allowed');
    expect(of(allow, { ...allow, Effect: 'Deny' })).toBe('denied');
    expect(of({ ...allow, Resource: 'a/prod/POST/*' })).toBe('not allowed');
    expect(of({ ...allow, Action: 'lambda:*' })).toBe('not allowed');
  });

  it('a policy of an authorizer that uses a feature that is not emulated is invalid', () => {
    expect(of({ ...allow, Condition: {} })).toBeUndefined();
    expect(of({ ...allow, Effect: 'allow' })).toBeUndefined();
    expect(of({ Effect: 'Allow', NotAction: 'x', Resource: '*' })).toBeUndefined();
    expect(evaluate(undefined, 'a')).toBeUndefined();
  });
});

describe('The emulator rejects REST APIs with features that it does not support', () => {
  const start = (fixture: RestFixture) => startLocalStack({ synthesise: fixture.synthesise });
  const withEcho = () => new RestFixture().function('Echo', '').function('Authorize', '');

  it.each([
    [
      'a result cache',
      withEcho()
        .authorizer('A', 'Authorize', { AuthorizerResultTtlInSeconds: 300 })
        .method('GET', '/a', 'Echo', by('A')),
      'result cache',
    ],
    [
      'a result cache by default',
      withEcho()
        .authorizer('A', 'Authorize', { AuthorizerResultTtlInSeconds: undefined })
        .method('GET', '/a', 'Echo', by('A')),
      'result cache',
    ],
    [
      'IAM authorization',
      withEcho().method('GET', '/a', 'Echo', { AuthorizationType: 'AWS_IAM' }),
      'AWS_IAM authorization does not run locally',
    ],
    [
      'an identity source in the request context',
      withEcho()
        .authorizer('A', 'Authorize', { IdentitySource: 'context.identity.sourceIp' })
        .method('GET', '/a', 'Echo', by('A')),
      'does not know the identity source',
    ],
    [
      'a role that may not invoke the authorizer',
      withEcho()
        .add('Role', 'AWS::IAM::Role', {
          AssumeRolePolicyDocument: {
            Statement: [{ Effect: 'Allow', Principal: { Service: 'apigateway.amazonaws.com' } }],
          },
        })
        .authorizer('A', 'Authorize', { AuthorizerCredentials: arnOf('Role') })
        .method('GET', '/a', 'Echo', by('A')),
      'may not invoke',
    ],
    [
      'a role that API Gateway may not assume',
      withEcho()
        .add('Role', 'AWS::IAM::Role', { AssumeRolePolicyDocument: { Statement: [] } })
        .authorizer('A', 'Authorize', { AuthorizerCredentials: arnOf('Role') })
        .method('GET', '/a', 'Echo', by('A')),
      'does not let apigateway.amazonaws.com assume it',
    ],
    [
      'a gateway response with a body',
      withEcho()
        .add('R', 'AWS::ApiGateway::GatewayResponse', {
          RestApiId: ref('Api'),
          ResponseType: 'UNAUTHORIZED',
          ResponseTemplates: { 'application/json': '{}' },
        })
        .method('GET', '/a', 'Echo'),
      'only constant headers',
    ],
  ])('the emulator fails to start a REST API with %s', async (_, fixture, message) => {
    await expect(start(fixture)).rejects.toThrow(message);
  });
});
