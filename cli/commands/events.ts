import { type Command, Option } from 'commander';
import { EVENT_TYPES, type EventType } from '../../functions/domain/events.ts';
import type { components } from '../../functions/openapi/api-types.ts';
import { type ApiOptions, allOf, openApi, resultOf } from '../api.ts';
import { addApiOptions } from '../api-options.ts';
import { addCommand } from '../command.ts';
import { UsageError } from '../failure.ts';
import { EXAMPLE_KEY, pathOf } from '../key-path.ts';
import { printTable } from '../table-text.ts';
import { readDeploymentId } from './deployments.ts';

/** The fields of an event that the table shows. */
type Event = Pick<components['schemas']['Event'], 'time' | 'type' | 'subject'> & {
  readonly data: { readonly actor: components['schemas']['Event']['data']['actor'] };
};

const PEOPLE_TYPES = EVENT_TYPES.filter((type) => type.startsWith('person.'));

interface Options extends ApiOptions {
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
    .addOption(limitOption())
    .option('--type <type>', 'Only events of this type, such as api_key.rotated.')
    .option('--key <key>', 'Only events about the API key with this ID.')
    .action(async (deployment: string, options: Options) => {
      const limit = readLimit(options);
      const deploymentId = readDeploymentId(deployment);
      const filters = filtersOf(deploymentId, options);
      const api = openApi(options);
      const items = await allOf((cursor) => {
        const query = { limit: Math.min(limit, 100), ...filters, ...(cursor && { cursor }) };
        const params = { path: { deploymentId }, query };
        return resultOf(api, api.client.GET('/deployments/{deploymentId}/events', { params }));
      }, limit);
      print(items, options);
    });
}

/** Adds `people events`, which lists what happened to the access of people. */
export function addPeopleEvents(people: Command): void {
  const command = addCommand(people, 'events', {
    summary: 'List what happened to the access of people in the last 90 days, newest first',
    examples: ['people events', 'people events --type person.access_ended --limit 500 --json'],
  });
  addApiOptions(command)
    .addOption(limitOption())
    .option('--type <type>', 'Only events of this type, such as person.access_ended.')
    .action(async (options: Omit<Options, 'key'>) => {
      const limit = readLimit(options);
      const type = readType(options, PEOPLE_TYPES);
      const api = openApi(options);
      // Filter the events about people in the CLI, because the service has no filter for them.
      const items = await allOf(async (cursor) => {
        const params = { query: { limit: 100, ...(cursor && { cursor }) } };
        const page = await resultOf(api, api.client.GET('/people/events', { params }));
        return { ...page, items: page.items.filter((event) => type === undefined || event.type === type) };
      }, limit);
      print(items, options);
    });
}

function print(items: readonly Event[], { json }: Pick<Options, 'json'>): void {
  if (json) {
    console.log(JSON.stringify(items));
    return;
  }
  const rows = items.map(({ time, type, subject, data: { actor } }) => [
    time,
    type,
    subject,
    actor.principal || actor.type,
    actor.address,
  ]);
  printTable(['TIME', 'TYPE', 'SUBJECT', 'ACTOR', 'ADDRESS'], rows, 'There are no events.');
}

const limitOption = () => new Option('--limit <number>', 'How many events to list at most.').default('50');

/** Returns the maximum number of events. @throws UsageError */
function readLimit({ limit }: Pick<Options, 'limit'>): number {
  if (/^[1-9]\d{0,4}$/.test(limit)) return Number(limit);
  throw new UsageError('--limit must be a whole number from 1 to 99999.');
}

/** Returns the filters of the call. @throws UsageError */
function filtersOf(deploymentId: string, options: Options): { type?: EventType; keyId?: string } {
  const type = readType(options, EVENT_TYPES);
  const { key } = options;
  if (key !== undefined && pathOf(key).deploymentId !== deploymentId) {
    throw new UsageError(`--key is the ID of a key of another Deployment than ${deploymentId}.`);
  }
  return { ...(type && { type }), ...(key !== undefined && { keyId: key }) };
}

/** Returns the type of event to list. @throws UsageError that names the possible types that begin in the same way */
function readType({ type }: Pick<Options, 'type'>, types: readonly EventType[]): EventType | undefined {
  if (type === undefined) return undefined;
  const found = types.find((one) => one === type);
  if (found) return found;
  const similar = types.filter((one) => one.startsWith(type.split('.')[0] ?? ''));
  const known = similar.length > 0 ? similar : types;
  throw new UsageError(`--type must be the type of an event, such as ${known.join(', ')}.`);
}
