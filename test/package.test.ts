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

/** What every consumer has already; the test has them from here, so that it needs no network. */
const PEERS = ['aws-cdk-lib', 'constructs', '@types/node', 'undici-types'];

const manifestBefore = readFileSync(join(root, 'package.json'), 'utf8');
await run('npm', ['pack', '--pack-destination', folder], { cwd: root });
const { version } = JSON.parse(manifestBefore);
const tarball = join(folder, `deployment-api-keys-${version}.tgz`);

/** An empty CDK app with the tarball in it. */
async function newApp(name: string, source: string): Promise<string> {
  const app = join(folder, name);
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }));
  const options = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--legacy-peer-deps'];
  await run('npm', ['install', ...options, tarball], { cwd: app });
  mkdirSync(join(app, 'node_modules/@types'), { recursive: true });
  for (const peer of PEERS) symlinkSync(join(root, 'node_modules', peer), join(app, 'node_modules', peer));
  writeFileSync(join(app, 'app.ts'), source);
  writeFileSync(
    join(app, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        module: 'nodenext',
        target: 'es2024',
        types: ['node'],
        noEmit: true,
        skipLibCheck: true,
      },
    }),
  );
  return app;
}

const compile = (app: string) =>
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', app]).then(
    () => '',
    ({ stdout }: { stdout: string }) => stdout,
  );
const synthesise = (app: string, file = 'app.ts') =>
  run(process.execPath, [file], { cwd: app, env: { ...process.env, CDK_OUTDIR: 'cdk.out' } });
const templateOf = (app: string, stack: string): Json =>
  JSON.parse(readFileSync(join(app, `cdk.out/${stack}.template.json`), 'utf8'));

const service = await newApp(
  'service',
  `import { App, Stack } from 'aws-cdk-lib';
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
);
/** The document's own app, next to the service's. */
writeFileSync(
  join(service, 'secret.ts'),
  `${snippet('key-secret.md', 'ts')}\n(stack.node.root as App).synth();\n`,
);
/** The document's own app, as it stands there. */
const consumer = await newApp('consumer', snippet('authorizer.md', 'ts'));

describe('npm pack', () => {
  it('leaves package.json as it was', () => {
    expect(readFileSync(join(root, 'package.json'), 'utf8')).toBe(manifestBefore);
  });

  it('ships what an app needs, and nothing for developing this project', () => {
    const installed = join(service, 'node_modules/deployment-api-keys');
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    expect(manifest.optionalDependencies).toBeUndefined();
    expect(Object.keys(manifest.dependencies)).toStrictEqual(['cdk-monitoring-constructs', 'zod']);
    expect(Object.keys(manifest.peerDependencies)).toStrictEqual(['aws-cdk-lib', 'constructs']);
    expect(existsSync(join(installed, 'dist/infra/index.d.ts'))).toBe(true);
    expect(existsSync(join(installed, 'functions'))).toBe(false);
  });

  it('ships the licences of what its bundles hold', () => {
    const path = 'node_modules/deployment-api-keys/dist/THIRD-PARTY-LICENCES.txt';
    const licences = readFileSync(join(service, path), 'utf8');
    for (const name of ['aws4', 'preact', '@middy/core', 'ulid', 'zod']) {
      expect(licences).toMatch(new RegExp(`^${name} \\d[\\d.]+, (MIT|MIT-0|Apache-2\\.0)\\n=`, 'm'));
    }
    expect(licences).toContain('Permission is hereby granted');
  });
});

describe('an empty CDK app with the tarball', { timeout: 120_000 }, () => {
  it('compiles and synthesises the service, its functions prebuilt', async () => {
    expect(await compile(service)).toBe('');
    await synthesise(service);
    const { Resources } = templateOf(service, 'Keys');
    const functions = Object.values<Json>(Resources).filter(({ Type }) => Type === 'AWS::Lambda::Function');
    expect(functions.length).toBeGreaterThan(5);
    for (const { Properties } of functions) {
      const asset = `asset.${Properties.Code.S3Key.replace('.zip', '')}`;
      expect(existsSync(join(service, 'cdk.out', asset, 'index.js'))).toBe(true);
    }
    const allowed = Object.values<Json>(Resources).filter(
      ({ Type, Properties }) =>
        Type === 'AWS::Lambda::Permission' && JSON.stringify(Properties).includes('444455556666'),
    );
    expect(allowed).toHaveLength(1);
  });

  it('synthesises a key whose secret goes into Secrets Manager, its function prebuilt', async () => {
    await synthesise(service, 'secret.ts');
    const { Resources } = templateOf(service, 'Reports');
    const [maker] = Object.values<Json>(Resources).filter(({ Properties }) =>
      Properties.Description?.startsWith('Makes the key'),
    );
    const asset = `asset.${maker.Properties.Code.S3Key.replace('.zip', '')}`;
    expect(existsSync(join(service, 'cdk.out', asset, 'index.js'))).toBe(true);
  });

  it('compiles and synthesises the authorizer for another account, without anything of the service', async () => {
    expect(await compile(consumer)).toBe('');
    await synthesise(consumer);
    const resources = Object.values<Json>(templateOf(consumer, 'Receiver').Resources);
    const ofType = (type: string) =>
      resources.filter(({ Type }) => Type === type).map(({ Properties }) => Properties);
    const uri = expect.stringContaining('arn:aws:lambda:eu-west-1:111122223333:function:keys-Authorize');
    const authorizer = { AuthorizerUri: uri, AuthorizerResultTtlInSeconds: 0 };
    expect(ofType('AWS::ApiGateway::Authorizer')).toMatchObject([authorizer]);
    expect(ofType('AWS::ApiGatewayV2::Authorizer')).toMatchObject([authorizer]);
    expect(ofType('AWS::DynamoDB::GlobalTable')).toStrictEqual([]);
  });

  it('does not compile without what the authorizer must be told', async () => {
    const source = readFileSync(join(consumer, 'app.ts'), 'utf8');
    writeFileSync(join(consumer, 'app.ts'), source.replace('handlerChecksDeployment: false,', ''));
    expect(await compile(consumer)).toContain("'handlerChecksDeployment' is missing");
  });

  it('can be a CommonJS one', async () => {
    const print = `console.log(typeof require('deployment-api-keys').DeploymentKeyAuthorizer)`;
    const { stdout } = await run(process.execPath, ['--input-type=commonjs', '-e', print], { cwd: service });
    expect(stdout.trim()).toBe('function');
  });
});
