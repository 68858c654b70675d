import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { commandLine } from './support/command-line.ts';
import { snippet, snippetsOf } from './support/snippets.ts';
import { runStack } from './support/stack.ts';
import type { Json } from './support/template.ts';
import { temporaryFolder } from './support/temporary.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = temporaryFolder('package');

/** Packages that every consumer already has. The test copies them from this project, so that it needs no network. */
const PEERS = ['aws-cdk-lib', 'constructs', 'vitest'];
/**
 * Packages that `cdk init app` installs for tests. The test installs them from the registry, because this project does
 * not use them.
 */
const JEST = ['jest@30.5.2', 'ts-jest@29.4.15', '@types/jest@30.0.0', 'typescript@5.9.3'];
/** Frameworks for which middleware is documented. */
const FRAMEWORKS = ['express', '@types/express', 'fastify', 'hono', '@hono/node-server'];

const manifestBefore = readFileSync(join(root, 'package.json'), 'utf8');
await run('npm', ['pack', '--pack-destination', folder], { cwd: root });
const { version } = JSON.parse(manifestBefore);
const tarball = join(folder, `deployment-api-keys-${version}.tgz`);

/** An empty CDK app with the tarball installed. */
const app = join(folder, 'app');
mkdirSync(app);
writeFileSync(join(app, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module' }));
const options = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--legacy-peer-deps'];
await run('npm', ['install', ...options, ...JEST, tarball], { cwd: app });
mkdirSync(join(app, 'node_modules/@hono'), { recursive: true });
for (const peer of [...PEERS, ...FRAMEWORKS])
  symlinkSync(join(root, 'node_modules', peer), join(app, 'node_modules', peer));

const authorizer = snippet('authorizer.md', 'ts');
/**
 * Source files of CDK apps: an app with the service, the documented examples without changes, an app that passes
 * undefined for every optional property, and an example without a required property.
 */
const sources = {
  'service.ts': `import { App, Stack } from 'aws-cdk-lib';
import { DeploymentKeys } from 'deployment-api-keys';

const app = new App();
new DeploymentKeys(new Stack(app, 'Keys'), 'Service', {
  adminGroup: 'platform-admins',
  issuer: 'https://login.example.com',
  audience: ['keys'],
  consumerAccounts: ['444455556666'],
});
app.synth();
`,
  'secret.ts': `${snippet('key-secret.md', 'ts')}\n(stack.node.root as App).synth();\n`,
  'consumer.ts': authorizer,
  'reference.ts': snippetsOf('deploying.md', 'ts', 'Use the service in CDK code').join(''),
  'typed.ts': snippetsOf('settings.md', 'ts', 'Pass CDK objects').join(''),
  'express.ts': snippetsOf('guards.md', 'ts', 'Express').join(''),
  'fastify.ts': snippetsOf('guards.md', 'ts', 'Fastify').join(''),
  'hono.ts': snippetsOf('guards.md', 'ts', 'Hono').join(''),
  'event-rules.ts': readFileSync(join(root, 'infra/example/event-rules.ts'), 'utf8'),
  'undefined.ts': `import type * as keys from 'deployment-api-keys';
import type { expressGuard } from 'deployment-api-keys/guard/express';
import type { SampleCall, SampleCaller } from 'deployment-api-keys/testing';

type OptionalIn<T> = { [Name in keyof T]-?: {} extends Pick<T, Name> ? Name : never }[keyof T];
type Undefined<T> = Record<OptionalIn<T>, undefined>;

export const all = (
  settings: Undefined<keys.DeploymentKeysProps>,
  secret: Undefined<keys.DeploymentKeySecretProps>,
  authorizer: Undefined<keys.DeploymentKeyAuthorizerProps>,
  source: Undefined<keys.DeploymentsSource>,
  guard: Undefined<Parameters<typeof expressGuard>[0]>,
  call: Undefined<SampleCall>,
  caller: Undefined<SampleCaller>,
): [
  keys.DeploymentKeysProps,
  Partial<keys.DeploymentKeySecretProps>,
  Partial<keys.DeploymentKeyAuthorizerProps>,
  Partial<keys.DeploymentsSource>,
  Partial<Parameters<typeof expressGuard>[0]>,
  Partial<SampleCall>,
  SampleCaller,
] => [settings, secret, authorizer, source, guard, call, caller];
`,
  'wrong.ts': authorizer.replace('handlerChecksDeployment: false,', ''),
};
for (const [file, source] of Object.entries(sources)) writeFileSync(join(app, file), source);

/** A test that a user of the package could write. It uses every part of the package. Its imports are added later. */
const userTest = (name: string) => `
${name}('uses the constructs, the middleware and the sample events', () => {
  const stack = new Stack(new App(), 'Keys');
  const issuer = 'https://login.example.com';
  new DeploymentKeys(stack, 'Service', { adminGroup: 'admins', issuer, audience: ['keys'] });
  Template.fromStack(stack).resourceCountIs('AWS::DynamoDB::GlobalTable', 1);
  const api = new HttpApi(stack, 'Api');
  const authorizer = new DeploymentKeyAuthorizer(stack, 'Authorizer', {
    api,
    functionArn: 'arn:aws:lambda:eu-west-1:111122223333:function:keys-Authorize',
    requiredScopes: { 'GET /deployments/{deploymentId}/dags': ['airflow:read'] },
    handlerChecksDeployment: false,
  });
  expect(authorizer.authorizerId).toBeDefined();
  expect(typeof expressGuard).toBe('function');
  expect(httpApiEvent({ route: 'GET /deployments/{deploymentId}/dags' }).rawPath).toBe('/deployments/etl/dags');
  const other = new Stack(new App(), 'Other');
  expect(() => new DeploymentKeys(other, 'Service', { tokenLifetime: -1 })).toThrow(ConfigError);
});
`;
const IMPORTED = {
  'aws-cdk-lib': ['App', 'Stack'],
  'aws-cdk-lib/assertions': ['Template'],
  'aws-cdk-lib/aws-apigatewayv2': ['HttpApi'],
  'deployment-api-keys': ['ConfigError', 'DeploymentKeyAuthorizer', 'DeploymentKeys'],
  'deployment-api-keys/guard/express': ['expressGuard'],
  'deployment-api-keys/testing': ['httpApiEvent'],
};
const imported = Object.entries(IMPORTED);
const IMPORTS = imported.map(([from, names]) => `import { ${names.join(', ')} } from '${from}';\n`).join('');
const REQUIRES = imported
  .map(([from, names]) => `const { ${names.join(', ')} } = require('${from}');\n`)
  .join('');
const VITEST = "import { expect, test } from 'vitest';\n";

/**
 * A CommonJS app as `cdk init app` creates it, with tests that a user could write. It uses the packages in its parent
 * folder.
 */
const initialised = join(app, 'initialised');
const userFiles = {
  'package.json': '{ "name": "initialised" }',
  'tsconfig.json': JSON.stringify({
    compilerOptions: {
      target: 'ES2022',
      module: 'NodeNext',
      moduleResolution: 'NodeNext',
      lib: ['es2022'],
      strict: true,
      skipLibCheck: true,
      types: ['jest', 'node'],
    },
    include: ['jest/*.ts'],
  }),
  'jest.config.js': `module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/jest'],
  transform: { '^.+\\.ts$': 'ts-jest' },
};`,
  'jest/typescript.test.ts': IMPORTS + userTest('test'),
  'jest/javascript.test.js': REQUIRES + userTest('test'),
  'vitest/typescript.test.ts': VITEST + IMPORTS + userTest('test'),
  'vitest/javascript.test.mjs': VITEST + IMPORTS + userTest('test'),
};
for (const [file, source] of Object.entries(userFiles)) {
  mkdirSync(dirname(join(initialised, file)), { recursive: true });
  writeFileSync(join(initialised, file), source);
}

// Runs a test runner in the app that `cdk init` would create, and returns its output.
async function runTests(args: string[]): Promise<string> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_ENV|TEST$|NODE_OPTIONS)/.test(name)),
  );
  const options = { cwd: initialised, env: { ...env, CI: 'true', NO_COLOR: '1' } };
  const { stdout, stderr } = await run(process.execPath, args, options).catch((error) => error);
  return stdout + stderr;
}

