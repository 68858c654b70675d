import { describe, expect, it } from 'vitest';
import { formatKeyId, hashOf, mintCredential, newUlid, tokenIdOf } from '../functions/domain/credentials.ts';
import { GITHUB } from '../functions/domain/trust.ts';
import {
  exchangeParameters,
  parseParameters,
  presentedParameters,
  tokenParameters,
} from '../functions/http/parameters.ts';
import {
  deploymentInput,
  endAccessInput,
  explainInput,
  findPersonInput,
  keyChangesInput,
  leakInput,
  newKeyInput,
  newTemporaryTokenInput,
  parseInput,
  restoreAccessInput,
  rotationInput,
} from '../functions/http/schemas.ts';
import { OPERATIONS } from '../functions/openapi/operations.ts';
import { DEVELOPER } from '../local/api-gateway/iam-authorizer.ts';
import { contents, faultsOf, parameters, undocumented } from './support/openapi.ts';
import { signedCall } from './support/signed.ts';
import { type Call, runStack } from './support/stack.ts';

const KNOWN = ['code:deploy', 'airflow:read', 'airflow:write'];

describe('The examples in the OpenAPI document are valid', () => {
  it.each(contents().map((content) => [content.name, content] as const))(
    'the OpenAPI document has a valid example for %s',
    (_, content) => {
      expect(content.examples.length).toBeGreaterThan(0);
      for (const [name, value] of content.examples)
        expect(faultsOf(content.schema, value), name).toStrictEqual([]);
    },
  );

  it('the OpenAPI document has a valid example for every parameter', () => {
    const all = parameters();
    expect(all.length).toBeGreaterThan(90);
    for (const { name, schema, example } of all) {
      expect(example, name).toBeDefined();
      expect(faultsOf(schema, example), name).toStrictEqual([]);
    }
  });

  it('the check of the OpenAPI examples rejects a malformed example', () => {
    const [token] = contents().filter(({ name }) => name === 'POST /oauth/token 200 application/json');
    expect(
      faultsOf(token?.schema ?? '', { access_token: 'x', token_type: 'Bearer', expires_in: 1.5 }),
    ).toStrictEqual([
      " must have required property 'scope'",
      expect.stringContaining('/access_token must match pattern'),
      '/expires_in must be integer',
    ]);
  });

  /** The functions that validate the body of each route. */
  const PARSERS: Readonly<Record<string, (body: object) => unknown>> = {
    'POST /oauth/token': (body) =>
      parseParameters<unknown>(
        'subject_token' in body ? exchangeParameters : tokenParameters,
        new Map(Object.entries(body)),
      ),
    'POST /oauth/introspect': (body) => parseParameters(presentedParameters, new Map(Object.entries(body))),
    'POST /oauth/revoke': (body) => parseParameters(presentedParameters, new Map(Object.entries(body))),
    'PUT /deployments/{deploymentId}': (body) => parseInput(deploymentInput, body),
    'POST /deployments/{deploymentId}/api-keys': (body) => parseInput(newKeyInput(KNOWN, 0, [GITHUB]), body),
    'PATCH /deployments/{deploymentId}/api-keys/{keyId}': (body) =>
      parseInput(keyChangesInput(KNOWN, 0, [GITHUB]), body),
    'POST /leaks': (body) => parseInput(leakInput, body),
    'POST /people/end-access': (body) => parseInput(endAccessInput, body),
    'POST /people/restore-access': (body) => parseInput(restoreAccessInput, body),
    'POST /people/find': (body) => parseInput(findPersonInput, body),
    'POST /deployments/{deploymentId}/api-keys/{keyId}/rotate': (body) => parseInput(rotationInput, body),
    'POST /deployments/{deploymentId}/api-keys/{keyId}/explain': (body) => parseInput(explainInput, body),
    'POST /deployments/{deploymentId}/temporary-tokens': (body) =>
      parseInput(newTemporaryTokenInput(KNOWN), body),
  };
  const withBody = Object.entries(OPERATIONS).flatMap(([route, { body }]) =>
    body ? [[route, body] as const] : [],
  );
  it.each(withBody)(
    "the service accepts the OpenAPI document's example bodies for %s",
    (route, { examples }) => {
      const parse = PARSERS[route.replace('/platform', '')];
      expect(parse).toBeDefined();
      for (const example of Object.values(examples)) expect(() => parse?.(example as object)).not.toThrow();
    },
  );
});

