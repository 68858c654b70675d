import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { components } from '../../functions/openapi/api-types.ts';
import { type ApiOptions, openApi, resultOf } from '../api.ts';
import { addApiOptions, collect } from '../api-options.ts';
import { addCommand } from '../command.ts';
import { confirm } from '../confirm.ts';
import { Failure, UsageError } from '../failure.ts';
import { statusText } from '../key-listing.ts';
import { EXAMPLE_KEY as EXAMPLE, KEY_ARGUMENT as ID, pathOf } from '../key-path.ts';
import {
  openSecretOutput,
  type SecretOptions,
  type SecretOutput,
  secretFileOption,
  showOption,
} from '../secret-output.ts';
import { printFields } from '../table-text.ts';
import { readDuration, readTime } from '../times.ts';
import { addAccessTokens } from './access-tokens.ts';
import { readDeploymentId } from './deployments.ts';
import { addExplain } from './explain.ts';
import { addListKeys } from './list-keys.ts';

type Key = components['schemas']['ApiKey'];
type NewKey = components['schemas']['ApiKeyWithSecret'];
type Trust = NonNullable<Key['trust']>;

/** Adds `keys` with its subcommands. */
export function addKeys(program: Command): void {
  const keys = addCommand(program, 'keys', {
    summary: 'List, create, change and delete API keys',
    examples: ['keys list etl', 'keys create etl --name ci --expires 90d --secret-file secret.txt'],
  });
  addListKeys(keys);
  addCreate(keys);
  addShow(keys);
  addEdit(keys);
  addRotate(keys);
  addSwitch(
    keys,
    'disable',
    'Disable a key and revoke its tokens. The tokens stay revoked when the key is enabled again',
  );
  addSwitch(keys, 'enable', 'Accept a disabled key again. Tokens that were issued earlier stay revoked');
  addDelete(keys);
  addAccessTokens(keys);
  addExplain(keys);
}

interface Fields {
  readonly name?: string;
  readonly description?: string;
  readonly scope?: string[];
  readonly expires?: string;
  readonly network?: string[];
  readonly trustFile?: string;
}

/** Adds the options that describe a key. */
function addFields(command: Command): Command {
  return command
    .option('--description <text>', 'What the key is for.')
    .option('--scope <scope>', 'Scope of the key. Can be given more than once.', collect)
    .option(
      '--expires <time>',
      'When the key expires: a duration such as 90d, or a time such as 2030-01-01T12:00:00Z.',
    )
    .option(
      '--network <cidr>',
      'IP range from which the key can be used. Can be given more than once.',
      collect,
    )
    .option('--trust-file <file>', 'JSON file with the trust rules: an array, as docs/keys.md describes.');
}

function fieldsOf({ name, description, scope, expires, network, trustFile }: Fields) {
  return {
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description }),
    ...(scope && { scopes: scope }),
    ...(expires !== undefined && { expiresAt: readTime(expires, '--expires') }),
    ...(network && { networks: network }),
    ...(trustFile !== undefined && { trust: readTrust(trustFile) }),
  };
}

function readTrust(path: string): Trust {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(
      `--trust-file: ${code ? `cannot read the file (${code})` : `not JSON: ${message}`}.`,
    );
  }
}

function addCreate(keys: Command): void {
  const command = addCommand(keys, 'create', {
    summary: 'Create a key, and write its secret to a file or a pipe',
    description:
      'Creates a key. The command writes the secret to a file, or to standard output if that is a pipe; in a terminal, --show ' +
      'prints the secret. No one can read the secret again later. Without --scope, the key has all scopes of the stack.',
    examples: [
      'keys create etl --name ci --scope code:deploy --expires 90d --secret-file secret.txt',
      '$ deployment-api-keys keys create etl --name ci | gh secret set DEPLOYMENT_KEY_SECRET',
      'keys create etl --name ci --trust-file trust.json',
    ],
  });
  command
    .argument('<deployment>', 'ID of the Deployment.')
    .requiredOption('--name <name>', 'Name of the key, for people.');
  addFields(addApiOptions(command))
    .addOption(secretFileOption())
    .addOption(showOption())
    .action(async (deployment: string, options: ApiOptions & Fields & SecretOptions & { name: string }) => {
      const body = { ...fieldsOf(options), name: options.name };
      const api = openApi(options);
      const params = { path: { deploymentId: readDeploymentId(deployment) }, header: idempotencyKey() };
      await withSecret(options, () =>
        resultOf(api, api.client.POST('/deployments/{deploymentId}/api-keys', { params, body })),
      );
    });
}

