import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { endTokens } from '../../cli/end-tokens.ts';
import { readSettings } from '../../infra/settings.ts';
import {
  DAY,
  type InProcess,
  type InProcessOptions,
  inProcess,
  must,
  partsOf,
  SCOPES,
  startTable,
} from '../support/in-process.ts';
import { snippetsOf } from '../support/snippets.ts';
import type { CreatedKey } from '../support/stack.ts';
import { templateOf } from '../support/template.ts';

/** Rows of docs/settings.md: what a changed setting does to existing tokens and keys. */
const page = readFileSync(new URL('../../docs/settings.md', import.meta.url), 'utf8');
const engine = await startTable();
afterAll(() => engine.stop());

const HOUR = 3600;
const CI = 'https://git.acme.test';
const RULE = { issuer: CI, claims: { sub: 'repo:etl' } };
/** The test has no signing key of this issuer, so it accepts tokens without a signature. */
const verify = async (_: string, jwt: string) => ({
  claims: JSON.parse(Buffer.from(String(jwt.split('.')[1]), 'base64url').toString()),
});

let count = 0;

/** Registers a Deployment under one value of a setting, and returns the functions with that value and with another. */
async function change(before: InProcessOptions, after: InProcessOptions) {
  const was = inProcess(engine, before);
  const is = inProcess(engine, after);
  const id = `settings-${++count}`;
  await was.register(id);
  const later = (seconds: number) => {
    is.time.now = was.time.now + seconds * 1000;
    was.time.now = is.time.now;
  };
  return { was, is, id, later };
}

/** Does the same for two values of tokenLifetime in seconds. Every use of a token extends it. */
const changeLifetime = (before: number, after: number) =>
  change(
    { rules: { slideInterval: 0, tokenLifetime: before } },
    { rules: { slideInterval: 0, tokenLifetime: after } },
  );

const pathOf = ({ id }: CreatedKey) => `/deployments/${partsOf(id).deploymentId}/api-keys/${id}`;
const shown = async (app: InProcess, key: CreatedKey) =>
  must(await app.call('GET', pathOf(key), { as: 'admin' }), 200).json;
const scopeOf = async (app: InProcess, token: string) => {
  const { status, json } = await app.call('GET', '/whoami', { token });
  return [status, json?.scope];
};
const temporaryToken = async (app: InProcess, id: string, as = 'admin'): Promise<string> =>
  must(await app.call('POST', `/deployments/${id}/temporary-tokens`, { as, json: {} }), 201).json
    .access_token;
const jwtOf = (app: InProcess, claims: object = {}) => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(app.time.now / 1000) + 300;
  const payload = { iss: CI, sub: 'repo:etl', aud: 'https://service.test', exp, ...claims };
  return `${part({ alg: 'RS256' })}.${part(payload)}.c2ln`;
};
const exchangeSubject = (app: InProcess, key: CreatedKey) =>
  app.call('POST', '/oauth/token', {
    form: {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      client_id: key.id,
      subject_token: jwtOf(app),
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    },
  });

