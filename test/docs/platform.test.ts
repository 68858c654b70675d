import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readSettings } from '../../infra/settings.ts';
import { evaluate } from '../../local/aws/policy.ts';
import { snippet } from '../support/snippets.ts';
import { runStack } from '../support/stack.ts';

const [, platformPrincipals = ''] = /platformPrincipals=(\S+)/.exec(snippet('platform.md', 'console')) ?? [];

it('docs/platform.md: the stack accepts the documented setting', () => {
  expect(readSettings({ platformPrincipals }).platformPrincipals).toHaveLength(2);
});

it('docs/platform.md: the policy allows every call under /platform and no other call', () => {
  const policy = JSON.parse(snippet('platform.md', 'json'));
  const api = 'arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5/$default';
  expect(evaluate(policy, `${api}/PUT/platform/deployments/etl`)).toBe('allowed');
  expect(evaluate(policy, `${api}/GET/deployments`)).toBe('not allowed');
  expect(evaluate(policy, `${api}2/GET/platform/deployments`)).toBe('not allowed');
  expect(snippet('platform.md', 'hcl')).toContain(`default = "${api}"`);
});

it('docs/platform.md: the workflow assumes a listed role', () => {
  const { register } = parse(snippet('platform.md', 'yaml')).jobs;
  expect(platformPrincipals.split(',')).toContain(register.steps[0].with['role-to-assume']);
  expect(register.permissions).toStrictEqual({ 'id-token': 'write' });
});

describe('docs/platform.md: the commands', async () => {
  const role = 'arn:aws:iam::000000000000:role/ci/platform';
  const stack = await runStack({ context: { platformPrincipals: role } });
  const run = (session: string) => {
    const { accessKeyId, secretAccessKey, sessionToken = '' } = stack.credentialOf(session);
    const script = ['set -euo pipefail; store_secret() { cat; }', snippet('platform.md', 'sh')].join('\n');
    return promisify(execFile)('bash', ['--norc', '-c', script], {
      env: {
        PATH: process.env.PATH,
        PLATFORM_URL: stack.url,
        RUN_ID: 'run-7',
        AWS_REGION: 'us-east-1',
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
        AWS_SESSION_TOKEN: sessionToken,
      },
    });
  };

  it('the commands in docs/platform.md register a Deployment and create a key', async () => {
    const { stdout } = await run('arn:aws:sts::000000000000:assumed-role/platform/run-7');
    expect(stdout).toMatch(/^\{"id":"etl".*\}dks_etl_\w+$/);
  });

  it('the commands in docs/platform.md fail for a role that is not listed', async () => {
    await expect(run('arn:aws:sts::000000000000:assumed-role/other/run-7')).rejects.toMatchObject({
      stdout: expect.stringContaining('not one of the platformPrincipals'),
    });
  });
});
