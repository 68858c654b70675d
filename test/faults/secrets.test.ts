import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { type LocalStack, startLocalStack } from '../../infra/local/local-stack.ts';
import { assemblyOf } from '../support/assembly.ts';
import { callAs, exchange, partition } from '../support/service.ts';
import { type Call, call, makeDeployment, makeKey, type Reply, swap } from '../support/stack.ts';

/**
 * Canaries: one secret of each kind goes through every call, in every place where somebody might put it, right and wrong.
 * Then none of them may be found anywhere but in the answer that gave it out.
 */
const directory = mkdtempSync(join(tmpdir(), 'canary-'));
// This reads the files of the embedded engine, whichever one the other tests use.
vi.stubEnv('DYNAMODB_ENDPOINT', '');
const stack: LocalStack = await startLocalStack({ synthesise: assemblyOf, dataDirectory: directory });
afterAll(async () => {
  await stack.stop();
  rmSync(directory, { recursive: true, force: true });
});

it('#31 a canary secret through every path and error: no hit in logs, metrics, table, URLs, errors', {
  timeout: 60_000,
}, async () => {
  const id = 'canary';
  await makeDeployment(stack, id);
  const key = await makeKey(stack, id);
  const token = await swap(stack, key);
  const revoked = await swap(stack, key);
  const grant = await callAs(stack, 'member', 'POST', `/deployments/${id}/temporary-tokens`, { json: {} });
  const temporary: string = grant.json.access_token;
  const person = await stack.signIn('admin');
  const canaries = { secret: key.secret, token, revoked, temporary, person };

  const replies: Reply[] = [];
  const send = async (method: string, path: string, options: Call = {}) => {
    replies.push(await call(stack, method, path, options));
  };
  const keys = `/deployments/${id}/api-keys`;
  const basic = [key.id, key.secret] as const;
  // As it is meant.
  await send('GET', '/whoami', { token });
  await send('GET', '/whoami', { token: temporary });
  await send('POST', '/oauth/introspect', { basic, form: { token } });
  await send('POST', '/oauth/introspect', { basic, form: { token: temporary } });
  await send('POST', '/oauth/revoke', { basic, form: { token: revoked } });
  for (const path of [
    '/deployments',
    `/deployments/${id}`,
    keys,
    `${keys}/${key.id}`,
    `/deployments/${id}/temporary-tokens`,
  ]) {
    await send('GET', path, { token: person });
  }
  // In every wrong place.
  for (const canary of Object.values(canaries)) {
    await send('GET', '/whoami', { token: canary.slice(0, -1) });
    await send('GET', '/whoami', { token: `${canary}x` });
    await send('GET', '/whoami', { headers: { authorization: canary } });
    await send('GET', '/whoami', { headers: { authorization: `Bearer ${canary}, Bearer ${canary}` } });
    await send('GET', `/whoami?access_token=${canary}`);
    await send('GET', `/whoami/${canary}`);
    await send('POST', '/oauth/token', {
      basic: [canary, canary],
      form: { grant_type: 'client_credentials' },
    });
    await send('POST', '/oauth/token', { basic: [key.id, canary], form: { grant_type: 'password' } });
    await send('POST', '/oauth/token', {
      form: { grant_type: canary, client_id: canary, client_secret: canary },
    });
    await send('POST', '/oauth/token', { basic, form: { grant_type: 'client_credentials', scope: canary } });
    await send('POST', `/oauth/token?client_secret=${canary}`, {
      form: { grant_type: 'client_credentials' },
    });
    await send('POST', '/oauth/token', {
      headers: { 'content-type': 'application/json' },
      body: `{"${canary}`,
    });
    await send('POST', '/oauth/token', { headers: { 'content-type': canary.slice(0, 60) }, body: canary });
    await send('POST', '/oauth/introspect', { basic: [canary, canary], form: { token: canary } });
    await send('POST', '/oauth/revoke', { basic, form: { token: `${canary} ` } });
    await send('POST', keys, {
      token: person,
      headers: { 'content-type': 'application/json' },
      body: `{"name":${canary}}`,
    });
    await send('POST', keys, { token: person, json: { name: 'x', scopes: [canary] } });
    await send('POST', keys, { token: person, json: { name: 'x', expiresAt: canary } });
    await send('POST', keys, {
      token: person,
      json: { name: 'x' },
      headers: { 'idempotency-key': `${canary},` },
    });
    await send('PUT', `/deployments/${id}`, { token: person, json: { groups: canary } });
    await send('GET', `${keys}?cursor=${canary}`, { token: person });
    await send('GET', `${keys}?limit=${canary}`, { token: person });
    await send('GET', keys, { token: canary });
    if (canary !== person) {
      // Too long for a Deployment, or of another form than a key ID.
      await send('GET', `/deployments/${canary}/api-keys`, { token: person });
      await send('GET', `${keys}/${canary}`, { token: person });
      await send('DELETE', `/deployments/${id}/temporary-tokens/${canary}`, { token: person });
    }
  }
  // What fails inside.
  await expect(
    stack.invoke('authorize', { type: 'TOKEN', authorizationToken: `Bearer ${token}` }),
  ).rejects.toThrow();
  await expect(
    stack.invoke('manage-keys', { headers: { authorization: `Bearer ${person}` } }),
  ).resolves.toBeDefined();
  await callAs(stack, 'admin', 'DELETE', `${keys}/${key.id}`);
  expect((await exchange(stack, key)).status).toBe(401);
  await callAs(stack, 'admin', 'DELETE', `/deployments/${id}`);
  await stack.settled();

  const logs = stack.logs.text();
  const items = JSON.stringify([
    ...(await partition(stack, `DEPLOYMENT#${id}`)),
    ...(await partition(stack, `EVENTS#${id}`)),
  ]);
  await stack.stop();
  const files = readdirSync(directory).map((name) => readFileSync(join(directory, name)).toString('latin1'));
  expect(files.join('').length).toBeGreaterThan(10_000);
  expect(logs.length).toBeGreaterThan(10_000);
  const answers = replies
    .map(({ status, text, headers }) => `${status} ${text} ${JSON.stringify(headers)}`)
    .join('\n');
  for (const [name, canary] of Object.entries(canaries)) {
    // The random part, which is what it is secret for; of a JWT the signature. No encoding of it either.
    const core = name === 'person' ? (canary.split('.')[2] ?? '') : canary.slice(-49, -6);
    const encoded = [
      core,
      Buffer.from(core).toString('base64').slice(2, -4),
      Buffer.from(core).toString('hex'),
    ];
    for (const form of encoded) {
      expect(logs.includes(form), `${name} in the logs`).toBe(false);
      expect(items.includes(form), `${name} in the table`).toBe(false);
      expect(files.join('\n').includes(form), `${name} in the table's file`).toBe(false);
      expect(answers.includes(form), `${name} in an answer`).toBe(false);
    }
    // A hash of it is in the table, and in no log.
    if (name === 'person') continue;
    const hash = createHash('sha256').update(canary).digest('base64url');
    expect(logs.includes(hash), `hash of ${name} in the logs`).toBe(false);
    expect(answers.includes(hash), `hash of ${name} in an answer`).toBe(false);
  }
  // The search finds what is there.
  expect(files.join('\n')).toContain(createHash('sha256').update(temporary).digest('base64url'));
});
