/** Installs the generators of this folder, unless they are already installed in the versions that package.json names. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('.', import.meta.url));
const { dependencies } = JSON.parse(readFileSync(`${folder}package.json`, 'utf8'));

/** Returns the installed version of a package; undefined if the package is not installed. */
function installed(name) {
  try {
    return JSON.parse(readFileSync(`${folder}node_modules/${name}/package.json`, 'utf8')).version;
  } catch {
    return undefined;
  }
}

if (Object.entries(dependencies).some(([name, version]) => installed(name) !== version)) {
  const command = ['ci', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', command, { cwd: folder, stdio: 'inherit' });
}
