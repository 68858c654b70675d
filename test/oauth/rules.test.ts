import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  formatCredential,
  mintCredential,
  newUlid,
  parseCredential,
} from '../../functions/domain/credentials.ts';
import { metadata } from '../../functions/routes/metadata.ts';
import { faultyEngine } from '../support/faulty-engine.ts';
import { type Call, type CreatedKey, call, type Reply, runStack } from '../support/stack.ts';

/** The numbered rows of the OAuth rules, tested over HTTP with the emulated stack. */
const engine = await faultyEngine();
const stack = await runStack({ context: { slideInterval: 300 } });
const NOW = Date.parse('2027-01-15T08:00:00.250Z');
const SECONDS = Math.floor(NOW / 1000);

stack.clock.freeze(NOW);
await stack.register('etl');
await stack.register('other_team');
const key = await stack.createKey('etl');
const narrow = await stack.createKey('etl', { name: 'narrow', scopes: ['code:deploy'] });
const foreign = await stack.createKey('other_team');
const of = ({ id, secret }: CreatedKey) => [id, secret] as const;
const basic = of(key);
const unknownId = `dk_etl_${newUlid(NOW)}`;
const secretFor = (id: string) => mintCredential('secret', 'etl', id.slice(-26));
const grant = { grant_type: 'client_credentials' };

beforeEach(() => {
  stack.clock.freeze(NOW);
  stack.logs.clear();
});
afterEach(() => {
  engine.fault = undefined;
});

const post = (path: string, request: Call) => stack.call('POST', path, request);
const token = (request: Call) => post('/oauth/token', request);
const introspect = (presented: string, by = key) =>
  post('/oauth/introspect', { basic: of(by), form: { token: presented } });
const revoke = (presented: string, by = key) =>
  post('/oauth/revoke', { basic: of(by), form: { token: presented } });

/** Headers that the connection or the gateway adds to every response. */
const TRANSPORT = [
  'apigw-requestid',
  'connection',
  'content-length',
  'date',
  'keep-alive',
  'transfer-encoding',
];

/** Returns the whole response without the headers that the connection adds. */
function whole({ status, headers, json, text }: Reply) {
  const own = Object.entries(headers).filter(([name]) => !TRANSPORT.includes(name));
  return { status, headers: Object.fromEntries(own), body: json ?? text };
}

const JSON_HEADERS = { 'content-type': 'application/json', 'cache-control': 'no-store' };
const CHALLENGE = { 'www-authenticate': 'Basic realm="deployment-api-keys", charset="UTF-8"' };
const ok = (body: object, headers: object = {}) => ({
  status: 200,
  headers: { ...JSON_HEADERS, ...headers },
  body,
});
const refusal = (error: string, description: string, status = 400, headers: object = {}) => ({
  status,
  headers: { ...JSON_HEADERS, ...headers },
  body: { error, error_description: description },
});
const invalidRequest = (description: string) => refusal('invalid_request', description);
const invalidClient = refusal('invalid_client', 'Client authentication failed.', 401, CHALLENGE);
const invalidScope = refusal(
  'invalid_scope',
  'scope is malformed, or requests a scope that the key does not have.',
);
const issued = (scope: string, of = key) =>
  ok(
    {
      access_token: expect.stringMatching(new RegExp(`^dkt_etl_${of.id.slice(-26)}_[0-9A-Za-z]{49}$`)),
      token_type: 'Bearer',
      expires_in: 86_400,
      scope,
    },
    { pragma: 'no-cache' },
  );
const ALL = 'deployment:etl code:deploy airflow:read airflow:write';
const revoked = {
  status: 200,
  headers: JSON_HEADERS,
  body: '',
};
const inactive = ok({ active: false });

