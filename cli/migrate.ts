import { appendFileSync, chmodSync, existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { csvField, parseCsv } from './csv.ts';
import { EXIT, Failure, UsageError } from './failure.ts';
import {
  createKey,
  groupsOfDeployments,
  identityOf,
  isRegistered,
  Rejected,
  readWanted,
  register,
  rejectUnknownScopes,
  type Service,
} from './migration.ts';

/** The options of the `migrate` command. */
export interface MigrateOptions {
  readonly url?: string;
  readonly secrets: string;
  readonly register?: true;
  readonly dryRun?: true;
}

const CREATED_COLUMNS = ['deployment', 'name', 'oldId', 'id', 'secret'];

async function readToken(): Promise<string> {
  const given = process.env.MIGRATE_TOKEN;
  if (given) return given.trim();
  if (process.stdin.isTTY) console.error('Paste the access token of an administrator, then press Enter:');
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() !== '') return line.trim();
  }
  throw new UsageError(
    'The access token of an administrator is missing. Set MIGRATE_TOKEN, or pass it on standard input.',
  );
}

/** Returns the keys that earlier runs created. @throws UsageError if other users could read the file */
function keptIn(path: string): Set<string> {
  if (!existsSync(path)) return new Set();
  const file = lstatSync(path);
  if ((file.mode & 0o777) !== 0o600 || !file.isFile()) {
    throw new UsageError(`${path} must be a file with mode 0600, because it contains secrets.`);
  }
  return new Set(parseCsv(readFileSync(path, 'utf8')).map(({ fields }) => identityOf(fields)));
}

function keep(path: string, values: string[]): void {
  if (!existsSync(path)) {
    writeFileSync(path, `${CREATED_COLUMNS.join(',')}\n`, { mode: 0o600, flag: 'wx' });
    // Set the mode again, because the umask may have removed bits from it.
    chmodSync(path, 0o600);
  }
  appendFileSync(path, `${values.map(csvField).join(',')}\n`, { flush: true });
}

async function migrate(csv: string, url: string, options: MigrateOptions): Promise<void> {
  const wanted = readWanted(csv);
  const kept = keptIn(options.secrets);
  const service: Service = { url, token: await readToken(), pause };
  const open = wanted.filter(
    ({ deployment, oldId, body }) => !kept.has(identityOf({ deployment, oldId, name: body.name })),
  );
  const rejected: string[] = [];
  await rejectUnknownScopes(service, open);

  const missing = new Map<string, string[]>();
  for (const [deployment, groups] of groupsOfDeployments(wanted)) {
    const isNeeded = open.some((key) => key.deployment === deployment);
    if (isNeeded && !(await isRegistered(service, deployment))) missing.set(deployment, groups);
  }
  if (missing.size > 0 && !options.register) {
    throw new UsageError(
      `These Deployments are not registered: ${[...missing.keys()].join(', ')}. Register them, or use --register.`,
    );
  }
  if (options.dryRun) {
    console.log(
      `${open.length} keys would be created, ${wanted.length - open.length} are already in ${options.secrets}.`,
    );
    for (const [id, groups] of missing) {
      console.log(
        `  ${id} would be registered, with ${groups.length === 0 ? 'no groups' : `the groups ${groups.join(', ')}`}`,
      );
    }
    for (const { line, deployment, body } of open)
      console.log(`  line ${line}: ${body.name}, for ${deployment}`);
    return;
  }
  for (const [deployment, groups] of missing) await register(service, deployment, groups);
  for (const [at, key] of open.entries()) {
    try {
      const { id, secret } = await createKey(service, key);
      keep(options.secrets, [key.deployment, key.body.name, key.oldId, id, secret]);
    } catch (error) {
      if (!(error instanceof Rejected) || error.status === 401) throw error;
      rejected.push(`Line ${key.line}: ${error.message}`);
    }
    if ((at + 1) % 10 === 0 || at + 1 === open.length) console.error(`${at + 1} of ${open.length} keys`);
  }
  console.log(
    `${open.length - rejected.length} keys created, ${wanted.length - open.length} already existed.`,
  );
  if (rejected.length > 0) throw new Error(`${rejected.length} rejected:\n${rejected.join('\n')}`);
}

/**
 * Runs the `migrate` command.
 *
 * @param file path of the CSV file
 * @throws Failure that says what to do
 */
export async function runMigrate(file: string, url: string, options: MigrateOptions): Promise<void> {
  try {
    await migrate(readFileSync(file, 'utf8'), url, options);
  } catch (error) {
    throw described(error);
  }
}

function described(error: unknown): Failure {
  if (error instanceof Rejected && error.status === 401) {
    return new Failure(
      'The service rejected the token. Run the command again with a new access token of an administrator; it continues.',
      EXIT.rejected,
    );
  }
  return error instanceof Failure
    ? error
    : new Failure(error instanceof Error ? error.message : String(error));
}
