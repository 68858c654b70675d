import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import manifest from '../../package.json' with { type: 'json' };
import type { Json } from '../support/template.ts';
import { temporaryFolder } from '../support/temporary.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const textOf = (path: string) => readFileSync(join(root, path), 'utf8');
const { version } = manifest;
const { jobs } = parse(textOf('.github/workflows/release.yml'));
const COMMIT = 'a'.repeat(40);
const OTHER = 'b'.repeat(40);

const folder = temporaryFolder('release');
const inFolder = (path: string) => join(folder, path);
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(inFolder('bin'), { recursive: true });
  for (const path of ['package.json', 'CHANGELOG.md']) copyFileSync(join(root, path), inFolder(path));
});

/** Creates a program, in a folder that is first on PATH, that records its arguments and then runs a script. */
function standIn(program: string, script: string): void {
  const text = `#!/bin/bash\necho "${program} $*" >> "${inFolder('calls')}"\n${script}\n`;
  writeFileSync(inFolder(`bin/${program}`), text, { mode: 0o755 });
}

/** Runs a step of the workflow as GitHub does, and returns its status, its output and the recorded calls. */
function runStep(job: string, name: RegExp) {
  const step = jobs[job].steps.find((each: Json) => name.test(each.name ?? each.run));
  const env = {
    PATH: `${inFolder('bin')}:${process.env.PATH}`,
    VERSION: version,
    GITHUB_REPOSITORY: 'acme/deployment-api-keys',
    GITHUB_SHA: COMMIT,
    GITHUB_OUTPUT: inFolder('output'),
    LC_ALL: 'C',
  };
  writeFileSync(inFolder('output'), '');
  writeFileSync(inFolder('calls'), '');
  const options = { cwd: folder, env, encoding: 'utf8' } as const;
  const args = ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step.run];
  const { status, stdout, stderr } = spawnSync('bash', args, options);
  const calls = readFileSync(inFolder('calls'), 'utf8').trim().split('\n');
  return { status, stdout: stdout + stderr, calls, output: readFileSync(inFolder('output'), 'utf8') };
}

describe('A release step finds the version to release', () => {
  it('the release step reports a version as new if the version has not been released', () => {
    standIn('gh', 'exit 1');
    expect(runStep('version', /^Find/)).toMatchObject({ status: 0, output: `new=${version}\n` });
  });

  it('the release step reports nothing if the version has already been released', () => {
    standIn('gh', 'exit 0');
    const step = runStep('version', /^Find/);
    expect(step).toMatchObject({ status: 0, output: '' });
    expect(step.calls).toEqual([`gh release view v${version} --repo acme/deployment-api-keys`]);
  });

  it('the release step rejects a version that does not have the form 1.2.3', () => {
    standIn('gh', 'exit 1');
    writeFileSync(inFolder('package.json'), '{ "version": "1.0.0-rc.1" }');
    expect(runStep('version', /^Find/)).toMatchObject({ status: 1, output: '', calls: [''] });
  });
});

