import { afterAll, expect, it } from 'vitest';
import { DAY, startTable } from '../support/in-process.ts';
import { realService, runModel } from './model.ts';

/** Few here; npm run model does 1,000 in CI, and 100,000 by hand. */
const RUNS = 20;

const engine = await startTable();
afterAll(() => engine.stop());

it.each([
  ['with a slide interval', 300, undefined],
  ['without a slide interval, exact to the second', 0, undefined],
  ['with a cap on the age of tokens', 300, 3 * DAY],
])(
  'whatever happens, every answer is that of the model: %s',
  { timeout: 600_000 },
  async (_, interval, cap) => {
    const real = realService(engine, interval, cap);
    await runModel(real, Math.ceil(RUNS / (cap ? 4 : 1)));
    // The commands came to something.
    for (const what of ['check alive', 'check dead', 'purge step']) {
      expect(real.seen.get(what), what).toBeGreaterThan(0);
    }
  },
);
