import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removal } from '../../support/in-process.ts';
import { numericOptions } from '../../support/options.ts';
import { type Reply, startStack } from '../../support/stack.ts';

const HELP = `Sends mixed traffic to the whole local stack from a few parallel loops, as fast as they run. Kills the engine three times
with kill -9 and restarts it on its file. Checks every response. While the engine is away, 500 and 503 are correct too, and
calls are repeated until their result is certain.

  npm run verify:soak [-- --minutes 2] [-- --loops 3]

  --minutes     duration in minutes. Default: 30
  --loops       number of parallel loops. Default: 6`;
const { minutes, loops } = numericOptions(HELP, { minutes: 30, loops: 6 });
const duration = minutes * 60_000;
/** Downtime of the engine after it was killed, in milliseconds. */
const OUTAGE = 2000;
/**
 * Maximum ratio of the memory at the end to the memory halfway through, when all workers have been running for long.
 */
const GROWTH = 1.3;
/**
 * Minimum duration in milliseconds for a judgement about memory growth. In shorter runs, heaps that were never
 * garbage-collected look like growth.
 */
const STEADY = 10 * 60_000;
/** Maximum share of calls that may get a 503 while the engine is running. */
const BUSY = 0.02;

const directory = mkdtempSync(join(tmpdir(), 'soak-'));
const probe = createServer().listen(0, '127.0.0.1');
await once(probe, 'listening');
const { port } = probe.address() as { port: number };
probe.close();
await once(probe, 'close');
const endpoint = `http://127.0.0.1:${port}`;
let engine: ChildProcess;

async function startEngine(): Promise<void> {
  const path = createRequire(import.meta.url).resolve('@dynoxide/linux-x64/dynoxide');
  const options = [
    '--host',
    '127.0.0.1',
    '--port',
    String(port),
    '--db-path',
    join(directory, 'table.sqlite'),
  ];
  engine = spawn(path, options, { stdio: 'ignore' });
  const isUp = () =>
    fetch(endpoint).then(
      () => true,
      () => false,
    );
  while (!(await isUp())) await sleep(20);
}
process.on('exit', () => {
  engine?.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

await startEngine();
process.env.DYNAMODB_ENDPOINT = endpoint;
const stack = await startStack({ stream: false });
console.log(`${minutes} minutes, ${loops} loops at a time. The engine's stream is off.`);

const counts: Record<string, number> = {};
const waits: number[] = [];
let isOver = false;
let mayFail = 0;

/** Repeats a call until its response is conclusive. Any unexpected status is an error. */
async function repeatUntilConclusive(
  name: string,
  expected: number[],
  make: () => Promise<Reply>,
): Promise<Reply> {
  for (;;) {
    const began = performance.now();
    const reply = await make();
    counts[name] = (counts[name] ?? 0) + 1;
    waits.push(performance.now() - began);
    if (waits.length > 10_000) waits.splice(0, 5000);
    if (expected.includes(reply.status)) return reply;
    const isOutage = [500, 503].includes(reply.status) && performance.now() < mayFail;
    // On a busy machine, a check can run out of attempts. The service then returns 503, and the script repeats the
    // call.
    const isBusy = reply.status === 503;
    if (!isOutage && !isBusy) throw new Error(`${name}: ${reply.status} ${reply.text}, expected ${expected}`);
    const refusal = isOutage ? 'refused in an outage' : 'refused while busy';
    counts[refusal] = (counts[refusal] ?? 0) + 1;
    await sleep(100);
  }
}

const admin = async (method: string, path: string, options: object = {}) =>
  stack.call(method, path, { token: await stack.signIn('admin'), ...options });
const roll = (sides: number) => Math.floor(Math.random() * sides);
const pick = <T>(list: T[]): T | undefined => list[roll(list.length)];

interface Key {
  id: string;
  secret: string | undefined;
  tokens: string[];
}

/** A Deployment, with the keys and tokens that must exist and the tokens that must be revoked. */
interface Deployment {
  id: string;
  keys: Key[];
  revoked: string[];
}

const register = (id: string) =>
  repeatUntilConclusive('register', [200, 201], () => admin('PUT', `/deployments/${id}`, { json: {} }));

async function createKey({ id, keys }: Deployment): Promise<void> {
  const headers = { 'idempotency-key': randomUUID() };
  const { json } = await repeatUntilConclusive('create', [201], () =>
    admin('POST', `/deployments/${id}/api-keys`, { json: { name: 'soak' }, headers }),
  );
  keys.push({ id: json.id, secret: json.secret, tokens: [] });
}

async function deleteKey(deployment: Deployment, key: Key): Promise<void> {
  await repeatUntilConclusive('delete', [204, 404], () =>
    admin('DELETE', `/deployments/${deployment.id}/api-keys/${key.id}`),
  );
  deployment.keys = deployment.keys.filter((one) => one !== key);
  deployment.revoked.push(...key.tokens);
}

/** Deletes the Deployment, registers it again and purges its earlier generation. */
async function replaceDeployment(deployment: Deployment): Promise<void> {
  const { id, keys, revoked } = deployment;
  const items = await certain(() => stack.partition(`DEPLOYMENT#${id}`));
  const generation = String(items.find(({ sk }) => sk === 'DEPLOYMENT')?.generation);
  await repeatUntilConclusive('delete Deployment', [204, 404], () => admin('DELETE', `/deployments/${id}`));
  revoked.push(...keys.flatMap((one) => one.tokens));
  deployment.keys = [];
  await register(id);
  const record = removal({ pk: `DEPLOYMENT#${id}`, sk: 'DEPLOYMENT' }, generation);
  await certain(async () => {
    const event = { Records: [record] };
    const { batchItemFailures } = await stack.invoke<{ batchItemFailures: object[] }>('purge', event);
    if (batchItemFailures.length > 0) throw new Error('the purge failed');
  });
  counts.purge = (counts.purge ?? 0) + 1;
}

async function exchange({ id, tokens }: Key, secret: string): Promise<void> {
  const basic = [id, secret] as const;
  const form = { grant_type: 'client_credentials' };
  const { json } = await repeatUntilConclusive('exchange', [200], () =>
    stack.call('POST', '/oauth/token', { basic, form }),
  );
  tokens.push(json.access_token);
  if (tokens.length > 50) tokens.shift();
}

const expectValid = (token: string) =>
  repeatUntilConclusive('check', [200], () => stack.call('GET', '/whoami', { token }));
const expectRevoked = (token: string) =>
  repeatUntilConclusive('check of a revoked token', [401], () => stack.call('GET', '/whoami', { token }));

async function useRevokedToken({ revoked }: Deployment): Promise<void> {
  const token = pick(revoked);
  if (token) await expectRevoked(token);
  if (revoked.length > 500) revoked.splice(0, 100);
}

async function useToken(key: Key | undefined): Promise<void> {
  const token = key && pick(key.tokens);
  if (token) await expectValid(token);
}

/** Makes one random call. Most calls use tokens, and few delete the Deployment. */
async function act(deployment: Deployment): Promise<void> {
  const key = pick(deployment.keys);
  const what = roll(200);
  if (what < 8 && deployment.keys.length < 20) return createKey(deployment);
  if (what < 14 && key) return deleteKey(deployment, key);
  if (what < 15) return replaceDeployment(deployment);
  if (what < 50 && key?.secret) return exchange(key, key.secret);
  if (what < 70) return useRevokedToken(deployment);
  return useToken(key);
}

/** Calls the service for one Deployment that no other loop uses, so that the correct responses are always known. */
async function loop(id: string): Promise<Deployment> {
  const deployment: Deployment = { id, keys: [], revoked: [] };
  await register(id);
  while (!isOver) await act(deployment);
  return deployment;
}

/** Checks the final state: no key is missing, no deleted key is back, and no revoked token works. */
async function checkFinalState({ id, keys, revoked }: Deployment): Promise<void> {
  const { json } = await admin('GET', `/deployments/${id}/api-keys`);
  const found = json.items.map((one: { id: string }) => one.id).sort();
  const expected = keys.map((one) => one.id).sort();
  if (found.join() !== expected.join()) throw new Error(`${id} has keys ${found}, expected ${expected}`);
  for (const token of keys.flatMap((one) => one.tokens)) await expectValid(token);
  for (const token of revoked) await expectRevoked(token);
  const items = await stack.partition(`DEPLOYMENT#${id}`);
  const generation = items.find(({ sk }) => sk === 'DEPLOYMENT')?.generation;
  const old = items.filter((item) => item.generation !== generation);
  if (old.length > 0) throw new Error(`${id} has ${old.length} items of earlier generations`);
}

/** Repeats the script's own work on the table until it succeeds. */
async function certain<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > mayFail) throw error;
      await sleep(100);
    }
  }
}

