import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { DEVELOPER } from '../../local/api-gateway/iam-authorizer.ts';
import { ACCOUNT } from '../../local/template.ts';
import { type Signing, signedCall, signedHeaders } from '../support/signed.ts';
import { type Call, runStack } from '../support/stack.ts';

const ROLE = `arn:aws:iam::${ACCOUNT}:role/platform/deployer`;
const SESSION = `arn:aws:sts::${ACCOUNT}:assumed-role/deployer`;
const stack = await runStack({ context: { platformPrincipals: [ROLE, DEVELOPER.arn] } });
const deployer = stack.credentialOf(`${SESSION}/build-7`);
const stranger = stack.credentialOf(`arn:aws:sts::${ACCOUNT}:assumed-role/stranger/build-7`);

const as = (who = deployer, how: Signing = {}) => ({
  call: (method: string, path: string, what: Pick<Call, 'json' | 'headers'> = {}) =>
    signedCall(stack, who, method, `/platform${path}`, what, how),
});
const forbidden = { status: 403, text: '{"message":"Forbidden"}' };
let count = 0;
const newDeployment = async () => {
  const id = `platform_${++count}`;
  await stack.register(id, { groups: [] });
  return id;
};

describe('A listed IAM principal can manage Deployments and keys under /platform', () => {
  it('a listed IAM principal can register, list, change and delete Deployments, and read their events', async () => {
    const put = (json: object) => as().call('PUT', '/deployments/life', { json });
    expect(await put({ name: 'Life' })).toMatchObject({ status: 201, json: { id: 'life', name: 'Life' } });
    expect(await put({ groups: ['data-eng'] })).toMatchObject({
      status: 200,
      json: { groups: ['data-eng'] },
    });
    expect(await as().call('GET', '/deployments/life')).toMatchObject({ status: 200 });
    const { json: listed } = await as().call('GET', '/deployments?limit=100');
    expect(listed.items.map(({ id }: { id: string }) => id)).toContain('life');
    expect(await as().call('DELETE', '/deployments/life')).toMatchObject({ status: 204, text: '' });
    const { json: events } = await as().call('GET', '/deployments/life/events');
    expect(events.items.map(({ type }: { type: string }) => type)).toEqual(
      expect.arrayContaining(['deployment.registered', 'deployment.edited', 'deployment.deleted']),
    );
    // The purge may have ended in the meantime and recorded its own event.
    const ofRole = events.items.filter(({ type }: { type: string }) => type !== 'deployment.purged');
    for (const { data } of ofRole) expect(data.actor).toMatchObject({ principal: ROLE, type: 'iam' });
  });

  it('a listed IAM principal can manage keys, and its ARN appears in createdBy and in events', async () => {
    const id = await newDeployment();
    const keys = `/deployments/${id}/api-keys`;
    const made = await as().call('POST', keys, { json: { name: 'ci' } });
    expect(made).toMatchObject({ status: 201, json: { createdBy: ROLE } });
    expect(made.headers.location).toBe(`/platform${keys}/${made.json.id}`);
    const own = `${keys}/${made.json.id}`;
    expect(
      await stack.call('POST', '/oauth/token', {
        basic: [made.json.id, made.json.secret],
        form: { grant_type: 'client_credentials' },
      }),
    ).toMatchObject({ status: 200 });
    expect((await as().call('GET', keys)).json.items).toHaveLength(1);
    expect((await as().call('GET', own)).json).toMatchObject({ id: made.json.id });
    expect((await as().call('PATCH', own, { json: { name: 'cd' } })).json).toMatchObject({ name: 'cd' });
    const rotated = await as().call('POST', `${own}/rotate`, { json: { retireOld: 'now' } });
    expect(rotated.json.secret).not.toBe(made.json.secret);
    expect(await as().call('DELETE', own)).toMatchObject({ status: 204 });
    const { json } = await as().call('GET', `/deployments/${id}/events`);
    const [last] = json.items;
    expect(last).toMatchObject({ type: 'api_key.deleted', data: { actor: { principal: ROLE } } });
  });

  it('a listed IAM principal can be a role or a user', async () => {
    const id = await newDeployment();
    const { json } = await as(DEVELOPER).call('POST', `/deployments/${id}/api-keys`, {
      json: { name: 'ci' },
    });
    expect(json.createdBy).toBe(DEVELOPER.arn);
  });

  it("a listed IAM principal can list and revoke people's temporary tokens, but cannot get one", async () => {
    const id = await newDeployment();
    const tokens = `/deployments/${id}/temporary-tokens`;
    const { json } = await stack.call('POST', tokens, { token: await stack.signIn('admin'), json: {} });
    expect((await as().call('GET', tokens)).json.items).toMatchObject([{ id: json.id }]);
    expect(await as().call('DELETE', `${tokens}/${json.id}`)).toMatchObject({ status: 204 });
    expect(await as().call('POST', tokens, { json: {} })).toMatchObject({
      status: 404,
      text: '{"message":"Not Found"}',
    });
  });

  it('sessions of the same role share Idempotency-Keys with each other, but not with other callers', async () => {
    const id = await newDeployment();
    const keys = `/deployments/${id}/api-keys`;
    const what = { json: { name: 'ci' }, headers: { 'idempotency-key': 'one' } };
    const first = await as().call('POST', keys, what);
    const retry = await as(stack.credentialOf(`${SESSION}/build-8`)).call('POST', keys, what);
    expect(retry.headers['idempotent-replayed']).toBe('true');
    expect(retry.headers.location).toBe(first.headers.location);
    const { secret, ...rest } = first.json;
    expect(retry.json).toEqual(rest);
    const others = [
      await as(DEVELOPER).call('POST', keys, what),
      await stack.call('POST', keys, { ...what, token: await stack.signIn('admin') }),
    ];
    for (const { headers, json } of others) {
      expect(headers).not.toHaveProperty('idempotent-replayed');
      expect(json.id).not.toBe(first.json.id);
    }
  });

  it("an IAM principal's cursors are valid only for that principal", async () => {
    const id = await newDeployment();
    const keys = `/deployments/${id}/api-keys`;
    for (const name of ['a', 'b']) await as().call('POST', keys, { json: { name } });
    const { nextCursor } = (await as().call('GET', `${keys}?limit=1`)).json;
    const next = `${keys}?limit=1&cursor=${nextCursor}`;
    expect((await as().call('GET', next)).json.items).toHaveLength(1);
    expect(await as(DEVELOPER).call('GET', next)).toMatchObject({ status: 400 });
    const person = { token: await stack.signIn('admin') };
    expect(await stack.call('GET', next, person)).toMatchObject({ status: 400 });
  });
});

