import { relative, resolve } from 'node:path';
import { DEVELOPER } from './api-gateway/iam-authorizer.ts';
import { signedCall, story } from './commands-to-paste.ts';
import { ENGINE_CREDENTIALS } from './dynamodb/engine.ts';
import type { LocalStack } from './local-stack.ts';
import { duration, paint, printable } from './terminal.ts';

/** Everything that the summary shows, except the stack. */
interface SummaryOptions {
  /** The stream to which the summary is written. The stream determines whether the summary has colours. */
  readonly stream: NodeJS.WriteStream;
  readonly context: Readonly<Record<string, unknown>>;
  /** Folder that contains the data. */
  readonly data: string;
  /** Duration of the start in milliseconds. */
  readonly took: number;
}

/**
 * Returns the information that a developer needs about a stack that has started: its addresses, and commands to paste.
 */
export function summary(stack: LocalStack, { stream, context, data, took }: SummaryOptions): string {
  const heading = (text: string) => paint(stream, 'bold', text);
  const atEngine = (table: string) =>
    `${table} at ${stack.engineEndpoint}, access key ${ENGINE_CREDENTIALS.accessKeyId}, any secret`;
  const source = stack.tables.at(-1)?.name;
  const rows: Record<string, readonly string[]> = {
    'Console and API': [stack.url],
    'Sign-in': [stack.issuer],
    'Example APIs': [`${stack.urls['Rest/Resource']} (REST)`, `${stack.urls['Http/Resource']} (HTTP)`],
    Data: [
      process.env.DYNAMODB_ENDPOINT ? stack.engineEndpoint : printable(relative('', resolve(data)) || '.'),
    ],
    Table: [atEngine(stack.table.name)],
    ...(context.deploymentsSource !== undefined && { 'Deployments table': [atEngine(String(source))] }),
    'Queues and schedules': [String(stack.operationsUrl)],
  };
  const isDeveloperAllowed = String(context.platformPrincipals ?? DEVELOPER.arn).includes(DEVELOPER.arn);
  return [
    '',
    `${heading('Deployment API Keys is ready')} after ${duration(took)}. Press Ctrl-C to stop it.`,
    '',
    ...aligned(stream, rows),
    '',
    heading('Run a schedule now, such as reconciliation:'),
    '',
    `  curl -X POST ${stack.operationsUrl}/schedules/Reconciliation/Schedule`,
    ...(isDeveloperAllowed
      ? ['', heading('Make a management call as an IAM principal:'), '', signedCall(stack)]
      : []),
    '',
    heading('See the life of a key. Paste this into a second terminal, in this folder:'),
    story(stack),
    heading('Requests:'),
  ].join('\n');
}

/** Returns aligned lines of names and values, one line per value. */
const aligned = (stream: NodeJS.WriteStream, rows: Readonly<Record<string, readonly string[]>>): string[] => {
  const width = Math.max(...Object.keys(rows).map((name) => name.length)) + 3;
  return Object.entries(rows).flatMap(([name, values]) =>
    values.map(
      (value, index) => `  ${(index === 0 ? name : '').padEnd(width)}${paint(stream, 'cyan', value)}`,
    ),
  );
};
