import { afterAll, expect, it, vi } from 'vitest';
import { startStack, type TestStack } from '../support/stack.ts';
import { temporaryFolder } from '../support/temporary.ts';

/** The data of a stack that the last test deploys again with fewer scopes. */
const dataDirectory = temporaryFolder('scopes');
const deploy = (scopes: string) => {
  // Persistent data requires the embedded engine, regardless of the engine that other tests use.
  vi.stubEnv('DYNAMODB_ENDPOINT', '');
  return startStack({ dataDirectory, context: { scopes } });
};
let stack: TestStack = await deploy('code:deploy,airflow:read,airflow:write');
afterAll(() => stack.stop());

await stack.register('etl');
const key = await stack.createKey('etl');
const token = await stack.exchangeForToken(key);
const narrowed = await stack.exchangeForToken(key, 'airflow:read airflow:write');

/** Returns the token's scope. Asserts that a use of the token and introspection report the same scope. */
async function scopeOf(one: string): Promise<string> {
  const used = await stack.call('GET', '/whoami', { token: one });
  const seen = await stack.call('POST', '/oauth/introspect', {
    basic: [key.id, key.secret],
    form: { token: one },
  });
  expect(seen.json.scope).toBe(used.json.scope);
  return used.json.scope;
}
async function editScopes(scopes: string[]): Promise<void> {
  const path = `/deployments/etl/api-keys/${key.id}`;
  const edited = await stack.call('PATCH', path, { token: await stack.signIn('admin'), json: { scopes } });
  expect(edited.status).toBe(200);
}

it("a token has its key's scopes, or the narrower scopes that were requested", async () => {
  expect(await scopeOf(token)).toBe('deployment:etl code:deploy airflow:read airflow:write');
  expect(await scopeOf(narrowed)).toBe('deployment:etl airflow:read airflow:write');
});

it('editing a key changes the scopes of its tokens from the next check on', async () => {
  await editScopes(['code:deploy', 'airflow:read']);
  expect(await scopeOf(token)).toBe('deployment:etl code:deploy airflow:read');
  expect(await scopeOf(narrowed)).toBe('deployment:etl airflow:read');
  await editScopes(['code:deploy']);
  expect(await scopeOf(token)).toBe('deployment:etl code:deploy');
  expect(await scopeOf(narrowed)).toBe('deployment:etl');
});

it('a token never has more scopes than were requested, even when its key gains scopes', async () => {
  await editScopes(['code:deploy', 'airflow:read', 'airflow:write']);
  expect(await scopeOf(token)).toBe('deployment:etl code:deploy airflow:read airflow:write');
  expect(await scopeOf(narrowed)).toBe('deployment:etl airflow:read airflow:write');
});

it('a token omits scopes that the stack no longer knows', {
  timeout: 60_000,
}, async () => {
  await stack.stop();
  stack = await deploy('airflow:read,jobs:run');
  expect(await scopeOf(token)).toBe('deployment:etl airflow:read');
  expect(await scopeOf(narrowed)).toBe('deployment:etl airflow:read');
  const exchange = (scope: string) =>
    stack.call('POST', '/oauth/token', {
      basic: [key.id, key.secret],
      form: { grant_type: 'client_credentials', scope },
    });
  expect((await exchange('airflow:read')).json.scope).toBe('deployment:etl airflow:read');
  expect((await exchange('code:deploy')).json.error).toBe('invalid_scope');
  // The key does not get a scope that was added to the stack later.
  expect((await exchange('jobs:run')).json.error).toBe('invalid_scope');
});
