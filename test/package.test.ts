import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { snippet } from './support/snippets.ts';
import type { Json } from './support/template.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'package-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Packages that every consumer already has. The test copies them from this project, so that it needs no network. */
const PEERS = ['aws-cdk-lib', 'constructs', '@types/node', 'undici-types'];

const manifestBefore = readFileSync(join(root, 'package.json'), 'utf8');
await run('npm', ['pack', '--pack-destination', folder], { cwd: root });
const { version } = JSON.parse(manifestBefore);
const tarball = join(folder, `deployment-api-keys-${version}.tgz`);

/** An empty CDK app with the tarball installed. */
const app = join(folder, 'app');
mkdirSync(app);
writeFileSync(join(app, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module' }));
const options = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--legacy-peer-deps'];
await run('npm', ['install', ...options, tarball], { cwd: app });
mkdirSync(join(app, 'node_modules/@types'), { recursive: true });
for (const peer of PEERS) symlinkSync(join(root, 'node_modules', peer), join(app, 'node_modules', peer));

const authorizer = snippet('authorizer.md', 'ts');
/**
 * Apps: one with the service, the documents' own examples unchanged, and one of those without a required
 * property.
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
  'wrong.ts': authorizer.replace('handlerChecksDeployment: false,', ''),
};
for (const [file, source] of Object.entries(sources)) writeFileSync(join(app, file), source);

/** Returns the compiler's errors, each with its file. */
async function compile(): Promise<string[]> {
  const compilerOptions = {
    strict: true,
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

/**
 * Runs an app as `cdk synth` does, without warnings.
 * @returns the template of a stack
 */
async function synthesise(file: keyof typeof sources, stack: string): Promise<Json> {
  const env = { ...process.env, CDK_OUTDIR: 'cdk.out', CDK_VALIDATION: 'true' };
  const { stderr } = await run(process.execPath, [file], { cwd: app, env });
  expect(stderr).toBe('');
  return JSON.parse(readFileSync(join(app, `cdk.out/${stack}.template.json`), 'utf8'));
}

describe('npm pack', () => {
  it('leaves package.json unchanged', () => {
    expect(readFileSync(join(root, 'package.json'), 'utf8')).toBe(manifestBefore);
  });

  it('ships what an app needs, and nothing for developing this project', () => {
    const installed = join(app, 'node_modules/deployment-api-keys');
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    expect(manifest.optionalDependencies).toBeUndefined();
    expect(Object.keys(manifest.dependencies)).toStrictEqual(['cdk-monitoring-constructs', 'leven', 'zod']);
    expect(Object.keys(manifest.peerDependencies)).toStrictEqual(['aws-cdk-lib', 'constructs']);
    expect(existsSync(join(installed, 'dist/infra/index.d.ts'))).toBe(true);
    expect(existsSync(join(installed, 'functions'))).toBe(false);
  });

  it('ships the licences of the bundled packages', () => {
    const path = 'node_modules/deployment-api-keys/dist/THIRD-PARTY-LICENCES.txt';
    const licences = readFileSync(join(app, path), 'utf8');
    for (const name of ['aws4', 'preact', '@middy/core', 'ulid', 'zod']) {
      expect(licences).toMatch(new RegExp(`^${name} \\d[\\d.]+, (MIT|MIT-0|Apache-2\\.0)\\n=`, 'm'));
    }
    expect(licences).toContain('Permission is hereby granted');
  });
});

describe('an empty CDK app with the tarball installed', { timeout: 120_000 }, () => {
  it('compiles the documented examples, and rejects them without a required property of the authorizer', async () => {
    const missing = expect.stringMatching(/^wrong\.ts\(.*'handlerChecksDeployment' is missing/);
    // One error for the REST API, and one for the HTTP API.
    expect(await compile()).toStrictEqual([missing, missing]);
  });

  it('synthesises the service with prebuilt functions', async () => {
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

  it('synthesises a key whose secret is stored in Secrets Manager, with a prebuilt function', async () => {
    const { Resources } = await synthesise('secret.ts', 'Reports');
    const [maker] = Object.values<Json>(Resources).filter(({ Properties }) =>
      Properties.Description?.startsWith('Makes the key'),
    );
    expect(existsSync(bundleOf(maker.Properties))).toBe(true);
  });

  it('synthesises the authorizer for another account without any resource of the service', async () => {
    const resources = Object.values<Json>((await synthesise('consumer.ts', 'Receiver')).Resources);
    const ofType = (type: string) =>
      resources.filter(({ Type }) => Type === type).map(({ Properties }) => Properties);
    const uri = expect.stringContaining('arn:aws:lambda:eu-west-1:111122223333:function:keys-Authorize');
    const expected = { AuthorizerUri: uri, AuthorizerResultTtlInSeconds: 0 };
    expect(ofType('AWS::ApiGateway::Authorizer')).toMatchObject([expected]);
    expect(ofType('AWS::ApiGatewayV2::Authorizer')).toMatchObject([expected]);
    expect(ofType('AWS::DynamoDB::GlobalTable')).toStrictEqual([]);
  });

  it('can be a CommonJS app', async () => {
    const print = `console.log(typeof require('deployment-api-keys').DeploymentKeyAuthorizer)`;
    const { stdout } = await run(process.execPath, ['--input-type=commonjs', '-e', print], { cwd: app });
    expect(stdout.trim()).toBe('function');
  });
});

const bundleOf = ({ Code }: Json) =>
  join(app, 'cdk.out', `asset.${Code.S3Key.replace('.zip', '')}`, 'index.js');
