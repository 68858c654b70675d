import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { snippet, snippetsOf } from './snippets.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Returns the first of the given commands that can be run. Debian installs some programs in folders that are not on
 * every PATH.
 */
const found = (option: string, ...paths: string[]) =>
  paths.find((path) => spawnSync(path, [option]).status === 0);
const nginx = found('-v', '/usr/sbin/nginx', 'nginx');
const caddy = found('version', 'caddy', '/usr/bin/caddy');

/** Software for which docs/guards.md has a recipe. `language` is the language of the recipe's code block. */
export const GUARDS = [
  { name: 'nginx', language: 'nginx', isProxy: true, isInstalled: nginx !== undefined },
  { name: 'Caddy', language: 'caddy', isProxy: true, isInstalled: caddy !== undefined },
  { name: 'Express', language: 'ts', isProxy: false, isInstalled: true },
  { name: 'Fastify', language: 'ts', isProxy: false, isInstalled: true },
  { name: 'Hono', language: 'ts', isProxy: false, isInstalled: true },
] as const;
export type GuardName = (typeof GUARDS)[number]['name'];

export interface RunningGuard {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** Returns a port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/**
 * Starts the documented recipe with other addresses than the documented ones.
 *
 * @param service URL of the service
 * @param application port of the application behind a proxy
 * @param resolver address of the DNS server, for nginx
 */
export async function startGuard(
  name: GuardName,
  service: string,
  application: number,
  resolver = '127.0.0.1',
): Promise<RunningGuard> {
  mkdirSync(join(root, '.build'), { recursive: true });
  // The folder is inside the project, so that the examples find the project's packages.
  const folder = mkdtempSync(join(root, '.build/guard-'));
  const port = await freePort();
  const child = start(name, folder, (text) =>
    text
      .replaceAll(':8080', `:${port}`)
      .replace('port: 8080', `port: ${port}`)
      .replace('listen(8080', `listen(${port}`)
      .replaceAll('127.0.0.1:9000', `127.0.0.1:${application}`)
      .replace('169.254.169.253', resolver)
      .replace('https://api-id.execute-api.eu-west-1.amazonaws.com', service)
      .replace("'deployment-api-keys/guard/", `'${root}integrations/guard/`)
      .replace(/(integrations\/guard\/\w+)'/, "$1.ts'"),
  );
  const url = `http://127.0.0.1:${port}`;
  const isUp = () =>
    fetch(url).then(
      () => true,
      () => false,
    );
  for (let attempt = 0; attempt < 500 && child.exitCode === null && !(await isUp()); attempt++)
    await sleep(20);
  return {
    url,
    port,
    stop: async () => {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      rmSync(folder, { recursive: true });
    },
  };
}

function start(name: GuardName, folder: string, adapted: (text: string) => string): ChildProcess {
  const options = { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'] };
  const file = (called: string, text: string) => {
    writeFileSync(join(folder, called), text);
    return join(folder, called);
  };
  if (name === 'nginx' && nginx) {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const paths = temporary.map((kind) => `${kind}_temp_path ${kind};`).join(' ');
    const site = adapted(snippet('guards.md', 'nginx'));
    const all = `daemon off; master_process off; pid nginx.pid; events {} http { access_log off; ${paths} ${site} }`;
    return spawn(nginx, ['-p', folder, '-c', file('nginx.conf', all), '-e', 'stderr'], {
      ...options,
      stdio: 'ignore',
    });
  }
  if (name === 'Caddy' && caddy) {
    // Without this option, all instances would use the same port for the administration endpoint.
    const all = `{\n\tadmin off\n\tauto_https off\n}\n${adapted(snippet('guards.md', 'caddy'))}`;
    const env = { ...process.env, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
    return spawn(caddy, ['run', '--adapter', 'caddyfile', '--config', file('Caddyfile', all)], {
      ...options,
      stdio: 'ignore',
      env,
    });
  }
  const [example] = snippetsOf('guards.md', 'ts', name);
  if (!example) throw new Error(`${name} is not installed.`);
  return spawn(process.execPath, [file('app.ts', adapted(example))], options);
}