// Returns the compiler's errors, each with its file.
async function compile(exactOptionalPropertyTypes: boolean): Promise<string[]> {
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes,
    module: 'nodenext',
    target: 'es2024',
    types: ['node'],
    noEmit: true,
    skipLibCheck: true,
  };
  writeFileSync(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: Object.keys(sources) }));
  const tsc = [join(root, 'node_modules/typescript/bin/tsc'), '--pretty', 'false', '-p', app];
  const { stdout } = await run(process.execPath, tsc, { cwd: app }).catch((error) => error);
  return stdout.split('\n').filter((line: string) => /^\S/.test(line));
}

// Runs an app as `cdk synth` does, asserts that there are no warnings, and returns the template of the stack.
async function synthesise(file: keyof typeof sources, stack: string): Promise<Json> {
  const env = { ...process.env, CDK_OUTDIR: 'cdk.out', CDK_VALIDATION: 'true' };
  const { stderr } = await run(process.execPath, [file], { cwd: app, env });
  expect(stderr).toBe('');
  return JSON.parse(readFileSync(join(app, `cdk.out/${stack}.template.json`), 'utf8'));
}

describe('npm pack creates a package with everything that an app needs', () => {
  it('npm pack does not change package.json', () => {
    expect(readFileSync(join(root, 'package.json'), 'utf8')).toBe(manifestBefore);
  });

  it('the package contains what an app needs, and nothing that only developers of this project need', () => {
    const installed = join(app, 'node_modules/deployment-api-keys');
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    expect(manifest.optionalDependencies).toBeUndefined();
    expect(Object.keys(manifest.dependencies)).toStrictEqual(['cdk-monitoring-constructs', 'leven', 'zod']);
    expect(Object.keys(manifest.peerDependencies)).toStrictEqual(['aws-cdk-lib', 'constructs']);
    expect(manifest.private).toBeUndefined();
    expect(existsSync(join(installed, 'CHANGELOG.md'))).toBe(true);
    expect(existsSync(join(installed, 'dist/infra/index.d.ts'))).toBe(true);
    expect(existsSync(join(installed, 'functions'))).toBe(false);
  });

  it('the package contains the licences of the bundled packages', () => {
    const path = 'node_modules/deployment-api-keys/dist/THIRD-PARTY-LICENCES.txt';
    const licences = readFileSync(join(app, path), 'utf8');
    for (const name of ['aws4', 'leven', 'preact', '@middy/core', 'ulid', 'zod']) {
      expect(licences).toMatch(new RegExp(`^${name} \\d[\\d.]+, (MIT|MIT-0|Apache-2\\.0)\\n=`, 'm'));
    }
    expect(licences).toContain('Permission is hereby granted');
  });
});

