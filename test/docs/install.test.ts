import { spawnSync } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../support/temporary.ts';

/** Plans the installation of a package that requires a newer Node.js, and returns npm's output without the plan. */
function warningsWith({ isConfigured }: { isConfigured: boolean }): string {
  const folder = temporaryFolder('install');
  const project = { name: 'project', version: '1.0.0', dependencies: { later: '1.0.0' } };
  const packages = { '': project, 'node_modules/later': { version: '1.0.0', engines: { node: '>=99' } } };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(project));
  writeFileSync(
    join(folder, 'package-lock.json'),
    JSON.stringify({ ...project, lockfileVersion: 3, packages }),
  );
  if (isConfigured)
    copyFileSync(fileURLToPath(new URL('../../.npmrc', import.meta.url)), join(folder, '.npmrc'));
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_config_/i.test(name)));
  const { status, stderr } = spawnSync('npm', ['ci', '--dry-run', '--offline'], {
    cwd: folder,
    env,
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  return stderr;
}

it("npm ci prints no warnings about dependencies that require a newer Node.js than the shell's", () => {
  expect(warningsWith({ isConfigured: false })).toContain('EBADENGINE');
  expect(warningsWith({ isConfigured: true })).toBe('');
});
