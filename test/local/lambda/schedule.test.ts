import { describe, expect, it, vi } from 'vitest';
import { startLocalStack } from '../../../local/local-stack.ts';
import { arnOf, Fixture } from '../../support/fixture.ts';
import { runStack } from '../../support/stack.ts';

const scheduled = (expression: string, target: { Input?: string } = {}) =>
  new Fixture()
    .function('Tick', 'exports.handler = async (event) => console.log(JSON.stringify(event));', {
      invokableBy: ['events.amazonaws.com'],
    })
    .add('Rule', 'AWS::Events::Rule', {
      ScheduleExpression: expression,
      State: 'ENABLED',
      Targets: [{ Arn: arnOf('Tick'), Id: 'Target0', ...target }],
    });
const stack = await runStack({ synthesise: scheduled('rate(15 minutes)').synthesise });
const events = () => stack.logLines('tick');

// The function's worker has to start, which can take a long time on a busy machine.
const patiently = { timeout: 20_000 };

describe('An emulated schedule invokes its function', () => {
  it("an emulated schedule is due according to the stack's clock, and only once no matter how far the clock moves", async () => {
    stack.clock.freeze(Date.UTC(2040, 0, 1));
    await vi.waitFor(() => expect(events()).toHaveLength(1), patiently);
    stack.clock.advance(14 * 60);
    stack.clock.advance(59);
    await stack.schedules[0]?.fire();
    expect(events()).toHaveLength(2);
    stack.clock.advance(1);
    await vi.waitFor(() => expect(events()).toHaveLength(3), patiently);
    expect(events()[2]).toEqual({
      version: '0',
      id: expect.any(String),
      'detail-type': 'Scheduled Event',
      source: 'aws.events',
      account: '000000000000',
      time: '2040-01-01T00:15:00Z',
      region: 'us-east-1',
      resources: [expect.stringMatching(/^arn:aws:events:us-east-1:000000000000:rule\/fixture-Rule-/)],
      detail: {},
    });
  });

  it('an emulated schedule sends the input that its rule defines', async () => {
    const input = { Input: '{"task":"tidy"}' };
    const other = await runStack({ synthesise: scheduled('rate(1 hour)', input).synthesise });
    await other.schedules[0]?.fire();
    expect(JSON.parse(other.logs.text('tick'))).toEqual({ task: 'tidy' });
  });

  it('an emulated schedule fails to start if its expression is not a rate expression', async () => {
    const starting = startLocalStack({ synthesise: scheduled('cron(0 12 * * ? *)').synthesise });
    await expect(starting).rejects.toThrow('does not know the schedule cron(0 12 * * ? *)');
  });
});
