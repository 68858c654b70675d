import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { temporaryFolder } from '../support/temporary.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const textOf = (path: string) => readFileSync(`${root}${path}`, 'utf8');
const namesIn = (folder: string, extension: string) =>
  readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(extension) && !name.includes('node_modules'))
    .map((name) => `${folder}/${name}`);

/** Returns the package.json scripts that a document runs with npm, such as `npm test` and `npm run -s login`. */
const scriptsIn = (text: string) =>
  [...text.matchAll(/\bnpm (?:(start|test)\b|run (?:-s |--silent )?([\w:-]+))/g)].map(
    ([, short, name]) => short ?? name ?? '',
  );

/** The scripts that .ci/run does not run, each with the reason. */
const NOT_IN_CI: Record<string, string> = {
  'test:all': 'its two parts are run, npm test and npm run test:slow',
  'test:unit': 'npm test includes these tests',
  fix: 'npm run check fails on everything that it would change',
  prepack: 'npm pack runs it, in test/package.test.ts',
  postpack: 'npm pack runs it, in test/package.test.ts',
};

describe('The scripts in package.json are run in CI and exist where documents run them', () => {
  it('.ci/run runs all the scripts in package.json', () => {
    const commands = [...textOf('.ci/run').matchAll(/^(?:step|beside) .*$/gm)].join('\n');
    const expected = Object.keys(manifest.scripts).filter((name) => !(name in NOT_IN_CI));
    expect([...new Set(scriptsIn(commands))].toSorted()).toEqual(expected.toSorted());
  });

  it.each(['README.md', 'SECURITY.md', 'CHANGELOG.md', ...namesIn('docs', '.md')])(
    'package.json contains each script that %s runs',
    (document) => {
      expect(Object.keys(manifest.scripts)).toEqual(expect.arrayContaining(scriptsIn(textOf(document))));
    },
  );
});

describe('The script .ci/run reports every failure', () => {
  /** Runs .ci/run with stand-ins for the programs of its steps. npm commands that start with `broken` fail. */
  function run(broken: string) {
    const folder = temporaryFolder('ci');
    mkdirSync(join(folder, '.ci'));
    for (const name of ['.ci/run', '.ci/count.mjs']) copyFileSync(`${root}${name}`, join(folder, name));
    for (const [name, report] of Object.entries({ test: 'report.json', 'run test:slow': 'slow.json' })) {
      const statuses = broken === name ? ['passed', 'failed'] : ['passed', 'passed', 'skipped'];
      const assertionResults = statuses.map((status) => ({ status, fullName: `guards ${status}` }));
      const file = {
        name: join(folder, 'test/a.test.ts'),
        status: statuses.includes('failed') ? 'failed' : 'passed',
      };
      writeFileSync(join(folder, report), JSON.stringify({ testResults: [{ ...file, assertionResults }] }));
    }
    const npm = `#!/bin/sh
case "$*" in "test "*) cp report.json .build/test-report.json ;; "run test:slow"*) cp slow.json .build/test-report-slow.json ;; esac
case "$*" in "${broken}"*) exit 3 ;; esac
`;
    for (const name of ['npm', 'npx', 'git', 'apt-get', 'pip']) {
      writeFileSync(join(folder, name), name === 'npm' ? npm : '#!/bin/sh\n', { mode: 0o755 });
    }
    const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
    const { status, stdout } = spawnSync('bash', ['.ci/run'], { cwd: folder, env, encoding: 'utf8' });
    return { status, last: stdout.trim().split('\n').at(-1), stdout };
  }

  it('.ci/run exits with 0 and prints the number of tests last if every step passes', () => {
    expect(run('no command')).toMatchObject({ status: 0, last: '4 passed, 0 failed' });
  });

  it.each([
    ['run verify:soak', '4 passed, 1 failed'],
    ['run verify:model', '4 passed, 1 failed'],
    ['run generate', '4 passed, 1 failed'],
    ['test', '3 passed, 1 failed'],
    ['run test:slow', '3 passed, 1 failed'],
    ['ci', '0 passed, 1 failed'],
  ])('.ci/run exits with 1 and counts the failure if `npm %s` fails', (broken, last) => {
    expect(run(broken)).toMatchObject({ status: 1, last });
  });

  it('.ci/run names each failed test before the number of tests', () => {
    const { stdout } = run('run test:slow');
    expect(stdout.trim().split('\n').slice(-3)).toEqual([
      'failed: test/a.test.ts: guards failed',
      '1 skipped',
      '3 passed, 1 failed',
    ]);
  });

  it('.ci/run continues with the remaining steps after a step fails', () => {
    const { stdout } = run('run check');
    expect(stdout).toMatch(/^failed +\d+ s {2}npm run check$/m);
    expect(stdout).toMatch(/^passed +\d+ s {2}npm run migrate -- --help$/m);
  });
});
