import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { promisify } from 'node:util';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { makeDeployment, makeKey, runStack } from '../support/stack.ts';

const text = readFileSync(new URL('../../docs/keys.md', import.meta.url), 'utf8');
const blocks = (language: string) =>
  [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, of, block = '']) =>
    of === language ? [block] : [],
  );

const keys = await generateKeyPair('RS256');
const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'one', alg: 'RS256' };
let ciIssuer = '';
const server = createServer((request, response) => {
  const discovery = { issuer: ciIssuer, jwks_uri: `${ciIssuer}/keys` };
  response.end(JSON.stringify(request.url === '/keys' ? { keys: [jwk] } : discovery));
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
afterAll(() => server.close());
const address = server.address();
ciIssuer = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
const stack = await runStack({ context: { trustedIssuers: [ciIssuer] } });

it('the commands do what the document says, in their order', { timeout: 60_000 }, async () => {
  await makeDeployment(stack, 'etl');
  const key = await makeKey(stack, 'etl');
  const ciToken = await new SignJWT({ repository_id: '4711' })
    .setProtectedHeader({ alg: 'RS256', kid: 'one' })
    .setIssuer(ciIssuer)
    .setAudience(stack.url)
    .setExpirationTime('5m')
    .sign(keys.privateKey);
  const script = ['set -euo pipefail', ...blocks('sh'), 'echo done'].join('\n');
  const { stdout } = await promisify(execFile)('bash', ['-c', script], {
    env: {
      PATH: process.env.PATH,
      KEYS_URL: stack.url,
      KEYS: `${stack.url}/deployments/etl/api-keys`,
      PERSON: await stack.signIn('member'),
      KEY_ID: key.id,
      KEY_SECRET: key.secret,
      CI_ISSUER: ciIssuer,
      CI_TOKEN: ciToken,
    },
  });
  const lines = stdout.trim().split('\n');
  expect(blocks('sh')).toHaveLength(6);
  expect(lines).toStrictEqual(['"api_key.edited"', 'true', expect.stringMatching(/^"dkt_etl_/), 'done']);
});

it('the steps of GitHub and GitLab are YAML and ask for the exchange', () => {
  const [github, gitlab] = blocks('yaml').map((block) => parse(block));
  expect(github[0].run).toContain('urn:ietf:params:oauth:grant-type:token-exchange');
  expect(gitlab.deploy.script[0]).toContain('urn:ietf:params:oauth:grant-type:token-exchange');
  expect(gitlab.deploy.id_tokens.SUBJECT.aud).toMatch(/^https:/);
});
