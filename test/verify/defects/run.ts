import { execFile, execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HELP = `Checks that tests detect known defects. Each patch in test/verify/defects breaks one guarantee, as a careless change might. The
patch is applied to a copy of the project, and the test that it names must fail. Otherwise no test protects that guarantee.

  npm run verify:defects [-- 03 slide …]     run only patches whose names contain one of the words`;

const here = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('../../..', import.meta.url));
const AT_ONCE = 2;

interface Outcome {
  assertionResults: { title: string; status: string }[];
}

function copyOfProject(): string {
  const copy = mkdtempSync(join(tmpdir(), 'defect-'));
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
    cwd: root,
    encoding: 'utf8',
  });
  for (const file of listed.split('\0').filter(Boolean)) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    try {
      copyFileSync(join(root, file), join(copy, file));
    } catch (error) {
      // Skip a file that was deleted without committing the deletion.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/**
 * Applies one patch and runs the test that it names.
 * @returns the problem, or undefined if the test fails as expected
 */
async function trial(name: string): Promise<string | undefined> {
  const patch = readFileSync(join(here, name), 'utf8');
  const [, file, title] = /^Fails: (\S+) > (.*)$/m.exec(patch) ?? [];
  if (!file || !title) return 'names no test';
  const copy = copyOfProject();
  try {
    execFileSync('git', ['apply', '--recount', '-C1', join(here, name)], { cwd: copy, stdio: 'pipe' });
    const only = title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const vitest = join(copy, 'node_modules/vitest/vitest.mjs');
    const args = [vitest, 'run', file, '-t', only, '--reporter=json', '--outputFile=outcome.json'];
    await new Promise((resolve) => execFile(process.execPath, args, { cwd: copy }, resolve));
    const outcome = JSON.parse(readFileSync(join(copy, 'outcome.json'), 'utf8'));
    const results = (outcome.testResults as Outcome[]).flatMap(({ assertionResults }) => assertionResults);
    const named = results.filter((result) => result.title === title);
    if (named.length === 0) return `there is no test "${title}" in ${file}`;
    return named.some(({ status }) => status === 'failed') ? undefined : `"${title}" passes all the same`;
  } catch (error) {
    const { stderr } = error as { stderr?: Buffer };
    return `could not be tried: ${stderr ?? error}`;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

const names = readdirSync(here)
  .filter((name) => name.endsWith('.patch'))
  .sort();
const wanted = process.argv.slice(2);
if (wanted.includes('--help') || wanted.includes('-h')) {
  console.log(HELP);
  process.exit();
}
const waiting = names.filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
const total = waiting.length;
if (total === 0) {
  console.error(`No defect is called so: ${wanted.join(' ')}. There are:\n${names.join('\n')}`);
  process.exit(1);
}
let unseen = 0;
const worker = async () => {
  for (let name = waiting.shift(); name; name = waiting.shift()) {
    const wrong = await trial(name);
    console.log(wrong ? `NOT SEEN ${name}: ${wrong}` : `seen     ${name}`);
    if (wrong) unseen++;
  }
};
await Promise.all(Array.from({ length: AT_ONCE }, worker));
console.log(`${total - unseen} of ${total} defects are seen by the tests that they name.`);
process.exitCode = unseen > 0 || (wanted.length === 0 && total < 12) ? 1 : 0;
