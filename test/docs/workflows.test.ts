import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Json } from '../support/template.ts';

const textOf = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
/** Parses the short forms of CloudFormation functions as plain values. */
const read = (path: string): Json => parse(textOf(path), { logLevel: 'error' });
const filesIn = (folder: string) =>
  readdirSync(new URL(`../../${folder}`, import.meta.url)).map((name) => `${folder}/${name}`);

const OURS = filesIn('.github/workflows');
const GITHUB = [...OURS, 'docs/ci/github-deploy.yml'];
const ALL = [...OURS, ...filesIn('docs/ci')];
/** The permissions of the jobs that have more than the default permissions. */
const PERMISSIONS: Record<string, Record<string, string>> = {
  'docs/ci/github-deploy.yml deploy': { contents: 'read', 'id-token': 'write' },
  '.github/workflows/pages.yml publish': { pages: 'write', 'id-token': 'write' },
  '.github/workflows/release.yml publish': { contents: 'read', 'id-token': 'write' },
  '.github/workflows/release.yml release': { contents: 'write' },
};
const scripts = Object.keys(JSON.parse(textOf('package.json')).scripts);

/** Returns the commands in the jobs of a workflow file of any CI system. */
function commandsOf(path: string): string[] {
  const found: string[] = [];
  const walk = (value: Json, key = '') => {
    if (typeof value === 'string' && ['run', 'command', 'script'].includes(key)) found.push(value);
    else if (Array.isArray(value)) for (const each of value) walk(each, key);
    else if (value && typeof value === 'object')
      for (const [name, of] of Object.entries(value)) walk(of, name);
  };
  walk(read(path));
  return found;
}
const jobsOf = (path: string): [string, Json][] => Object.entries(read(path).jobs);
const stepsOf = (path: string): Json[] => jobsOf(path).flatMap(([, { steps }]) => steps ?? []);

it("the workflow files are the project's own, one for each CI system in docs/deploying.md, and the role's template", () => {
  expect(ALL).toEqual([
    '.github/workflows/ci.yml',
    '.github/workflows/pages.yml',
    '.github/workflows/release.yml',
    'docs/ci/circleci-deploy.yml',
    'docs/ci/github-deploy.yml',
    'docs/ci/gitlab-deploy.yml',
    'docs/ci/role.yml',
  ]);
  for (const path of ALL.filter((name) => name.startsWith('docs/')))
    expect(textOf('docs/deploying.md')).toContain(`(${path.replace('docs/', '')})`);
});

describe.each(ALL)('The workflow file %s contains no secrets and only valid commands', (path) => {
  it('a workflow neither contains nor refers to a secret, because deployments authenticate with OIDC', () => {
    const text = textOf(path);
    expect(text).not.toMatch(/secrets\.|AWS_SECRET_ACCESS_KEY|AWS_ACCESS_KEY_ID|aws-access-key-id|AKIA/);
  });

  it("a workflow's commands have valid shell syntax and run existing scripts", () => {
    const commands = commandsOf(path);
    expect(commands.length > 0).toBe(path !== 'docs/ci/role.yml');
    for (const command of commands) {
      const inShell = command.replaceAll(/\$\{\{.*?\}\}/g, 'x');
      expect(spawnSync('bash', ['-n', '-c', inShell], { encoding: 'utf8' }).stderr).toBe('');
      for (const [, script] of command.matchAll(/npm run (\S+)/g)) expect(scripts).toContain(script);
      for (const [, binary] of command.matchAll(/npx (\S+)/g)) expect(binary).toBe('cdk');
    }
  });
});

describe.each(GITHUB)('The GitHub workflow %s follows the rules for secure workflows', (path) => {
  it('a workflow has only read permissions, except in the jobs that deploy, publish and tag', () => {
    expect(read(path).permissions).toEqual({ contents: 'read' });
    for (const [name, { permissions }] of jobsOf(path)) {
      expect(permissions).toEqual(PERMISSIONS[`${path} ${name}`]);
    }
  });

  it('a workflow pins each action to a commit, and gives third-party code no additional permissions', () => {
    const uses = [...textOf(path).matchAll(/uses: (.*)/g)].map(([, action]) => action);
    expect(uses.length).toBeGreaterThan(2);
    // An action or workflow from the same commit does not have to be pinned.
    const pinned = uses.filter((action) => !action?.startsWith('./.github/workflows/'));
    for (const action of pinned) expect(action).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    const checkouts = stepsOf(path).filter(({ uses: action }) => action?.startsWith('actions/checkout@'));
    for (const { with: options } of checkouts) expect(options['persist-credentials']).toBe(false);
    expect(textOf(path)).not.toContain('pull_request_target');
    // Text that the author of a pull request chooses must not become part of a command.
    for (const command of commandsOf(path)) expect(command).not.toContain('${{');
  });
});