const began = performance.now();
const rss = () => process.memoryUsage.rss() / 2 ** 20;
let warm = 0;
let shown = 0;
const progress = () => {
  const seconds = Math.round((performance.now() - began) / 1000);
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const sorted = waits.slice().sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)]?.toFixed(0);
  const rate = Math.round((total - shown) / (PROGRESS / 1000));
  shown = total;
  console.log(
    `${seconds} s: ${total} calls, ${rate}/s, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${rss().toFixed(0)} MiB`,
  );
};
const PROGRESS = Math.min(60_000, duration / 6);
const timer = setInterval(progress, PROGRESS);
setTimeout(() => {
  warm = rss();
}, duration / 2);
for (const share of [0.25, 0.5, 0.75]) {
  setTimeout(async () => {
    // Calls in progress may still fail for a few seconds after the engine is back.
    mayFail = performance.now() + OUTAGE + 15_000;
    engine.kill('SIGKILL');
    await sleep(OUTAGE);
    await startEngine();
    console.log('The engine was killed with -9 and is back on its file.');
  }, duration * share);
}
setTimeout(() => {
  isOver = true;
}, duration);

try {
  const deployments = await Promise.all(Array.from({ length: loops }, (_, n) => loop(`soak-${n}`)));
  clearInterval(timer);
  const end = rss();
  for (const deployment of deployments) await checkFinalState(deployment);
  console.log(counts);
  console.log(`Memory: ${warm.toFixed(0)} MiB at half time, ${end.toFixed(0)} MiB at the end.`);
  if (duration >= STEADY && end > warm * GROWTH) throw new Error('memory grows');
  const busy = counts['refused while busy'] ?? 0;
  if (busy > BUSY * Object.values(counts).reduce((sum, count) => sum + count, 0)) {
    throw new Error('too many refusals with the engine there');
  }
  console.log('No wrong answer, no lost key, no resurrected token.');
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
await stack.stop().catch(() => {});
process.exit();
