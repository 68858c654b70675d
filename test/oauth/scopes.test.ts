import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { type LocalStack, startLocalStack } from '../../local/local-stack.ts';
import { assemblyOf } from '../support/assembly.ts';
import { call, makeDeployment, makeKey, swap } from '../support/stack.ts';

/** A stack with persistent data that is deployed again with fewer scopes halfway through the file. */
const dataDirectory = mkdtempSync(join(tmpdir(), 'scopes-'));
const deploy = (scopes: string) => {
  // The data directory belongs to the embedded engine, regardless of the engine that other tests use.
  vi.stubEnv('DYNAMODB_ENDPOINT', '');
  return startLocalStack({ synthesise: assemblyOf, dataDirectory, context: { scopes } });
};
let stack: LocalStack = await deploy('code:deploy,airflow:read,airflow:write');
afterAll(async () => {
  await stack.stop();
  rmSync(dataDirectory, { recursive: true, force: true });
});

await makeDeployment(stack, 'etl');
const key = await makeKey(stack, 'etl');
const token = await swap(stack, key);
const narrowed = await swap(stack, key, 'airflow:read airflow:write');

/** Returns the scope that both a use of the token and introspection report; the two must be the same. */
async function scopeOf(one: string): Promise<string> {
  const used = await call(stack, 'GET', '/whoami', { token: one });
  const seen = await call(stack, 'POST', '/oauth/introspect', {
    basic: [key.id, key.secret],
    form: { token: one },
  });
  expect(seen.json.scope).toBe(used.json.scope);
  return used.json.scope;
}
async function editScopes(scopes: string[]): Promise<void> {
  const path = `/deployments/etl/api-keys/${key.id}`;
  const edited = await call(stack, 'PATCH', path, { token: await stack.signIn('admin'), json: { scopes } });
  expect(edited.status).toBe(200);
}

describe("a token's scopes", () => {
  it("a token has its key's scopes, or the narrower scopes that were requested", async () => {
    expect(await scopeOf(token)).toBe('deployment:etl code:deploy airflow:read airflow:write');
    expect(await scopeOf(narrowed)).toBe('deployment:etl airflow:read airflow:write');
  });

  it("editing a key changes its tokens' scopes at the next check", async () => {
    await editScopes(['code:deploy', 'airflow:read']);
    expect(await scopeOf(token)).toBe('deployment:etl code:deploy airflow:read');
    expect(await scopeOf(narrowed)).toBe('deployment:etl airflow:read');
    await editScopes(['code:deploy']);
    expect(await scopeOf(token)).toBe('deployment:etl code:deploy');
    expect(await scopeOf(narrowed)).toBe('deployment:etl');
  });

  it("a token's scopes never exceed the requested scopes, even when the key gains scopes", async () => {
    await editScopes(['code:deploy', 'airflow:read', 'airflow:write']);
    expect(await scopeOf(token)).toBe('deployment:etl code:deploy airflow:read airflow:write');
    expect(await scopeOf(narrowed)).toBe('deployment:etl airflow:read airflow:write');
  });

  it('a token omits scopes that the stack no longer knows, and the service rejects requests for them', {
    timeout: 60_000,
  }, async () => {
    await stack.stop();
    stack = await deploy('airflow:read,jobs:run');
    expect(await scopeOf(token)).toBe('deployment:etl airflow:read');
    expect(await scopeOf(narrowed)).toBe('deployment:etl airflow:read');
    const ask = (scope: string) =>
      call(stack, 'POST', '/oauth/token', {
        basic: [key.id, key.secret],
        form: { grant_type: 'client_credentials', scope },
      });
    expect((await ask('airflow:read')).json.scope).toBe('deployment:etl airflow:read');
    expect((await ask('code:deploy')).json.error).toBe('invalid_scope');
    // The key does not get a scope that was added to the stack later.
    expect((await ask('jobs:run')).json.error).toBe('invalid_scope');
  });
});
