import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { functionNames } from '../../infra/bundle.ts';
import { createCanaries, sendEverywhere, tracesOf } from '../support/canaries.ts';
import { runStack } from '../support/stack.ts';
import { temporaryFolder } from '../support/temporary.ts';

/**
 * The test sends a known secret of each kind with every call, in every right or wrong place where a caller might put
 * it. Afterwards, none of these secrets may occur anywhere except in the response that returned it.
 */
const directory = temporaryFolder('canary');
// The test reads the embedded engine's files, regardless of the engine that other tests use.
vi.stubEnv('DYNAMODB_ENDPOINT', '');
const stack = await runStack({ dataDirectory: directory });

it('#31 a known secret that is sent through every path and error never appears in logs, metrics, the table, URLs or errors', {
  timeout: 300_000,
}, async () => {
  const id = 'canary';
  await stack.register(id);
  const made = await createCanaries(stack, id);
  const { token, temporary, person } = made.canaries;
  // These calls fail with an internal error.
  await expect(
    stack.invoke('authorize', { type: 'TOKEN', authorizationToken: `Bearer ${token}` }),
  ).rejects.toThrow();
  await expect(
    stack.invoke('manage-keys', { headers: { authorization: `Bearer ${person}` } }),
  ).resolves.toBeDefined();
  const replies = await sendEverywhere(stack, made);
  expect(replies.at(-1)?.status).toBe(202);
  await stack.waitForDelivery(60_000);

  const logs = stack.logs.text();
  const items = JSON.stringify([
    ...(await stack.partition(`DEPLOYMENT#${id}`)),
    ...(await stack.partition(`EVENTS#${id}`)),
  ]);
  await stack.stop();
  const files = readdirSync(directory).map((name) => readFileSync(join(directory, name)).toString('latin1'));
  expect(files.join('').length).toBeGreaterThan(10_000);
  expect(logs.length).toBeGreaterThan(10_000);
  const answers = replies
    .map(({ status, text, headers }) => `${status} ${text} ${JSON.stringify(headers)}`)
    .join('\n');
  for (const text of [logs, items, files.join('\n'), answers]) {
    expect(tracesOf(made.canaries, text)).toEqual([]);
  }
  // The hash of a credential is in the table, but not in any log.
  const { person: _, ...credentials } = made.canaries;
  for (const [name, canary] of Object.entries(credentials)) {
    const hash = createHash('sha256').update(canary).digest('base64url');
    expect(logs.includes(hash), `hash of ${name} in the logs`).toBe(false);
    expect(answers.includes(hash), `hash of ${name} in an answer`).toBe(false);
  }
  // Lambda would wrap output of the global console in its own log line, which hides metrics from CloudWatch.
  for (const name of functionNames()) {
    for (const line of stack.logs.text(name).split('\n').filter(Boolean)) {
      const { message, ...others } = JSON.parse(line);
      const isByConsole = Object.keys(others).toSorted().join() === 'level,requestId,timestamp';
      // Lambda itself logs a line with the same fields about a failed call.
      expect(isByConsole && message.errorType === undefined, `${name}: ${line}`).toBe(false);
    }
  }
  // Checks that the search can find a value that is present.
  expect(files.join('\n')).toContain(createHash('sha256').update(temporary).digest('base64url'));
});
