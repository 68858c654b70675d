import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { type LocalStack, startLocalStack } from '../../local/local-stack.ts';
import { assemblyOf } from '../support/assembly.ts';
import { call, makeDeployment, makeKey, swap } from '../support/stack.ts';

/** One stack with persistent data, which is deployed again with fewer scopes halfway through. */
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

/** The scope of a token according to a use and to introspection, which must agree. */
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

describe('the scopes of a token', () => {
  it('the scopes of a token are those of its key, or the narrower ones that were requested', async () => {
    expect(await scopeOf(token)).toBe('deployment:etl code:deploy airflow:read airflow:write');
    expect(await scopeOf(narrowed)).toBe('deployment:etl airflow:read airflow:write');
  });

  it('follow an edit of the key at the next check', async () => {
    await editScopes(['code:deploy', 'airflow:read']);
    expect(await scopeOf(token)).toBe('deployment:etl code:deploy airflow:read');
    expect(await scopeOf(narrowed)).toBe('deployment:etl airflow:read');
    await editScopes(['code:deploy']);
    expect(await scopeOf(token)).toBe('deployment:etl code:deploy');
    expect(await scopeOf(narrowed)).toBe('deployment:etl');
  });

  it('never exceed the requested ones, even when the key gains scopes', async () => {
    await editScopes(['code:deploy', 'airflow:read', 'airflow:write']);
    expect(await scopeOf(token)).toBe('deployment:etl code:deploy airflow:read airflow:write');
    expect(await scopeOf(narrowed)).toBe('deployment:etl airflow:read airflow:write');
  });

  it('omit scopes that the stack no longer knows, and requests for them are rejected', {
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
    // A scope that the stack has gained is not a scope of the key.
    expect((await ask('jobs:run')).json.error).toBe('invalid_scope');
  });
});