describe('The routes under /platform reject all other callers', () => {
  it('under /platform, the function returns 403 to an IAM principal that is not listed, and changes nothing', async () => {
    const id = await newDeployment();
    const before = await as().call('GET', `/deployments/${id}/events`);
    for (const [method, path, json] of [
      ['GET', '/deployments'],
      ['PUT', `/deployments/${id}`, { name: 'Mine' }],
      ['DELETE', `/deployments/${id}`],
      ['POST', `/deployments/${id}/api-keys`, { name: 'ci' }],
      ['GET', `/deployments/${id}/events`],
      ['GET', `/deployments/${id}/temporary-tokens`],
    ] as const) {
      const reply = await as(stranger).call(method, path, { json });
      expect(reply.json).toStrictEqual({
        type: '/errors#forbidden',
        title: 'Forbidden',
        status: 403,
        code: 'forbidden',
        detail: 'This IAM principal is not one of the platformPrincipals.',
      });
      expect(reply.headers['content-type']).toBe('application/problem+json');
    }
    expect((await as().call('GET', `/deployments/${id}/events`)).json).toEqual(before.json);
  });

  it('under /platform, the gateway returns 403 to a person with an access token', async () => {
    const person = { token: await stack.signIn('admin') };
    expect(await stack.call('GET', '/platform/deployments', person)).toMatchObject(forbidden);
  });

  it('the gateway returns 401 to a signed call on the routes for people', async () => {
    expect(await signedCall(stack, deployer, 'GET', '/deployments')).toMatchObject({
      status: 401,
      text: '{"message":"Unauthorized"}',
    });
  });

  const MINUTES = 60_000;
  const ago = (ms: number): Signing => ({ at: new Date(Date.now() - ms) });
  const { sessionToken: _, ...withoutToken } = deployer;
  it.each<[string, Parameters<typeof as>]>([
    ['with another secret', [{ ...deployer, secretAccessKey: DEVELOPER.secretAccessKey }]],
    ['with an unknown access key', [{ ...deployer, accessKeyId: 'AKIA0000000000000000' }]],
    ['without the session token of a temporary credential', [withoutToken]],
    [
      'with the session token of another credential',
      [{ ...deployer, sessionToken: stranger.sessionToken ?? '' }],
    ],
    ['with a session token for a long-term credential', [{ ...DEVELOPER, sessionToken: 'x' }]],
    ['for another Region', [deployer, { region: 'eu-west-1' }]],
    ['for another service', [deployer, { service: 'sts' }]],
  ])('a call that was signed %s gets 403 from the gateway', async (_, [who, how]) => {
    expect(await as(who, how).call('GET', '/deployments')).toMatchObject(forbidden);
  });

  it.each([6, -6])(
    "the gateway rejects a signature if the caller's clock is off by %i minutes",
    async (minutes) => {
      expect(await as(deployer, ago(minutes * MINUTES)).call('GET', '/deployments')).toMatchObject(forbidden);
    },
  );

  it.each([4, -4])(
    "the gateway accepts a signature if the caller's clock is off by %i minutes",
    async (minutes) => {
      expect(await as(deployer, ago(minutes * MINUTES)).call('GET', '/deployments')).toMatchObject({
        status: 200,
      });
    },
  );

  const SIGNED_AT = new Date();
  const amzDate = (at: Date) => at.toISOString().replaceAll(/[-:]|\.\d+/g, '');
  interface Signed {
    method: string;
    path: string;
    body?: string;
    headers?: Record<string, string | undefined>;
  }
  /** Signs a call, changes it, and sends it. */
  const altered = async ({ method, path, body }: Signed, change: Partial<Signed> = {}) => {
    const what = body === undefined ? {} : { json: JSON.parse(body) };
    const headers = await signedHeaders(stack.url, deployer, method, path, what, { at: SIGNED_AT });
    const all = Object.entries({ ...headers, ...change.headers }).filter(
      (it): it is [string, string] => it[1] !== undefined,
    );
    return stack.call(change.method ?? method, change.path ?? path, {
      headers: Object.fromEntries(all),
      ...((change.body ?? body) && { body: change.body ?? body }),
    });
  };

  it.each<[string, Partial<Signed>]>([
    ['body', { body: '{"name":"Altered"}' }],
    ['path', { path: '/platform/deployments/other' }],
    ['query', { path: '/platform/deployments/altered?limit=1' }],
    ['signed header', { headers: { 'content-type': 'text/plain' } }],
    ['date', { headers: { 'x-amz-date': amzDate(new Date(SIGNED_AT.getTime() + 1000)) } }],
    ['header that is listed as signed and is not', { headers: { 'x-amz-more': 'x' } }],
    ['signature', { headers: { authorization: undefined } }],
    ['method', { method: 'DELETE', body: '' }],
  ])('a call whose %s was changed after signing gets 403 from the gateway', async (_, change) => {
    const put = { method: 'PUT', path: '/platform/deployments/altered', body: '{"name":"Signed"}' };
    expect(await altered(put)).toMatchObject({ status: expect.toBeOneOf([200, 201]) });
    expect(await altered(put, change)).toMatchObject(forbidden);
  });

  describe('A signature covers the query string of a call', async () => {
    for (let n = 0; n < 2; n++) await newDeployment();
    const { nextCursor } = (await as().call('GET', '/deployments?limit=1')).json;
    const list = { method: 'GET', path: `/platform/deployments?limit=1&cursor=${nextCursor}` };

    it.each([
      ['has another value', `/platform/deployments?limit=2&cursor=${nextCursor}`],
      ['has an additional parameter', `${list.path}&limit=1`],
      ['lacks one parameter', '/platform/deployments?limit=1'],
      ['is missing', '/platform/deployments'],
    ])('a signed call gets 403 from the gateway if the query string %s after signing', async (_, path) => {
      expect(await altered(list)).toMatchObject({ status: 200 });
      expect(await altered(list, { path })).toMatchObject(forbidden);
    });

    it('the gateway accepts a signed call whose query parameters were reordered after signing', async () => {
      const path = `/platform/deployments?cursor=${nextCursor}&limit=1`;
      expect((await altered(list, { path })).status).toBe(200);
    });

    it('a signed call gets 400 from the service for an unknown or repeated parameter', async () => {
      for (const [query, detail] of [
        ['limits=1', 'limits is not a parameter of this request'],
        ['limit=1&limit=1', 'limit must be given only once'],
      ])
        expect(await as().call('GET', `/deployments?${query}`)).toMatchObject({
          status: 400,
          json: { code: 'invalid_request', detail },
        });
    });
  });
});