describe('A changed setting affects existing tokens and keys as docs/settings.md says', () => {
  it('existing tokens keep their expiry when tokenLifetime becomes shorter', async () => {
    const { was, is, id, later } = await changeLifetime(DAY, HOUR);
    const key = await was.createKey(id);
    const [unused, used, late] = [
      await was.exchangeForToken(key),
      await was.exchangeForToken(key),
      await was.exchangeForToken(key),
    ];
    later(2 * HOUR);
    expect(await is.use(used)).toBe(200);
    later(21.5 * HOUR);
    // Half an hour before the old expiry, this use extends the token to one hour from now.
    expect(await is.use(late)).toBe(200);
    later(HOUR - 1);
    expect([await is.use(unused), await is.use(used), await is.use(late)]).toEqual([401, 401, 200]);
    later(HOUR + 1);
    expect(await is.use(late)).toBe(401);
  });

  it('when tokenLifetime becomes longer, the next use of a valid token extends it to the new lifetime', async () => {
    const { was, is, id, later } = await changeLifetime(HOUR, DAY);
    const key = await was.createKey(id);
    const [used, unused] = [await was.exchangeForToken(key), await was.exchangeForToken(key)];
    later(HOUR / 2);
    expect(await is.use(used)).toBe(200);
    later(DAY - 1);
    expect([await is.use(used), await is.use(unused)]).toEqual([200, 401]);
  });

  it('a shorter maxTokenLifetime ends older tokens immediately, and a longer one makes them valid again', async () => {
    const { was, is, id, later } = await change(
      {},
      { rules: { tokenLifetime: HOUR, maxTokenLifetime: HOUR } },
    );
    const key = await was.createKey(id);
    const old = await was.exchangeForToken(key);
    later(HOUR + 1);
    const young = await was.exchangeForToken(key);
    expect([await is.use(old), await is.use(young), await was.use(old)]).toEqual([401, 200, 200]);
  });

  it('a new slideInterval applies to the next use', async () => {
    const { was, is, id, later } = await change(
      { rules: { slideInterval: 300 } },
      { rules: { slideInterval: 0 } },
    );
    const token = await was.exchangeForToken(await was.createKey(id));
    const expiry = async () =>
      (await was.partition(`DEPLOYMENT#${id}`)).find(({ sk }) => String(sk).startsWith('TOKEN#'))?.expiresAt;
    later(60);
    await was.use(token);
    const extended = await expiry();
    later(60);
    await was.use(token);
    expect(await expiry()).toBe(extended);
    later(300);
    await is.use(token);
    expect(await expiry()).toBe(Math.ceil(is.time.now / 1000 + DAY));
  });

  it("a scope that is removed from the stack's scopes disappears from tokens at the next check", async () => {
    const left = ['airflow:read'];
    const { was, is, id } = await change({}, { rules: { scopes: left } });
    const key = await was.createKey(id);
    const deployer = await was.createKey(id, { name: 'deploy', scopes: ['code:deploy'] });
    const [token, deploys] = [await was.exchangeForToken(key), await was.exchangeForToken(deployer)];
    expect(await scopeOf(is, token)).toEqual([200, `deployment:${id} airflow:read`]);
    expect(await scopeOf(is, deploys)).toEqual([200, `deployment:${id}`]);
    expect((await shown(is, key)).scopes).toEqual(SCOPES);
    expect((await shown(is, deployer)).scopes).toEqual(['code:deploy']);
    expect((await is.exchange(key)).json.scope).toBe(`deployment:${id} airflow:read`);
    expect(await scopeOf(was, token)).toEqual([200, `deployment:${id} ${SCOPES.join(' ')}`]);
  });

  it('a new maxIdleDays applies to the next exchange, and tokens of an idle key stay valid', async () => {
    const lifetime = { rules: { tokenLifetime: 40 * DAY } };
    const { was, is, id, later } = await change(lifetime, { ...lifetime, maxIdleDays: 30 });
    const key = await was.createKey(id);
    const token = await was.exchangeForToken(key);
    later(31 * DAY);
    expect((await is.exchange(key)).status).toBe(401);
    expect((await shown(is, key)).status).toBe('idle');
    expect(await is.use(token)).toBe(200);
  });

  it('maxKeyDays leaves existing keys working, and reports keys that violate it', async () => {
    const { was, is, id, later } = await change({}, { policy: { maxKeyDays: 30 } });
    const key = await was.createKey(id);
    const token = await was.exchangeForToken(key);
    later(HOUR);
    expect([(await is.exchange(key)).status, await is.use(token)]).toEqual([200, 200]);
    expect((await shown(is, key)).policyViolations).toEqual(['no_expiry']);
  });

  it('keysWithSecrets=false leaves existing keys working, and reports keys with secrets', async () => {
    const { was, is, id } = await change({}, { policy: { keysWithSecrets: false } });
    const key = await was.createKey(id);
    const token = await was.exchangeForToken(key);
    expect([(await is.exchange(key)).status, await is.use(token)]).toEqual([200, 200]);
    expect((await shown(is, key)).policyViolations).toEqual(['secret']);
    const rotation = { as: 'admin', json: { retireOld: 'now' } };
    expect((await is.call('POST', `${pathOf(key)}/rotate`, rotation)).status).toBe(200);
  });

  it('a new lastUsedFrom applies to the next use, and an earlier address stays until then', async () => {
    const { was, is, id, later } = await change({}, { rules: { lastUsedFrom: 'off' } });
    const key = await was.createKey(id);
    await was.exchangeForToken(key);
    later(HOUR);
    expect((await shown(is, key)).lastUsedFrom).toMatchObject({ address: '192.0.2.1' });
    await is.exchangeForToken(key);
    expect((await shown(is, key)).lastUsedFrom).toBeUndefined();
  });

  it('if an issuer is removed from trustedIssuers, its tokens are rejected, but earlier access tokens stay valid', async () => {
    const { was, is, id } = await change(
      { trust: { issuers: [CI], verify } },
      { trust: { issuers: [], verify } },
    );
    const key = await was.createKey(id, { name: 'ci', trust: [RULE] });
    const { access_token: token } = must(await exchangeSubject(was, key), 200).json;
    expect((await exchangeSubject(is, key)).status).toBe(400);
    expect(await is.use(token)).toBe(200);
    const disable = { as: 'admin', json: { enabled: false } };
    must(await is.call('PATCH', pathOf(key), disable), 200);
    expect(await is.use(token)).toBe(401);
  });

  it('a new bind setting of a trusted issuer applies to new trust rules, and existing rules keep matching', async () => {
    const { was, is, id } = await change(
      { trust: { issuers: [CI], verify } },
      { trust: { issuers: [{ issuer: CI, bind: ['project'] }], verify } },
    );
    const key = await was.createKey(id, { name: 'ci', trust: [RULE] });
    expect((await exchangeSubject(is, key)).status).toBe(200);
    expect((await shown(is, key)).unboundTrust).toEqual([expect.objectContaining({ index: 0 })]);
    const json = { name: 'new', trust: [RULE] };
    const created = await is.call('POST', `/deployments/${id}/api-keys`, { as: 'admin', json });
    expect(created.status).toBe(400);
  });

  it('a new audience in trustedIssuers applies to the next exchange', async () => {
    const { was, is, id } = await change(
      { trust: { issuers: [CI], verify } },
      { trust: { issuers: [{ issuer: CI, audience: 'keys' }], verify } },
    );
    const key = await was.createKey(id, { name: 'ci', trust: [RULE] });
    expect((await exchangeSubject(was, key)).status).toBe(200);
    expect((await exchangeSubject(is, key)).status).toBe(400);
  });

  it("a new adminGroup applies to a person's next call, and temporary tokens stay valid for their 24 hours", async () => {
    const { was, is, id, later } = await change({}, { adminGroup: 'others' });
    const token = await temporaryToken(was, id);
    expect((await was.call('GET', '/people', { as: 'admin' })).status).toBe(200);
    expect((await is.call('GET', '/people', { as: 'admin' })).status).toBe(403);
    later(DAY);
    expect(await is.use(token)).toBe(200);
    later(1);
    expect(await is.use(token)).toBe(401);
  });

  it("a temporary token whose holder's access was ended becomes valid again if the issuer setting changes", async () => {
    const { was, is, id, later } = await change({}, { issuer: 'https://other.test' });
    const token = await temporaryToken(was, id, 'grace');
    const kept = await temporaryToken(was, id, 'ada');
    later(1);
    must(await was.call('POST', '/people/end-access', { as: 'admin', json: { sub: 'grace' } }), 202);
    expect([await was.use(token), await is.use(token), await is.use(kept)]).toEqual([401, 200, 200]);
    await endTokens({
      table: is.table,
      clock: () => is.time.now,
      deploymentId: id,
      issuedBefore: is.time.now,
      isDryRun: false,
      onRevoked: () => {},
    });
    expect([await is.use(token), await is.use(kept)]).toEqual([401, 401]);
  });

  it('every row of the table in docs/settings.md has a test in this file', () => {
    const own = readFileSync(new URL(import.meta.url), 'utf8');
    const titles = [...own.matchAll(/^ {2}it\((['"])(.*)\1,/gm)].map(([, , title]) => title);
    const [, table = ''] = page.split(/^#+ (?:What a change does to what already exists|End tokens).*$/m);
    const rows = [...table.matchAll(/^\| (`.*?) \|/gm)].map(([, cell = '']) => cell);
    expect(rows.length).toBeGreaterThan(10);
    for (const row of rows) {
      const [, name = ''] = /^`(\w+)`/.exec(row) ?? [];
      expect(
        titles.some((title = '') => title.includes(name)),
        row,
      ).toBe(true);
    }
  });
});

describe('The ready configurations in docs/settings.md work', () => {
  const [section = ''] = page.split('## Ready configurations').slice(1);
  const titles = [...section.matchAll(/^\*\*([^,.]+).*?\*\* Choose this (?:in|when) /gm)].map(
    ([, title]) => title,
  );
  const contexts = snippetsOf('settings.md', 'json', 'Ready configurations').map(
    (block) => JSON.parse(block).context,
  );

  it.each([
    ['Try it out', 'Delete', 1, 0, 0],
    ['Production', 'Retain', 0, 1, 1],
    ['Locked down', 'Retain', 0, 1, 1],
  ])(
    '%s synthesises a stack with the table, the sign-in, the domain and the alarms that docs/settings.md describes',
    (...row) => {
      const [title, deletionPolicy, userPools, domains, actions] = row;
      const context = contexts[titles.indexOf(title)];
      const template = templateOf(context);
      template.allResources('AWS::DynamoDB::GlobalTable', { DeletionPolicy: deletionPolicy });
      template.resourceCountIs('AWS::DynamoDB::GlobalTable', 1);
      template.resourceCountIs('AWS::Cognito::UserPool', userPools);
      template.resourceCountIs('AWS::ApiGatewayV2::DomainName', domains);
      const alarms = Object.values(template.findResources('AWS::CloudWatch::Alarm'));
      expect(alarms.length).toBeGreaterThan(10);
      for (const { Properties } of alarms) expect(Properties.AlarmActions ?? []).toHaveLength(actions);
      const table = JSON.stringify(template.findResources('AWS::DynamoDB::GlobalTable'));
      expect(table.includes('arn:aws:kms:')).toBe(context.encryptionKey !== undefined);
    },
  );

  it('docs/settings.md says when to choose each configuration', () => {
    expect(titles).toHaveLength(contexts.length);
  });

  it('the limits of the configurations are those that docs/settings.md describes', () => {
    const [, production, lockedDown] = contexts.map((context) => readSettings(context));
    expect(production?.maxIdleDays).toBe(90);
    expect(lockedDown).toMatchObject({
      keysWithSecrets: false,
      maxKeyDays: 365,
      tokenLifetime: HOUR,
      maxTokenLifetime: 12 * HOUR,
    });
  });
});