describe('POST /oauth/token', () => {
  it('1: valid Basic credentials get an access token, but no refresh token (RFC 6749, sections 5.1 and 4.4.3)', async () => {
    const reply = await token({ basic, form: grant });
    expect(whole(reply)).toStrictEqual(issued(ALL));
    expect(Number.isInteger(reply.json.expires_in)).toBe(true);
    expect(await stack.use(reply.json.access_token)).toBe(200);
  });

  it('2: a wrong secret and an unknown client ID get the same 401 with a Basic challenge (RFC 6749, section 5.2)', async () => {
    const wrong = await token({ basic: [key.id, secretFor(key.id)], form: grant });
    const unknown = await token({ basic: [unknownId, secretFor(unknownId)], form: grant });
    expect(whole(wrong)).toStrictEqual(invalidClient);
    expect(whole(unknown)).toStrictEqual(invalidClient);
    expect(wrong.text).toBe(unknown.text);
  });

  it('3: a wrong secret in the body gets 401 invalid_client (RFC 6749, section 5.2)', async () => {
    const form = { ...grant, client_id: key.id, client_secret: secretFor(key.id) };
    expect(whole(await token({ form }))).toStrictEqual(invalidClient);
    expect(whole(await token({ form: { ...form, client_secret: key.secret } }))).toStrictEqual(issued(ALL));
  });

  it('4: a call without client authentication gets 401 invalid_client (RFC 6749, section 5.2)', async () => {
    for (const form of [grant, { ...grant, client_id: key.id }, { ...grant, client_secret: key.secret }]) {
      expect(whole(await token({ form }))).toStrictEqual(invalidClient);
    }
  });

  it('5: Basic credentials together with a secret in the body get 400 (RFC 6749, section 2.3)', async () => {
    const twice = invalidRequest('Use only one client authentication method.');
    const secret = { ...grant, client_secret: key.secret };
    expect(whole(await token({ basic, form: secret }))).toStrictEqual(twice);
    expect(whole(await token({ basic, form: { ...secret, client_id: key.id } }))).toStrictEqual(twice);
  });

  it('6: a client_id in the body gets 400 if it differs from the client ID in the Basic credentials', async () => {
    const differs = invalidRequest('client_id in the body differs from the one in the Authorization header.');
    expect(whole(await token({ basic, form: { ...grant, client_id: narrow.id } }))).toStrictEqual(differs);
    expect(whole(await token({ basic, form: { ...grant, client_id: key.id } }))).toStrictEqual(issued(ALL));
  });

  it('7: a repeated parameter gets 400, whether it is repeated in the body or the query (RFC 6749, section 3.2)', async () => {
    const twice = invalidRequest('Parameters must not be repeated.');
    const forms = [
      'grant_type=client_credentials&grant_type=client_credentials',
      'grant_type=client_credentials&scope=code:deploy&scope=airflow:read',
      'grant_type=client_credentials&x=&x=',
      'grant_type=client_credentials&scope=&sc%6fpe=code:deploy',
    ];
    for (const form of forms) expect(whole(await token({ basic, form })), form).toStrictEqual(twice);
    const json = '{"grant_type":"client_credentials","scope":"code:deploy","sc\\u006fpe":"airflow:read"}';
    const asJson = { 'content-type': 'application/json' };
    expect(whole(await token({ basic, headers: asJson, body: json }))).toStrictEqual(twice);
    expect(whole(await post('/oauth/token?x=1&x=2', { basic, form: grant }))).toStrictEqual(twice);

    const misplaced = invalidRequest('Parameters belong in the body, not in the query.');
    const both = await post('/oauth/token?x=a', { basic, form: { ...grant, x: 'a' } });
    expect(whole(both)).toStrictEqual(misplaced);
  });

  it('7: audience and resource are ignored, even if they are repeated (RFC 8693, section 2.1; RFC 8707, section 2)', async () => {
    const asJson = { 'content-type': 'application/json' };
    for (const name of ['audience', 'resource']) {
      const form = `grant_type=client_credentials&${name}=a&${name}=b&${name}=a&${name}=`;
      expect(whole(await token({ basic, form }))).toStrictEqual(issued(ALL));
      expect(whole(await post(`/oauth/token?${name}=a&${name}=b`, { basic, form }))).toStrictEqual(
        issued(ALL),
      );
      for (const members of [`"${name}":["a","b","a"]`, `"${name}":[]`, `"${name}":"a","${name}":"b"`]) {
        const body = `{${members},"grant_type":"client_credentials"}`;
        expect(whole(await token({ basic, headers: asJson, body })), body).toStrictEqual(issued(ALL));
      }
    }
  });

  it('8: a missing or empty grant_type gets 400 invalid_request (RFC 6749, section 3.2)', async () => {
    const missing = invalidRequest('grant_type is missing.');
    for (const form of ['', 'grant_type=', 'scope=code:deploy', 'Grant_Type=client_credentials']) {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      expect(whole(await token({ basic, headers, body: form })), form).toStrictEqual(missing);
    }
  });

  it('9: an unsupported grant_type gets 400 unsupported_grant_type (RFC 6749, section 5.2)', async () => {
    const unsupported = refusal('unsupported_grant_type', 'This grant_type is not supported.');
    for (const type of [
      'password',
      'refresh_token',
      'authorization_code',
      'CLIENT_CREDENTIALS',
      '__proto__',
    ]) {
      const form = { grant_type: type, username: 'a', password: 'b' };
      expect(whole(await token({ basic, form })), type).toStrictEqual(unsupported);
    }
  });

  it('10: unknown parameters are ignored (RFC 6749, section 3.2)', async () => {
    const form = { ...grant, audience: 'astronomer-ee', resource: 'x', __proto: 'y', constructor: 'z' };
    expect(whole(await token({ basic, form }))).toStrictEqual(issued(ALL));
    expect(
      whole(await post('/oauth/token?utm=1', { basic, form: `${new URLSearchParams(grant)}&__proto__=1` })),
    ).toStrictEqual(issued(ALL));
  });

  it('11: a scope that is malformed, or that the key lacks, gets 400 invalid_scope (RFC 6749, section 3.3)', async () => {
    const malformed = [
      ' ',
      'code:deploy  airflow:read',
      ' code:deploy',
      'code:deploy,airflow:read',
      'Code:Deploy',
      'a"b',
    ];
    for (const scope of [
      ...malformed,
      'airflow:delete',
      'deployment:other_team',
      'code:deploy\tairflow:read',
    ]) {
      expect(whole(await token({ basic, form: { ...grant, scope } })), scope).toStrictEqual(invalidScope);
    }
    const lacks = await token({ basic: of(narrow), form: { ...grant, scope: 'airflow:read' } });
    expect(whole(lacks)).toStrictEqual(invalidScope);
    expect(whole(await token({ basic: of(narrow), form: grant }))).toStrictEqual(
      issued('deployment:etl code:deploy', narrow),
    );

    const echoes = [
      ['airflow:read', 'deployment:etl airflow:read'],
      ['airflow:write code:deploy', 'deployment:etl code:deploy airflow:write'],
      ['deployment:etl airflow:read', 'deployment:etl airflow:read'],
      ['deployment:etl', 'deployment:etl'],
      ['', ALL],
    ];
    for (const [scope = '', granted = ''] of echoes) {
      const reply = await token({ basic, form: { ...grant, scope } });
      expect(whole(reply), scope).toStrictEqual(issued(granted));
      const used = await stack.call('GET', '/whoami', { token: reply.json.access_token });
      expect(used.json.scope).toBe(granted);
    }
  });

  it('12: a JSON body with the fields of a form is accepted if it is an object of strings', async () => {
    const fields = { ...grant, client_id: key.id, client_secret: key.secret, audience: 'astronomer-ee' };
    expect(whole(await token({ json: fields }))).toStrictEqual(issued(ALL));
    expect(whole(await token({ basic, json: { ...grant, scope: 'code:deploy' } }))).toStrictEqual(
      issued('deployment:etl code:deploy'),
    );
    const noObject = invalidRequest('The body must be a JSON object of strings.');
    const others = [
      null,
      [],
      [grant],
      'client_credentials',
      1,
      { ...grant, scope: ['code:deploy'] },
      { ...grant, x: null },
      { ...grant, x: { y: 1 } },
      { ...grant, x: true },
    ];
    for (const json of others) {
      expect(whole(await token({ basic, json })), JSON.stringify(json)).toStrictEqual(noObject);
    }
    const asJson = { 'content-type': 'application/json; charset=utf-8' };
    for (const body of [
      '',
      '{',
      "{'grant_type':'client_credentials'}",
      '{"a":"\u0001"}',
      '['.repeat(50_000),
    ]) {
      expect(whole(await token({ basic, headers: asJson, body })), body.slice(0, 40)).toStrictEqual(
        invalidRequest('The body must be JSON.'),
      );
    }
    expect(whole(await post('/oauth/introspect', { basic, json: { token: 'x' } }))).toStrictEqual(
      invalidRequest('Send the body as application/x-www-form-urlencoded.'),
    );
  });

  it('13: a method other than POST gets 404 from the gateway', async () => {
    const notFound = {
      status: 404,
      headers: { 'content-type': 'application/json' },
      body: { message: 'Not Found' },
    };
    for (const path of ['/oauth/token', '/oauth/introspect', '/oauth/revoke']) {
      for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
        expect(whole(await stack.call(method, path)), `${method} ${path}`).toStrictEqual(notFound);
      }
    }
  });

  it('14: credentials and tokens in the query are rejected and never logged (RFC 6749, section 2.3.1)', async () => {
    const inQuery = invalidRequest('Parameters belong in the body, not in the query.');
    const live = await stack.exchangeForToken(key);
    const credentials = `client_id=${key.id}&client_secret=${key.secret}`;
    const replies = [
      await post(`/oauth/token?${credentials}`, { form: grant }),
      await post(`/oauth/token?${credentials}`, { basic, form: grant }),
      await post(`/oauth/token?client_secret=${key.secret}`, { form: { ...grant, client_id: key.id } }),
      await post('/oauth/token?grant_type=client_credentials', {
        basic,
        form: '',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      }),
      await post(`/oauth/introspect?token=${live}`, { basic, form: 'x=1' }),
      await post(`/oauth/revoke?token=${live}`, { basic, form: 'x=1' }),
      await post(`/oauth/revoke?access_token=${live}`, { basic, form: { token: live } }),
    ];
    for (const reply of replies) expect(whole(reply)).toStrictEqual(inQuery);
    expect(await stack.use(live)).toBe(200);
    await token({ basic: [key.id, `${key.secret}x`], form: grant });
    for (const secret of [key.secret, live, Buffer.from(basic.join(':')).toString('base64')]) {
      expect(stack.logs.text()).not.toContain(secret);
    }
    expect(stack.logs.text()).toContain(key.id);
  });

  it('15: malformed Basic credentials get 400, and any scheme other than Basic gets 401 (RFC 6749, section 5.2)', async () => {
    const malformed = invalidRequest('The Authorization header is not valid Basic authentication.');
    const encoded = (text: string) => Buffer.from(text).toString('base64');
    const good = encoded(basic.join(':'));
    const wrong = [
      'Basic !!!',
      `Basic ${good.slice(0, -1)}`,
      `Basic ${good}, Basic ${good}`,
      `Basic ${good} x`,
      `Basic ${Buffer.from(basic.join(':')).toString('base64url')}_`,
      `Basic ${encoded('nocolon')}`,
      `Basic ${encoded('%zz:%zz')}`,
      `Basic ${encoded(`%E0%A4%A:${key.secret}`)}`,
    ];
    for (const authorization of wrong) {
      expect(whole(await token({ headers: { authorization }, form: grant })), authorization).toStrictEqual(
        malformed,
      );
    }
    const others = [
      // A header value has no trailing white space, so this value consists only of a scheme.
      'Basic ',
      `Basic\t${good}`,
      'Bearer x',
      `Bearer ${key.secret}`,
      'Digest username="a"',
      `basic${good}`,
      `Basic ${encoded(':')}`,
      `Basic ${encoded('\0:\0')}`,
      `Basic ${Buffer.from([0xff, 0x3a, 0xfe]).toString('base64')}`,
    ];
    for (const authorization of others) {
      expect(whole(await token({ headers: { authorization }, form: grant })), authorization).toStrictEqual(
        invalidClient,
      );
    }
    for (const authorization of [`basic ${good}`, `BASIC  ${good}`]) {
      expect(whole(await token({ headers: { authorization }, form: grant }))).toStrictEqual(issued(ALL));
    }
  });

  it('16: the client ID and secret are accepted percent-encoded and raw (RFC 6749, section 2.3.1 and appendix B)', async () => {
    const encodeAll = (text: string) =>
      [...Buffer.from(text)].map((byte) => `%${byte.toString(16)}`).join('');
    expect(
      whole(await token({ basic: [encodeAll(key.id), encodeAll(key.secret)], form: grant })),
    ).toStrictEqual(issued(ALL));
    const body = `${encodeAll('grant_type')}=client%5Fcredentials&scope=code%3Adeploy+airflow%3aread`;
    const asForm = { 'content-type': 'Application/X-WWW-Form-Urlencoded; charset=UTF-8' };
    expect(whole(await token({ basic, headers: asForm, body }))).toStrictEqual(
      issued('deployment:etl code:deploy airflow:read'),
    );
    // A plus sign in this encoding stands for a space, so this is a different client ID.
    expect(whole(await token({ basic: [`${key.id}+`, key.secret], form: grant }))).toStrictEqual(
      invalidClient,
    );
  });

  it('17: a secret that is padded, truncated, overlong or changed in case is rejected (RFC 6749, section 10.10)', async () => {
    const { secret } = key;
    const swapped = secret.replace(/[a-z]/gi, (c) =>
      c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase(),
    );
    const variants = [
      ` ${secret}`,
      `${secret} `,
      `${secret}\n`,
      `${secret}\0`,
      `\0${secret}`,
      `${secret}=`,
      secret.slice(0, -1),
      swapped,
      secret.toLowerCase(),
      `${secret}${secret}`,
    ];
    for (const client_secret of variants) {
      expect(whole(await token({ form: { ...grant, client_id: key.id, client_secret } }))).toStrictEqual(
        invalidClient,
      );
    }
    const tooLarge = refusal('invalid_request', 'The body must be at most 65536 bytes.', 413);
    const huge = { ...grant, client_id: key.id, client_secret: secret + 'x'.repeat(1024 * 1024) };
    expect(whole(await token({ form: huge }))).toStrictEqual(tooLarge);
    expect(whole(await token({ json: huge }))).toStrictEqual(tooLarge);
    // A token, a temporary token and a different key's secret are not valid as this key's secret.
    const live = await stack.exchangeForToken(key);
    const temporary = formatCredential(
      { kind: 'temporary', deploymentId: 'etl', ulid: key.id.slice(-26) },
      'x'.repeat(43),
    );
    for (const client_secret of [live, temporary, narrow.secret]) {
      expect(whole(await token({ form: { ...grant, client_id: key.id, client_secret } }))).toStrictEqual(
        invalidClient,
      );
    }
  });

  it('18: wrong secrets are counted in a metric and do not affect the client with the right secret', async () => {
    const wrong = await Promise.all(
      Array.from({ length: 25 }, () => token({ basic: [key.id, secretFor(key.id)], form: grant })),
    );
    for (const reply of wrong) expect(whole(reply)).toStrictEqual(invalidClient);
    expect(whole(await token({ basic, form: grant }))).toStrictEqual(issued(ALL));
    await introspect('x', { ...key, secret: secretFor(key.id) });
    await revoke('x', { ...key, secret: secretFor(key.id) });

    const lines = stack.logs
      .text()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    const counted = lines.filter((line) => line.RefusedAuthentications === 1);
    expect(counted).toHaveLength(27);
    for (const { _aws, stack: name, ...rest } of counted) {
      expect(name).toBe('deployment-api-keys-development');
      expect(_aws.CloudWatchMetrics).toStrictEqual([
        {
          Namespace: 'DeploymentApiKeys',
          Dimensions: [['stack']],
          Metrics: [{ Name: 'RefusedAuthentications', Unit: 'Count' }],
        },
      ]);
      expect(JSON.stringify(rest)).not.toContain(key.id);
    }
    const refused = lines.filter((line) => line.code === 'invalid_client');
    expect(refused).toHaveLength(27);
    for (const line of refused) expect(line.client_id).toBe(key.id);
  });

  it('19: no error text contains characters that RFC 6749, section 5.2, forbids, regardless of the request', async () => {
    const hostile = ['"\\\n\u0001é', '\u2028<script>', '%22', '\\u0022'];
    for (const text of hostile) {
      const replies = await Promise.all([
        token({ basic, form: { grant_type: text } }),
        token({ basic, form: { ...grant, scope: text } }),
        token({ basic, form: { ...grant, client_id: text } }),
        token({ form: { ...grant, client_id: text, client_secret: text } }),
        token({ basic, json: { [text]: 1 } }),
        post('/oauth/introspect', { basic, form: { [text]: text } }),
      ]);
      for (const { status, json } of replies) {
        expect(status).toBeGreaterThanOrEqual(400);
        expect(status).toBeLessThan(500);
        expect(json.error).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
        expect(json.error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
      }
    }
  });
});

