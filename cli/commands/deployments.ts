import type { Command } from 'commander';
import { isDeploymentId } from '../../functions/domain/credentials.ts';
import type { ApiOptions } from '../api.ts';
import { addApiOptions, collect } from '../api-options.ts';
import { addCommand } from '../command.ts';
import { UsageError } from '../failure.ts';

/** Adds `deployments` with its subcommands. */
export function addDeployments(program: Command): void {
  const deployments = addCommand(program, 'deployments', {
    summary: 'List, register, change and delete Deployments',
    examples: ['deployments list', 'deployments register etl --name "Nightly loads" --group data-eng'],
  });
  addList(deployments);
  addRegister(deployments);
  addSet(deployments);
  addDelete(deployments);
}

const ID = 'ID of the Deployment: letters, digits, _ and -, at most 64.';

/** Checks the ID of a Deployment. @throws UsageError */
export function readDeploymentId(text: string): string {
  if (isDeploymentId(text)) return text;
  throw new UsageError(
    'The ID of a Deployment has at most 64 letters, digits, _ and -, and begins with a letter or digit.',
  );
}

function addList(deployments: Command): void {
  const command = addCommand(deployments, 'list', {
    summary: 'List the Deployments that you can access',
    examples: ['deployments list', 'deployments list --json'],
  });
  addApiOptions(command).action(async (options: ApiOptions) => {
    const { allOf, openApi, resultOf } = await import('../api.ts');
    const api = openApi(options);
    const items = await allOf((cursor) =>
      resultOf(
        api,
        api.client.GET('/deployments', { params: { query: { limit: 100, ...(cursor && { cursor }) } } }),
      ),
    );
    if (options.json) return console.log(JSON.stringify(items));
    const { printTable } = await import('../table-text.ts');
    const rows = items.map(({ id, name, groups, createdAt }) => [
      id,
      name,
      groups.join(', '),
      createdAt.slice(0, 10),
    ]);
    printTable(['ID', 'NAME', 'GROUPS', 'REGISTERED'], rows, 'There are no Deployments that you may see.');
  });
}

interface Changes {
  readonly name?: string;
  readonly group?: string[];
}

function addRegister(deployments: Command): void {
  const command = addCommand(deployments, 'register', {
    summary: 'Register a Deployment, for administrators',
    description:
      'Registers a Deployment. The members of its groups can manage its keys. If the Deployment already exists, the command ' +
      'changes its name and groups.',
    examples: [
      'deployments register etl',
      'deployments register etl --name "Nightly loads" --group data-eng --group platform',
    ],
  });
  command.argument('<deployment>', ID);
  addApiOptions(command)
    .option('--name <name>', 'Display name. Default: the ID.')
    .option('--group <group>', 'Group whose members have access. Can be given more than once.', collect)
    .action((id: string, options: ApiOptions & Changes) => put(id, options));
}

function addSet(deployments: Command): void {
  const command = addCommand(deployments, 'set', {
    summary: 'Change the name or the groups of a Deployment, for administrators',
    description: 'Changes the name or the groups of a Deployment. Omitted options keep their values.',
    examples: ['deployments set etl --name "Nightly loads"', 'deployments set etl --no-groups'],
  });
  command.argument('<deployment>', ID);
  addApiOptions(command)
    .option('--name <name>', 'The new name.')
    .option(
      '--group <group>',
      'Group whose members have access, instead of the current groups. Can be given more than once.',
      collect,
    )
    .option('--no-groups', 'Remove all groups. Only administrators then have access.')
    .action(async (id: string, options: ApiOptions & Changes & { groups: boolean }) => {
      if (options.name === undefined && options.group === undefined && options.groups) {
        throw new UsageError('Nothing to change. Use --name, --group or --no-groups.');
      }
      if (options.group && !options.groups)
        throw new UsageError('--group and --no-groups exclude each other.');
      const { openApi, resultOf } = await import('../api.ts');
      const api = openApi(options);
      const path = { params: { path: { deploymentId: readDeploymentId(id) } } };
      // Without this check, PUT would register a Deployment that does not exist.
      await resultOf(api, api.client.GET('/deployments/{deploymentId}', path));
      await put(id, options.groups ? options : { ...options, group: [] });
    });
}

async function put(id: string, { name, group, ...options }: ApiOptions & Changes): Promise<void> {
  const { openApi, resultOf } = await import('../api.ts');
  const api = openApi(options);
  const body = { ...(name !== undefined && { name }), ...(group && { groups: group }) };
  const params = { path: { deploymentId: readDeploymentId(id) } };
  const call = api.client.PUT('/deployments/{deploymentId}', { params, body });
  const deployment = await resultOf(api, call);
  if (options.json) return console.log(JSON.stringify(deployment));
  const isNew = (await call).response.status === 201;
  const groups =
    deployment.groups.length > 0 ? deployment.groups.join(', ') : 'none; only administrators have access';
  console.log(
    `${isNew ? 'Registered' : 'Changed'} ${id}, name ${JSON.stringify(deployment.name)}, groups: ${groups}.`,
  );
}

function addDelete(deployments: Command): void {
  const command = addCommand(deployments, 'delete', {
    summary: 'Delete a Deployment with its keys and tokens, for administrators',
    examples: ['deployments delete etl', 'deployments delete etl --yes'],
  });
  command.argument('<deployment>', ID);
  addApiOptions(command)
    .option('--yes', 'Do not ask.')
    .action(async (id: string, options: ApiOptions & { yes?: true }) => {
      const { openApi, resultOf } = await import('../api.ts');
      const { confirm } = await import('../confirm.ts');
      const path = { params: { path: { deploymentId: readDeploymentId(id) } } };
      const api = openApi(options);
      // The service does not find a Deployment whose item is malformed, but can delete it.
      const found = api.client.GET('/deployments/{deploymentId}', path);
      if ((await found).response.status !== 404) await resultOf(api, found);
      await confirm(
        `Anything that uses a key or token of ${id} loses access immediately. This can't be undone.`,
        id,
        options.yes,
      );
      await resultOf(api, api.client.DELETE('/deployments/{deploymentId}', path));
      console.log(options.json ? JSON.stringify({ id, deleted: true }) : `Deleted ${id}.`);
    });
}
