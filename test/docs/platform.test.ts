import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readSettings } from '../../infra/settings.ts';
import { evaluate } from '../../local/aws/policy.ts';
import { awsEnvironment } from '../support/command-line.ts';
import { snippet } from '../support/snippets.ts';
import { runStack } from '../support/stack.ts';
import { temporaryFolder } from '../support/temporary.ts';

const [, platformPrincipals = ''] = /platformPrincipals=(\S+)/.exec(snippet('platform.md', 'console')) ?? [];

it('the stack accepts the setting in docs/platform.md', () => {
  expect(readSettings({ platformPrincipals }).platformPrincipals).toHaveLength(2);
});

it('the policy in docs/platform.md allows every call under /platform and no other call', () => {
  const policy = JSON.parse(snippet('platform.md', 'json'));
  const api = 'arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5/$default';
  expect(evaluate(policy, `${api}/PUT/platform/deployments/etl`)).toBe('allowed');
  expect(evaluate(policy, `${api}/GET/deployments`)).toBe('not allowed');
  expect(evaluate(policy, `${api}2/GET/platform/deployments`)).toBe('not allowed');
  expect(snippet('platform.md', 'hcl')).toContain(`default = "${api}"`);
});

it("the workflow in docs/platform.md assumes a listed role, checks out the repository and sets the script's variables", () => {
  const { register } = parse(snippet('platform.md', 'yaml')).jobs;
  const [checkout, credentials, script] = register.steps;
  expect(checkout.uses).toMatch(/^actions\/checkout@/);
  expect(platformPrincipals.split(',')).toContain(credentials.with['role-to-assume']);
  expect(register.permissions).toStrictEqual({ contents: 'read', 'id-token': 'write' });
  expect(Object.keys(script.env)).toStrictEqual(['PLATFORM_URL', 'RUN_ID']);
});

describe('The commands in docs/platform.md work', async () => {
  const role = 'arn:aws:iam::000000000000:role/ci/platform';
  const session = 'arn:aws:sts::000000000000:assumed-role/platform/run-7';
  const user = 'arn:aws:iam::000000000000:user/ops/ada';
  const stack = await runStack({ context: { platformPrincipals: `${role},${user}` } });
  const folder = temporaryFolder('platform');
  const script = join(folder, 'register-deployment.sh');
  writeFileSync(script, snippet('platform.md', 'sh'));
  // This script stands in for the AWS CLI, and prints what it would store.
  writeFileSync(join(folder, 'aws'), '#!/bin/sh\nexec cat\n', { mode: 0o755 });

  const run = (arn: string, runId: string) => {
    const credentials = stack.credentialOf(arn);
    return promisify(execFile)('sh', [script], {
      env: {
        PATH: `${folder}:${process.env.PATH}`,
        PLATFORM_URL: stack.url,
        RUN_ID: runId,
        ...awsEnvironment(credentials),
        ...(credentials.sessionToken && { AWS_SESSION_TOKEN: credentials.sessionToken }),
      },
    });
  };

  it.each([
    ['a role', session, 'run-1'],
    ['a user, who has no session token', user, 'run-2'],
  ])(
    'the commands in docs/platform.md register a Deployment and create a key as %s',
    async (_, arn, runId) => {
      expect((await run(arn, runId)).stdout).toMatch(/^\{"id":"etl".*\}dks_etl_\w+$/);
    },
  );

  it('the commands in docs/platform.md fail when they are repeated, and do not store an empty secret', async () => {
    await run(session, 'run-7');
    await expect(run(session, 'run-7')).rejects.toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^\{"id":"etl".*\}$/),
      stderr: 'This run has already created the key. A retry does not show the secret again.\n',
    });
  });

  it('the commands in docs/platform.md fail for a role that is not listed', async () => {
    await expect(run('arn:aws:sts::000000000000:assumed-role/other/run-7', 'other')).rejects.toMatchObject({
      stdout: expect.stringContaining('not one of the platformPrincipals'),
    });
  });
});
