import { realService, runModel } from '../model/model.ts';
import { DAY, startTable } from '../support/in-process.ts';
import { numericOptions } from '../support/options.ts';

const HELP = `Compares the service with a model of it in random runs.

  npm run verify:model [-- --runs 100000]     default: 1,000

Of every 1,100 runs, 500 have a slide interval, 500 are exact to the second, and 100 have a maximum age of tokens. Prints the
progress and how often each kind of step occurred. Ends at the first run that differs, and prints its seed.`;
const { runs: all } = numericOptions(HELP, { runs: 1000 });
/** Number of runs per table. Each table has a new engine, so that memory does not grow without limit. */
const ROUND = 100;
const rules = [
  { name: 'slideInterval 300', interval: 300, cap: undefined, rounds: 5 },
  { name: 'slideInterval 0', interval: 0, cap: undefined, rounds: 5 },
  { name: 'maxTokenLifetime 3 days', interval: 300, cap: 3 * DAY, rounds: 1 },
].map((one) => ({ ...one, runs: 0, seen: new Map<string, number>() }));
const turns = rules.flatMap((one) => Array.from({ length: one.rounds }, () => one));

const began = performance.now();
for (let done = 0, turn = 0; done < all; turn++) {
  const one = turns[(turn * 6) % turns.length] as (typeof turns)[number];
  const count = Math.min(ROUND, all - done);
  const engine = await startTable();
  const real = realService(engine, one.interval, one.cap);
  await runModel(real, count);
  await engine.stop();
  for (const [what, times] of real.seen) one.seen.set(what, (one.seen.get(what) ?? 0) + times);
  one.runs += count;
  done += count;
  const seconds = Math.round((performance.now() - began) / 1000);
  console.log(`${seconds} s: ${done} runs of ${all} agree with the model`);
}
for (const { name, runs, seen } of rules) {
  console.log(`${name}: ${runs} runs agree with the model;`, Object.fromEntries(seen));
}
process.exit();
