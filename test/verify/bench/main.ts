import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { bundleFunctions, bundling } from '../../../infra/bundle.ts';
import { startEngine } from '../../support/engine.ts';
import { readOptions } from '../../support/options.ts';
import { coldStarts, initOfEach } from './cold.ts';
import { localStarts } from './local-start.ts';
import { median, push, spread } from './numbers.ts';
import { type Figures, type Goal, goals, type Rates, report } from './report.ts';
import type { Served } from './serve.ts';
import {
  authorizerEvent,
  builtEntries,
  createBenchTable,
  functionEnvironment,
  rawHeaders,
  root,
  seed,
  TABLE,
} from './setup.ts';

const HELP = `Compares the service with its peers on this machine, and writes docs/performance.md and docs/performance.svg. The
exit code is 1 if a goal is missed, unless docs/performance-limits.md explains the limit and the result is near it.

  npm run verify:bench [-- --quick] [-- --before <folder>] [-- --url https://<your stack>]

  --quick     take about 90 seconds and write nothing. The rates are rough, so a missed rate is only reported, even if it
              is far from its goal. Wrong responses and units still fail
  --before    compare npm start with npm start in another checkout, whose packages are installed
  --url       only measure the latency of GET /whoami on your own stack, with the access token in DEPLOYMENT_TOKEN`;
const options = readOptions(HELP, {
  quick: { type: 'boolean', default: false },
  before: { type: 'string' },
  url: { type: 'string' },
});
const here = import.meta.dirname;