describe("The project's own workflow runs all checks", () => {
  const [ci = ''] = OURS;

  it("the project's workflow runs quick tests for a pull request and all tests every night", () => {
    const { jobs } = read(ci);
    const commands = (job: string) => jobs[job].steps.flatMap(({ run }: Json) => run ?? []);
    expect(commands('audit')).toEqual([
      'npm ci --ignore-scripts',
      'npm audit --audit-level=high',
      'npm audit signatures',
      'node .ci/licences.ts',
    ]);
    expect(commands('tests')).toEqual(['npm ci', 'npm run check', 'npm test']);
    expect(commands('everything').at(-1)).toBe('.ci/run');
    expect(jobs.everything.env.GENERATED).toContain("|| 'all'");
    // A failed `cdk diff` must not look like a diff without differences.
    expect(read(ci).defaults.run.shell).toBe('bash');
    expect(jobs.template.strategy.matrix.stage).toEqual(['development', 'production']);
    expect(commands('template').join()).toContain('npx cdk diff');
  });

  it("the project's workflow fails on a change that would replace, destroy or abandon a resource that contains data", () => {
    const last = read(ci).jobs.template.steps.at(-1).run;
    const [, pattern = ''] = /if grep -E '(.*)'/.exec(last) ?? [];
    const isStopped = (line: string) => new RegExp(pattern).test(line);
    // These lines have the format of the output of `cdk diff --template`.
    expect(isStopped('[~] AWS::DynamoDB::GlobalTable Default/Table/Default TableCD117FA1 replace')).toBe(
      true,
    );
    expect(isStopped('[-] AWS::DynamoDB::GlobalTable Default/Table/Default TableOLD orphan')).toBe(true);
    expect(isStopped('[-] AWS::Cognito::UserPool Default/People/Default People1 destroy')).toBe(true);
    expect(isStopped('[~] AWS::DynamoDB::GlobalTable Default/Table/Default TableCD117FA1')).toBe(false);
    expect(isStopped('[~] AWS::Lambda::Function Default/Purge/Function Purge1 replace')).toBe(false);
  });
});

it('Dependabot updates every pinned dependency', () => {
  const { updates } = read('.github/dependabot.yml');
  const watched = updates.map((each: Json) => [each['package-ecosystem'], each.schedule.interval]);
  expect(watched).toEqual([
    ['github-actions', 'weekly'],
    ['npm', 'weekly'],
  ]);
});

describe('The role for deployments by CI is restricted', () => {
  it('the CI role trusts only an exact audience and subject, and can assume only the CDK bootstrap roles', () => {
    const { Deployer } = read('docs/ci/role.yml').Resources;
    const [trust] = Deployer.Properties.AssumeRolePolicyDocument.Statement;
    const issuer = 'token.actions.githubusercontent.com';
    expect(trust.Condition).toEqual({
      StringEquals: { [`${issuer}:aud`]: 'sts.amazonaws.com', [`${issuer}:sub`]: 'Subject' },
    });
    const allowed = Deployer.Properties.Policies.flatMap(
      ({ PolicyDocument }: Json) => PolicyDocument.Statement,
    );
    expect(allowed).toHaveLength(1);
    expect(allowed[0]).toMatchObject({
      Action: 'sts:AssumeRole',
      Resource: expect.stringMatching(/:role\/cdk-hnb659fds-\*-\$\{AWS::AccountId\}-\$\{AWS::Region\}$/),
    });
  });

  it('GitHub uses the CI role in a protected environment, and every CI system deploys only after a review', () => {
    expect(read('docs/ci/github-deploy.yml').jobs.deploy.environment).toBe('production');
    for (const path of ALL.filter((name) => name.endsWith('-deploy.yml'))) {
      const commands = commandsOf(path).join('\n');
      expect(commands.indexOf('npx cdk diff')).toBeGreaterThan(-1);
      expect(commands.indexOf('npx cdk deploy')).toBeGreaterThan(commands.indexOf('npx cdk diff'));
    }
  });
});
