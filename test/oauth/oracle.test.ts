import { once } from 'node:events';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';
import { afterAll, expect, it } from 'vitest';
import { mintCredential, newUlid } from '../../functions/domain/credentials.ts';
import { type Call, call, type Reply, runStack } from '../support/stack.ts';

/**
 * Sends the same requests to this service and to the certified oidc-provider. Where their responses differ, the row
 * gives both responses and the reason.
 */
const stack = await runStack();
await stack.register('etl');
const key = await stack.createKey('etl');
const otherKey = await stack.createKey('etl', { name: 'other' });

/** A server, with the clients and credentials that the tests need. */
interface Server {
  readonly url: string;
  readonly paths: { readonly token: string; readonly introspect: string; readonly revoke: string };
  /** A client that authenticates with Basic, and a client that sends its credentials in the body. */
  readonly basic: Client;
  readonly post: Client;
  /** A second client that uses Basic. */
  readonly other: Client;
  /** A client ID, a secret and a token that are well-formed but unknown. */
  readonly unknown: { readonly id: string; readonly secret: string; readonly token: string };
}
interface Client {
  readonly id: string;
  readonly secret: string;
}

const ulid = newUlid(0);
const ours: Server = {
  url: stack.url,
  paths: { token: '/oauth/token', introspect: '/oauth/introspect', revoke: '/oauth/revoke' },
  basic: key,
  post: key,
  other: otherKey,
  unknown: {
    id: `dk_etl_${ulid}`,
    secret: mintCredential('secret', 'etl', ulid),
    token: mintCredential('token', 'etl', ulid),
  },
};

async function startOracle(): Promise<Server> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' && address?.port}`;
  const client = (id: string, token_endpoint_auth_method: 'client_secret_basic' | 'client_secret_post') => ({
    client_id: id,
    client_secret: `secret-of-${id}`,
    token_endpoint_auth_method,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: 'code:deploy airflow:read',
  });
  const provider = new Provider(url, {
    clients: [
      client('basic', 'client_secret_basic'),
      client('post', 'client_secret_post'),
      client('other', 'client_secret_basic'),
    ],
    scopes: ['code:deploy', 'airflow:read'],
    features: {
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      devInteractions: { enabled: false },
    },
  });
  server.on('request', provider.callback());
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });
  const named = (id: string) => ({ id, secret: `secret-of-${id}` });
  return {
    url,
    paths: { token: '/token', introspect: '/token/introspection', revoke: '/token/revocation' },
    basic: named('basic'),
    post: named('post'),
    other: named('other'),
    unknown: { id: 'nobody', secret: 'nothing', token: 'x'.repeat(43) },
  };
}

const oracle = await startOracle();
const grant = { grant_type: 'client_credentials' };
const of = ({ id, secret }: Client) => [id, secret] as const;
const token = (server: Server, request: Call) => call(server, 'POST', server.paths.token, request);
const basic = (server: Server, form: Call['form'], client = server.basic) =>
  token(server, { basic: of(client), form });
const withHeader = (server: Server, authorization: string) =>
  token(server, { headers: { authorization }, form: grant });