// The benchmark has its own dependencies, so that the project installs quickly.
if (!existsSync(join(here, 'node_modules/autocannon'))) {
  const { status } = spawnSync('npm', ['ci', '--silent'], { cwd: here, stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}
const { default: autocannon } = await import('autocannon');

const size = options.quick
  ? {
      passes: 3,
      seconds: 1,
      starts: 7,
      calls: 400,
      tables: [1000, 10_000],
      purged: 2500,
      tries: 2000,
      inits: 2,
      cold: { memories: [256], passes: 1, calls: 6 },
    }
  : {
      passes: 3,
      seconds: 3,
      starts: 15,
      calls: 2000,
      tables: [1000, 100_000, 1_000_000],
      purged: 10_000,
      tries: 10_000,
      inits: 9,
      cold: { memories: [128, 256, 512, 1024], passes: 3, calls: 20 },
    };

/**
 * Sends requests for a number of seconds, or for longer if a busy machine gives no response in that time.
 *
 * @throws Error if the status of a response is not 200, because fast rejections would improve the result
 */
async function load(served: Served, connections: number, duration: number) {
  const result = await autocannon({ url: served.url, connections, duration, requests: served.requests });
  const isAnswered = result['2xx'] + result.non2xx + result.errors > 0;
  if (!isAnswered && duration < 30) return load(served, connections, 2 * duration);
  if (result.non2xx > 0 || result.errors > 0 || result['2xx'] === 0) {
    throw new Error(
      `${served.url}: ${result['2xx']} good answers, ${result.non2xx} others, ${result.errors} errors`,
    );
  }
  return {
    count: result['2xx'],
    rate: result['2xx'] / result.duration,
    p50: result.latency.p50,
    p99: result.latency.p99,
  };
}

if (options.url) {
  const headers = { authorization: `Bearer ${process.env.DEPLOYMENT_TOKEN}` };
  for (const connections of [1, 32]) {
    const { rate, p50, p99 } = await load(
      { url: `${options.url}/whoami`, requests: [{ headers }] },
      connections,
      30,
    );
    process.stdout.write(
      `${connections} connections: p50 ${p50} ms, p99 ${p99} ms, ${rate.toFixed(0)} checks a second\n`,
    );
  }
  process.exit();
}

const say = (text: string) => process.stderr.write(`${text}\n`);
const begun = { at: new Date(), load: loadavg()[0] as number };
bundleFunctions();
const entries = ['sdk-authorize', 'naive', 'usual-stack'];
buildSync(bundling(entries, join(here, 'entries'), builtEntries));
for (const entry of entries)
  writeFileSync(join(builtEntries, entry, 'package.json'), '{"type":"commonjs"}\n');

process.setMaxListeners(0);

say('init of each function');
const inits = await initOfEach(size.inits);

/** Starts a new engine for each measurement, because data from an earlier measurement would slow it down. */
async function withEngine<T>(work: (endpoint: string) => Promise<T>): Promise<T> {
  const engine = await startEngine();
  try {
    await createBenchTable(engine.endpoint);
    return await work(engine.endpoint);
  } finally {
    await engine.stop();
  }
}

function child<T>(file: string, args: string[]): { process: ChildProcess; answer: Promise<T> } {
  const process = fork(join(here, file), args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const answer = Promise.race([
    once(process, 'message').then(([message]) => message as T),
    once(process, 'exit').then(([code]) =>
      Promise.reject(new Error(`${file} ${args[0]} ended with ${code}`)),
    ),
  ]);
  answer.catch(() => {});
  return { process, answer };
}

/** Runs a measurement in a separate process that has its own engine. */
function inside<T>(name: string): Promise<T> {
  say(name);
  return child<T>('inside.ts', [name, JSON.stringify(size)]).answer;
}

/** Returns the CPU time of a contender's process in microseconds. */
async function cpuOf(contender: ChildProcess): Promise<number> {
  contender.send('cpu');
  const [{ user, system }] = await once(contender, 'message');
  return user + system;
}

/** Measures the contenders one after the other, in a different order in each pass. The first pass is a warm-up. */
async function sideBySide(names: string[], endpoint: string, given: object): Promise<Rates> {
  say(names.join(', '));
  const running = names.map((name) => ({
    name,
    rates: [] as number[],
    cpu: [] as number[],
    ...child<Served>('serve.ts', [name, endpoint, JSON.stringify(given)]),
  }));
  for (let pass = 0; pass <= size.passes; pass++) {
    for (let n = 0; n < running.length; n++) {
      const one = running[(n + pass) % running.length];
      if (!one) continue;
      const served = await one.answer;
      const before = await cpuOf(one.process);
      const { rate, count } = await load(served, 32, pass === 0 ? Math.min(size.seconds, 2) : size.seconds);
      if (pass === 0) continue;
      one.rates.push(rate);
      one.cpu.push(((await cpuOf(one.process)) - before) / count);
    }
  }
  for (const { process } of running) process.disconnect();
  return Object.fromEntries(
    running.map(({ name, rates, cpu }) => [name, { ...spread(rates), cpu: median(cpu) }]),
  );
}

const checks = await withEngine(async (endpoint) => {
  const { id, generation, keys, tokens } = await seed(endpoint, 'checks', { keys: 1, tokens: 64 });
  const contenders = [
    'check',
    'better-auth verify',
    'oidc-provider introspection',
    'check on the SDK',
    'naive',
  ];
  const rates = await sideBySide(contenders, endpoint, { tokens });

  say('the bare engine; 1 to 64 connections');
  const Keys = [['DEPLOYMENT'], [`KEY#${keys[0]?.ulid}`], ['TOKEN#']].map(([sk]) => ({
    pk: { S: `DEPLOYMENT#${id}` },
    sk: { S: sk },
  }));
  const bare: Served = {
    url: endpoint,
    requests: [
      {
        method: 'POST',
        headers: rawHeaders('BatchGetItem'),
        body: JSON.stringify({ RequestItems: { [TABLE]: { Keys, ConsistentRead: true } } }),
      },
    ],
  };
  const server = child<Served>('serve.ts', ['check', endpoint, JSON.stringify({ tokens, generation })]);
  const bareRates: number[] = [];
  const connections: Record<number, number[]> = {};
  for (let pass = 0; pass <= size.passes; pass++) {
    const { rate } = await load(bare, 32, size.seconds);
    if (pass > 0) bareRates.push(rate);
    if (options.quick) continue;
    for (const count of [1, 2, 4, 8, 16, 32, 64]) {
      const at = await load(await server.answer, count, 1);
      if (pass > 0) push(connections, count, at.rate);
    }
  }
  server.process.disconnect();
  return {
    rates: { ...rates, 'bare engine, BatchGetItem of three': spread(bareRates) },
    connections: Object.fromEntries(Object.entries(connections).map(([count, all]) => [count, spread(all)])),
  };
});

const extensions = await withEngine(async (endpoint) => {
  const { tokens } = await seed(endpoint, 'extensions', { keys: 1, tokens: 64, now: Date.now() - 3_600_000 });
  return sideBySide(['sliding', 'sliding, slideInterval 0', 'better-auth verify', 'naive'], endpoint, {
    tokens,
  });
});

const exchanges = await withEngine(async (endpoint) => {
  const { id, keys } = await seed(endpoint, 'exchanges', { keys: 16, tokens: 0 });
  const given = { keys: keys.map(({ ulid, secret }) => [`dk_${id}_${ulid}`, secret]), tokens: [] };
  return sideBySide(['exchange', 'better-auth create', 'oidc-provider client_credentials'], endpoint, given);
});

const management = await withEngine(async (endpoint) => {
  // No Deployment may reach its limit of 1,000 keys.
  const deployments = Array.from({ length: 250 }, (_, n) => `made-${n}`);
  for (const id of deployments) await seed(endpoint, id, { keys: 0, tokens: 0 });
  const created = await sideBySide(['create a key', 'better-auth create'], endpoint, {
    deployments,
    tokens: [],
  });
  await seed(endpoint, 'listed', { keys: 100, tokens: 0 });
  return { ...created, ...(await sideBySide(['list 100 keys'], endpoint, { deployments: ['listed'] })) };
});

const pooled = await (async () => {
  say('the local stack');
  const stack = child<Served>('stack.ts', ['stack']);
  const served = await stack.answer;
  const rates: number[] = [];
  for (let pass = 0; pass <= size.passes; pass++) {
    const { rate } = await load(served, 32, size.seconds);
    if (pass > 0) rates.push(rate);
  }
  const ended = once(stack.process, 'exit');
  stack.process.disconnect();
  await ended;
  return spread(rates);
})();

/** Returns the time from the start of a process to its end, in milliseconds. */
const starts = await withEngine(async (endpoint) => {
  say('starts');
  const { tokens } = await seed(endpoint, 'starts', { keys: 1, tokens: 1 });
  const event = JSON.stringify(authorizerEvent(tokens[0] as string));
  const first = (bundle: string) => [join(here, 'first-check.cjs'), bundle, event];
  const programs: Record<string, string[]> = {
    'an empty file': [join(here, 'empty.cjs')],
    authorize: first(join(root, '.build/functions/authorize/index.js')),
    'authorize on the SDK': first(join(builtEntries, 'sdk-authorize/index.js')),
    'the usual stack': first(join(builtEntries, 'usual-stack/index.js')),
  };
  const times: Record<string, number[]> = {};
  for (let pass = 0; pass <= size.starts; pass++) {
    for (const [name, args] of Object.entries(programs)) {
      const begin = performance.now();
      const { status, stderr } = spawnSync(process.execPath, args, {
        env: { ...process.env, ...functionEnvironment(endpoint) },
      });
      if (status !== 0) throw new Error(`${name}: ${stderr}`);
      if (pass > 0) push(times, name, performance.now() - begin);
    }
  }
  const bare = median(times['an empty file'] ?? []);
  return Object.fromEntries(
    Object.entries(times).map(([name, all]) => [
      name,
      spread(name === 'an empty file' ? all : all.map((time) => time - bare)),
    ]),
  );
});

const cold = await withEngine((endpoint) => {
  say('cold starts');
  return coldStarts(endpoint, size.cold);
});
const weigh = (path: string) => statSync(path).size;
const figures: Figures = {
  begun,
  loadAfter: loadavg()[0] as number,
  quick: options.quick,
  passes: size.passes,
  checks,
  extensions,
  exchanges,
  management,
  pooled,
  starts,
  cold,
  inits,
  localStart:
    options.before === undefined
      ? undefined
      : await localStarts({ before: options.before, now: root }, options.quick ? 3 : 9),
  weights: {
    authorize: weigh(join(root, '.build/functions/authorize/index.js')),
    'entry of authorize': weigh(join(root, '.build/functions/authorize/entry.mjs')),
    'authorize on the SDK': weigh(join(builtEntries, 'sdk-authorize/index.js')),
    'the usual stack': weigh(join(builtEntries, 'usual-stack/index.js')),
  },
  cpu: await inside('cpu'),
  asFunctions: await inside('asFunctions'),
  latency: await inside('latency'),
  units: await inside('units'),
  listing: await inside('listing'),
  purge: await inside('purge'),
  deletes: await inside('deletes'),
  growth: await inside('growth'),
};
figures.loadAfter = loadavg()[0] as number;

mkdirSync(join(root, '.build'), { recursive: true });
writeFileSync(join(root, '.build/bench.json'), JSON.stringify(figures, null, 2));
const { markdown, svg } = report(figures);
if (!options.quick) {
  writeFileSync(join(root, 'docs/performance.md'), markdown);
  writeFileSync(join(root, 'docs/performance.svg'), svg);
}
const failed = goals(figures).filter(
  ({ isReached, isRate, limit }: Goal) => !isReached && !limit && !(options.quick && isRate),
);
for (const { measure, against, goal, reached, isReached, limit } of goals(figures)) {
  process.stdout.write(
    `${isReached ? 'reached' : limit ? 'limited' : 'MISSED '}  ${measure}, against ${against}: ${reached} (goal ${goal})\n`,
  );
}
process.exit(failed.length > 0 ? 1 : 0);
