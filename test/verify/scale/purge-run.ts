import { purgeFromQueue, purgeFromStream } from '../../../functions/jobs/purge.ts';
import { inProcess, must, removal, startTable } from '../../support/in-process.ts';
import { fill } from '../../support/many-items.ts';
import { numericOptions } from '../../support/options.ts';

const HELP = `Purges a Deployment with 1,000 keys and many tokens, and prints the time per 1,000 items and the memory. Then purges
another one, and kills the purge at random points.

  npm run verify:purge-scale [-- --tokens 1000 [--tokens 3000 …]] [-- --kills 10000]

  --tokens     number of tokens; can be given more than once. Default: several sizes from 1,000 to 100,000
  --kills      number of tokens in the purge that is killed. Default: 10,000`;
const { tokens: sizes, kills: killedSize } = numericOptions(HELP, {
  tokens: [1000, 3000, 10_000, 30_000, 100_000],
  kills: 10_000,
});

/**
 * Time in milliseconds after which a run leaves the remaining work to the next run. On Lambda, a run has one minute.
 */
const RUN_TIME = 50_000;
const KEYS = 1000;

/** Number of requests between two heap measurements. Garbage is collected before each measurement. */
const MEASUREMENT_INTERVAL = 20;
/** Maximum heap of the purge itself in MiB, for any number of items: the pages and batches in progress. */
const MAX_HEAP = 6;
const { gc } = globalThis;
if (!gc) throw new Error('run it with --expose-gc, as npm run verify:purge-scale does');
const liveHeap = () => {
  gc();
  return process.memoryUsage().heapUsed / 2 ** 20;
};

let killIn: number | undefined;
const admin = { as: 'admin' };

async function purgeOf(tokens: number, kills: boolean): Promise<void> {
  const engine = await startTable();
  let requests = 0;
  let done = 0;
  let measurements: number[] | undefined;
  /** Time spent on heap measurements in milliseconds, which is not part of the purge. */
  let measuringTime = 0;
  const service = inProcess(engine, {
    around: (when) => {
      requests += when === 'before' ? 1 : 0;
      if (when === 'after' && ++done % MEASUREMENT_INTERVAL === 0 && measurements) {
        const begin = performance.now();
        measurements.push(liveHeap());
        measuringTime += performance.now() - begin;
      }
      if (killIn === undefined || killIn-- > 0) return;
      killIn = undefined;
      throw new Error('killed');
    },
  });
  const id = 'big';
  await service.register(id);
  await service.register('neighbour');
  const key = await service.createKey('neighbour');
  const token = await service.exchangeForToken(key);
  const generation = String((await service.partition(`DEPLOYMENT#${id}`))[0]?.generation);
  await fill(service.table, { deploymentId: id, generation, keys: KEYS, tokens });
  must(await service.call('DELETE', `/deployments/${id}`, admin), 204);

  const before = liveHeap();
  measurements = [];
  requests = 0;
  const began = performance.now();
  let runs = 0;
  let died = 0;
  const record = removal({ pk: `DEPLOYMENT#${id}`, sk: 'DEPLOYMENT' }, generation);
  const attempt = async (work: (hasTime: () => boolean) => Promise<{ batchItemFailures: object[] }>) => {
    for (;;) {
      const end = performance.now() + RUN_TIME;
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
  const took = performance.now() - began - measuringTime;
  const held = measurements.map((heap) => heap - before);
  measurements = undefined;
  const after = liveHeap() - before;

  const left = await service.partition(`DEPLOYMENT#${id}`);
  const markers = await service.partition('PURGES');
  if (left.length > 0 || markers.length > 0)
    throw new Error(`${left.length} items, ${markers.length} markers left`);
  if ((await service.use(token)) !== 200) throw new Error("the neighbour's token is dead");
  const others = await service.partition('DEPLOYMENT#neighbour');
  if (others.length !== 3) throw new Error('the neighbour lost items');
  const items = tokens + KEYS;
  const most = Math.max(...held);
  console.log(
    [
      `${String(items).padStart(7)} items`,
      `${(took / 1000).toFixed(1)} s`,
      `${((took / items) * 1000).toFixed(0)} ms per 1,000`,
      `${requests} requests`,
      `live heap in ${held.length} measurements ${Math.min(...held).toFixed(1)} to ${most.toFixed(1)} MiB, then ${after.toFixed(1)}`,
      `${runs} runs, ${died} killed`,
    ].join(', '),
  );
  await engine.stop();
  if (most > MAX_HEAP) throw new Error(`the purge of ${items} items held ${most.toFixed(1)} MiB`);
}

// The engine's stream is off because it slows down writes when it grows. The handler receives the stream's events
// directly.
console.log("The engine's stream is off.");
for (const tokens of sizes) await purgeOf(tokens, false);
await purgeOf(killedSize, true);
process.exit();