const idempotencyKey = () => ({ 'Idempotency-Key': crypto.randomUUID() });

/** Makes a call that returns a secret, and writes the secret to its destination. */
async function withSecret(options: SecretOptions, call: () => Promise<NewKey>): Promise<void> {
  const output = openSecretOutput(options);
  let key: NewKey;
  try {
    key = await call();
  } catch (error) {
    output.cancel();
    throw error;
  }
  output.write(key.secret);
  if (key.secret === undefined && key.trust === undefined) {
    throw new Failure(
      `The secret of ${key.id} was lost with a response. Run: deployment-api-keys keys rotate ${key.id}`,
    );
  }
  printNewKey(key, output, options);
}

function printNewKey(
  { secret, ...key }: NewKey,
  output: SecretOutput,
  { json, secretFile }: SecretOptions,
): void {
  if (json) {
    console.log(JSON.stringify(output.isStandardOutput ? { ...key, secret } : key));
    return;
  }
  const where =
    secret === undefined ? 'It has no secret' : `Its secret is in ${secretFile ?? 'standard output'}`;
  const old = key.credentials.flatMap(({ retiresAt, retiresOnFirstUse }) => {
    if (retiresOnFirstUse) return ' The old secret works until the new one is used.';
    return retiresAt === undefined ? [] : ` The old secret works until ${retiresAt}.`;
  });
  console.error(`The key ${JSON.stringify(key.name)} has the ID ${key.id}. ${where}.${old.join('')}`);
  if (secret !== undefined && output.isStandardOutput) console.log(secret);
}

function addShow(keys: Command): void {
  const command = addCommand(keys, 'show', {
    summary: 'Show everything about a key except its secret',
    examples: [`keys show ${EXAMPLE}`, `keys show ${EXAMPLE} --json`],
  });
  command.argument('<key>', ID);
  addApiOptions(command).action(async (keyId: string, options: ApiOptions) => {
    const api = openApi(options);
    const call = api.client.GET('/deployments/{deploymentId}/api-keys/{keyId}', {
      params: { path: pathOf(keyId) },
    });
    printKey(await resultOf(api, call), options);
  });
}

function printKey(key: Key, { json }: ApiOptions): void {
  if (json) {
    console.log(JSON.stringify(key));
    return;
  }
  printFields({
    ID: key.id,
    Name: key.name,
    Description: key.description ?? undefined,
    Status: statusText(key),
    Scopes: key.scopes.join(' '),
    Created: `${key.createdAt} by ${key.createdBy}`,
    'Last used': [key.lastUsedAt ?? 'never', key.lastUsedFrom?.address].filter(Boolean).join(' from '),
    Expires: key.expiresAt ?? 'never',
    'IP ranges': key.networks.length > 0 ? key.networks.join(', ') : 'any',
    Secrets: key.credentials.map(describeSecret).join('; ') || 'none',
    'Trust rules': key.trust?.map((rule) => JSON.stringify(rule)).join('\n'),
  });
}

function describeSecret({ createdAt, retiresAt, retiresOnFirstUse }: Key['credentials'][number]): string {
  if (retiresOnFirstUse) return `from ${createdAt}, until the new one is used`;
  return `from ${createdAt}${retiresAt ? `, until ${retiresAt}` : ''}`;
}

interface EditOptions extends ApiOptions, Fields {
  readonly expiry: boolean;
  readonly networks: boolean;
}

