import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { formatKeyId, mintCredential, newUlid } from '../../functions/domain/credentials.ts';
import { OPERATIONS } from '../../functions/openapi/operations.ts';
import { inProcess, startTable } from '../support/in-process.ts';

const UNKNOWN = 'is not a parameter of this request';
const REPEATED = 'must be given only once';

const engine = await startTable();
afterAll(() => engine.stop());
const service = inProcess(engine);
await service.register('query');
const absent = newUlid(0);
const ofTokens = await service.createKey('query');

/** Every management route, with the query parameters that its OpenAPI operation describes. */
const ROUTES = Object.entries(OPERATIONS)
  .filter(([, { caller }]) => caller === 'person')
  .map(([route, { query }]) => {
    const [method = '', path = ''] = route.split(' ');
    const target = path
      .replace('{deploymentId}', 'query')
      .replace('{keyId}/tokens', `${ofTokens.id}/tokens`)
      .replace('{keyId}', formatKeyId('query', absent))
      .replace('{tokenId}', absent)
      .replace('{accessTokenId}', 'a'.repeat(22));
    return { route, method, target, known: Object.keys(query?.shape ?? {}) };
  });
const LISTINGS = ROUTES.filter(({ known }) => known.length > 0);

const percentEncoded = (text: string) =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');

/**
 * Generates unknown parameter names, such as misspelled names, the empty name and property names that every object has.
 */
const unknownName = fc
  .oneof(
    fc.constantFrom('limits', 'Limit', 'limit ', 'limit\0', 'cursor[]', 'scope', 'access_token', 'X-Amz'),
    fc.constantFrom('constructor', '__proto__', 'toString', 'hasOwnProperty', '', ' ', 'aX-Amz-Date'),
    fc.string({ maxLength: 40, unit: 'grapheme' }),
  )
  .filter((name) => !['limit', 'cursor'].includes(name) && !/^X-Amz-/i.test(name) && !name.includes('dk'))
  .filter((name) => name.length <= 40 && name.isWellFormed());
const sentAs = fc.constantFrom(encodeURIComponent, percentEncoded);
const shown = (name: string) => (name === '' ? '(empty name)' : name);

const problem = (errors: { field: string; rule: string }[]) => ({
  type: '/errors#invalid_request',
  title: 'Bad Request',
  status: 400,
  code: 'invalid_request',
  detail: errors.map(({ field, rule }) => `${field} ${rule}`).join('; '),
  errors,
});

it.each(ROUTES)(
  'returns 400 and names a query parameter that the route does not define: $route',
  async (it) => {
    const { method, target, known } = it;
    const property = fc.asyncProperty(
      unknownName,
      sentAs,
      fc.constantFrom('', '=', '=1'),
      async (name, send, value) => {
        const query = ['X-Amz-Date=1', ...known.map((one) => `${one}=1`), `${send(name)}${value}`].join('&');
        // A pair that has neither a name nor a value is not a parameter.
        fc.pre(name !== '' || value !== '');
        const reply = await service.call(method, `${target}?${query}`, { as: 'admin', json: {} });
        expect([reply.status, reply.json]).toEqual([400, problem([{ field: shown(name), rule: UNKNOWN }])]);
      },
    );
    await fc.assert(property, { numRuns: 30 });
  },
);

it.each(LISTINGS)(
  'returns 400 and names a query parameter that is repeated: $route',
  async ({ target, known }) => {
    const property = fc.asyncProperty(
      fc.constantFrom(...known),
      fc.array(fc.constantFrom('', '1', '2', '%31'), { minLength: 2, maxLength: 4 }),
      sentAs,
      async (name, values, send) => {
        const query = values.map((value, n) => `${n === 0 ? name : send(name)}=${value}`).join('&');
        const reply = await service.call('GET', `${target}?${query}`, { as: 'admin' });
        expect([reply.status, reply.json]).toEqual([400, problem([{ field: name, rule: REPEATED }])]);
      },
    );
    await fc.assert(property, { numRuns: 30 });
  },
);

it.each(LISTINGS)('accepts a query parameter with a percent-encoded name: $route', async ({ target }) => {
  const reply = await service.call('GET', `${target}?${percentEncoded('limit')}=%31`, { as: 'admin' });
  expect(reply.status).toBe(200);
});

it.each(ROUTES)(
  'ignores query parameters that belong to an AWS signature: $route',
  async ({ method, target }) => {
    const call = (query: string) => service.call(method, `${target}${query}`, { as: 'stranger', json: {} });
    const without = await call('');
    const signed = await call('?X-Amz-Date=1&x-amz-signature=2&X-Amz-Security-Token=&&');
    expect(signed.status).toBe(without.status);
    expect(signed.text).not.toContain(UNKNOWN);
  },
);

it('an unknown query parameter gets the same 400, whether the Deployment is missing or hidden from the caller', async () => {
  await service.register('hidden', { groups: [] });
  for (const id of ['hidden', 'none']) {
    const reply = await service.call('GET', `/deployments/${id}/api-keys?a=1&b=&a=2&limit=1&limit=1`, {
      as: 'stranger',
    });
    expect([reply.status, reply.json]).toEqual([
      400,
      problem([
        { field: 'limit', rule: REPEATED },
        { field: 'a', rule: UNKNOWN },
        { field: 'b', rule: UNKNOWN },
      ]),
    ]);
  }
});

it('the error for an unknown query parameter does not repeat parts of its name that could be secret', async () => {
  const secret = mintCredential('secret', 'query', newUlid(0));
  const names = [secret, `x${secret.slice(0, 39)}`, secret.slice(0, 40), `a=${secret}`];
  const query = names.map(encodeURIComponent).join('&');
  const reply = await service.call('GET', `/deployments?${query}`, { as: 'admin' });
  expect(reply.status).toBe(400);
  expect(reply.json.errors[0]).toEqual({ field: `(name of ${secret.length} characters)`, rule: UNKNOWN });
  expect(reply.text).not.toContain(secret.slice(33, 39));
});

it('an error lists at most 20 invalid query parameters', async () => {
  const names = Array.from({ length: 30 }, (_, n) => `name${n}`);
  const reply = await service.call('GET', `/deployments?${names.join('&')}`, { as: 'admin' });
  expect(reply.json).toEqual(problem(names.slice(0, 20).map((field) => ({ field, rule: UNKNOWN }))));
});

it('a call with an invalid query parameter changes nothing', async () => {
  await service.register('kept');
  const created = await service.createKey('kept');
  const before = await service.partition('DEPLOYMENT#kept');
  const calls: [method: string, path: string, json?: object][] = [
    ['PUT', '', { name: 'changed' }],
    ['DELETE', ''],
    ['POST', '/api-keys', { name: 'second' }],
    ['PATCH', `/api-keys/${created.id}`, { enabled: false }],
    ['DELETE', `/api-keys/${created.id}`],
    ['POST', `/api-keys/${created.id}/rotate`, { retireOld: 'now' }],
    ['POST', '/temporary-tokens', {}],
  ];
  for (const [method, path, json] of calls) {
    const reply = await service.call(method, `/deployments/kept${path}?dryRun=1`, { as: 'admin', json });
    expect([reply.status, reply.json.detail]).toEqual([400, `dryRun ${UNKNOWN}`]);
  }
  expect(await service.partition('DEPLOYMENT#kept')).toEqual(before);
});
