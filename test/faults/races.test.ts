import { afterAll, expect, it } from 'vitest';
import { startTable } from '../support/in-process.ts';
import { RACES, runRace } from './races.ts';

/** Runs each race a few times. `npm run verify:races` runs each race a thousand times. */
const TIMES = Number(process.env.RACES ?? 10);

const engine = await startTable();
afterAll(() => engine.stop());

it.each(RACES.map((race) => [race.title, race] as const))('%s', { timeout: 600_000 }, async (_, race) => {
  const counts = await runRace(engine, race, TIMES);
  expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(TIMES);
});
