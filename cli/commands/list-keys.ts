import { rmSync } from 'node:fs';
import type { Command } from 'commander';
import type { components } from '../../functions/openapi/api-types.ts';
import { type ApiOptions, openApi } from '../api.ts';
import { addApiOptions } from '../api-options.ts';
import { addCommand } from '../command.ts';
import { UsageError } from '../failure.ts';
import { keysOf, keysOfAllDeployments, statusText } from '../key-listing.ts';
import { printed, printTable } from '../table-text.ts';
import { readDuration } from '../times.ts';
import { readDeploymentId } from './deployments.ts';

type Key = components['schemas']['ApiKey'];

const STATUSES = ['active', 'disabled', 'expired', 'idle', 'leaked'];

interface Filters {
  readonly unused?: string;
  readonly expiry: boolean;
  readonly violatesPolicy?: true;
  readonly status?: string;
}

interface Options extends ApiOptions, Filters {
  readonly allDeployments?: true;
  readonly progressFile?: string;
  readonly maxDeployments?: string;
}

/** Adds `keys list`, which lists the keys of one Deployment or, for an audit, the keys of all Deployments. */
export function addListKeys(keys: Command): void {
  const command = addCommand(keys, 'list', {
    summary: 'List the keys of a Deployment, or of all Deployments',
    description:
      'Lists the keys of a Deployment, or of all Deployments that you can access. Administrators and calls with --sigv4 can access all of them. The ' +
      'list contains the keys that match every filter. A listing of all Deployments can take a long time: with --progress-file, ' +
      'you can continue a run that was interrupted or reached --max-deployments by running the same command again. The file ' +
      'contains no secrets.',
    examples: [
      'keys list etl',
      'keys list --all-deployments --unused 90d --no-expiry',
      'keys list --all-deployments --violates-policy --progress-file audit.json --max-deployments 1000 --json',
    ],
  });
  command.argument('[deployment]', 'ID of the Deployment.');
  addApiOptions(command)
    .option('--all-deployments', 'List the keys of all Deployments that you may see.')
    .option(
      '--unused <duration>',
      'Only keys that are at least this old and were not used since, such as 90d.',
    )
    .option('--no-expiry', 'Only keys that never expire.')
    .option(
      '--violates-policy',
      'Only keys that break the key policy of the stack (settings maxKeyDays and keysWithSecrets).',
    )
    .option('--status <status>', `Only keys with this status: ${STATUSES.join(', ')}.`)
    .option(
      '--progress-file <file>',
      'With --all-deployments: keep the progress in this file. It is removed when the listing is finished.',
    )
    .option(
      '--max-deployments <number>',
      'With --progress-file: examine at most this many Deployments. The exit code is 6 if others remain.',
    )
    .action(list);
}

async function list(deployment: string | undefined, options: Options): Promise<void> {
  const isWanted = filterOf(options);
  const { allDeployments, progressFile } = options;
  const maxDeployments = maximumOf(options);
  if ((deployment === undefined) === (allDeployments === undefined)) {
    throw new UsageError('Give the ID of a Deployment, or --all-deployments.');
  }
  if (progressFile !== undefined && !allDeployments) {
    throw new UsageError('--progress-file is for --all-deployments.');
  }
  const deploymentId = deployment === undefined ? undefined : readDeploymentId(deployment);
  const api = openApi(options);
  const listing = listingOf(api.url, options);
  const found =
    deploymentId === undefined
      ? await keysOfAllDeployments(api, { listing, isWanted, progressFile, maxDeployments })
      : (await keysOf(api, deploymentId)).filter(isWanted);
  if (options.json) console.log(JSON.stringify(found));
  else print(found);
  if (progressFile === undefined) return;
  // If the keys could not be printed, the next run continues with the file.
  await printed();
  rmSync(progressFile, { force: true });
}

/** Returns the maximum number of Deployments to examine. @throws UsageError */
function maximumOf({ maxDeployments, progressFile }: Options): number {
  if (maxDeployments === undefined) return Number.POSITIVE_INFINITY;
  if (progressFile === undefined) {
    throw new UsageError('--max-deployments needs --progress-file, so that the next run continues.');
  }
  if (/^[1-9]\d{0,6}$/.test(maxDeployments)) return Number(maxDeployments);
  throw new UsageError('--max-deployments must be a whole number from 1 to 9999999.');
}

/** Returns a string that identifies the service, the kind of authentication and the filters. */
function listingOf(url: string, { sigv4, unused, expiry, violatesPolicy, status }: Options): string {
  return JSON.stringify({ url, sigv4, unused, expiry, violatesPolicy, status });
}

function filterOf({ unused, expiry, violatesPolicy, status }: Filters): (key: Key) => boolean {
  if (status !== undefined && !STATUSES.includes(status)) {
    throw new UsageError(`--status must be one of ${STATUSES.join(', ')}.`);
  }
  const since = unused === undefined ? undefined : Date.now() - readDuration(unused, '--unused');
  return (key) =>
    (status === undefined || key.status === status) &&
    (expiry || key.expiresAt === undefined) &&
    (!violatesPolicy || key.policyViolations !== undefined) &&
    (since === undefined || Date.parse(key.lastUsedAt ?? key.createdAt) < since);
}

function print(keys: readonly Key[]): void {
  const isPolicyShown = keys.some(({ policyViolations }) => policyViolations !== undefined);
  const rows = keys.map((key) => [
    key.id,
    key.name,
    statusText(key),
    key.scopes.join(' '),
    key.lastUsedAt?.slice(0, 10) ?? 'never',
    key.expiresAt?.slice(0, 10) ?? 'never',
    key.createdBy,
    ...(isPolicyShown ? [key.policyViolations?.join(', ') ?? ''] : []),
  ]);
  const names = ['ID', 'NAME', 'STATUS', 'SCOPES', 'LAST USED', 'EXPIRES', 'CREATED BY'];
  printTable(isPolicyShown ? [...names, 'VIOLATES'] : names, rows, 'There are no such keys.');
}
