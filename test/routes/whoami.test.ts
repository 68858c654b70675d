import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { mintCredential, newUlid } from '../../functions/domain/credentials.ts';
import { DAY, inProcess, type Reply, SCOPES, startTable } from '../support/in-process.ts';
import type { CreatedKey } from '../support/stack.ts';

const engine = await startTable();
afterAll(() => engine.stop());
const service = inProcess(engine);
await service.register('etl');
const key = await service.createKey('etl');
const whoami = (query: string, token?: string) =>
  service.call('GET', `/whoami${query}`, token === undefined ? {} : { token });

/** Returns a token from a new key that has only the given scopes. */
const tokenWith = async (...scopes: string[]) =>
  service.exchangeForToken(await service.createKey('etl', { name: 'narrow', scopes }));

const HEADERS = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' };
const comparable = ({ status, headers, json }: Reply) => ({ status, headers, json });
const forbidden = (challenge: string) => ({
  status: 403,
  headers: { ...HEADERS, 'WWW-Authenticate': challenge },
  json: { message: 'Forbidden' },
});
const BAD_REQUEST = {
  status: 400,
  headers: HEADERS,
  json: {
    message:
      'The query may contain scope and deployment, each once and not empty. Each scope must be one of the stack.',
  },
};

/** Asserts that a call does not extend the token, by making the call just before the token expires. */
async function expectNoUse(of: CreatedKey, query: string, status: number): Promise<void> {
  const token = await service.exchangeForToken(of);
  const issuedAt = service.time.now;
  service.time.now = issuedAt + (DAY - 1) * 1000;
  expect((await whoami(query, token)).status).toBe(status);
  service.time.now = issuedAt + (DAY + 1) * 1000;
  expect(await service.use(token)).toBe(401);
}

