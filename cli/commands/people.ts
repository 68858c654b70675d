import { setTimeout as pause } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { isSub, MAX_SUB_LENGTH } from '../../functions/domain/people.ts';
import type { components } from '../../functions/openapi/api-types.ts';
import { type Api, type ApiOptions, allOf, openApi, resultOf } from '../api.ts';
import { addApiOptions } from '../api-options.ts';
import { addCommand } from '../command.ts';
import { confirm } from '../confirm.ts';
import { Failure, UsageError } from '../failure.ts';
import { printFields, printTable } from '../table-text.ts';
import { addPeopleEvents } from './events.ts';

type Person = components['schemas']['Person'];
type FoundPerson = components['schemas']['FoundPerson'];

const SUB = 'The `sub` of the person at your issuer, as createdBy and the events show it.';
const EXAMPLE = '2f1c9a36-ada';
/** Interval between two reads of the job's progress, in milliseconds. */
const INTERVAL = 1000;
/** Time limit for waiting for the job, in milliseconds. */
const LONGEST_WAIT = 15 * 60_000;

/** Adds `people` with its subcommands, which end and restore a person's access. */
export function addPeople(program: Command): void {
  const people = addCommand(program, 'people', {
    summary: "End a person's access, and show what they hold, for administrators",
    examples: [
      'people list',
      `people end-access ${EXAMPLE} --keys disable --block`,
      `people find ${EXAMPLE}`,
    ],
  });
  addEnd(people);
  addFind(people);
  addRestoreAccess(people);
  addList(people);
  addPeopleEvents(people);
}

interface EndOptions extends ApiOptions {
  readonly keys: 'report' | 'disable';
  readonly block?: true;
  readonly yes?: true;
  readonly wait: boolean;
}

function addEnd(people: Command): void {
  const command = addCommand(people, 'end-access', {
    summary: "End a person's access",
    description:
      'From this moment on, the service rejects the temporary tokens of a person, in every Deployment, and their earlier ' +
      'sign-ins. A job then finds the keys that the person holds. The command shows the progress of the job and waits up to 15 ' +
      'minutes; the job continues without the command. First disable the account at your issuer, or use --block.',
    examples: [
      `people end-access ${EXAMPLE}`,
      `people end-access ${EXAMPLE} --keys disable --block --yes`,
      `people end-access ${EXAMPLE} --no-wait --yes --json`,
    ],
  });
  command.argument('<sub>', SUB);
  addApiOptions(command)
    .addOption(
      new Option('--keys <what>', 'What happens to the keys that the person holds: report or disable.')
        .choices(['report', 'disable'])
        .default('report'),
    )
    .option('--block', 'Reject every sign-in of the person until their access is restored.')
    .option('--no-wait', 'Do not wait for the job.')
    .option('--yes', 'Do not ask.')
    .action(async (given: string, options: EndOptions) => {
      const sub = readSub(given);
      const api = openApi(options);
      await confirm(consequenceOf(sub, options), sub, options.yes);
      const body = { sub, keys: options.keys, ...(options.block && { block: true }) };
      const ended = await resultOf(api, api.client.POST('/people/end-access', { body }));
      if (!options.json) console.error(`The access of ${sub} was ended at ${ended.endedAt}.`);
      if (options.wait) await waitForJob(api, sub);
      const person = options.wait ? await find(api, sub) : ended;
      if (options.json) console.log(JSON.stringify(person));
      else printPerson(person);
    });
}

function consequenceOf(sub: string, { keys, block }: EndOptions): string {
  const sentences = [`${sub} loses access immediately: temporary tokens and earlier sign-ins are rejected.`];
  if (block) sentences.push('Every later sign-in is rejected too, until you restore their access.');
  if (keys === 'disable') {
    sentences.push('All keys that they hold are disabled, and pipelines that use them stop working.');
  }
  return sentences.join(' ');
}

/**
 * Waits until the job has finished, and reports its progress on standard error. @throws Failure if the job takes too
 * long
 */
async function waitForJob(api: Api, sub: string): Promise<void> {
  const start = performance.now();
  let reported = '';
  while (performance.now() - start < LONGEST_WAIT) {
    const { job } = await findPage(api, sub, { limit: 1 });
    if (job === undefined || job.status === 'finished') return;
    const progress = jobText(job);
    if (progress !== reported) console.error(`The job is ${progress}.`);
    reported = progress;
    await pause(INTERVAL);
  }
  throw new Failure(
    `The job has not finished yet and continues without this command. Run: deployment-api-keys people find ${JSON.stringify(sub)}`,
  );
}

