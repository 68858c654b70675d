/**
 * The model test as long as one likes: `npm run model -- --runs 100000`. Half of the runs have a slide interval, half are
 * exact to the second, and a tenth more have a cap on the age of tokens. Prints progress and what was seen.
 */
import { parseArgs } from 'node:util';
import { DAY, startTable } from '../support/in-process.ts';
import { realService, runModel } from './model.ts';

const { values } = parseArgs({ options: { runs: { type: 'string', default: '1000' } } });
const runs = Number(values.runs);
/** Runs with one table: the engine's file does not grow for ever. */
const ROUND = 500;

const began = performance.now();
for (const [name, interval, cap, share] of [
  ['slideInterval 300', 300, undefined, 0.5],
  ['slideInterval 0', 0, undefined, 0.5],
  ['maxTokenLifetime 3 days', 300, 3 * DAY, 0.1],
] as const) {
  const seen = new Map<string, number>();
  for (let left = Math.ceil(runs * share); left > 0; left -= ROUND) {
    const engine = await startTable();
    const real = realService(engine, interval, cap);
    await runModel(real, Math.min(ROUND, left));
    await engine.stop();
    for (const [what, count] of real.seen) seen.set(what, (seen.get(what) ?? 0) + count);
    const seconds = Math.round((performance.now() - began) / 1000);
    console.log(`${seconds} s, ${name}: ${Math.max(0, left - ROUND)} runs to go`);
  }
  console.log(`${name}: ${Math.ceil(runs * share)} runs agree with the model;`, Object.fromEntries(seen));
}
process.exit();