describe('curl can sign calls with --aws-sigv4', () => {
  const curl = async (...options: string[]) => {
    const signing = ['-sS', '--aws-sigv4', 'aws:amz:us-east-1:execute-api'];
    const { stdout } = await promisify(execFile)('curl', [...signing, ...options, '-w', '\n%{http_code}']);
    const [body = '', status] = stdout.split('\n');
    return { status: Number(status), json: JSON.parse(body) };
  };
  const user = ['--user', `${DEVELOPER.accessKeyId}:${DEVELOPER.secretAccessKey}`];

  it('the gateway accepts a GET request with a query string that curl signed', async () => {
    expect(await curl(...user, `${stack.url}/platform/deployments?limit=1`)).toMatchObject({ status: 200 });
  });

  it('the gateway accepts a request with a body that curl signed', async () => {
    const put = ['-X', 'PUT', '-H', 'Content-Type: application/json', '-d', '{"name":"By curl"}'];
    const reply = await curl(...user, ...put, `${stack.url}/platform/deployments/by-curl`);
    expect(reply).toMatchObject({ status: 201, json: { name: 'By curl' } });
  });

  it('the gateway accepts a request that curl signed with the temporary credentials of a role', async () => {
    const { accessKeyId, secretAccessKey, sessionToken } = deployer;
    const role = [
      '--user',
      `${accessKeyId}:${secretAccessKey}`,
      '-H',
      `X-Amz-Security-Token: ${sessionToken}`,
    ];
    expect(await curl(...role, `${stack.url}/platform/deployments`)).toMatchObject({ status: 200 });
  });

  it('the gateway rejects a request that curl signed with a wrong secret', async () => {
    const wrong = ['--user', `${DEVELOPER.accessKeyId}:x`, `${stack.url}/platform/deployments`];
    expect(await curl(...wrong)).toStrictEqual({ status: 403, json: { message: 'Forbidden' } });
  });
});