describe('POST /oauth/introspect', () => {
  it('20: introspection describes an active token and does not extend it (RFC 7662, section 2.2)', async () => {
    const live = await stack.exchangeForToken(key, 'code:deploy');
    stack.clock.advance(3600);
    const described = ok({
      active: true,
      client_id: key.id,
      scope: 'deployment:etl code:deploy',
      exp: SECONDS + 86_401,
      iat: SECONDS,
      token_type: 'Bearer',
      sub: key.id,
      iss: stack.url,
      deployment_id: 'etl',
      issued_from: { address: '127.0.0.1', client: 'node' },
    });
    expect(whole(await introspect(live))).toStrictEqual(described);
    // Every key of the Deployment can introspect the token, with either client authentication.
    expect(whole(await introspect(live, narrow))).toStrictEqual(described);
    const form = { token: live, client_id: narrow.id, client_secret: narrow.secret };
    expect(whole(await post('/oauth/introspect', { form }))).toStrictEqual(described);
    stack.clock.advance(86_400 - 3600);
    expect(whole(await introspect(live))).toStrictEqual(described);
    stack.clock.advance(1);
    expect(whole(await introspect(live))).toStrictEqual(inactive);
  });

  it('20: introspection describes a temporary token of the Deployment together with its person', async () => {
    const made = await stack.call('POST', '/deployments/etl/temporary-tokens', {
      token: await stack.signIn('member'),
      json: { scopes: ['airflow:read'] },
    });
    const { json } = await introspect(made.json.access_token);
    const used = await stack.call('GET', '/whoami', { token: made.json.access_token });
    expect(json).toStrictEqual({
      active: true,
      scope: 'deployment:etl airflow:read',
      exp: SECONDS + 86_401,
      iat: SECONDS,
      token_type: 'Bearer',
      sub: used.json.principalId,
      iss: stack.url,
      deployment_id: 'etl',
    });
    expect(whole(await introspect(made.json.access_token, foreign))).toStrictEqual(inactive);
  });

  it('21: introspection returns exactly {"active":false} for every token that is not active (RFC 7662, section 2.2)', async () => {
    const gone = await stack.createKey('etl', { name: 'gone' });
    const disabled = await stack.createKey('etl', { name: 'disabled' });
    const [ofGone, ofDisabled, given, live] = await Promise.all(
      [gone, disabled, key, key].map((one) => stack.exchangeForToken(one)),
    );
    const signedIn = await stack.signIn('admin');
    await stack.call('DELETE', `/deployments/etl/api-keys/${gone.id}`, { token: signedIn });
    await stack.call('PATCH', `/deployments/etl/api-keys/${disabled.id}`, {
      token: signedIn,
      json: { enabled: false },
    });
    await revoke(given as string);
    const { ulid = '' } = parseCredential(live as string) ?? {};
    const dead = [
      mintCredential('token', 'etl', ulid),
      mintCredential('temporary', 'etl', ulid),
      ofGone,
      ofDisabled,
      given,
      key.secret,
      key.id,
      `${live}x`,
      ` ${live}`,
      'garbage',
      '\0',
      'x'.repeat(60_000),
    ];
    for (const presented of dead) {
      const reply = await introspect(presented as string);
      expect(whole(reply), String(presented).slice(0, 30)).toStrictEqual(inactive);
      expect(reply.text).toBe('{"active":false}');
    }
    stack.clock.advance(86_401);
    expect(whole(await introspect(live as string))).toStrictEqual(inactive);
  });

  it('22: introspection without client authentication returns 401 (RFC 7662, sections 2.1 and 2.3)', async () => {
    const live = await stack.exchangeForToken(key);
    expect(whole(await post('/oauth/introspect', { form: { token: live } }))).toStrictEqual(invalidClient);
    expect(whole(await post('/oauth/introspect', { token: live, form: { token: live } }))).toStrictEqual(
      invalidClient,
    );
    expect(whole(await introspect(live, { ...key, secret: secretFor(key.id) }))).toStrictEqual(invalidClient);
  });

  it('23: introspection returns {"active":false} for another Deployment\'s token (RFC 7662, section 4)', async () => {
    expect(whole(await introspect(await stack.exchangeForToken(key), foreign))).toStrictEqual(inactive);
    expect(whole(await introspect(await stack.exchangeForToken(foreign), key))).toStrictEqual(inactive);
  });
});

