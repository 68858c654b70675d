import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatKeyId } from '../../../functions/domain/credentials.ts';
import * as ENV from '../../../functions/runtime/env.ts';
import { functionNames } from '../../../infra/bundle.ts';
import { bundlesDirectory } from '../../../infra/bundles.ts';
import { median, push, type Spread, spread } from './numbers.ts';
import { cpuQuota, type Quota } from './quota.ts';
import { apiEvent, authorizerEvent, builtEntries, functionEnvironment, seed } from './setup.ts';

/** Cold starts of one function with one CPU share. Times are in milliseconds. */
export interface ColdStart {
  /** Memory of a Lambda function with this CPU share, in MB. */
  memory: number;
  /**
   * Times from the start of the process to the end of init, on a full core and with the CPU share of a Lambda function.
   */
  init: Spread;
  slowInit: Spread;
  /** Time of the first call, directly after init. Init ran on a whole core, but the call gets only the CPU share. */
  first: Spread;
  /** Median time of later calls. Before each call, the function was idle for a whole period of the quota. */
  warm: Spread;
}

/** Cold starts by contender, or the reason why they could not be measured. */
export type ColdStarts = Record<string, ColdStart[]> | string;

export const WITHOUT_ENTRY = 'authorize, without its entry';
export const USUAL = 'the usual stack';

/** How long to wait between calls, in milliseconds: two periods of the quota. */
const PAUSE = 40;

const entryOf = (name: string) => join(bundlesDirectory, name, 'entry.mjs');
const bundleOf = (name: string) => join(bundlesDirectory, name, 'index.js');
const usualStack = join(builtEntries, 'usual-stack/index.js');

/**
 * Measures cold starts of the functions that callers wait for, with the CPU shares of Lambda functions. The table is
 * behind TLS, as DynamoDB is.
 */
export async function coldStarts(
  endpoint: string,
  { memories, passes, calls }: { memories: number[]; passes: number; calls: number },
): Promise<ColdStarts> {
  const quota = cpuQuota();
  if (typeof quota === 'string') return quota;
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  let proxy: ChildProcess | undefined;
  try {
    const certificate = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert];
    const name = ['-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    execFileSync('openssl', [...certificate, ...name], { stdio: 'ignore' });
    proxy = fork(join(import.meta.dirname, 'tls-proxy.mjs'), [endpoint, key, cert]);
    const [{ port }] = await once(proxy, 'message');
    const env = {
      ...process.env,
      ...functionEnvironment(`https://localhost:${port}`),
      NODE_EXTRA_CA_CERTS: cert,
    };
    const contenders = await contendersOn(endpoint, 2 * memories.length * (passes + 1) * (calls + 1));
    const starts: Record<string, ColdStart[]> = {};
    for (const memory of memories) {
      quota.set(memory);
      const times = await timesOf(contenders, passes, { env, quota, calls });
      for (const [name, { init, slowInit, first, warm }] of Object.entries(times)) {
        const row = {
          init: spread(init),
          slowInit: spread(slowInit),
          first: spread(first),
          warm: spread(warm),
        };
        starts[name] = [...(starts[name] ?? []), { memory, ...row }];
      }
    }
    return starts;
  } catch (error) {
    // The measurement can fail, for example if OpenSSL is not installed.
    return (error as Error).message;
  } finally {
    proxy?.kill();
    quota.remove();
    rmSync(folder, { recursive: true });
  }
}

interface Contender {
  file: string;
  /** Returns the event for the next call. */
  next: () => object;
}

/** Starts each contender once in each pass. @returns the times of all passes, by contender */
async function timesOf(
  contenders: Record<string, Contender>,
  passes: number,
  { env, quota, calls }: { env: NodeJS.ProcessEnv; quota: Quota; calls: number },
) {
  const times: Record<string, Record<'init' | 'slowInit' | 'first' | 'warm', number[]>> = {};
  // The first of several passes is a warm-up of this machine's caches.
  for (let pass = passes > 1 ? 0 : 1; pass <= passes; pass++) {
    for (const [name, { file, next }] of Object.entries(contenders)) {
      const one = await coldStart({ file, next, env, quota, calls });
      const slow = await coldStart({ file, next, env, quota, calls: 0, isInitLimited: true });
      if (pass === 0) continue;
      times[name] ??= { init: [], slowInit: [], first: [], warm: [] };
      times[name].init.push(one.init);
      times[name].slowInit.push(slow.init);
      times[name].first.push(one.first);
      times[name].warm.push(one.warm);
    }
  }
  return times;
}