describe('The OpenAPI schemas and the service accept the same input', () => {
  const schema =
    '/paths/~1deployments~1%7BdeploymentId%7D~1api-keys/post/requestBody/content/application~1json/schema';
  const isAccepted = (body: object) => {
    try {
      parseInput(newKeyInput(KNOWN, 0, []), body);
      return true;
    } catch {
      return false;
    }
  };
  it.each<[string, object, boolean]>([
    ['a name of 100 characters outside the basic plane', { name: '🗝'.repeat(100) }, true],
    ['a name of 101 characters', { name: '🗝'.repeat(101) }, false],
    ['an empty name', { name: '' }, false],
    ['a name with a line break', { name: 'a\nb' }, false],
    ['no name', {}, false],
    ['a description of 501 characters', { name: 'ci', description: 'x'.repeat(501) }, false],
    ['an empty description', { name: 'ci', description: '' }, true],
    ['a malformed scope', { name: 'ci', scopes: ['Code Deploy'] }, false],
    ['17 scopes', { name: 'ci', scopes: Array(17).fill('code:deploy') }, false],
    ['a time without a UTC offset', { name: 'ci', expiresAt: '2030-01-31T12:00:00' }, false],
    ['a time with a UTC offset', { name: 'ci', expiresAt: '2030-01-31T12:00:00+02:00' }, true],
    ['an unknown field', { name: 'ci', secret: 'x' }, false],
  ])('the OpenAPI schema and the service agree on whether %s is valid', (_, body, expected) => {
    expect(faultsOf(schema, body).length === 0).toBe(expected);
    expect(isAccepted(body)).toBe(expected);
  });
});

/** Returns a row for each call, from the calls of each route. */
const rowsOf = <Row extends unknown[]>(calls: Record<string, Row[]>) =>
  Object.entries(calls).flatMap(([route, rows]) =>
    rows.map((row): [route: string, ...Row] => [route, ...row]),
  );