describe('POST /oauth/introspect and POST /oauth/revoke accept the same parameters', () => {
  it.each(['/oauth/introspect', '/oauth/revoke'])(
    '24: %s without a token gets 400 invalid_request (RFC 7662, section 2.1; RFC 7009, section 2.1)',
    async (path) => {
      for (const form of ['', 'token=', 'token_type_hint=access_token', 'Token=x']) {
        const headers = { 'content-type': 'application/x-www-form-urlencoded' };
        expect(whole(await post(path, { basic, headers, body: form })), form).toStrictEqual(
          invalidRequest('token is missing.'),
        );
      }
    },
  );

  it('25: a wrong token_type_hint has no effect (RFC 7662, section 2.1; RFC 7009, section 2.1)', async () => {
    for (const token_type_hint of ['refresh_token', 'access_token', 'nonsense']) {
      const live = await stack.exchangeForToken(key);
      const form = { token: live, token_type_hint };
      expect((await post('/oauth/introspect', { basic, form })).json.active).toBe(true);
      expect(whole(await post('/oauth/revoke', { basic, form }))).toStrictEqual(revoked);
      expect(whole(await introspect(live))).toStrictEqual(inactive);
    }
  });
});

describe('POST /oauth/revoke', () => {
  it('26: a client can revoke its own token, and can do so repeatedly (RFC 7009, section 2)', async () => {
    const [live, sibling] = [await stack.exchangeForToken(key), await stack.exchangeForToken(key)];
    expect(whole(await revoke(live))).toStrictEqual(revoked);
    expect(await stack.use(live)).toBe(401);
    expect(whole(await revoke(live))).toStrictEqual(revoked);
    expect(whole(await introspect(live))).toStrictEqual(inactive);
    expect(await stack.use(sibling)).toBe(200);
  });

  it('27: revoking an unknown token or arbitrary text returns 200 (RFC 7009, section 2.2)', async () => {
    for (const presented of [
      mintCredential('token', 'etl', key.id.slice(-26)),
      'garbage',
      key.secret,
      '\0',
    ]) {
      expect(whole(await revoke(presented))).toStrictEqual(revoked);
    }
    expect(whole(await token({ basic, form: grant }))).toStrictEqual(issued(ALL));
  });

  it("28: revoking another client's token returns 200 but does not revoke the token (RFC 7009, section 2.1)", async () => {
    const temporary = await stack.call('POST', '/deployments/etl/temporary-tokens', {
      token: await stack.signIn('member'),
      json: {},
    });
    for (const live of [
      await stack.exchangeForToken(narrow),
      await stack.exchangeForToken(foreign),
      temporary.json.access_token,
    ]) {
      expect(whole(await revoke(live))).toStrictEqual(revoked);
      expect(await stack.use(live)).toBe(200);
    }
  });

  it('29: revocation returns 503, never 200, while DynamoDB is down (RFC 7009, section 2.2.1)', async () => {
    const live = await stack.exchangeForToken(key);
    const busy = refusal('temporarily_unavailable', 'The service is busy. Try again in a second.', 503, {
      'retry-after': '1',
    });
    for (const fault of [
      { status: 400, name: 'ThrottlingException' },
      { status: 500, name: 'InternalServerError' },
    ]) {
      engine.fault = fault;
      expect(whole(await revoke(live))).toStrictEqual(busy);
      expect(whole(await introspect(live))).toStrictEqual(busy);
      expect(whole(await token({ basic, form: grant }))).toStrictEqual(busy);
      // A call gets its usual response if the service rejects the call without reading the table.
      expect(whole(await revoke(live, { ...key, secret: 'x' }))).toStrictEqual(invalidClient);
    }
    engine.fault = undefined;
    expect(await stack.use(live)).toBe(200);
  });
});