function addEdit(keys: Command): void {
  const command = addCommand(keys, 'edit', {
    summary: 'Change a key',
    description:
      'Changes a key. Omitted options keep their values. Lists, such as the scopes, are replaced as a whole.',
    examples: [
      `keys edit ${EXAMPLE} --name nightly --scope airflow:read`,
      `keys edit ${EXAMPLE} --expires 90d`,
      `keys edit ${EXAMPLE} --no-networks`,
    ],
  });
  command.argument('<key>', ID).option('--name <name>', 'Name of the key, for people.');
  addFields(addApiOptions(command))
    .option('--no-expiry', 'Remove the expiry.')
    .option('--no-networks', 'Accept the key from any address.')
    .action(async (keyId: string, options: EditOptions) => {
      const body = {
        ...fieldsOf(options),
        ...(!options.expiry && { expiresAt: null }),
        ...(!options.networks && { networks: [] }),
      };
      if (Object.keys(body).length === 0)
        throw new UsageError('Nothing to change. See --help for what can be changed.');
      printKey(await patch(options, keyId, body), options);
    });
}

type Patch = NonNullable<
  import('../../functions/openapi/api-types.ts').operations['editApiKey']['requestBody']
>['content']['application/json'];

function patch(options: ApiOptions, keyId: string, body: Patch): Promise<Key> {
  const api = openApi(options);
  const params = { path: pathOf(keyId) };
  return resultOf(api, api.client.PATCH('/deployments/{deploymentId}/api-keys/{keyId}', { params, body }));
}

function addRotate(keys: Command): void {
  const command = addCommand(keys, 'rotate', {
    summary: 'Give a key a new secret, and write it to a file or a pipe',
    description:
      'Gives a key a new secret. The old secret stays valid until --retire-old, so that you can update your pipelines.',
    examples: [
      `keys rotate ${EXAMPLE} --secret-file secret.txt`,
      `keys rotate ${EXAMPLE} --retire-old now --secret-file secret.txt`,
    ],
  });
  command.argument('<key>', ID);
  addApiOptions(command)
    .option(
      '--retire-old <when>',
      'When the old secret stops working: now, on-first-use of the new secret, or after a duration such as 12h.',
      '7d',
    )
    .addOption(secretFileOption())
    .addOption(showOption())
    .action(async (keyId: string, options: ApiOptions & SecretOptions & { retireOld: string }) => {
      const body = { retireOld: readRetirement(options.retireOld) };
      const api = openApi(options);
      const params = { path: pathOf(keyId), header: idempotencyKey() };
      await withSecret(options, () =>
        resultOf(
          api,
          api.client.POST('/deployments/{deploymentId}/api-keys/{keyId}/rotate', { params, body }),
        ),
      );
    });
}

function readRetirement(text: string): 'now' | 'on_first_use' | number {
  if (text === 'now') return 'now';
  if (text === 'on-first-use') return 'on_first_use';
  return readDuration(text, '--retire-old') / 1000;
}

function addSwitch(keys: Command, name: 'disable' | 'enable', summary: string): void {
  const command = addCommand(keys, name, { summary, examples: [`keys ${name} ${EXAMPLE}`] });
  command.argument('<key>', ID);
  addApiOptions(command).action(async (keyId: string, options: ApiOptions) => {
    const key = await patch(options, keyId, { enabled: name === 'enable' });
    console.log(options.json ? JSON.stringify(key) : `${key.id} is ${key.status}.`);
  });
}

function addDelete(keys: Command): void {
  const command = addCommand(keys, 'delete', {
    summary: 'Delete a key and revoke its tokens',
    examples: [`keys delete ${EXAMPLE}`, `keys delete ${EXAMPLE} --yes`],
  });
  command.argument('<key>', ID);
  addApiOptions(command)
    .option('--yes', 'Do not ask.')
    .action(async (keyId: string, options: ApiOptions & { yes?: true }) => {
      const api = openApi(options);
      const path = { params: { path: pathOf(keyId) } };
      const key = await resultOf(api, api.client.GET('/deployments/{deploymentId}/api-keys/{keyId}', path));
      await confirm(
        `Anything that uses ${JSON.stringify(key.name)} loses access immediately. It was last used: ${key.lastUsedAt ?? 'never'}. This can't be undone.`,
        key.name,
        options.yes,
      );
      await resultOf(api, api.client.DELETE('/deployments/{deploymentId}/api-keys/{keyId}', path));
      console.log(options.json ? JSON.stringify({ id: keyId, deleted: true }) : `Deleted ${keyId}.`);
    });
}
