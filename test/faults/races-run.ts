/** Each race many times: `npm run races -- --times 1000`. Prints how often each end came. */
import { parseArgs } from 'node:util';
import { startTable } from '../support/in-process.ts';
import { RACES, runRace } from './races.ts';

const { values } = parseArgs({ options: { times: { type: 'string', default: '1000' } } });
for (const race of RACES) {
  const engine = await startTable();
  const began = performance.now();
  const counts = await runRace(engine, race, Number(values.times));
  const seconds = Math.round((performance.now() - began) / 1000);
  console.log(`${race.title} (${values.times} times, ${seconds} s)`);
  for (const [end, count] of [...counts].sort()) console.log(`  ${count}  ${end}`);
  await engine.stop();
}
process.exit();
