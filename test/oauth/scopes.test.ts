import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { type LocalStack, startLocalStack } from '../../local/local-stack.ts';
import { assemblyOf } from '../support/assembly.ts';
import { call, makeDeployment, makeKey, swap } from '../support/stack.ts';

/** One stack on kept data, which is deployed again with fewer scopes half-way. */
const dataDirectory = mkdtempSync(join(tmpdir(), 'scopes-'));
const deploy = (scopes: string) => {
  // The data folder is the embedded engine's, whichever one the other tests use.
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

/** The scope of a token by a use, and by introspection, which must agree. */
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

describe('scopes', () => {
  it('of a token are those of its key, or the fewer that were asked for', async () => {
    expect(await scopeOf(token)).toBe('deployment:etl code:deploy airflow:read airflow:write');
    expect(await scopeOf(narrowed)).toBe('deployment:etl airflow:read airflow:write');
  });

  it('of a key, edited, act on its living tokens at their next check', async () => {
    await editScopes(['code:deploy', 'airflow:read']);
    expect(await scopeOf(token)).toBe('deployment:etl code:deploy airflow:read');
    expect(await scopeOf(narrowed)).toBe('deployment:etl airflow:read');
    await editScopes([]);
    expect(await scopeOf(token)).toBe('deployment:etl');
    expect(await scopeOf(narrowed)).toBe('deployment:etl');
  });

  it('that a key gains widen a narrowed token no further than it asked', async () => {
    await editScopes(['code:deploy', 'airflow:read', 'airflow:write']);
    expect(await scopeOf(token)).toBe('deployment:etl code:deploy airflow:read airflow:write');
    expect(await scopeOf(narrowed)).toBe('deployment:etl airflow:read airflow:write');
  });

  it('that the stack no longer knows grant nothing, and cannot be asked for', {
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
    // One that the stack has gained is not the key's.
    expect((await ask('jobs:run')).json.error).toBe('invalid_scope');
  });
});