describe('GET /whoami checks required scopes and a required Deployment', () => {
  it.each([
    '?scope=code:deploy',
    '?scope=code%3Adeploy%20airflow%3Aread&deployment=etl',
    '?deployment=etl&scope=airflow:read+code:deploy',
    '?deployment=etl',
    `?scope=${SCOPES.join('%20')}`,
  ])(
    'GET /whoami returns the holder of a token that meets the requirement, and extends the token: %s',
    async (query) => {
      const token = await service.exchangeForToken(key);
      const issuedAt = service.time.now;
      service.time.now = issuedAt + (DAY - 1) * 1000;
      const reply = await whoami(query, token);
      const scope = `deployment:etl ${SCOPES.join(' ')}`;
      expect(reply).toMatchObject({
        status: 200,
        headers: { ...HEADERS, 'X-Deployment-Id': 'etl', 'X-Principal-Id': key.id, 'X-Scope': scope },
        json: { principalId: key.id, principalType: 'api_key', deploymentId: 'etl', scope },
      });
      service.time.now = issuedAt + (DAY + 1) * 1000;
      expect(await service.use(token)).toBe(200);
    },
  );

  it.each([
    ['lacks the scope', '?scope=code:deploy', 'scope="code:deploy"'],
    ['lacks one of the scopes', '?scope=airflow:read%20code:deploy', 'scope="airflow:read code:deploy"'],
    ['belongs to another Deployment', '?scope=airflow:read&deployment=web', 'scope="airflow:read"'],
    ['lacks the scope in another Deployment', '?deployment=web&scope=code:deploy', 'scope="code:deploy"'],
  ])('GET /whoami returns 403 insufficient_scope when the token %s', async (_, query, scope) => {
    const reply = await whoami(query, await tokenWith('airflow:read'));
    expect(comparable(reply)).toStrictEqual(forbidden(`Bearer error="insufficient_scope", ${scope}`));
  });

  it.each(['web', 'ETL', 'etl ', 'etl%00', 'etl%22', '..%2Fetl', '__proto__', '%ff'])(
    'GET /whoami returns 403 without naming a scope if only the Deployment differs: %s',
    async (deployment) => {
      const reply = await whoami(`?deployment=${deployment}`, await service.exchangeForToken(key));
      expect(comparable(reply)).toStrictEqual(forbidden('Bearer error="insufficient_scope"'));
    },
  );

  it('GET /whoami does not count a rejected call as a use of the token', async () => {
    await expectNoUse(
      await service.createKey('etl', { name: 'ro', scopes: ['airflow:read'] }),
      '?scope=code:deploy',
      403,
    );
    await expectNoUse(key, '?deployment=web', 403);
    await expectNoUse(key, '?scope=', 400);
    await expectNoUse(key, '?scopes=code:deploy', 400);
  });

  it.each([
    '?scope=',
    '?scope',
    '?deployment=',
    '?scope=code:deploy&deployment',
    '?scope=code:deploy&scope=airflow:read',
    '?scope=code:deploy&scope=code:deploy',
    '?deployment=etl&deployment=etl',
    '?deployment=etl&%64eployment=etl',
    '?Scope=code:deploy',
    '?DEPLOYMENT=etl',
    '?scopes=code:deploy',
    '?scope[]=code:deploy',
    '?deploymentId=etl',
    '?scope=code:deploy;deployment=web',
    '?scope=code:deploi',
    '?scope=CODE:DEPLOY',
    '?scope=code:deploy%20',
    '?scope=%20code:deploy',
    '?scope=code:deploy%20%20airflow:read',
    '?scope=code:deploy,airflow:read',
    '?scope=code:deploy%09airflow:read',
    '?scope=code:deploy%00',
    '?scope=%zz',
    '?scope=any',
    '?scope=deployment:etl',
    '?scope=constructor',
    '?scope=code:deploy&X-Amz-Date=1',
    '?=',
  ])('GET /whoami returns 400 for a malformed requirement: %s', async (query) => {
    expect(comparable(await whoami(query, await service.exchangeForToken(key)))).toStrictEqual(BAD_REQUEST);
  });

  it('GET /whoami returns 400 for any unknown query parameter', async () => {
    const token = await service.exchangeForToken(key);
    const name = fc
      .oneof(
        fc.string({ unit: 'grapheme', maxLength: 20 }),
        fc.constantFrom('toString', '__proto__', ' scope'),
      )
      .filter((text) => text.isWellFormed() && !['scope', 'deployment'].includes(text));
    const property = fc.asyncProperty(name, fc.constantFrom('', '&scope=code:deploy'), async (one, rest) => {
      const reply = await whoami(`?${encodeURIComponent(one)}=1${rest}`, token);
      expect(comparable(reply)).toStrictEqual(BAD_REQUEST);
    });
    await fc.assert(property, { numRuns: 50 });
  });

  it('GET /whoami returns 401 for an invalid token, whatever scope or Deployment is required', async () => {
    const revoked = await service.exchangeForToken(key);
    await service.leak(revoked);
    const tokens = [
      mintCredential('token', 'etl', newUlid(0)),
      mintCredential('token', 'web', newUlid(0)),
      'x',
      key.secret,
      revoked,
    ];
    for (const token of tokens) {
      for (const query of ['?scopes=a', '?scope=code:deploy&deployment=web', '?deployment=etl', '?scope=']) {
        expect(comparable(await whoami(query, token))).toStrictEqual({
          status: 401,
          headers: { ...HEADERS, 'WWW-Authenticate': 'Bearer error="invalid_token"' },
          json: { message: 'Unauthorized' },
        });
      }
    }
    expect((await whoami('?scopes=a')).headers['WWW-Authenticate']).toBe('Bearer');
  });

  it('GET /whoami requires only a valid token when the query string is empty', async () => {
    const token = await tokenWith('airflow:read');
    for (const query of ['', '?', '?&', '?&&']) expect((await whoami(query, token)).status).toBe(200);
  });

  it('GET /whoami checks required scopes and Deployments for temporary tokens, too', async () => {
    const reply = await service.call('POST', '/deployments/etl/temporary-tokens', {
      as: 'admin',
      json: { scopes: ['airflow:read'] },
    });
    const token = reply.json.access_token;
    const statuses = [
      '?scope=airflow:read&deployment=etl',
      '?scope=code:deploy',
      '?deployment=web',
      '?scope=x',
    ];
    const replies = await Promise.all(statuses.map(async (query) => (await whoami(query, token)).status));
    expect(replies).toStrictEqual([200, 403, 403, 400]);
  });
});
