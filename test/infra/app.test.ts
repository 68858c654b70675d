import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { App, type Stack } from 'aws-cdk-lib';
import { Annotations, Match } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { STACK_ID, synthesise } from '../../infra/app.ts';
import { ConfigError } from '../../infra/settings.ts';
import { DeploymentKeysStack } from '../../infra/stack.ts';
import { ARN, templateOf, WITH_ISSUER } from '../support/template.ts';
import { temporaryFolder } from '../support/temporary.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const readJson = (path: string) => JSON.parse(readFileSync(join(root, path), 'utf8'));

const outdir = temporaryFolder('app');

/** Runs the app as the CDK CLI does, with the context and the output directory in environment variables. */
function runAsCdk(context: Record<string, unknown>): Promise<{ code: number; stderr: string }> {
  const env = {
    ...process.env,
    CDK_VALIDATION: 'true',
    CDK_OUTDIR: outdir,
    CDK_CONTEXT_JSON: JSON.stringify({
      ...readJson('cdk.json').context,
      'aws:cdk:enable-path-metadata': true,
      'aws:cdk:enable-asset-metadata': true,
      ...context,
    }),
  };
  return new Promise((resolve) => {
    execFile(process.execPath, ['infra/app.ts'], { cwd: root, env }, (error, _stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stderr }),
    );
  });
}

describe('The CDK app synthesises the stack from its context', () => {
  it('the app gives the CDK CLI the same template as a program that calls synthesise', {
    timeout: 180_000,
  }, async () => {
    expect(await runAsCdk(WITH_ISSUER)).toStrictEqual({ code: 0, stderr: '' });
    expect(JSON.parse(readFileSync(join(outdir, `${STACK_ID}.template.json`), 'utf8'))).toStrictEqual(
      templateOf(WITH_ISSUER).toJSON(),
    );
  });

  it('the app stops with an error about the invalid setting, not with a stack trace', async () => {
    expect(await runAsCdk({ stage: 'prod' })).toStrictEqual({
      code: 1,
      stderr: 'stage must be development or production, for example -c stage=production.\n',
    });
  });

  it('for an invalid setting, synthesise throws an error with the sentence that the CDK CLI prints', () => {
    expect(() => synthesise({ slideInterval: 'never' }, outdir)).toThrow(
      /^slideInterval must be whole seconds from 0 to 86400, for example -c slideInterval=300\.$/,
    );
  });

  it('the app names the stack after its stage, so that two stages can exist in one account', () => {
    const nameOf = (stage: string) => synthesise({ stage }, outdir).getStackArtifact(STACK_ID).stackName;
    expect(nameOf('development')).toBe('deployment-api-keys-development');
    expect(nameOf('production')).toBe('deployment-api-keys-production');
  });

  it('termination protection is on only for production stacks', () => {
    const isProtected = (stage: string) =>
      synthesise({ stage }, outdir).getStackArtifact(STACK_ID).terminationProtection;
    expect([isProtected('production'), isProtected('development')]).toEqual([true, false]);
  });

  it('cdk.json has the feature flags that the installed CDK version recommends', () => {
    const { 'cli-telemetry': _, ...flags } = readJson('cdk.json').context;
    expect(flags).toStrictEqual(readJson('node_modules/aws-cdk-lib/recommended-feature-flags.json'));
  });

  it('two configurations that differ only in token lifetimes produce the same resources', () => {
    const ids = (context: Record<string, unknown>) => Object.keys(templateOf(context).toJSON().Resources);
    expect(ids({ ...WITH_ISSUER, tokenLifetime: '3', slideInterval: '0' })).toStrictEqual(ids(WITH_ISSUER));
  });
});

describe('Synthesis checks who is allowed to administer the stack', () => {
  it("synthesis rejects an IAM principal from another account if the stack's own account is known", () => {
    const settings = { ...WITH_ISSUER, platformPrincipals: [ARN.PRINCIPAL] };
    const of = (account: string) => () =>
      new DeploymentKeysStack(new App(), STACK_ID, { settings, env: { account, region: 'eu-west-1' } });
    expect(of('111122223333')).not.toThrow();
    expect(of('444455556666')).toThrow(
      new ConfigError(
        "platformPrincipals must be of the stack's own account, " +
          'for example -c platformPrincipals=arn:aws:iam::444455556666:role/platform.',
      ),
    );
  });

  const warningsOf = (context: Record<string, unknown>) => {
    const stack = new DeploymentKeysStack(new App(), STACK_ID, { settings: context });
    return Annotations.fromStack(stack as Stack)
      .findWarning('*', Match.anyValue())
      .map((warning) => warning.entry.data);
  };

  it('synthesis warns if the settings allow nobody to register a Deployment', () => {
    expect(warningsOf({ issuer: WITH_ISSUER.issuer, audience: 'keys' })).toStrictEqual([
      'Nobody can register a Deployment: set adminGroup, adminScope or platformPrincipals, ' +
        'for example -c adminGroup=platform-admins. [ack: deployment-api-keys:no-administrators]',
    ]);
  });

  it('synthesis does not warn if administrators are configured', () => {
    expect(warningsOf(WITH_ISSUER)).toStrictEqual([]);
    expect(warningsOf({ ...WITH_ISSUER, adminGroup: undefined, adminScope: 'admin' })).toStrictEqual([]);
    const platform = { issuer: WITH_ISSUER.issuer, audience: 'keys', platformPrincipals: ARN.PRINCIPAL };
    expect(warningsOf(platform)).toStrictEqual([]);
    expect(warningsOf({})).toStrictEqual([]);
  });
});