const encoded = (text: string) => Buffer.from(text).toString('base64');
const percent = (text: string) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16)}`).join('');
const issue = async (server: Server, client = server.basic): Promise<string> =>
  (await basic(server, grant, client)).json.access_token;
const introspect = async (server: Server, presented: string, extra: object = {}) =>
  call(server, 'POST', server.paths.introspect, {
    basic: of(server.basic),
    form: { token: presented, ...extra },
  });
const revoke = async (server: Server, presented: string, extra: object = {}, client = server.basic) =>
  call(server, 'POST', server.paths.revoke, { basic: of(client), form: { token: presented, ...extra } });

/**
 * Returns the parts of a response that the RFCs define: the status, the error code, whether there is a token and
 * whether it is active, and the caching headers.
 */
function ruled({ status, headers, json }: Reply) {
  return {
    status,
    ...(json?.error && { error: json.error }),
    ...(json?.access_token && { type: json.token_type, integer: Number.isInteger(json.expires_in) }),
    ...(json?.active !== undefined && { active: json.active }),
    ...(json?.refresh_token && { refresh: true }),
    ...(status === 200 && json && { cache: headers['cache-control'] }),
  };
}
type Ruled = ReturnType<typeof ruled>;

const GRANTED = { status: 200, type: 'Bearer', integer: true, cache: 'no-store' };
const BAD = { status: 400, error: 'invalid_request' };
const REFUSED = { status: 401, error: 'invalid_client' };

interface Row {
  readonly rule: string;
  readonly send: (server: Server) => Promise<Reply>;
  /** The response from both servers, or from this service if the servers differ. */
  readonly ours: object;
  /** The response from oidc-provider, if it differs from this service's response. */
  readonly oracle?: object;
  /** The reason why the responses differ. */
  readonly why?: string;
}

const rows: Row[] = [
  {
    rule: '1: good Basic',
    send: (s) => basic(s, grant),
    ours: GRANTED,
  },
  {
    rule: '1: good credentials in the body',
    send: (s) => token(s, { form: { ...grant, client_id: s.post.id, client_secret: s.post.secret } }),
    ours: GRANTED,
  },
  {
    rule: '2: wrong secret',
    send: (s) => basic(s, grant, { ...s.basic, secret: s.unknown.secret }),
    ours: REFUSED,
  },
  {
    rule: '2: unknown ID',
    send: (s) => basic(s, grant, s.unknown),
    ours: REFUSED,
  },
  {
    rule: '3: wrong secret in the body',
    send: (s) => token(s, { form: { ...grant, client_id: s.post.id, client_secret: s.unknown.secret } }),
    ours: REFUSED,
  },
  {
    rule: '4: no client authentication',
    send: (s) => token(s, { form: grant }),
    ours: REFUSED,
    oracle: BAD,
    why: '§5.2 names it: “no client authentication included” is invalid_client. The oracle cannot tell which client means no authentication.',
  },
  {
    rule: '5: Basic and body secret',
    send: (s) => basic(s, { ...grant, client_id: s.basic.id, client_secret: s.basic.secret }),
    ours: BAD,
  },
  {
    rule: '6: another client_id in the body',
    send: (s) => basic(s, { ...grant, client_id: s.other.id }),
    ours: BAD,
  },
  {
    rule: '6: the same client_id in the body',
    send: (s) => basic(s, { ...grant, client_id: s.basic.id }),
    ours: GRANTED,
  },
  {
    rule: '7: a parameter twice',
    send: (s) => basic(s, 'grant_type=client_credentials&scope=code:deploy&scope=airflow:read'),
    ours: BAD,
  },
  {
    rule: '7: an unknown parameter twice',
    send: (s) => basic(s, 'grant_type=client_credentials&x=1&x=2'),
    ours: BAD,
    oracle: GRANTED,
    why: '§3.2 has no parameter sent twice; the oracle looks at those alone that it knows.',
  },
  {
    rule: '8: no grant_type',
    send: (s) => basic(s, { scope: 'code:deploy' }),
    ours: BAD,
  },
  {
    rule: '8: an empty grant_type',
    send: (s) => basic(s, 'grant_type='),
    ours: BAD,
  },
  {
    rule: '9: password',
    send: (s) => basic(s, { grant_type: 'password', username: 'a', password: 'b' }),
    ours: { status: 400, error: 'unsupported_grant_type' },
  },
  {
    rule: '10: audience and unknown parameters',
    send: (s) => basic(s, { ...grant, audience: 'x', y: 'z' }),
    ours: GRANTED,
  },
  {
    rule: '11: a narrower scope',
    send: (s) => basic(s, { ...grant, scope: 'code:deploy' }),
    ours: GRANTED,
  },
  {
    rule: '11: a malformed scope',
    send: (s) => basic(s, { ...grant, scope: 'a"b' }),
    ours: { status: 400, error: 'invalid_scope' },
  },
  {
    rule: '11: a scope that the client lacks',
    send: (s) => basic(s, { ...grant, scope: 'airflow:delete' }),
    ours: { status: 400, error: 'invalid_scope' },
    oracle: GRANTED,
    why: '§3.3 lets a server ignore it and grant the rest. A pipeline that asks in vain shall fail at once, and not at its first use.',
  },
  {
    rule: '12: JSON',
    send: (s) => token(s, { basic: of(s.basic), json: grant }),
    ours: GRANTED,
    oracle: BAD,
    why: 'Pipelines written for the older service send JSON.',
  },
  {
    rule: '13: GET',
    send: (s) => call(s, 'GET', s.paths.token),
    ours: { status: 404 },
  },
  {
    rule: '13: PUT',
    send: (s) => call(s, 'PUT', s.paths.token, { form: grant }),
    ours: { status: 404 },
  },
  {
    rule: '13: DELETE',
    send: (s) => call(s, 'DELETE', s.paths.token),
    ours: { status: 404 },
  },
  {
    rule: '14: credentials in the query',
    send: (s) =>
      call(s, 'POST', `${s.paths.token}?client_id=${s.post.id}&client_secret=${s.post.secret}`, {
        form: grant,
      }),
    ours: BAD,
  },
  {
    rule: '15: no base64',
    send: (s) => withHeader(s, 'Basic !!!'),
    ours: BAD,
  },
  {
    rule: '15: no colon',
    send: (s) => withHeader(s, `Basic ${encoded('nocolon')}`),
    ours: BAD,
  },
  {
    rule: '15: broken percent-encoding',
    send: (s) => withHeader(s, `Basic ${encoded('%zz:%zz')}`),
    ours: BAD,
  },
  {
    rule: '15: another scheme',
    send: (s) => withHeader(s, `Bearer ${s.basic.secret}`),
    ours: REFUSED,
    oracle: BAD,
    why: '§5.2: “unsupported authentication method” is invalid_client, which also brings the challenge.',
  },
  {
    rule: '15: a scheme alone',
    send: (s) => withHeader(s, 'Basic'),
    ours: REFUSED,
    oracle: BAD,
    why: 'As another scheme: nobody has authenticated.',
  },
  {
    rule: '16: percent-encoded',
    send: (s) => basic(s, grant, { id: percent(s.basic.id), secret: percent(s.basic.secret) }),
    ours: GRANTED,
  },
  {
    rule: '17: a padded secret',
    send: (s) => basic(s, grant, { ...s.basic, secret: `${s.basic.secret} ` }),
    ours: REFUSED,
  },
  {
    rule: '17: a secret with NUL',
    send: (s) => basic(s, grant, { ...s.basic, secret: `${s.basic.secret}\0` }),
    ours: REFUSED,
    oracle: BAD,
    why: 'Appendix A.2 has no NUL in a secret. To us it is a wrong secret like any other.',
  },
  {
    rule: '17: a secret of 1 MB',
    send: (s) =>
      token(s, { form: { ...grant, client_id: s.post.id, client_secret: 'x'.repeat(1024 * 1024) } }),
    ours: { status: 413, error: 'invalid_request' },
    oracle: BAD,
    why: '413 says what to change; the error code is the same.',
  },
  {
    rule: '20: introspect a live token',
    send: async (s) => introspect(s, await issue(s)),
    ours: { status: 200, active: true, cache: 'no-store' },
  },
  {
    rule: '21: introspect an unknown token',
    send: (s) => introspect(s, s.unknown.token),
    ours: { status: 200, active: false, cache: 'no-store' },
  },
  {
    rule: '21: introspect garbage',
    send: (s) => introspect(s, '\0"garbage'),
    ours: { status: 200, active: false, cache: 'no-store' },
  },
  {
    rule: '21: introspect a secret',
    send: (s) => introspect(s, s.basic.secret),
    ours: { status: 200, active: false, cache: 'no-store' },
  },
  {
    rule: '22: introspect without authentication',
    send: async (s) => call(s, 'POST', s.paths.introspect, { form: { token: await issue(s) } }),
    ours: REFUSED,
    oracle: BAD,
    why: 'As row 4.',
  },
  {
    rule: '22: introspect with a wrong secret',
    send: async (s) =>
      call(s, 'POST', s.paths.introspect, {
        basic: [s.basic.id, s.unknown.secret],
        form: { token: await issue(s) },
      }),
    ours: REFUSED,
  },
  {
    rule: '24: introspect nothing',
    send: (s) => introspect(s, ''),
    ours: BAD,
  },
  {
    rule: '24: revoke nothing',
    send: (s) => revoke(s, ''),
    ours: BAD,
  },
  {
    rule: '25: introspect with a wrong hint',
    send: async (s) => introspect(s, await issue(s), { token_type_hint: 'refresh_token' }),
    ours: { status: 200, active: true, cache: 'no-store' },
  },
  {
    rule: '25: revoke with a wrong hint',
    send: async (s) => revoke(s, await issue(s), { token_type_hint: 'refresh_token' }),
    ours: { status: 200 },
  },
  {
    rule: '26: revoke twice',
    send: async (s) => {
      const live = await issue(s);
      await revoke(s, live);
      return revoke(s, live);
    },
    ours: { status: 200 },
  },
  {
    rule: '26: introspect what is revoked',
    send: async (s) => {
      const live = await issue(s);
      await revoke(s, live);
      return introspect(s, live);
    },
    ours: { status: 200, active: false, cache: 'no-store' },
  },
  {
    rule: '27: revoke garbage',
    send: (s) => revoke(s, 'garbage'),
    ours: { status: 200 },
  },
  {
    rule: '28: revoke another client’s token',
    send: async (s) => revoke(s, await issue(s), {}, s.other),
    ours: { status: 200 },
    oracle: BAD,
    why: '§2.1 has it refused, and it is: it stays alive. Our answer does not tell whether such a token exists.',
  },
  {
    rule: '28: introspect what another client would have revoked',
    send: async (s) => {
      const live = await issue(s);
      await revoke(s, live, {}, s.other);
      return introspect(s, live);
    },
    ours: { status: 200, active: true, cache: 'no-store' },
  },
];

it.each(rows)(
  'the service and oidc-provider respond as documented: $rule',
  async ({ send, ours: expected, oracle: other, why }) => {
    const [we, they]: Ruled[] = await Promise.all([send(ours).then(ruled), send(oracle).then(ruled)]);
    expect(we).toStrictEqual(expected);
    expect(they).toStrictEqual(other ?? expected);
    // A row gives a reason if and only if the responses differ.
    expect(why !== undefined).toBe(other !== undefined);
  },
);
