import { request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { arnOf, Fixture } from '../support/fixture.ts';
import { call, runStack } from '../support/stack.ts';

const stack = await runStack({ operationsPort: 0 });
const operations = String(stack.operationsUrl);

describe('A local stack has an endpoint for operators', () => {
  it('the operator endpoint shows the engine, the table, every queue with its messages, and every schedule', async () => {
    stack.queue('PeopleJobFailures').send('{"poison":true}');
    const { status, json } = await call(operations, 'GET', '/');
    expect(status).toBe(200);
    expect(json).toStrictEqual({
      engine: stack.engineEndpoint,
      table: stack.table.name,
      queues: expect.toSatisfy((queues: { name: string }[]) => queues.length === 6),
      schedules: [
        { name: 'PurgeSources/Schedule', expression: 'rate(15 minutes)', functions: ['purge'] },
        { name: 'KeySweep/Schedule', expression: 'rate(1 day)', functions: ['sweep-keys'] },
        { name: 'KeySweep/Hourly', expression: 'rate(1 hour)', functions: ['sweep-keys'] },
        { name: 'PeopleJob/Schedule', expression: 'rate(15 minutes)', functions: ['end-access'] },
        { name: 'Reconciliation/Schedule', expression: 'rate(15 minutes)', functions: ['reconcile'] },
      ],
    });
    expect(json.queues).toContainEqual({
      name: 'PurgeSources/Continuations',
      isDeadLetterQueue: false,
      messages: 0,
    });
    expect(json.queues).toContainEqual({ name: 'PeopleJob/Failures', isDeadLetterQueue: true, messages: 1 });
  });

  it('the operator endpoint shows the messages in a dead-letter queue without removing them', async () => {
    const queue = stack.queue('EventBusStreamFailures');
    const { messageId } = queue.send('{"position":1}');
    const shown = await call(operations, 'GET', '/queues/EventBus/StreamFailures');
    expect(shown.json).toStrictEqual({
      messages: [{ messageId, sentAt: expect.any(String), receiveCount: 0, body: '{"position":1}' }],
    });
    expect(queue.messages).toHaveLength(1);
  });

  it('the operator endpoint shows the state of each alarm with its condition and values', async () => {
    const { alarms } = (await call(operations, 'GET', '/alarms')).json;
    expect(alarms).toHaveLength(28);
    expect(alarms).toContainEqual({
      name: 'deployment-api-keys-development-FailedPeopleJobs',
      state: 'ALARM',
      condition: '>= 1 in 1 of 1 periods of 300 s',
      values: [1],
      description: expect.stringContaining('docs/runbook.md#failed-jobs-about-people'),
    });
    expect(alarms).toContainEqual(
      expect.objectContaining({ name: 'deployment-api-keys-development-FailedCalls', state: 'OK' }),
    );
  });

  it('the operator endpoint runs a schedule immediately, waits for the function and reports its success', async () => {
    const run = await call(operations, 'POST', '/schedules/Reconciliation/Schedule');
    expect([run.status, run.json]).toStrictEqual([200, { outcome: 'succeeded' }]);
    expect(stack.logs.text('reconcile')).toContain('"message":"reconciled"');
    await call(operations, 'POST', '/schedules/KeySweep/Schedule');
    expect(stack.logs.text('sweep-keys')).toContain('"message":"keys swept"');
  });

  it('the operator endpoint reports why a scheduled function failed', async () => {
    const failing = new Fixture()
      .function('Tick', 'exports.handler = async () => { throw new Error("no table") };', {
        invokableBy: ['events.amazonaws.com'],
      })
      .add('Rule', 'AWS::Events::Rule', {
        ScheduleExpression: 'rate(1 hour)',
        State: 'ENABLED',
        Targets: [{ Arn: arnOf('Tick'), Id: 'Target0' }],
      });
    const { operationsUrl } = await runStack({ synthesise: failing.synthesise, operationsPort: 0 });
    const run = await call(String(operationsUrl), 'POST', '/schedules/Rule');
    expect([run.status, run.json]).toStrictEqual([500, { outcome: 'failed', failures: ['no table'] }]);
  });

  it.each([
    ['POST', '/'],
    ['GET', '/schedules/Reconciliation/Schedule'],
    ['POST', '/schedules/None'],
  ])('the operator endpoint returns 404 for %s %s, and lists the available calls', async (method, path) => {
    const { status, json } = await call(operations, method, path);
    expect(status).toBe(404);
    expect(json.calls).toContain('POST /schedules/Reconciliation/Schedule');
    expect(json.calls).toContain('GET /queues/PeopleJob/Failures');
  });

  it("the operator endpoint rejects calls from pages in a browser, even if the page's host name leads to the endpoint", async () => {
    const headers = { origin: 'https://evil.example' };
    expect((await call(operations, 'GET', '/', { headers })).status).toBe(403);
    // This call does not use fetch, because fetch does not allow the caller to set the Host header.
    const status = await new Promise((resolve, reject) => {
      request(operations, { headers: { host: 'evil.example' } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(403);
  });

  it('a local stack has no operator endpoint unless a port is set', async () => {
    const plain = new Fixture().synthesise;
    expect((await runStack({ synthesise: plain })).operationsUrl).toBeUndefined();
  });
});
