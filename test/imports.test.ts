import { describe, expect, it } from 'vitest';
import { bundleOf, circles, filesBelow, type Import, importsOf, importsOfFiles } from './support/imports.ts';

/** The project folders and packages that each file may import. The first rule that matches a file applies to it. */
const RULES: readonly { files: RegExp; folders: RegExp; packages: RegExp; rule: string }[] = [
  {
    rule: 'domain imports domain, node:crypto, node:zlib and ulid',
    files: /^functions\/domain\//,
    folders: /^functions\/domain\//,
    packages: /^(node:crypto|node:zlib|ulid)$/,
  },
  {
    rule: 'table imports domain, and is the only folder that uses DynamoDB',
    files: /^functions\/table\//,
    folders: /^functions\/(table|domain)\//,
    packages: /^(?!@middy\/|aws-cdk|constructs$)/,
  },
  {
    rule: 'http imports domain, but no part of the AWS SDK',
    files: /^functions\/http\//,
    folders: /^functions\/(http|domain)\//,
    packages: /^(?!@aws-sdk\/|aws-cdk|constructs$)/,
  },
  {
    rule: 'runtime creates the dependencies of functions: it imports table and domain',
    files: /^functions\/runtime\//,
    folders: /^functions\/(runtime|table|domain)\//,
    packages: /^(?!@middy\/|aws-cdk|constructs$)/,
  },
  {
    rule: 'operations imports operations, http, domain and table, and receives everything else',
    files: /^functions\/operations\//,
    folders: /^functions\/(operations|http|domain|table)\//,
    packages: /^(?!@aws-sdk\/|aws-cdk|constructs$)/,
  },
  {
    rule: 'routes and jobs import routes, jobs, operations, http, domain and table, and receive everything else',
    files: /^functions\/(routes|jobs)\//,
    folders: /^functions\/(routes|jobs|operations|http|domain|table)\//,
    packages: /^(?!@aws-sdk\/|aws-cdk|constructs$)/,
  },
  {
    rule: 'openapi imports openapi, the schemas in http and the rules in domain',
    files: /^functions\/openapi\//,
    folders: /^functions\/(openapi|http|domain)\//,
    packages: /^(?!@aws-sdk\/|aws-cdk|constructs$)/,
  },
  {
    rule: 'the console is a web page: it imports only its own modules, modules that run in a browser, and the generated API types',
    files: /^functions\/console\//,
    folders:
      /^functions\/(console\/|domain\/(allowed-characters|issuer-presets|trust)\.ts$|openapi\/api-types\.ts$)/,
    packages: /^(preact|preact\/hooks|preact-iso|oauth4webapi)$/,
  },
  {
    rule: 'an entry point connects modules of the folders, and imports no other entry point',
    files: /^functions\/[^/]+\.ts$/,
    folders: /^functions\/(routes|jobs|operations|http|domain|table|runtime)\//,
    packages: /^(?!@aws-sdk\/|aws-cdk|constructs$)/,
  },
  {
    rule: "a guard runs in other people's APIs: it imports only its framework's types",
    files: /^integrations\/guard\//,
    folders: /^integrations\/guard\//,
    packages: /^(express|fastify|hono)$/,
  },
  {
    rule: "an integration runs in other people's CI: it imports only integrations, domain and the build helper .ci/licensed.ts",
    files: /^integrations\//,
    folders: /^(integrations\/|functions\/domain\/|\.ci\/licensed\.ts$)/,
    packages: /^(node:|@actions\/|esbuild$)/,
  },
  {
    rule: 'a command for developers also imports the emulator and the bundler',
    files: /^cli\/(main|commands\/(dev|stack-trace))\.ts$/,
    folders: /^(cli|local)\/|^infra\/bundle\.ts$/,
    packages: /^(node:|commander$)/,
  },
  {
    rule: "the command line imports domain, table, jobs, operations, the generated API types, the parts of the settings that synthesis reads, and the emulator's output functions",
    files: /^cli\//,
    folders:
      /^(cli\/|functions\/(domain|table|jobs|operations)\/|functions\/openapi\/api-types\.ts$|infra\/settings\.ts$|local\/terminal\.ts$)/,
    packages:
      /^(package\.json$|node:|commander$|openapi-fetch$|oauth4webapi$|aws4$|@aws-sdk\/credential-provider-node$)/,
  },
  {
    rule: "the emulator's story is the command verify-stack: it imports the emulator and the command line",
    files: /^local\/story\.ts$/,
    folders: /^(local|cli)\//,
    packages: /^node:/,
  },
  {
    rule: 'the emulator runs what infra synthesises: it imports infra, but no function',
    files: /^local\//,
    folders: /^(local|infra)\//,
    packages: /^/,
  },
  {
    rule: 'infra imports rules from domain, parts of keys from table, and the names of environment variables and metrics',
    files: /^infra\//,
    folders: /^(infra\/|functions\/(domain\/|table\/item-keys\.ts$|runtime\/(env|metric-names)\.ts$))/,
    packages: /^/,
  },
];