async function contendersOn(endpoint: string, calls: number): Promise<Record<string, Contender>> {
  const { id, keys, tokens } = await seed(endpoint, 'cold', { keys: 1, tokens: calls });
  const { ulid = '', secret = '' } = keys[0] ?? {};
  const headers = {
    authorization: `Basic ${Buffer.from(`${formatKeyId(id, ulid)}:${secret}`).toString('base64')}`,
    'content-type': 'application/x-www-form-urlencoded',
  };
  const token = tokens[0] as string;
  const form = (route: string, body: string) => apiEvent(route, { headers, body });
  const events: Record<string, () => object> = {
    authorize: () => authorizerEvent(token),
    whoami: () => apiEvent('GET /whoami', { headers: { authorization: `Bearer ${token}` } }),
    'issue-token': () => form('POST /oauth/token', 'grant_type=client_credentials'),
    introspect: () => form('POST /oauth/introspect', `token=${token}`),
    // Each call needs another token, because a token can be revoked only once.
    revoke: () => form('POST /oauth/revoke', `token=${tokens.pop()}`),
  };
  const check = { next: () => authorizerEvent(token) };
  return {
    ...Object.fromEntries(
      ['authorize', 'whoami', 'issue-token', 'introspect', 'revoke'].map((name) => [
        name,
        { file: entryOf(name), next: events[name] as () => object },
      ]),
    ),
    [WITHOUT_ENTRY]: { ...check, file: bundleOf('authorize') },
    [USUAL]: { ...check, file: usualStack },
  };
}

async function coldStart({
  file,
  next,
  env,
  quota,
  calls,
  isInitLimited = false,
}: Contender & { env: NodeJS.ProcessEnv; quota: Quota; calls: number; isInitLimited?: boolean }) {
  const child = fork(join(import.meta.dirname, 'cold-start.mjs'), [file], {
    env,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const ended = once(child, 'exit');
  const message = async <T>() =>
    (await Promise.race([
      once(child, 'message'),
      ended.then(([code]) => Promise.reject(new Error(`${file} ended with ${code}`))),
    ])) as [T];
  const call = async () => {
    child.send(next());
    const [{ took, isGood }] = await message<{ took: number; isGood: boolean }>();
    if (!isGood) throw new Error(`${file} does not succeed`);
    return took;
  };
  try {
    if (isInitLimited) quota.add(child.pid as number);
    const [{ init }] = await message<{ init: number }>();
    if (!isInitLimited) quota.add(child.pid as number);
    const first = calls > 0 ? await call() : Number.NaN;
    const later: number[] = [];
    while (later.length < calls) {
      await sleep(PAUSE);
      later.push(await call());
    }
    return { init, first, warm: median(later) };
  } finally {
    // Wait until the process has ended, because a control group that contains a process cannot be deleted.
    child.kill();
    await ended;
  }
}

/** Environment variables that only some functions require. */
const MORE = {
  [ENV.nameClaim]: 'name',
  [ENV.consoleClientId]: 'console',
  [ENV.consoleScopes]: 'openid',
  [ENV.continuationQueueUrl]: 'https://sqs.eu-central-1.amazonaws.com/123456789012/continuations',
  [ENV.peopleQueueUrl]: 'https://sqs.eu-central-1.amazonaws.com/123456789012/people',
  [ENV.refusedChangesQueueUrl]: 'https://sqs.eu-central-1.amazonaws.com/123456789012/refused',
  [ENV.deploymentsSource]: '{"table":"platform","id":"id"}',
  [ENV.eventBusName]: 'bench',
  [ENV.publicUrl]: 'https://keys.example.com',
  [ENV.userPoolId]: 'eu-central-1_Bench',
  [ENV.writeUnits]: '10',
};

/**
 * Measures how long each function takes from the start of its process to the end of init, on a whole core. Functions
 * that open their connection during init load only their bundle here.
 *
 * @returns milliseconds in addition to those of an empty file, by function
 */
export async function initOfEach(passes: number): Promise<Record<string, Spread>> {
  const env = { ...process.env, ...functionEnvironment('http://127.0.0.1:1'), ...MORE };
  const files: Record<string, string> = {
    'an empty file': join(import.meta.dirname, 'empty.cjs'),
    ...Object.fromEntries(functionNames().map((name) => [name, bundleOf(name)])),
    [USUAL]: usualStack,
  };
  const times: Record<string, number[]> = {};
  for (let pass = 0; pass <= passes; pass++) {
    for (const [name, file] of Object.entries(files)) {
      const child = fork(join(import.meta.dirname, 'cold-start.mjs'), [file, 'load'], {
        env,
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      });
      const ended = once(child, 'exit');
      const failed = ended.then(() => Promise.reject(new Error(`${name} does not start`)));
      failed.catch(() => {});
      const [{ init }] = await Promise.race([once(child, 'message'), failed]);
      await ended;
      if (pass > 0) push(times, name, init);
    }
  }
  const bare = median(times['an empty file'] ?? []);
  return Object.fromEntries(
    Object.entries(times).map(([name, all]) => [
      name,
      spread(name === 'an empty file' ? all : all.map((time) => time - bare)),
    ]),
  );
}