describe('The package contains a working CLI', { timeout: 120_000 }, () => {
  const installed = commandLine({ program: [join(app, 'node_modules/.bin/deployment-api-keys')] });

  it("the package's CLI prints its version and each command's help", async () => {
    expect(await installed.run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    expect((await installed.run(['backfill', '--help'])).stdout).toContain('--dry-run');
  });

  it("the package's CLI gets a token and runs a command with it", async () => {
    const stack = await runStack();
    await stack.register('etl');
    const key = await stack.createKey('etl');
    const env = {
      DEPLOYMENT_KEYS_URL: stack.url,
      DEPLOYMENT_KEY_ID: key.id,
      DEPLOYMENT_KEY_SECRET: key.secret,
    };
    const { stdout } = await installed.run(['token'], { env });
    expect(stdout).toMatch(/^dkt_etl_\w+\n$/);
    const ran = await installed.run(['exec', '--', 'printenv', 'DEPLOYMENT_TOKEN'], { env });
    expect(ran).toMatchObject({ code: 0, stdout: expect.stringMatching(/^dkt_etl_\w+\n$/), stderr: '' });
    expect(await installed.run(['dev'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/unknown command/),
    });
  });

  it("the package's CLI loads the modules that its operator commands need", async () => {
    const args = ['restore', '--from', 'a', '--into', 'a', '--point', '2030-01-01T12:00:00Z'];
    expect((await installed.run(args)).stderr).toContain('are the same table');
    const source = ['backfill', '--table', 'keys', '--source', '{}'];
    expect((await installed.run(source)).stderr).toContain('deploymentsSource must be');
  });
});

describe('A CDK app can use the installed package', { timeout: 120_000 }, () => {
  it.each([false, true])(
    'a CDK app with exactOptionalPropertyTypes %s compiles with the documented examples, but not without a required property',
    async (exactOptionalPropertyTypes) => {
      const missing = expect.stringMatching(/^wrong\.ts\(.*'handlerChecksDeployment' is missing/);
      // The compiler reports one error for the REST API and one for the HTTP API.
      expect(await compile(exactOptionalPropertyTypes)).toStrictEqual([missing, missing]);
    },
  );

  it('a CDK app can synthesise the service, with prebuilt functions', async () => {
    const { Resources } = await synthesise('service.ts', 'Keys');
    const functions = Object.values<Json>(Resources).filter(({ Type }) => Type === 'AWS::Lambda::Function');
    expect(functions.length).toBeGreaterThan(5);
    for (const { Properties } of functions) expect(existsSync(bundleOf(Properties))).toBe(true);
    const allowed = Object.values<Json>(Resources).filter(
      ({ Type, Properties }) =>
        Type === 'AWS::Lambda::Permission' && JSON.stringify(Properties).includes('444455556666'),
    );
    expect(allowed).toHaveLength(1);
  });

  it('a CDK app can synthesise a key whose secret is stored in Secrets Manager', async () => {
    const { Resources } = await synthesise('secret.ts', 'Reports');
    const [maker] = Object.values<Json>(Resources).filter(({ Properties }) =>
      Properties.Description?.startsWith('Creates the key'),
    );
    expect(existsSync(bundleOf(maker.Properties))).toBe(true);
  });

  it('a CDK app can synthesise the authorizer of a service in another account', async () => {
    const resources = Object.values<Json>((await synthesise('consumer.ts', 'Receiver')).Resources);
    const ofType = (type: string) =>
      resources.filter(({ Type }) => Type === type).map(({ Properties }) => Properties);
    const uri = expect.stringContaining('arn:aws:lambda:eu-west-1:111122223333:function:keys-Authorize');
    const expected = { AuthorizerUri: uri, AuthorizerResultTtlInSeconds: 0 };
    expect(ofType('AWS::ApiGateway::Authorizer')).toMatchObject([expected]);
    expect(ofType('AWS::ApiGatewayV2::Authorizer')).toMatchObject([expected]);
    expect(ofType('AWS::DynamoDB::GlobalTable')).toStrictEqual([]);
  });

  it('a CDK app can refer to a deployed service by its stage', async () => {
    const { Parameters } = await synthesise('reference.ts', 'Receiver');
    const read = Object.values<Json>(Parameters).map(({ Default }) => Default);
    expect(read.toSorted()).toStrictEqual([
      '/cdk-bootstrap/hnb659fds/version',
      '/deployment-api-keys-production/authorizer-function-arn',
      '/deployment-api-keys-production/platform-arn',
    ]);
  });

  it("unit tests can use the package's sample events without the CDK", async () => {
    const print = `import { httpApiEvent } from 'deployment-api-keys/testing';
console.log(httpApiEvent({ route: 'GET /deployments/{deploymentId}/dags' }).rawPath);`;
    const withoutCdk = join(folder, 'unit-tests');
    mkdirSync(join(withoutCdk, 'node_modules'), { recursive: true });
    symlinkSync(
      join(app, 'node_modules/deployment-api-keys'),
      join(withoutCdk, 'node_modules/deployment-api-keys'),
    );
    const options = ['--preserve-symlinks', '--input-type=module', '-e', print];
    const { stdout } = await run(process.execPath, options, { cwd: withoutCdk });
    expect(stdout.trim()).toBe('/deployments/etl/dags');
  });

  it('tests in an app created by `cdk init` can use the package with Jest, in TypeScript and JavaScript', {
    timeout: 300_000,
  }, async () => {
    const report = await runTests([join(app, 'node_modules/jest/bin/jest.js'), '--runInBand']);
    expect(report).toMatch(/^PASS jest\/typescript\.test\.ts/m);
    expect(report).toMatch(/^PASS jest\/javascript\.test\.js/m);
    expect(report).toMatch(/^Tests: +2 passed, 2 total$/m);
  });

  it('tests in an app created by `cdk init` can use the package with vitest, in TypeScript and JavaScript', {
    timeout: 300_000,
  }, async () => {
    const vitest = join(root, 'node_modules/vitest/vitest.mjs');
    const report = await runTests([vitest, 'run', '--dir', 'vitest', '--testTimeout', '120000']);
    expect(report).toMatch(/^ +Tests +2 passed \(2\)$/m);
  });

  it('a CDK app that uses the package can be a CommonJS app', async () => {
    const print = `console.log(typeof require('deployment-api-keys').DeploymentKeyAuthorizer)`;
    const { stdout } = await run(process.execPath, ['--input-type=commonjs', '-e', print], { cwd: app });
    expect(stdout.trim()).toBe('function');
  });

  it.each(['express', 'fastify', 'hono'])(
    'an app can import the guard for %s without the CDK or the framework',
    async (name) => {
      const print = `import('deployment-api-keys/guard/${name}').then((it) => console.log(typeof it.${name}Guard))`;
      const { stdout } = await run(process.execPath, ['-e', print], { cwd: app });
      expect(stdout.trim()).toBe('function');
    },
  );
});

const bundleOf = ({ Code }: Json) =>
  join(app, 'cdk.out', `asset.${Code.S3Key.replace('.zip', '')}`, 'index.js');
