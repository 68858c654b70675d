import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from './numbers.ts';

/**
 * Times in milliseconds that `npm start` takes when nothing has changed: to the first line of output, and until the
 * stack is ready.
 */
export interface LocalStart {
  first: number;
  ready: number;
}

const PORT = '21480';

/**
 * Runs `npm start` in two checkouts in turn. Their packages must be installed.
 *
 * @returns the medians
 */
export async function localStarts(folders: { before: string; now: string }, passes: number) {
  const all = { before: [] as LocalStart[], now: [] as LocalStart[] };
  // The first pass bundles and synthesises.
  for (let pass = 0; pass <= passes; pass++) {
    for (const which of pass % 2 === 0 ? (['before', 'now'] as const) : (['now', 'before'] as const)) {
      const one = await localStart(folders[which]);
      if (pass > 0) all[which].push(one);
    }
  }
  const medians = (starts: LocalStart[]): LocalStart => ({
    first: median(starts.map(({ first }) => first)),
    ready: median(starts.map(({ ready }) => ready)),
  });
  return { before: medians(all.before), now: medians(all.now) };
}

async function localStart(folder: string): Promise<LocalStart> {
  const data = mkdtempSync(join(tmpdir(), 'bench-data-'));
  const begin = performance.now();
  // The process group includes npm and the stack.
  const child = spawn('npm', ['start', '--silent', '--', '--data', data], {
    cwd: folder,
    env: { ...process.env, PORT, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const ended = once(child, 'exit');
  let first = 0;
  let text = '';
  const ready = new Promise<number>((resolve) => {
    child.stdout.on('data', (chunk) => {
      first ||= performance.now() - begin;
      text += chunk;
      if (text.includes(`http://127.0.0.1:${PORT}`)) resolve(performance.now() - begin);
    });
  });
  const failed = ended.then(() => Promise.reject(new Error(`npm start in ${folder} ended: ${text}`)));
  try {
    return { ready: await Promise.race([ready, failed]), first };
  } finally {
    failed.catch(() => {});
    if (child.exitCode === null) process.kill(-(child.pid as number), 'SIGINT');
    await ended;
    rmSync(data, { recursive: true, force: true });
  }
}
