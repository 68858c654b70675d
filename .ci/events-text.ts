import { cloudEventOf } from '../functions/domain/cloud-event.ts';
import type { EventType } from '../functions/domain/events.ts';
import { EVENT_HELP, type EventHelp } from './event-help.ts';

/** Returns the content of docs/events.md, which has a section for each type of event. */
export function eventsText(): string {
  const sections = Object.entries(EVENT_HELP).map(([type, help]) => section(type, help));
  return `# Events

<!-- \`npm run generate\` writes this page from .ci/event-help.ts. -->

After reading this page, you can subscribe to the service's events, and know when each is written and what it contains.

List the events of a Deployment with \`GET /deployments/{deploymentId}/events\`, with [the command line](cli.md#events) or in the
console, newest first. Only administrators can list the events about people (\`person.…\`), with \`GET /people/events\`. The service
keeps events for 90 days. Members see the events of the Deployment's current generation. Administrators see the events of all
generations, even after the Deployment was deleted.

The service also sends each event to the event bus in the \`EventBusName\` output. The event is the \`detail\` of an EventBridge
event whose \`source\` is \`deployment-api-keys\` and whose \`detail-type\` is the type. The service delivers each event at least
once, with a stable \`id\`. [Get notified](keys.md#get-notified-before-a-key-expires) has a CDK construct that sends events by
email and to a chat.

## Format

An event has the format of CloudEvents 1.0. No event contains a secret or a whole hash of one.

\`\`\`json
${JSON.stringify(exampleOf('api_key.rotated'), null, 2)}
\`\`\`

\`data\` contains the fields that each section below lists. An event about a Deployment also contains \`deploymentId\` and
\`generation\`, and every event contains \`actor\`. Ignore fields and types that you do not know: new ones can be added.

The kind of actor that caused the event is in \`actor.type\`. Since a person's \`sub\` can be any string, such as \`purge\`, use
\`principal\` only together with \`actor.type\`. With the \`nameClaim\` setting, \`actor.name\` is the person's name.

| \`type\` | \`principal\` |
|---|---|
| \`person\` | the \`sub\` of a signed-in person |
| \`iam\` | the ARN of an IAM role or user |
| \`system\` | a job of the service: \`purge\`, \`restore\`, \`source\` (the [followed table](deployments-source.md)), \`sweep\` (the check of all keys, and of rejected calls), \`exchange\` (a call of \`/oauth/token\`), \`end-access\` (the job about [a person's keys](people.md)), \`end-tokens\` or \`erase-person\` (the [commands](cli.md#end-tokens)) |
| \`anonymous\` | \`anonymous\`: someone who reported a leak without signing in |

${sections.join('\n')}`;
}

function section(type: string, { when, fields, visibleTo }: EventHelp): string {
  const rows = Object.entries(fields).map(
    ([name, { meaning, only }]) =>
      `| \`${name}\` | ${meaning}${only === undefined ? '' : `; only ${only}`} |\n`,
  );
  const table = rows.length === 0 ? '' : `| field | meaning |\n|---|---|\n${rows.join('')}\n`;
  const example = Object.entries(fields).map(([name, field]) => [name, field.example]);
  const json = JSON.stringify(Object.fromEntries(example), null, 1).replaceAll(/\n */g, ' ');
  const shown = rows.length === 0 ? '' : `\n\`\`\`json\n${json}\n\`\`\`\n`;
  return `## \`${type}\`\n\n${when}\n\n${table}Visible to ${visibleTo}.\n${shown}`;
}

function exampleOf(type: EventType) {
  const fields = Object.entries(EVENT_HELP[type].fields).map(([name, { example }]) => [name, example]);
  return cloudEventOf({
    id: '01JQ0000000000000000000000',
    type,
    deploymentId: 'etl',
    generation: '01JN0000000000000000000000',
    actor: {
      principal: '2f1c9a36-ada',
      type: 'person',
      address: '203.0.113.7',
      requestId: 'Cz8YXjZPIAMEMXQ=',
    },
    createdAt: Date.parse('2030-01-01T12:00:00.500Z'),
    data: Object.fromEntries(fields),
  });
}
