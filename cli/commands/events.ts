import type { Command } from 'commander';
import { EVENT_TYPES, type EventType } from '../../functions/domain/events.ts';
import { type ApiOptions, allOf, openApi, resultOf } from '../api.ts';
import { addApiOptions } from '../api-options.ts';
import { addCommand } from '../command.ts';
import { UsageError } from '../failure.ts';
import { EXAMPLE_KEY, pathOf } from '../key-path.ts';
import { printTable } from '../table-text.ts';
import { readDeploymentId } from './deployments.ts';

interface Options extends ApiOptions {
  readonly json?: true;
  readonly limit: string;
  readonly type?: string;
  readonly key?: string;
}

/** Adds `events`, which lists what happened to a Deployment and its keys. */
export function addEvents(program: Command): void {
  const command = addCommand(program, 'events', {
    summary: 'List what happened to a Deployment and its keys, newest first',
    examples: [
      'events etl',
      'events etl --type api_key.rotated',
      `events etl --key ${EXAMPLE_KEY} --limit 500 --json`,
    ],
  });
  command.argument('<deployment>', 'ID of the Deployment.');
  addApiOptions(command)
    .option('--limit <number>', 'How many events to list at most.', '50')
    .option('--type <type>', 'Only events of this type, such as api_key.rotated.')
    .option('--key <key>', 'Only events about the API key with this ID.')
    .action(async (deployment: string, options: Options) => {
      const limit = /^[1-9]\d{0,4}$/.test(options.limit) ? Number(options.limit) : undefined;
      if (limit === undefined) throw new UsageError('--limit must be a whole number from 1 to 99999.');
      const deploymentId = readDeploymentId(deployment);
      const filters = filtersOf(deploymentId, options);
      const api = openApi(options);
      const items = await allOf((cursor) => {
        const query = { limit: Math.min(limit, 100), ...filters, ...(cursor && { cursor }) };
        const params = { path: { deploymentId }, query };
        return resultOf(api, api.client.GET('/deployments/{deploymentId}/events', { params }));
      }, limit);
      if (options.json) return console.log(JSON.stringify(items));
      const rows = items.map(({ time, type, subject, data: { actor } }) => [
        time,
        type,
        subject,
        actor.principal || actor.type,
        actor.address,
      ]);
      printTable(['TIME', 'TYPE', 'SUBJECT', 'ACTOR', 'ADDRESS'], rows, 'There are no events.');
    });
}

/** Returns the filters of the call. @throws UsageError */
function filtersOf(deploymentId: string, { type, key }: Options): { type?: EventType; keyId?: string } {
  if (type !== undefined && !isEventType(type)) {
    const similar = EVENT_TYPES.filter((one) => one.startsWith(type.split('.')[0] ?? ''));
    const known = similar.length > 0 ? similar : EVENT_TYPES;
    throw new UsageError(`--type must be the type of an event, such as ${known.join(', ')}.`);
  }
  if (key !== undefined && pathOf(key).deploymentId !== deploymentId) {
    throw new UsageError(`--key is the ID of a key of another Deployment than ${deploymentId}.`);
  }
  return { ...(type && { type }), ...(key !== undefined && { keyId: key }) };
}

const isEventType = (text: string): text is EventType => (EVENT_TYPES as readonly string[]).includes(text);
