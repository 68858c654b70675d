import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { runStack } from './support/stack.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));

const ISSUER = 'https://token.actions.githubusercontent.com';
const stack = await runStack();

/** The folder of the generated clients. Inside the project, they find openapi-fetch and the types of Node.js. */
mkdirSync(join(root, '.build'), { recursive: true });
const folder = mkdtempSync(join(root, '.build/clients-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const write = (file: string, text: string) => writeFileSync(join(folder, file), text);
write('openapi.json', await (await fetch(`${stack.url}/openapi.json`)).text());
write('package.json', '{"type": "module"}');
write(
  'tsconfig.json',
  JSON.stringify({
    compilerOptions: {
      target: 'es2024',
      lib: ['es2024', 'dom', 'dom.iterable'],
      module: 'nodenext',
      types: ['node'],
      strict: true,
      allowImportingTsExtensions: true,
      skipLibCheck: true,
      noEmit: true,
    },
  }),
);
await run(process.execPath, ['.ci/api-types/clients.mjs', join(folder, 'openapi.json'), folder], {
  cwd: root,
});

/** The environment variables that both programs read. */
const INPUTS = `
const { SERVICE = '', ADMIN = '', MEMBER = '', DEPLOYMENT: deploymentId = '', SUBJECT = '' } = process.env;
const trust = [{ issuer: '${ISSUER}', claims: { repository_id: '4711', ref: 'refs/heads/main', ref_type: 'branch' } }];
`;

/**
 * Programs that use a key from its creation to its deletion, each with a different generated client. The line after
 * `@ts-expect-error` contains a mistake that the type check must report.
 */
const PROGRAMS: Readonly<Record<string, string>> = {
  'openapi-typescript with openapi-fetch': `
import createClient from 'openapi-fetch';
import type { paths } from './types.ts';
${INPUTS}
const client = (authorization: string) =>
  createClient<paths>({ baseUrl: SERVICE, headers: { authorization } });
const [admin, member] = [client(\`Bearer \${ADMIN}\`), client(\`Bearer \${MEMBER}\`)];
const of = { params: { path: { deploymentId } } };

const registered = await admin.PUT('/deployments/{deploymentId}', { ...of, body: { name: 'ETL', groups: ['data-eng'] } });
const key = await member.POST('/deployments/{deploymentId}/api-keys', { ...of, body: { name: 'ci', scopes: ['code:deploy'] } });
if (!key.data?.secret) throw new Error('no key');
const { id: keyId, secret } = key.data;
const pipeline = client(\`Basic \${Buffer.from(\`\${keyId}:\${secret}\`).toString('base64')}\`);
const exchange = () => pipeline.POST('/oauth/token', { body: { grant_type: 'client_credentials' } });
const { data: token } = await exchange();
if (!token) throw new Error('no token');
const query = { scope: 'code:deploy', deployment: deploymentId };
const use = () => client(\`Bearer \${token.access_token}\`).GET('/whoami', { params: { query } });
const holder = await use();
const headers = { 'content-type': 'application/x-www-form-urlencoded' };
const form = { body: { token: token.access_token }, headers };
const introspection = await pipeline.POST('/oauth/introspect', form);
const ofKey = { params: { path: { deploymentId, keyId } } };
const tokens = await member.GET('/deployments/{deploymentId}/api-keys/{keyId}/tokens', ofKey);
const revoked = await pipeline.POST('/oauth/revoke', form);
const afterwards = await use();
const trusting = await member.POST('/deployments/{deploymentId}/api-keys', { ...of, body: { name: 'actions', trust } });
const explanation = await member.POST('/deployments/{deploymentId}/api-keys/{keyId}/explain', {
  params: { path: { deploymentId, keyId: trusting.data?.id ?? '' } },
  body: { subject_token: SUBJECT },
});
const deleted = await admin.DELETE('/deployments/{deploymentId}', of);
const absent = await admin.GET('/deployments/{deploymentId}', of);
const rejected = await exchange();

console.log(JSON.stringify({
  registered: registered.response.status,
  scope: token.scope,
  isHolder: holder.data?.principalId === keyId,
  isActive: introspection.data?.active,
  tokens: tokens.data?.items.length,
  revoked: revoked.response.status,
  afterwards: [afterwards.response.status, afterwards.error],
  explanation: explanation.data?.rules.map(({ differences }) => differences.map(({ kind }) => kind)),
  deleted: deleted.response.status,
  absent: absent.error && 'code' in absent.error ? absent.error.code : undefined,
  rejected: rejected.error && 'error' in rejected.error ? rejected.error.error : undefined,
}));

export const mistakes = () => {
  // @ts-expect-error
  member.POST('/deployments/{deploymentId}/api-keys', { ...of, body: {} });
  // @ts-expect-error
  member.POST('/deployments/{deploymentId}/api-keys', { ...of, body: { name: 'ci', scopes: 'code:deploy' } });
  // @ts-expect-error
  member.GET('/deployments/{deploymentId}');
  // @ts-expect-error
  pipeline.POST('/oauth/token', { body: { grant_type: 'password' } });
  // @ts-expect-error
  admin.GET('/deployments', { params: { query: { limits: 1 } } });
  // @ts-expect-error
  token.expires_in.toUpperCase();
};
`,
  '@hey-api/openapi-ts': `
import * as api from './sdk/index.ts';
import { createClient } from './sdk/client/index.ts';
${INPUTS}
const client = (auth: string) => createClient({ baseUrl: SERVICE, auth: () => auth });
const [admin, member] = [client(ADMIN), client(MEMBER)];
const of = { path: { deploymentId } };

const registered = await api.putDeployment({ client: admin, ...of, body: { name: 'ETL', groups: ['data-eng'] } });
const key = await api.createApiKey({ client: member, ...of, body: { name: 'ci', scopes: ['code:deploy'] } });
if (!key.data?.secret) throw new Error('no key');
const { id: keyId, secret } = key.data;
const pipeline = client(\`\${keyId}:\${secret}\`);
const exchange = () => api.issueToken({ client: pipeline, body: { grant_type: 'client_credentials' } });
const { data: token } = await exchange();
if (!token) throw new Error('no token');
const query = { scope: 'code:deploy', deployment: deploymentId };
const use = () => api.whoAmI({ client: client(token.access_token), query });
const holder = await use();
const form = { client: pipeline, body: { token: token.access_token } };
const introspection = await api.introspectToken(form);
const tokens = await api.listAccessTokens({ client: member, path: { deploymentId, keyId } });
const revoked = await api.revokeToken(form);
const afterwards = await use();
const trusting = await api.createApiKey({ client: member, ...of, body: { name: 'actions', trust } });
const explanation = await api.explainSubjectToken({
  client: member,
  path: { deploymentId, keyId: trusting.data?.id ?? '' },
  body: { subject_token: SUBJECT },
});
const deleted = await api.deleteDeployment({ client: admin, ...of });
const absent = await api.getDeployment({ client: admin, ...of });
const rejected = await exchange();

console.log(JSON.stringify({
  registered: registered.response?.status,
  scope: token.scope,
  isHolder: holder.data?.principalId === keyId,
  isActive: introspection.data?.active,
  tokens: tokens.data?.items.length,
  revoked: revoked.response?.status,
  afterwards: [afterwards.response?.status, afterwards.error],
  explanation: explanation.data?.rules.map(({ differences }) => differences.map(({ kind }) => kind)),
  deleted: deleted.response?.status,
  absent: absent.error && 'code' in absent.error ? absent.error.code : undefined,
  rejected: rejected.error && 'error' in rejected.error ? rejected.error.error : undefined,
}));

export const mistakes = () => {
  // @ts-expect-error
  api.createApiKey({ client: member, ...of, body: {} });
  // @ts-expect-error
  api.createApiKey({ client: member, ...of, body: { name: 'ci', scopes: 'code:deploy' } });
  // @ts-expect-error
  api.getDeployment({ client: member });
  // @ts-expect-error
  api.issueToken({ client: pipeline, body: { grant_type: 'password' } });
  // @ts-expect-error
  api.listDeployments({ client: admin, query: { limits: 1 } });
  // @ts-expect-error
  token.expires_in.toUpperCase();
};
`,
};
const files = Object.entries(PROGRAMS).map(([name, text], index) => {
  write(`program-${index}.ts`, text);
  return [name, index] as const;
});

/** A token from an issuer that the stack does not trust. Its signature is not valid. */
const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
const SUBJECT = `${encoded({ alg: 'RS256' })}.${encoded({ iss: 'https://ci.example.com' })}.AAAA`;

describe('Clients can be generated from GET /openapi.json', () => {
  it('the type check accepts programs that use the generated clients, and rejects wrong calls', async () => {
    const { stdout } = await run(join(root, 'node_modules/.bin/tsc'), ['-p', folder], { cwd: root }).catch(
      (error) => error,
    );
    expect(stdout).toBe('');
  });

  it.each(files)('a program that uses the client of %s creates, uses and deletes a key', async (_, index) => {
    const { stdout } = await run(process.execPath, [`program-${index}.ts`], {
      cwd: folder,
      env: {
        PATH: process.env.PATH,
        SERVICE: stack.url,
        ADMIN: await stack.signIn('admin'),
        MEMBER: await stack.signIn('member'),
        DEPLOYMENT: `client-${index}`,
        SUBJECT,
      },
    });
    expect(JSON.parse(stdout)).toStrictEqual({
      registered: 201,
      scope: `deployment:client-${index} code:deploy`,
      isHolder: true,
      isActive: true,
      tokens: 1,
      revoked: 200,
      afterwards: [401, { message: 'Unauthorized' }],
      explanation: [['issuer']],
      deleted: 204,
      absent: 'not_found',
      rejected: 'invalid_client',
    });
  });
});
