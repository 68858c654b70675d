import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { startLocalStack } from '../../../local/local-stack.ts';
import { ADMIN_GROUP, AUDIENCE, CLIENT_ID, PEOPLE } from '../../../local/sign-in/issuer.ts';
import { arnOf, Fixture, ref } from '../../support/fixture.ts';
import { signedCall } from '../../support/signed.ts';
import { runStack } from '../../support/stack.ts';

const lambdaAuthorizer = (properties: object = {}) => ({
  ApiId: ref('Api'),
  AuthorizerType: 'REQUEST',
  AuthorizerPayloadFormatVersion: '2.0',
  IdentitySource: ['$request.header.Authorization'],
  AuthorizerUri: {
    'Fn::Join': [
      '',
      ['arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/', arnOf('Authorize'), '/invocations'],
    ],
  },
  ...properties,
});
const custom = (id: string) => ({ AuthorizationType: 'CUSTOM', AuthorizerId: ref(id) });
const jwt = { AuthorizationType: 'JWT', AuthorizerId: ref('People') };

/** Returns the content of the bearer token, parsed as JSON. */
const AUTHORIZE = `exports.handler = async (event) => {
  const instructions = JSON.parse(Buffer.from(event.identitySource[0], 'base64').toString());
  if (instructions.fail) throw new Error('no');
  const resource = instructions.resource === 'own' ? event.routeArn : instructions.resource;
  return instructions.echo ? { isAuthorized: true, context: { event } } : JSON.parse(JSON.stringify(instructions.answer).replaceAll('$RESOURCE', resource));
};`;

// The fixture has no context yet, because the issuer becomes known only when the stack starts.
const synthesise = ({ issuer }: Readonly<Record<string, unknown>>) =>
  new Fixture()
    .function(
      'Echo',
      'exports.handler = async (event) => ({ context: event.requestContext.authorizer ?? null });',
    )
    .function('Authorize', AUTHORIZE)
    .add('People', 'AWS::ApiGatewayV2::Authorizer', {
      ApiId: ref('Api'),
      AuthorizerType: 'JWT',
      IdentitySource: ['$request.header.Authorization'],
      JwtConfiguration: { Issuer: issuer, Audience: [AUDIENCE, 'cli'] },
    })
    .add('Simple', 'AWS::ApiGatewayV2::Authorizer', lambdaAuthorizer({ EnableSimpleResponses: true }))
    .add('Policy', 'AWS::ApiGatewayV2::Authorizer', lambdaAuthorizer())
    .route('GET /open', 'Echo')
    .route('GET /people', 'Echo', jwt)
    .route('GET /scoped', 'Echo', { ...jwt, AuthorizationScopes: ['write', 'email'] })
    .route('GET /write', 'Echo', { ...jwt, AuthorizationScopes: ['write'] })
    .route('GET /signed/{id}', 'Echo', { AuthorizationType: 'AWS_IAM' })
    .route('GET /simple/{id}', 'Echo', custom('Simple'))
    .route('GET /policy/{id}', 'Echo', custom('Policy'))
    .synthesise();
const stack = await runStack({ synthesise });

const as = (token: string, path = '/people') => stack.call('GET', path, { token });