describe('The OpenAPI document describes the actual responses', async () => {
  const stack = await runStack({ context: { platformPrincipals: DEVELOPER.arn } });
  await stack.register('etl');
  const key = await stack.createKey('etl');
  const token = await stack.exchangeForToken(key);
  const [admin, member] = [await stack.signIn('admin'), await stack.signIn('member')];
  const temporary = (
    await stack.call('POST', '/deployments/etl/temporary-tokens', { token: member, json: {} })
  ).json;
  const trust = [{ issuer: GITHUB, claims: { repository_id: '4711' } }];
  const trusting = await stack.createKey('etl', { name: 'actions', trust });
  const foreign = `${Buffer.from('{}').toString('base64url')}.${Buffer.from('{"iss":"x"}').toString('base64url')}.AAAA`;
  const absent = formatKeyId('etl', newUlid(0));
  const unknown = mintCredential('secret', 'etl', newUlid(0));
  const basic = [key.id, key.secret] as const;
  const grant = { grant_type: 'client_credentials' };
  const keys = '/deployments/etl/api-keys';
  const tokens = '/deployments/etl/temporary-tokens';

  const calls = rowsOf<[status: number, path: string, request?: Call]>({
    'POST /oauth/token': [
      [200, '/oauth/token', { basic, form: grant }],
      [400, '/oauth/token', { basic, form: { ...grant, scope: 'x' } }],
      [401, '/oauth/token', { form: grant }],
      [413, '/oauth/token', { form: { x: 'x'.repeat(70_000) } }],
    ],
    'POST /oauth/introspect': [
      [200, '/oauth/introspect', { basic, form: { token } }],
      [200, '/oauth/introspect', { basic, form: { token: temporary.access_token } }],
      [200, '/oauth/introspect', { basic, form: { token: 'x' } }],
      [400, '/oauth/introspect', { basic, form: { x: 'x' } }],
    ],
    'POST /oauth/revoke': [[200, '/oauth/revoke', { basic, form: { token: 'x' } }]],
    'GET /.well-known/oauth-authorization-server': [[200, '/.well-known/oauth-authorization-server']],
    'GET /openapi.json': [[200, '/openapi.json']],
    'GET /errors': [[200, '/errors']],
    'GET /deployments/{deploymentId}/events': [[200, '/deployments/etl/events', { token: member }]],
    'POST /leaks': [
      [202, '/leaks', { json: { credential: `Bearer ${unknown}` } }],
      [400, '/leaks', { json: { credential: 'x' } }],
      [400, '/leaks', { json: {} }],
    ],
    'GET /whoami': [
      [200, '/whoami', { token }],
      [200, '/whoami?scope=code:deploy&deployment=etl', { token }],
      [400, '/whoami?scopes=a', { token }],
      [403, '/whoami?deployment=other', { token }],
      [401, '/whoami'],
    ],
    'GET /deployments': [
      [200, '/deployments', { token: admin }],
      [200, '/deployments?prefix=et', { token: admin }],
      [400, '/deployments?limit=0', { token: admin }],
      [400, '/deployments?prefix=-', { token: admin }],
      [401, '/deployments'],
      [401, '/deployments', { token: await stack.signIn('admin', 'id') }],
    ],
    'GET /deployments/{deploymentId}': [
      [200, '/deployments/etl', { token: member }],
      [400, '/deployments/-', { token: member }],
      [404, '/deployments/absent', { token: member }],
    ],
    'PUT /deployments/{deploymentId}': [
      [201, '/deployments/new', { token: admin, json: {} }],
      [200, '/deployments/etl', { token: admin, json: { name: 'ETL' } }],
      [400, '/deployments/etl', { token: admin, json: { name: 1, x: 1 } }],
      [403, '/deployments/etl', { token: member, json: {} }],
      [413, '/deployments/etl', { token: admin, json: { name: 'x'.repeat(70_000) } }],
      [415, '/deployments/etl', { token: admin, form: 'x=1' }],
    ],
    'POST /deployments/{deploymentId}/api-keys': [
      [
        201,
        keys,
        {
          token: member,
          json: { name: 'a', description: 'b', scopes: ['code:deploy'], expiresAt: '2099-01-01T00:00:00Z' },
        },
      ],
    ],
    'GET /deployments/{deploymentId}/api-keys': [
      [200, `${keys}?limit=1`, { token: member }],
      [200, `${keys}?order=newest`, { token: member }],
      [400, `${keys}?order=newer`, { token: member }],
    ],
    'GET /deployments/{deploymentId}/api-keys/{keyId}': [
      [200, `${keys}/${key.id}`, { token: member }],
      [404, `${keys}/${absent}`, { token: member }],
    ],
    'PATCH /deployments/{deploymentId}/api-keys/{keyId}': [
      [200, `${keys}/${key.id}`, { token: member, json: { name: 'c' } }],
    ],
    'POST /deployments/{deploymentId}/api-keys/{keyId}/rotate': [
      [200, `${keys}/${key.id}/rotate`, { token: member, json: { retireOld: 'on_first_use' } }],
    ],
    'GET /deployments/{deploymentId}/api-keys/{keyId}/tokens': [
      [200, `${keys}/${key.id}/tokens`, { token: member }],
      [400, `${keys}/${key.id}/tokens?limit=x`, { token: member }],
      [404, `${keys}/${absent}/tokens`, { token: member }],
    ],
    'DELETE /deployments/{deploymentId}/api-keys/{keyId}/tokens/{accessTokenId}': [
      [204, `${keys}/${key.id}/tokens/${tokenIdOf(hashOf(token))}`, { token: member }],
      [404, `${keys}/${key.id}/tokens/${tokenIdOf(hashOf(token))}`, { token: member }],
    ],
    'DELETE /deployments/{deploymentId}/api-keys/{keyId}/tokens': [
      [204, `${keys}/${key.id}/tokens`, { token: member }],
      [404, `${keys}/${absent}/tokens`, { token: member }],
    ],
    'POST /deployments/{deploymentId}/api-keys/{keyId}/explain': [
      [200, `${keys}/${trusting.id}/explain`, { token: member, json: { subject_token: foreign } }],
      [400, `${keys}/${trusting.id}/explain`, { token: member, json: { subject_token: 'x' } }],
      [409, `${keys}/${key.id}/explain`, { token: member, json: { subject_token: foreign } }],
    ],
    'POST /deployments/{deploymentId}/temporary-tokens': [[201, tokens, { token: member, json: {} }]],
    'GET /deployments/{deploymentId}/temporary-tokens': [[200, tokens, { token: member }]],
    'DELETE /deployments/{deploymentId}/temporary-tokens/{tokenId}': [
      [204, `${tokens}/${temporary.id}`, { token: member }],
      [404, `${tokens}/${temporary.id}`, { token: member }],
    ],
    'POST /people/end-access': [
      [202, '/people/end-access', { token: admin, json: { sub: 'leaver', block: true } }],
      [400, '/people/end-access', { token: admin, json: { sub: '' } }],
      [401, '/people/end-access'],
      [403, '/people/end-access', { token: member, json: { sub: 'leaver' } }],
    ],
    'POST /people/restore-access': [
      [200, '/people/restore-access', { token: admin, json: { sub: 'leaver' } }],
      [403, '/people/restore-access', { token: member, json: { sub: 'leaver' } }],
    ],
    'POST /people/find': [
      [200, '/people/find', { token: admin, json: { sub: 'leaver' } }],
      [200, '/people/find', { token: admin, json: { sub: 'nobody' } }],
    ],
    'GET /people': [
      [200, '/people?limit=1', { token: admin }],
      [403, '/people', { token: member }],
    ],
    'GET /people/events': [[200, '/people/events', { token: admin }]],
    'DELETE /deployments/{deploymentId}/api-keys/{keyId}': [[204, `${keys}/${key.id}`, { token: member }]],
    'DELETE /deployments/{deploymentId}': [
      [403, '/deployments/etl', { token: member }],
      [204, '/deployments/etl', { token: admin }],
    ],
  });

  it.each(calls)(
    'the OpenAPI document describes the response from %s with status %d',
    async (route, status, path, request) => {
      const reply = await stack.call(route.split(' ')[0] ?? '', path, request);
      expect(reply.status).toBe(status);
      expect(undocumented(route, reply)).toStrictEqual([]);
    },
  );

  await stack.register('dags');
  const dags = '/platform/deployments/dags';
  const keyOfDags = await stack.createKey('dags');
  const tokenOfDags = await stack.exchangeForToken(keyOfDags, 'airflow:read');
  const tokensOfDags = `${dags}/api-keys/${keyOfDags.id}/tokens`;
  const trustingDags = await stack.createKey('dags', { name: 'actions', trust });
  const lent = (await stack.call('POST', '/deployments/dags/temporary-tokens', { token: admin, json: {} }))
    .json;
  const signed = rowsOf<[status: number, path: string, json?: object]>({
    'GET /platform/deployments': [
      [200, '/platform/deployments'],
      [400, '/platform/deployments?limit=0'],
      [400, '/platform/deployments?limits=1'],
    ],
    'PUT /platform/deployments/{deploymentId}': [
      [201, '/platform/deployments/more', {}],
      [200, dags, { name: 'DAGs' }],
      [400, dags, { name: 1 }],
      [415, dags],
    ],
    'GET /platform/deployments/{deploymentId}': [
      [200, dags],
      [404, '/platform/deployments/absent'],
    ],
    'GET /platform/deployments/{deploymentId}/events': [[200, `${dags}/events`]],
    'POST /platform/deployments/{deploymentId}/api-keys': [[201, `${dags}/api-keys`, { name: 'ci' }]],
    'GET /platform/deployments/{deploymentId}/api-keys': [[200, `${dags}/api-keys`]],
    'GET /platform/deployments/{deploymentId}/api-keys/{keyId}': [[200, `${dags}/api-keys/${keyOfDags.id}`]],
    'PATCH /platform/deployments/{deploymentId}/api-keys/{keyId}': [
      [200, `${dags}/api-keys/${keyOfDags.id}`, { name: 'cd' }],
    ],
    'POST /platform/deployments/{deploymentId}/api-keys/{keyId}/rotate': [
      [200, `${dags}/api-keys/${keyOfDags.id}/rotate`, {}],
    ],
    'GET /platform/deployments/{deploymentId}/api-keys/{keyId}/tokens': [[200, tokensOfDags]],
    'DELETE /platform/deployments/{deploymentId}/api-keys/{keyId}/tokens/{accessTokenId}': [
      [204, `${tokensOfDags}/${tokenIdOf(hashOf(tokenOfDags))}`],
    ],
    'DELETE /platform/deployments/{deploymentId}/api-keys/{keyId}/tokens': [[204, tokensOfDags]],
    'POST /platform/deployments/{deploymentId}/api-keys/{keyId}/explain': [
      [200, `${dags}/api-keys/${trustingDags.id}/explain`, { subject_token: foreign }],
    ],
    'DELETE /platform/deployments/{deploymentId}/api-keys/{keyId}': [
      [204, `${dags}/api-keys/${keyOfDags.id}`],
    ],
    'POST /platform/people/end-access': [
      [202, '/platform/people/end-access', { sub: 'leaver' }],
      [400, '/platform/people/end-access', { sub: '' }],
    ],
    'POST /platform/people/restore-access': [[200, '/platform/people/restore-access', { sub: 'leaver' }]],
    'POST /platform/people/find': [[200, '/platform/people/find', { sub: 'leaver' }]],
    'GET /platform/people': [[200, '/platform/people']],
    'GET /platform/people/events': [[200, '/platform/people/events']],
    'GET /platform/deployments/{deploymentId}/temporary-tokens': [[200, `${dags}/temporary-tokens`]],
    'DELETE /platform/deployments/{deploymentId}/temporary-tokens/{tokenId}': [
      [204, `${dags}/temporary-tokens/${lent.id}`],
    ],
    'DELETE /platform/deployments/{deploymentId}': [[204, dags]],
  });

  it.each(signed)(
    'the OpenAPI document describes the response from %s with status %d to an IAM principal',
    async (route, status, path, json) => {
      const reply = await signedCall(stack, DEVELOPER, route.split(' ')[0] ?? '', path, { json });
      expect(reply.status).toBe(status);
      expect(undocumented(route, reply)).toStrictEqual([]);
    },
  );

  it('the OpenAPI document describes a 403 from API Gateway and a 403 from the service under /platform', async () => {
    const stranger = stack.credentialOf('arn:aws:iam::000000000000:user/stranger');
    for (const reply of [
      await stack.call('GET', '/platform/deployments'),
      await signedCall(stack, stranger, 'GET', '/platform/deployments'),
    ]) {
      expect(reply.status).toBe(403);
      expect(undocumented('GET /platform/deployments', reply)).toStrictEqual([]);
    }
  });

  it('the tests call every route in the OpenAPI document', () => {
    const called = [...calls, ...signed].map(([route]) => route);
    expect(new Set(called)).toStrictEqual(new Set(Object.keys(OPERATIONS)));
  });
});