describe('The service publishes OAuth metadata and accepts bearer tokens', () => {
  it('30: the issuer in the metadata is the URL of the request (RFC 8414, sections 2 and 3)', async () => {
    const reply = await stack.call('GET', '/.well-known/oauth-authorization-server');
    const methods = ['client_secret_basic', 'client_secret_post'];
    expect(whole(reply)).toStrictEqual(
      ok({
        issuer: stack.url,
        token_endpoint: `${stack.url}/oauth/token`,
        token_endpoint_auth_methods_supported: methods,
        grant_types_supported: ['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'],
        scopes_supported: ['code:deploy', 'airflow:read', 'airflow:write'],
        introspection_endpoint: `${stack.url}/oauth/introspect`,
        introspection_endpoint_auth_methods_supported: methods,
        revocation_endpoint: `${stack.url}/oauth/revoke`,
        revocation_endpoint_auth_methods_supported: methods,
      }),
    );
    const byName = stack.url.replace('127.0.0.1', 'localhost');
    expect((await call(byName, 'GET', '/.well-known/oauth-authorization-server')).json.issuer).toBe(byName);
    expect(stack.calls('metadata')).toStrictEqual({});
  });

  it('30: the metadata omits token exchange if the stack trusts no issuers', () => {
    const { body } = metadata('https://keys.example.com', ['code:deploy'], false);
    expect(body).toMatchObject({ grant_types_supported: ['client_credentials'] });
  });

  const unauthorised = (challenge: string) => ({
    status: 401,
    headers: { ...JSON_HEADERS, 'www-authenticate': challenge },
    body: { message: 'Unauthorized' },
  });

  it('31: /whoami returns 401, with error="invalid_token" only if a token was sent (RFC 6750, section 3)', async () => {
    expect(whole(await stack.call('GET', '/whoami'))).toStrictEqual(unauthorised('Bearer'));
    const invalid = unauthorised('Bearer error="invalid_token"');
    const presented = [
      'garbage',
      key.secret,
      mintCredential('token', 'etl', key.id.slice(-26)),
      `${await stack.exchangeForToken(key)}x`,
    ];
    for (const one of presented) {
      expect(whole(await stack.call('GET', '/whoami', { token: one }))).toStrictEqual(invalid);
    }
    const basicThere = await stack.call('GET', '/whoami', { basic });
    expect(whole(basicThere)).toStrictEqual(invalid);
  });

  it('32: /whoami ignores an access token in a query parameter and returns 401 (RFC 6750, section 5.3; RFC 9700)', async () => {
    const live = await stack.exchangeForToken(key);
    const reply = await stack.call('GET', `/whoami?access_token=${live}`);
    expect(whole(reply)).toStrictEqual(unauthorised('Bearer'));
    expect(stack.logs.text()).not.toContain(live);
  });
  // Row 33 is in clients.test.ts.
});