describe('The emulated JWT authorizer behaves like that of API Gateway', () => {
  it('the JWT authorizer passes the claims to the function as strings, with lists flattened', async () => {
    stack.clock.freeze(1_800_000_000_000);
    const token = await stack.signIn('member', 'access', ({ payload }) => {
      payload.groups = ['data-eng', 'x admins'];
      payload.flag = true;
      payload.address = { town: 'Ulm', code: 5 };
    });
    const { status, json } = await as(token);
    stack.clock.release();
    expect(status).toBe(200);
    expect(json.context).toEqual({
      jwt: {
        claims: {
          iss: stack.issuer,
          aud: AUDIENCE,
          sub: PEOPLE.member.sub,
          name: PEOPLE.member.name,
          email: PEOPLE.member.email,
          client_id: CLIENT_ID,
          scope: 'openid profile email',
          groups: '[data-eng x admins]',
          flag: 'true',
          address: 'map[code:5 town:Ulm]',
          iat: '1800000000',
          nbf: '1800000000',
          exp: '1800003600',
          jti: expect.any(String),
        },
        scopes: null,
      },
    });
  });

  it('the JWT authorizer accepts a token with the Bearer scheme or without a scheme', async () => {
    const token = await stack.signIn('admin');
    const given = (authorization: string) => stack.call('GET', '/people', { headers: { authorization } });
    expect(await given(token)).toMatchObject({ status: 200 });
    expect(await given(`Bearer ${token}`)).toMatchObject({ status: 200 });
    expect(await given(`Basic ${token}`)).toMatchObject({ status: 401 });
    expect(await given(`Bearer ${token},Bearer ${token}`)).toMatchObject({ status: 401 });
  });

  it('the JWT authorizer accepts ID tokens with a matching audience', async () => {
    const idToken = await stack.signIn('admin', 'id', ({ payload }) => {
      payload.aud = AUDIENCE;
    });
    expect(await as(idToken)).toMatchObject({ status: 200 });
  });

  it('the JWT authorizer checks client_id only if the token has no audience', async () => {
    const cognito = await stack.signIn('admin', 'access', ({ payload }) => {
      delete payload.aud;
      payload.client_id = 'cli';
    });
    expect(await as(cognito)).toMatchObject({ status: 200 });
    const foreign = await stack.signIn('admin', 'access', ({ payload }) => {
      payload.aud = ['other'];
      payload.client_id = 'cli';
    });
    expect(await as(foreign)).toMatchObject({ status: 401 });
  });

  it('the JWT authorizer returns 401 with a bare challenge if the call has no token', async () => {
    const reply = await stack.call('GET', '/people');
    expect(reply).toMatchObject({ status: 401, text: '{"message":"Unauthorized"}' });
    expect(reply.headers['www-authenticate']).toBe('Bearer');
  });

  it.each([
    ['of another audience', 'the token does not have a valid audience', { aud: 'other' }],
    ['that has expired', 'the token has expired', { exp: 1 }],
    ['that is not valid yet', 'the token is invalid', { nbf: 4_000_000_000 }],
    ['that was issued in the future', 'the token is invalid', { iat: 4_000_000_000 }],
    ['of another issuer', 'the token is invalid', { iss: 'https://elsewhere.example' }],
    ['that never expires', 'the token is invalid', { exp: undefined }],
  ])('the JWT authorizer rejects a token %s: %s', async (_, why, change) => {
    const token = await stack.signIn('admin', 'access', ({ payload }) => Object.assign(payload, change));
    const reply = await as(token);
    expect(reply).toMatchObject({ status: 401, text: '{"message":"Unauthorized"}' });
    expect(reply.headers['www-authenticate']).toBe(
      `Bearer scope="" error="invalid_token" error_description="${why}"`,
    );
  });

  it('the JWT authorizer rejects a token that was issued in the future, even by one second', async () => {
    stack.clock.freeze(1_800_000_000_999);
    const issuedAt = (iat: number) =>
      stack.signIn('admin', 'access', ({ payload }) => Object.assign(payload, { iat }));
    const replies = [await as(await issuedAt(1_800_000_000)), await as(await issuedAt(1_800_000_001))];
    stack.clock.release();
    expect(replies.map(({ status }) => status)).toEqual([200, 401]);
  });

  it("the JWT authorizer uses the stack's clock", async () => {
    stack.clock.freeze(1_800_000_000_000);
    const token = await stack.signIn('admin');
    stack.clock.freeze(1_800_003_599_000);
    const last = await as(token);
    stack.clock.freeze(1_800_003_600_000);
    const after = await as(token);
    stack.clock.release();
    expect([last.status, after.status]).toEqual([200, 401]);
  });

  it("the JWT authorizer rejects a token that is not signed with RS256 and the issuer's key", async () => {
    const [header = '', payload = ''] = (await stack.signIn('admin')).split('.');
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString());
    const none = `${encode({ alg: 'none', kid })}.${payload}.`;
    const hs = `${encode({ alg: 'HS256', kid })}.${payload}`;
    const hmac = `${hs}.${createHmac('sha256', 'x').update(hs).digest('base64url')}`;
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const foreign = `${header}.${payload}.${sign('sha256', Buffer.from(`${header}.${payload}`), privateKey).toString('base64url')}`;
    for (const token of [none, hmac, foreign, `${header}.${payload}.`, 'garbage', 'a.b.c']) {
      expect(await as(token)).toMatchObject({ status: 401 });
    }
  });

  it("the JWT authorizer requires one of the route's scopes", async () => {
    const token = await stack.signIn('admin');
    const granted = await as(token, '/scoped');
    expect(granted.json.context.jwt.scopes).toEqual(['email']);
    expect(await as(token, '/write')).toMatchObject({ status: 403, text: '{"message":"Forbidden"}' });
  });
});

