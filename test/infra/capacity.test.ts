import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import fc from 'fast-check';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { bundleFunctions } from '../../infra/bundle.ts';
import type { Capacity } from '../../infra/settings.ts';
import { DeploymentKeysStack } from '../../infra/stack.ts';
import { sample } from '../support/generated.ts';
import type { Json } from '../support/template.ts';

beforeAll(() => {
  bundleFunctions();
  // Skips the validation of the template, which takes longer than creating it. Other tests validate the template.
  vi.stubEnv('CDK_VALIDATION', 'false');
});

/**
 * The stack's background jobs by construct ID, each with the write limit of an invocation and the number of concurrent
 * invocations.
 */
type Jobs = Record<string, { unitsPerSecond: string | undefined; invocations: number }>;

/** Number of shards of the table's stream. A new table has four partitions, and each partition has one shard. */
const shardsOf = ({ maxRead, maxWrite }: Capacity) => Math.max(4, maxRead / 3000 + maxWrite / 1000);

/**
 * Reads from the template which functions are started by event sources and schedules, and how many invocations run
 * concurrently.
 */
function jobsOf(capacity: Capacity | undefined): Jobs {
  const settings = capacity && { capacity };
  const stack = new DeploymentKeysStack(new App(), 'Keys', { settings });
  const resources = Object.entries<Json>(Template.fromStack(stack).toJSON().Resources);
  const ofType = (type: string) => resources.filter(([, { Type }]) => Type === type);
  const mappings = ofType('AWS::Lambda::EventSourceMapping').map(([, { Properties }]) => Properties);
  const rules = ofType('AWS::Events::Rule').map(([, { Properties }]) => Properties);
  const invocations = ({ ParallelizationFactor, ScalingConfig, ...mapping }: Json) =>
    'StartingPosition' in mapping
      ? (ParallelizationFactor ?? 1) * (capacity ? shardsOf(capacity) : 4)
      : (ScalingConfig?.MaximumConcurrency ?? Number.POSITIVE_INFINITY);
  const jobs: Jobs = {};
  for (const [id, { Properties }] of ofType('AWS::Lambda::Function')) {
    const queued = mappings.filter(({ FunctionName }) => FunctionName.Ref === id).map(invocations);
    const scheduled = rules.flatMap(({ Targets = [] }) =>
      Targets.filter(({ Arn }: Json) => Arn['Fn::GetAtt']?.[0] === id).map(() => 1),
    );
    const all = [...queued, ...scheduled].reduce((sum, one) => sum + one, 0);
    const { WRITE_UNITS_PER_SECOND: unitsPerSecond } = Properties.Environment?.Variables ?? {};
    // This function publishes events and has no access to the table.
    const isJob = all > 0 && Properties.Environment?.Variables.TABLE_NAME !== undefined;
    if (isJob) jobs[id.replace(/Function.*/, '')] = { unitsPerSecond, invocations: all };
  }
  return jobs;
}

describe('Background jobs share the write capacity of a table with provisioned capacity', () => {
  it('background jobs run a limited number of invocations concurrently, each with the same share of the write capacity', () => {
    const capacity = { minRead: 100, maxRead: 1000, minWrite: 100, maxWrite: 500, utilization: 60 };
    expect(jobsOf(capacity)).toStrictEqual({
      EndAccess: { unitsPerSecond: '1.92', invocations: 3 },
      SweepKeys: { unitsPerSecond: '1.92', invocations: 2 },
      Purge: { unitsPerSecond: '1.92', invocations: 7 },
      Reconcile: { unitsPerSecond: '1.92', invocations: 1 },
    });
  });

  it('background jobs use at most a quarter of the minimum write capacity, even if all of them run concurrently', {
    timeout: 120_000,
  }, () => {
    const units = (least: number) =>
      fc.oneof(fc.integer({ min: least, max: 100 }), fc.integer({ min: 100, max: 40_000 }));
    const capacities = fc
      .tuple(units(1), units(1), units(25), units(25))
      .map(([read1, read2, write1, write2]) => ({
        minRead: Math.min(read1, read2),
        maxRead: Math.max(read1, read2),
        minWrite: Math.min(write1, write2),
        maxWrite: Math.max(write1, write2),
        utilization: 60,
      }));
    const smallest = { minRead: 1, maxRead: 1, minWrite: 25, maxWrite: 25, utilization: 60 };
    const largest = { ...smallest, maxRead: 40_000, maxWrite: 40_000 };
    fc.assert(
      fc.property(capacities, (capacity) => {
        const jobs = Object.values(jobsOf(capacity));
        const sum = jobs.reduce((total, { unitsPerSecond, invocations }) => {
          expect(unitsPerSecond).toMatch(/^\d{1,5}\.\d{2}$/);
          return total + Number(unitsPerSecond) * invocations;
        }, 0);
        expect(sum).toBeLessThanOrEqual(capacity.minWrite / 4);
        // Together, the jobs use the whole quarter, except for what is lost by rounding down.
        expect(sum).toBeGreaterThan((capacity.minWrite / 4) * 0.8);
      }),
      { numRuns: sample(40), examples: [[smallest], [largest]] },
    );
  });
});

it('background jobs have no write limit on an on-demand table', () => {
  const limits = Object.values(jobsOf(undefined)).map(({ unitsPerSecond }) => unitsPerSecond);
  expect(limits).toStrictEqual([undefined, undefined, undefined, undefined]);
});