describe('Release steps build the package', () => {
  it("the release notes come from the version's section of the changelog", () => {
    const section = `\n### Added\n\n- One.\n\n`;
    const text = `# Changelog\n\n## Unreleased\n\n- Two.\n\n## ${version} - 2026-11-27\n${section}## 0.0.1 - 2020-01-01\n\n- Three.\n`;
    writeFileSync(inFolder('CHANGELOG.md'), text);
    expect(runStep('package', /^Read/).status).toBe(0);
    expect(readFileSync(inFolder('notes.md'), 'utf8')).toBe(section);
  });

  it('the release fails for a version without a section in the changelog', () => {
    writeFileSync(
      inFolder('CHANGELOG.md'),
      `# Changelog\n\n## Unreleased\n\n- ${version}\n\n## ${version}0\n\n- One.\n`,
    );
    const { status, stdout } = runStep('package', /^Read/);
    expect([status, stdout]).toEqual([1, expect.stringContaining(`no section for version ${version}`)]);
  });

  it('the release fails if package.json names a different repository', () => {
    expect(runStep('package', /^Check/).status).toBe(0);
    writeFileSync(
      inFolder('package.json'),
      JSON.stringify({ repository: { url: 'git+https://github.com/other/x.git' } }),
    );
    expect(runStep('package', /^Check/).status).toBe(1);
  });

  it('the release contains checksums of the package, the functions and the API document', () => {
    mkdirSync(inFolder('docs'));
    writeFileSync(inFolder('docs/openapi.json'), '{}');
    mkdirSync(inFolder('dist/.build/functions/authorize'), { recursive: true });
    writeFileSync(inFolder('dist/.build/functions/authorize/index.js'), '');
    standIn('npm', `echo package > "release/deployment-api-keys-$VERSION.tgz"`);
    expect(runStep('package', /^Pack/)).toMatchObject({
      status: 0,
      calls: ['npm pack --pack-destination release'],
    });
    const names = readFileSync(inFolder('release/SHA256SUMS'), 'utf8').match(/\S+$/gm);
    expect(names?.toSorted()).toEqual(
      [`deployment-api-keys-${version}.tgz`, `functions-${version}.tar.gz`, 'openapi.json'].toSorted(),
    );
    const checked = spawnSync('sha256sum', ['--check', '--strict', 'SHA256SUMS'], {
      cwd: inFolder('release'),
    });
    expect(checked.status).toBe(0);
    const listed = spawnSync('tar', ['tzf', `release/functions-${version}.tar.gz`], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(listed.stdout).toContain('authorize/index.js');
  });
});

it('only the release workflow adds provenance, so that the first version can be published by hand', () => {
  expect(manifest).not.toHaveProperty('publishConfig');
});

describe('A release step publishes the package to npm', () => {
  const tarball = `deployment-api-keys-${version}.tgz`;
  const published = `npm publish ./${tarball} --provenance --access public`;
  beforeEach(() => {
    mkdirSync(inFolder('release'));
    writeFileSync(inFolder(`release/${tarball}`), 'package');
    spawnSync('bash', ['-c', 'sha256sum -- * > SHA256SUMS'], { cwd: inFolder('release') });
  });

  it('the release step publishes a version that npm does not have yet, with provenance', () => {
    standIn('npm', '[ "$1" = publish ]');
    const { status, calls } = runStep('publish', /^Publish/);
    expect([status, calls.at(-1)]).toEqual([0, published]);
  });

  it('the release step publishes nothing if npm already has exactly this package', () => {
    const script = 'printf "sha512-%s" "$(printf package | openssl dgst -sha512 -binary | base64 --wrap=0)"';
    standIn('npm', script);
    const { status, calls } = runStep('publish', /^Publish/);
    expect([status, calls]).toEqual([0, [`npm view deployment-api-keys@${version} dist.integrity`]]);
  });

  it('the release step fails if npm has a different package with this version', () => {
    standIn('npm', 'echo sha512-other');
    const { status, calls } = runStep('publish', /^Publish/);
    expect([status, calls.includes(published)]).toEqual([1, false]);
  });

  it('the release step fails if a file does not match its recorded checksum', () => {
    standIn('npm', 'exit 0');
    writeFileSync(inFolder(`release/${tarball}`), 'changed');
    expect(runStep('publish', /^Publish/)).toMatchObject({ status: 1, calls: [''] });
  });
});

describe('Release steps create tags', () => {
  const refs = 'gh api repos/acme/deployment-api-keys/git/refs';
  const tag = (name: string) => `${refs} --field ref=refs/tags/${name} --field sha=${COMMIT}`;
  const major = `v${version.split('.')[0]}`;
  const move = `gh api --method PATCH repos/acme/deployment-api-keys/git/refs/tags/${major} --field sha=${COMMIT} --field force=true`;
  /** Responds as GitHub does: with the commit of each given tag, and with an error for every other tag. */
  const gitHubHas = (tags: Record<string, string>) => {
    const cases = Object.entries(tags).map(([name, commit]) => `*/git/ref/tags/${name}) echo ${commit} ;;`);
    standIn(
      'gh',
      `case "$2" in ${cases.join(' ')} */git/ref/*) echo '{"message":"Not Found"}'; exit 1 ;; esac`,
    );
  };
  const changes = (calls: string[]) => calls.filter((call) => !call.includes('/git/ref/tags/'));

  it('a release creates a tag for the version and one for the major version', () => {
    gitHubHas({});
    const { status, calls } = runStep('release', /^Tag/);
    expect([status, changes(calls)]).toEqual([0, [tag(`v${version}`), tag(major)]]);
  });

  it('a release moves the tag of the major version to the new version', () => {
    gitHubHas({ [major]: OTHER });
    const { status, calls } = runStep('release', /^Tag/);
    expect([status, changes(calls)]).toEqual([0, [tag(`v${version}`), move]]);
  });

  it('the release steps that create tags can be repeated', () => {
    gitHubHas({ [`v${version}`]: COMMIT, [major]: COMMIT });
    const { status, calls } = runStep('release', /^Tag/);
    expect([status, changes(calls)]).toEqual([0, [move]]);
  });

  it("a release does not move a tag if the version's tag points to another commit", () => {
    gitHubHas({ [`v${version}`]: OTHER, [major]: OTHER });
    const { status, calls } = runStep('release', /^Tag/);
    expect([status, changes(calls)]).toEqual([1, []]);
  });

  it('the GitHub release is created last, with the notes and every file', () => {
    standIn('gh', 'exit 0');
    mkdirSync(inFolder('release'));
    for (const name of ['SHA256SUMS', 'openapi.json']) writeFileSync(inFolder(`release/${name}`), '');
    const { calls } = runStep('release', /^Create/);
    expect(calls).toEqual([
      `gh release create v${version} --repo acme/deployment-api-keys --verify-tag --title ${version} --notes-file notes.md release/SHA256SUMS release/openapi.json`,
    ]);
    expect(jobs.release.steps.at(-1).name).toMatch(/^Create the release/);
  });
});

describe('A release is complete and tested', () => {
  it('a release publishes only what passed all tests, and starts when package.json changes on main', () => {
    expect(parse(textOf('.github/workflows/release.yml')).on).toEqual({
      push: { branches: ['main'], paths: ['package.json'] },
    });
    expect(jobs.tests.uses).toBe('./.github/workflows/ci.yml');
    expect(parse(textOf('.github/workflows/ci.yml')).on).toHaveProperty('workflow_call');
    expect(jobs.publish.needs).toEqual(['version', 'tests', 'package']);
    expect(jobs.release.needs).toContain('publish');
  });

  it('the changelog has a section for the current version directly below the unreleased changes', () => {
    const headings = textOf('CHANGELOG.md').match(/^## \S+/gm);
    expect(headings?.slice(0, 2)).toEqual(['## Unreleased', `## ${version}`]);
  });

  it.each(['README.md', 'docs/ci.md', 'docs/cli.md', 'functions/console/snippets.ts', 'docs/versioning.md'])(
    'every example in %s uses the released version',
    (path) => {
      const pattern =
        /github-action@v([\d.]+\d)|token@([\d.]+\d)|deployment-api-keys-([\d.]+\d)\.tgz|`@v(\d+\.[\d.]+\d)`/g;
      const found = [...textOf(path).matchAll(pattern)].map((match) => match.slice(1).find(Boolean));
      expect([...new Set(found)]).toEqual([version]);
    },
  );
});