describe('Emulated IAM authorization behaves like that of API Gateway', () => {
  const idOf = (kind: string) => expect.stringMatching(new RegExp(`^${kind}[0-9A-F]{16}$`));
  const user = stack.credentialOf('arn:aws:iam::000000000000:user/ops/ada');
  const session = stack.credentialOf('arn:aws:sts::000000000000:assumed-role/deployer/build-7');

  // Uses the stack's clock, because earlier tests have advanced that clock.
  const signed = (who: typeof user, path: string) =>
    signedCall(stack, who, 'GET', path, {}, { at: new Date(stack.clock.now()) });

  it('IAM authorization passes the identity of the signing user to the function', async () => {
    const { json } = await signed(user, '/signed/1');
    expect(json.context).toEqual({
      iam: {
        accessKey: user.accessKeyId,
        accountId: '000000000000',
        callerId: idOf('AIDA'),
        cognitoIdentity: null,
        principalOrgId: null,
        userArn: 'arn:aws:iam::000000000000:user/ops/ada',
        userId: idOf('AIDA'),
      },
    });
  });

  it("IAM authorization passes the ARN of an assumed role's session, which lacks the role's path", async () => {
    const { iam } = (await signed(session, '/signed/1')).json.context;
    expect(iam).toMatchObject({
      accessKey: session.accessKeyId,
      userArn: 'arn:aws:sts::000000000000:assumed-role/deployer/build-7',
    });
    expect(iam.callerId).toMatch(/^AROA[0-9A-F]{16}:build-7$/);
    expect(iam.userId).toBe(iam.callerId);
  });

  it.each(['a%20b', "it's%2A(1)", '%C3%A4'])(
    'IAM authorization verifies the path as sent, with its percent signs: %s',
    async (id) => {
      expect(await signed(user, `/signed/${id}?q=a%20b&p=%26&p=x`)).toMatchObject({
        status: 200,
      });
    },
  );

  it('IAM authorization returns 403 for an unsigned request', async () => {
    const unsigned = await stack.call('GET', '/signed/1');
    expect(unsigned).toMatchObject({ status: 403, text: '{"message":"Forbidden"}' });
    expect(unsigned.headers).not.toHaveProperty('www-authenticate');
  });
});

/** Returns a token that makes the fixture's authorizer respond as requested. */
const tokenWith = (instructions: object) => Buffer.from(JSON.stringify(instructions)).toString('base64');
const authorize = (path: string, instructions: object) =>
  stack.call('GET', path, { headers: { authorization: tokenWith(instructions) } });

