import { expect, it } from 'vitest';
import { mintCredential } from '../../functions/domain/mint.ts';
import { faultyEngine } from '../support/faulty-engine.ts';
import { callAs, exchange } from '../support/service.ts';
import { call, makeDeployment, makeKey, runStack } from '../support/stack.ts';

// These tests cover the metrics of those alarms that can be triggered in the emulator.

const engine = await faultyEngine();
const stack = await runStack();

/** Returns the log lines of a function that count towards a metric. */
const counts = (functionName: string, metric: string) =>
  stack.logs
    .text(functionName)
    .split('\n')
    .filter((line) => line.startsWith('{') && metric in JSON.parse(line));

it('a call that fails because DynamoDB throttles it returns 503 and counts towards the FailedCalls alarm', async () => {
  await makeDeployment(stack, 'etl');
  const key = await makeKey(stack, 'etl');
  const leaked = mintCredential('secret', 'etl', key.id.slice(-26));
  engine.fault = { status: 400, name: 'ThrottlingException' };
  try {
    const replies = {
      'issue-token': await exchange(stack, key),
      'report-leak': await call(stack, 'POST', '/leaks', { json: { credential: leaked } }),
      'manage-keys': await callAs(stack, 'admin', 'GET', '/deployments/etl/api-keys'),
    };
    for (const [name, { status }] of Object.entries(replies)) {
      expect([name, status]).toEqual([name, 503]);
      expect(counts(name, 'CallsFailed'), name).toHaveLength(1);
    }
  } finally {
    engine.fault = undefined;
  }
  expect((await exchange(stack, key)).status).toBe(200);
  expect(counts('issue-token', 'CallsFailed')).toHaveLength(1);
});
