/**
 * The purge at scale, `npm run purge-scale`: time per 1,000 items from 1,000 to 100,000 tokens with 1,000 keys, memory, and
 * the same with the purge killed at random points. Without the engine's stream, whose growth slows its writes: the
 * handler gets the event that the stream would have held.
 */
import { parseArgs } from 'node:util';
import { purgeFromQueue, purgeFromStream } from '../../functions/handlers/purge.ts';
import { inProcess, must, removal, startTable } from '../support/in-process.ts';
import { fill } from '../support/many-items.ts';

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', multiple: true, default: ['1000', '3000', '10000', '30000', '100000'] },
    kills: { type: 'string', default: '10000' },
  },
});

/** As on Lambda: a run has a minute, and leaves what is left to the next one ten seconds before. */
const RUN = 50_000;
const KEYS = 1000;

let killIn: number | undefined;
const admin = { as: 'admin' };

async function purgeOf(tokens: number, kills: boolean): Promise<void> {
  const engine = await startTable();
  let requests = 0;
  const service = inProcess(engine, {
    around: (when) => {
      requests += when === 'before' ? 1 : 0;
      if (killIn === undefined || killIn-- > 0) return;
      killIn = undefined;
      throw new Error('killed');
    },
  });
  const id = 'big';
  await service.register(id);
  await service.register('neighbour');
  const key = await service.makeKey('neighbour');
  const token = await service.swap(key);
  const generation = String((await service.partition(`DEPLOYMENT#${id}`))[0]?.generation);
  await fill(service.table, { deploymentId: id, generation, keys: KEYS, tokens });
  must(await service.call('DELETE', `/deployments/${id}`, admin), 204);

  globalThis.gc?.();
  let peak = 0;
  const meter = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().heapUsed);
  }, 20);
  requests = 0;
  const began = performance.now();
  let runs = 0;
  let died = 0;
  const record = removal({ pk: `DEPLOYMENT#${id}`, sk: 'DEPLOYMENT' }, generation);
  const attempt = async (work: (hasTime: () => boolean) => Promise<{ batchItemFailures: object[] }>) => {
    for (;;) {
      const end = performance.now() + RUN;
      runs++;
      if (kills) killIn = Math.floor(Math.random() * 120);
      const { batchItemFailures } = await work(() => performance.now() < end);
      killIn = undefined;
      if (batchItemFailures.length === 0) return;
      died++;
    }
  };
  await attempt((hasTime) => purgeFromStream([record], hasTime, service.purge));
  for (let task = service.deferred.shift(); task; task = service.deferred.shift()) {
    const body = JSON.stringify(task);
    await attempt((hasTime) => purgeFromQueue([{ messageId: 'm', body } as never], hasTime, service.purge));
  }
  const took = performance.now() - began;
  clearInterval(meter);

  const left = await service.partition(`DEPLOYMENT#${id}`);
  const markers = await service.partition('PURGES');
  if (left.length > 0 || markers.length > 0)
    throw new Error(`${left.length} items, ${markers.length} markers left`);
  if ((await service.use(token)) !== 200) throw new Error("the neighbour's token is dead");
  const others = await service.partition('DEPLOYMENT#neighbour');
  if (others.length !== 3) throw new Error('the neighbour lost items');
  const items = tokens + KEYS;
  console.log(
    [
      `${String(items).padStart(7)} items`,
      `${(took / 1000).toFixed(1)} s`,
      `${((took / items) * 1000).toFixed(0)} ms per 1,000`,
      `${requests} requests`,
      `heap at most ${(peak / 2 ** 20).toFixed(0)} MiB`,
      `${runs} runs, ${died} killed`,
    ].join(', '),
  );
  await engine.stop();
}

console.log("The engine's stream is off.");
for (const tokens of values.tokens) await purgeOf(Number(tokens), false);
await purgeOf(Number(values.kills), true);
process.exit();
