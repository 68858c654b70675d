import { afterAll, expect, it } from 'vitest';
import { DAY, startTable } from '../support/in-process.ts';
import { realService, runModel } from './model.ts';

/** Runs are few, to save time. In CI, `npm run verify:model` makes 1,000 runs. */
const RUNS = 20;

const engine = await startTable();
afterAll(() => engine.stop());

/** Number of times that each kind of outcome occurred in all runs. */
const seen = new Map<string, number>();

it.each([
  ['with a slide interval', 300, undefined],
  ['without a slide interval, to the second', 0, undefined],
  ['with a maximum token lifetime', 300, 3 * DAY],
])(
  'the service gives the same results as a simple model of it for any sequence of commands: %s',
  { timeout: 600_000 },
  async (_, interval, cap) => {
    const real = realService(engine, interval, cap);
    await runModel(real, Math.ceil(RUNS / (cap ? 4 : 1)));
    expect(real.seen.get('check valid')).toBeGreaterThan(0);
    for (const [what, times] of real.seen) seen.set(what, (seen.get(what) ?? 0) + times);
  },
);

it.each([
  'check valid',
  'check invalid',
  'purge step',
  'accepted sign-in',
  'rejected sign-in',
  "check of an ended person's temporary token",
  'key forbidden by the policy',
  'token looked up in a listing',
  'token revoked by its ID',
])('random commands against the model cause this outcome at least once: %s', (what) => {
  expect(seen.get(what)).toBeGreaterThan(0);
});
