import { RACES, runRace } from '../faults/races.ts';
import { startTable } from '../support/in-process.ts';
import { numericOptions } from '../support/options.ts';

const HELP = `Runs each race many times and prints how often each outcome occurred. A forbidden outcome ends the run.

  npm run verify:races [-- --times 100]     default: 1,000`;
const { times } = numericOptions(HELP, { times: 1000 });
for (const race of RACES) {
  const engine = await startTable();
  const began = performance.now();
  const counts = await runRace(engine, race, times);
  const seconds = Math.round((performance.now() - began) / 1000);
  console.log(`${race.title} (${times} times, ${seconds} s)`);
  for (const [end, count] of [...counts].sort()) console.log(`  ${count}  ${end}`);
  await engine.stop();
}
process.exit();