function isWrong({ from, to }: Import): boolean {
  const rule = RULES.find(({ files }) => files.test(from));
  if (!rule) throw new Error(`No rule says what ${from} may import.`);
  const isOfProject = /^(\.ci|functions|infra|integrations|local|cli|test)\//.test(to) || to.startsWith('..');
  return !(isOfProject ? rule.folders : rule.packages).test(to);
}

describe('Each folder imports only what its rule allows', () => {
  it.each(RULES.map(({ rule, files }) => [rule, files] as const))('%s', async (_, ofRule) => {
    const first = (file: string) => RULES.find(({ files }) => files.test(file))?.files;
    const files = [
      ...filesBelow('functions'),
      ...filesBelow('functions', '.tsx'),
      ...filesBelow('infra'),
      ...filesBelow('integrations'),
      ...filesBelow('local'),
      ...filesBelow('cli'),
    ].filter((file) => first(file) === ofRule);
    expect((await importsOfFiles(files)).filter(isWrong)).toStrictEqual([]);
  });

  it('the import rules apply to the functions and to the infrastructure code', async () => {
    const files = [...filesBelow('functions'), ...filesBelow('infra')];
    expect(files).toContain('functions/authorize.ts');
    expect(files).toContain('infra/stack.ts');
    expect(await importsOfFiles(files)).toContainEqual({ from: 'infra/app.ts', to: 'infra/stack.ts' });
  });
});

