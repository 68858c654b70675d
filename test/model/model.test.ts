import { afterAll, expect, it } from 'vitest';
import { DAY, startTable } from '../support/in-process.ts';
import { realService, runModel } from './model.ts';

/** Does only a few runs. In CI, `npm run model` does 1,000. */
const RUNS = 20;

const engine = await startTable();
afterAll(() => engine.stop());

it.each([
  ['with a slide interval', 300, undefined],
  ['without a slide interval, to the second', 0, undefined],
  ['with a maximum token lifetime', 300, 3 * DAY],
])(
  'the service responds like the model after any sequence of commands: %s',
  { timeout: 600_000 },
  async (_, interval, cap) => {
    const real = realService(engine, interval, cap);
    await runModel(real, Math.ceil(RUNS / (cap ? 4 : 1)));
    // Checks that enough of the commands had an effect.
    const always = ['check alive', 'check dead', 'purge step', 'accepted sign-in'];
    // A quarter of the runs might not contain these.
    const often = cap ? [] : ['rejected sign-in', "check of an ended person's temporary token"];
    for (const what of [...always, ...often]) {
      expect(real.seen.get(what), what).toBeGreaterThan(0);
    }
  },
);