function addFind(people: Command): void {
  const command = addCommand(people, 'find', {
    summary: "Show a person's access, the progress of the job, and the keys that they hold",
    description:
      "Shows when a person's access was ended, whether the person is blocked, the progress of the job, and the keys that it " +
      'found. If end-access was never run for the person, the command knows no keys.',
    examples: [`people find ${EXAMPLE}`, `people find ${EXAMPLE} --json`],
  });
  command.alias('show').argument('<sub>', SUB);
  addApiOptions(command).action(async (given: string, options: ApiOptions) => {
    const sub = readSub(given);
    const person = await find(openApi(options), sub);
    if (options.json) console.log(JSON.stringify(person));
    else printPerson(person);
  });
}

/** Returns a person with all keys that the job has found. */
async function find(api: Api, sub: string): Promise<FoundPerson> {
  let person: FoundPerson | undefined;
  const keys = await allOf(async (cursor) => {
    person = await findPage(api, sub, { limit: 100, ...(cursor !== undefined && { cursor }) });
    return { items: person.keys, nextCursor: person.nextCursor };
  });
  const { nextCursor: _, ...found } = person ?? { sub, blocked: false };
  return { ...found, keys };
}

function findPage(api: Api, sub: string, page: { limit: number; cursor?: string }): Promise<FoundPerson> {
  return resultOf(api, api.client.POST('/people/find', { body: { sub, ...page } }));
}

function addRestoreAccess(people: Command): void {
  const command = addCommand(people, 'restore-access', {
    summary: 'Accept the sign-ins of a blocked person again',
    description:
      'Lets a blocked person sign in again. Earlier sign-ins and temporary tokens of the person stay rejected, and ' +
      'disabled keys stay disabled.',
    examples: [`people restore-access ${EXAMPLE}`],
  });
  command.alias('restore').argument('<sub>', SUB);
  addApiOptions(command).action(async (given: string, options: ApiOptions) => {
    const body = { sub: readSub(given) };
    const api = openApi(options);
    const person = await resultOf(api, api.client.POST('/people/restore-access', { body }));
    if (options.json) console.log(JSON.stringify(person));
    else printPerson(person);
  });
}

function addList(people: Command): void {
  const command = addCommand(people, 'list', {
    summary: 'List the people whose access was ended',
    examples: ['people list', 'people list --json'],
  });
  addApiOptions(command).action(async (options: ApiOptions) => {
    const api = openApi(options);
    const items = await allOf((cursor) => {
      const params = { query: { limit: 100, ...(cursor && { cursor }) } };
      return resultOf(api, api.client.GET('/people', { params }));
    });
    if (options.json) return console.log(JSON.stringify(items));
    const rows = items.map(({ sub, endedAt, blocked, job }) => [
      sub,
      endedAt ?? 'never',
      blocked ? 'yes' : 'no',
      job ? jobText(job) : '',
    ]);
    printTable(['PERSON', 'ACCESS ENDED', 'BLOCKED', 'JOB'], rows, "Nobody's access was ended.");
  });
}

function printPerson(person: Person | FoundPerson): void {
  printFields({
    Person: person.sub,
    'Access ended': person.endedAt ?? 'never',
    Blocked: person.blocked ? 'yes' : 'no',
    Job: person.job && jobText(person.job),
  });
  if (!('keys' in person) || person.keys.length === 0) return;
  console.log();
  const rows = person.keys.map(({ id, name, reasons, disabled }) => [
    id,
    name,
    reasons.join(', '),
    disabled ? 'yes' : 'no',
  ]);
  printTable(['KEY', 'NAME', 'HELD BECAUSE OF', 'DISABLED BY THE JOB'], rows, '');
}

/** Describes the progress of a job: `finished: 3 keys found, 2 disabled`. */
function jobText({ keys, status, found, disabled }: NonNullable<Person['job']>): string {
  const count = `${found} ${found === 1 ? 'key' : 'keys'} found`;
  return `${status}: ${count}${keys === 'disable' ? `, ${disabled} disabled` : ''}`;
}

/** Checks the `sub` of a person. @throws UsageError */
function readSub(text: string): string {
  if (isSub(text)) return text;
  throw new UsageError(`The sub of a person has 1 to ${MAX_SUB_LENGTH} printable ASCII characters.`);
}