describe('The import check finds every kind of import', () => {
  it('the import check fails for a file in a folder that has no rule', async () => {
    await expect(async () =>
      (await importsOf(new Map([['functions/helpers/a.ts', `import './b.ts';`]]))).filter(isWrong),
    ).rejects.toThrow('No rule says what functions/helpers/a.ts may import.');
  });

  const found = async (from: string, source: string) =>
    (await importsOf(new Map([[from, source]]))).filter(isWrong).map(({ to }) => to);

  it.each([
    ['a value', `import { a } from '../table/store.ts'; a();`],
    ['an unused value', `import { a } from '../table/store.ts';`],
    ['a side effect', `import '../table/store.ts';`],
    ['a type', `import type { A } from '../table/store.ts';`],
    ['a type among values', `import { type A } from '../table/store.ts';`],
    ['a type over several lines', `import type {\n  A,\n  B,\n} from '../table/store.ts';`],
    ['a namespace of types', `import type * as store from '../table/store.ts';`],
    ['an import type', `export type A = import('../table/store.ts').A;`],
    ['a dynamic import', `export const a = () => import('../table/store.ts');`],
    ['a re-export', `export { a } from '../table/store.ts';`],
    ['a re-export of types', `export type { A } from '../table/store.ts';`],
    ['a re-export of all', `export * from '../table/store.ts';`],
    ['require', `const a = require('../table/store.ts'); a();`],
  ])('the import check finds this kind of import: %s', async (_, source) => {
    expect(new Set(await found('functions/domain/key.ts', source))).toStrictEqual(
      new Set(['functions/table/store.ts']),
    );
  });

  it('the import check ignores exported local types and text that looks like an import', async () => {
    const source = `type A = string;\nexport type { A };\nexport const b = "import '../table/store.ts'";`;
    expect(await found('functions/domain/key.ts', source)).toStrictEqual([]);
  });

  it.each([
    ['functions/domain/key.ts', '@aws-sdk/client-dynamodb'],
    ['functions/domain/key.ts', 'node:http'],
    ['functions/domain/key.ts', 'zod'],
    ['functions/domain/key.ts', 'aws-lambda'],
    ['functions/domain/key.ts', '../http/errors.ts'],
    ['functions/domain/key.ts', '../runtime/config.ts'],
    ['functions/table/store.ts', '../http/errors.ts'],
    ['functions/table/store.ts', '../runtime/config.ts'],
    ['functions/table/store.ts', '@middy/core'],
    ['functions/table/store.ts', '../routes/issue-token.ts'],
    ['functions/http/errors.ts', '../table/store.ts'],
    ['functions/http/errors.ts', '@aws-sdk/lib-dynamodb'],
    ['functions/runtime/config.ts', '../http/errors.ts'],
    ['functions/authorize.ts', './purge.ts'],
    ['functions/authorize.ts', '@aws-sdk/client-dynamodb'],
    ['functions/authorize.ts', '../infra/settings.ts'],
    ['functions/authorize.ts', '../test/support/template.ts'],
    ['functions/routes/issue-token.ts', '../runtime/config.ts'],
    ['functions/routes/issue-token.ts', '../issue-token.ts'],
    ['functions/routes/issue-token.ts', '@aws-sdk/client-sqs'],
    ['functions/operations/present-key.ts', '../routes/issue-token.ts'],
    ['functions/operations/present-key.ts', '../jobs/purge.ts'],
    ['functions/operations/present-key.ts', '../runtime/config.ts'],
    ['functions/openapi/document.ts', '../routes/issue-token.ts'],
    ['functions/openapi/document.ts', '../operations/present-key.ts'],
    ['functions/openapi/document.ts', '../table/store.ts'],
    ['functions/http/errors.ts', '../runtime/logger.ts'],
    ['functions/console/api.ts', '../domain/errors.ts'],
    ['functions/console/api.ts', 'node:crypto'],
    ['functions/http/errors.ts', '../console/api.ts'],
    ['infra/stack.ts', '../functions/table/schema.ts'],
    ['infra/stack.ts', '../functions/runtime/config.ts'],
    ['infra/stack.ts', '../functions/authorize.ts'],
    ['local/main.ts', '../../functions/runtime/config.ts'],
    ['infra/stack.ts', '../test/support/template.ts'],
  ])('the import check does not let %s import %s', async (from, to) => {
    expect(await found(from, `import '${to}';`)).toHaveLength(1);
  });
});

/**
 * The maximum number of the project's files that each of these functions loads, and the route that creates a key. Do not
 * raise a number without need.
 */
const MOST_FILES = {
  authorize: 20,
  'manage-keys': 54,
  'routes/create-key': 27,
  'sync-deployments': 28,
  purge: 20,
};

describe('The files of a function stay few', () => {
  it.each(Object.entries(MOST_FILES))('%s loads at most %i files of the project', async (name, most) => {
    const { inputs } = await bundleOf(`functions/${name}.ts`);
    expect(Object.keys(inputs).length).toBeLessThanOrEqual(most);
  });
});

const FOLDERS = ['.ci', 'cli', 'functions', 'infra', 'integrations', 'local', 'test'];

describe('The import check finds cycles', () => {
  it('the project has no import cycles, not even between types', async () => {
    const files = FOLDERS.flatMap((folder) => [...filesBelow(folder), ...filesBelow(folder, '.tsx')]);
    expect(circles(await importsOfFiles(files))).toStrictEqual([]);
  });

  it('the import check reports each import cycle with all of its files', () => {
    const imports = ['ab', 'bc', 'ca', 'cd', 'de', 'ed', 'ff', 'ag', 'gh'].map(([from = '', to = '']) => ({
      from,
      to,
    }));
    expect(circles(imports)).toStrictEqual([['a', 'b', 'c'], ['d', 'e'], ['f']]);
  });
});
