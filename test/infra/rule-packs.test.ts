import { CfnResource } from 'aws-cdk-lib';
import { CfnBucket } from 'aws-cdk-lib/aws-s3';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { synthesise } from '../../infra/app.ts';
import { applyRulePacks } from '../../infra/rule-packs.ts';
import type { DeploymentKeysStack } from '../../infra/stack.ts';
import { EVERYTHING } from '../support/template.ts';
import { temporaryFolder } from '../support/temporary.ts';

beforeEach(() => void vi.stubEnv('CDK_VALIDATION', 'true'));

/**
 * Synthesises with the rule packs AwsSolutions and Serverless.
 * @returns the error that stopped the synthesis, with its report, or undefined if the synthesis succeeded
 */
function refusalOf(
  context: Record<string, unknown>,
  add: (service: DeploymentKeysStack) => void = () => {},
): string | undefined {
  const report: unknown[] = [];
  vi.spyOn(console, 'error').mockImplementation((...line) => report.push(...line));
  vi.spyOn(console, 'log').mockImplementation((...line) => report.push(...line));
  try {
    synthesise(context, temporaryFolder('rule-packs'), (app, service) => {
      add(service);
      applyRulePacks(app);
    });
    return undefined;
  } catch (error) {
    return [...report, (error as Error).message].join('\n');
  }
}

describe('Synthesis applies the rule packs AwsSolutions and Serverless', { timeout: 120_000 }, () => {
  it.each([
    ['in development without settings', {}],
    [
      'in production without other settings, so with a user pool and without tracing',
      { stage: 'production' },
    ],
    ['in production with every setting', EVERYTHING],
  ])('every finding from AwsSolutions and Serverless has a documented reason %s', (_, context) => {
    expect(refusalOf(context)).toBeUndefined();
  });

  it('synthesis stops at a finding without a reason, and at a property that CloudFormation would reject', () => {
    const refusal = refusalOf({}, (service) => {
      new CfnBucket(service, 'Open');
      new CfnResource(service, 'Wrong', {
        type: 'AWS::SQS::Queue',
        properties: { VisibilityTimeout: 'a while' },
      });
    });
    expect(refusal).toContain('AwsSolutions-S10');
    expect(refusal).toContain('VisibilityTimeout');
  });
});