describe('The emulated Lambda authorizer behaves like that of API Gateway', () => {
  it('the gateway returns 401 without calling the Lambda authorizer if the identity source is missing', async () => {
    expect(await stack.call('GET', '/simple/1')).toMatchObject({
      status: 401,
      text: '{"message":"Unauthorized"}',
    });
  });

  it("the Lambda authorizer receives the request without its body, with the identity source and the route's ARN", async () => {
    const instructions = { echo: true };
    const { json } = await stack.call('GET', '/simple/a%20b?q=1', {
      headers: { authorization: tokenWith(instructions) },
    });
    const { event } = json.context.lambda;
    expect(event).toMatchObject({
      version: '2.0',
      type: 'REQUEST',
      routeKey: 'GET /simple/{id}',
      routeArn: 'arn:aws:execute-api:us-east-1:000000000000:Api/$default/GET/simple/a b',
      identitySource: [tokenWith(instructions)],
      rawPath: '/simple/a b',
      rawQueryString: 'q=1',
      pathParameters: { id: 'a b' },
      requestContext: { http: { method: 'GET', sourceIp: '127.0.0.1' }, stage: '$default' },
    });
    expect(event).not.toHaveProperty('body');
    expect(event).not.toHaveProperty('isBase64Encoded');
  });

  it('the Lambda authorizer can allow a call with a simple response and pass a context to the function', async () => {
    const context = { principalId: 'p', count: 1 };
    const reply = await authorize('/simple/1', { answer: { isAuthorized: true, context } });
    expect(reply.json).toEqual({ context: { lambda: context } });
  });

  it('a policy from the Lambda authorizer allows a call unless another statement of the policy denies it', async () => {
    const statement = (Effect: string) => ({ Effect, Action: 'execute-api:Invoke', Resource: '$RESOURCE' });
    const policy = (...Statement: object[]) => ({
      principalId: 'p',
      policyDocument: { Version: '2012-10-17', Statement },
      context: { a: 'b' },
    });
    const evaluate = (resource: string, ...statements: object[]) =>
      authorize('/policy/1', { resource, answer: policy(...statements) });
    expect((await evaluate('own', statement('Allow'))).json).toEqual({ context: { lambda: { a: 'b' } } });
    const stage = 'arn:aws:execute-api:us-east-1:000000000000:Api/$default/*';
    expect(await evaluate(stage, statement('Allow'))).toMatchObject({ status: 200 });
    for (const refused of [
      evaluate('own', statement('Allow'), statement('Deny')),
      evaluate('own', statement('Deny')),
      evaluate('arn:aws:execute-api:us-east-1:000000000000:Other/*', statement('Allow')),
    ]) {
      expect(await refused).toMatchObject({ status: 403, text: '{"message":"Forbidden"}' });
    }
  });

  it('the Lambda authorizer denies a call with 403', async () => {
    const reply = await authorize('/simple/1', { answer: { isAuthorized: false } });
    expect(reply).toMatchObject({ status: 403, text: '{"message":"Forbidden"}' });
  });

  it.each([
    ['an error', '/simple/1', { fail: true }],
    ['an invalid response', '/simple/1', { answer: { isAuthorized: 'yes' } }],
    ['a policy instead of a simple response', '/simple/1', { answer: { policyDocument: { Statement: [] } } }],
    ['a simple response instead of a policy', '/policy/1', { answer: { isAuthorized: true } }],
    ['nothing', '/simple/1', { answer: null }],
  ])(
    'the gateway returns 500 and denies the call if the Lambda authorizer returns %s',
    async (_, path, instructions) => {
      const reply = await authorize(path, instructions);
      expect(reply).toMatchObject({ status: 500, text: '{"message":"Internal Server Error"}' });
    },
  );

  it('the emulated gateway fails to start if a Lambda authorizer has a result cache', async () => {
    const cached = new Fixture()
      .function('Echo', '')
      .function('Authorize', '')
      .add('Cached', 'AWS::ApiGatewayV2::Authorizer', lambdaAuthorizer({ AuthorizerResultTtlInSeconds: 300 }))
      .route('GET /x', 'Echo', custom('Cached'));
    await expect(startLocalStack({ synthesise: cached.synthesise })).rejects.toThrow('without a cache');
  });
});

describe('The development issuer signs people in', () => {
  it('the development issuer issues different access and ID tokens', async () => {
    const parts = async (kind: 'access' | 'id') =>
      (await stack.signIn('admin', kind))
        .split('.')
        .slice(0, 2)
        .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()));
    const [header, payload] = await parts('access');
    expect(header).toMatchObject({ typ: 'at+jwt', alg: 'RS256' });
    expect(payload).toMatchObject({ aud: AUDIENCE, client_id: CLIENT_ID, groups: [ADMIN_GROUP] });
    const [idHeader, idPayload] = await parts('id');
    expect(idHeader).toMatchObject({ typ: 'JWT' });
    expect(idPayload).toMatchObject({ aud: CLIENT_ID, groups: [ADMIN_GROUP] });
    expect(idPayload).not.toHaveProperty('client_id');
    expect(idPayload).not.toHaveProperty('scope');
  });

  it('the development issuer signs people in by name, and rejects unknown names', async () => {
    const token = (username: string) =>
      fetch(`${stack.issuer}/token`, {
        method: 'POST',
        body: new URLSearchParams({ grant_type: 'password', username }),
      });
    const { access_token } = (await (await token('member')).json()) as { access_token: string };
    expect(await as(access_token)).toMatchObject({ status: 200 });
    expect((await token('nobody')).status).toBe(400);
  });
});
