import { appendFileSync, chmodSync, existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { csvField, parseCsv } from './csv.ts';
import { EXIT, Failure, UsageError } from './failure.ts';
import {
  createKey,
  findKeys,
  groupsOfDeployments,
  identityOf,
  isRegistered,
  Rejected,
  readKey,
  readWanted,
  register,
  rejectUnknownScopes,
  rotateKey,
  type Service,
  type WantedKey,
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
function keptIn(path: string): Partial<Record<string, string>>[] {
  if (!existsSync(path)) return [];
  const file = lstatSync(path);
  if ((file.mode & 0o777) !== 0o600 || !file.isFile()) {
    throw new UsageError(`${path} must be a file with mode 0600, because it contains secrets.`);
  }
  return parseCsv(readFileSync(path, 'utf8')).map(({ fields }) => fields);
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
  const keptRows = keptIn(options.secrets);
  const kept = new Set(keptRows.map(identityOf));
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
  const existing = wanted.length - open.length;
  if (options.dryRun) {
    const registered = open.filter(({ deployment }) => !missing.has(deployment));
    const keptIds = new Set(keptRows.map(({ id = '' }) => id));
    const found = await findKeys(service, registered, keptIds, Date.now());
    const used = [...found].flatMap(([row, { id, isUsed }]) => (isUsed ? [{ row, id }] : []));
    console.log(
      `${open.length - found.size} keys would be created, ${used.length > 0 ? 0 : found.size} would be rotated, ${existing} are already in ${options.secrets}.`,
    );
    for (const [id, groups] of missing) {
      console.log(
        `  ${id} would be registered, with ${groups.length === 0 ? 'no groups' : `the groups ${groups.join(', ')}`}`,
      );
    }
    for (const row of open) {
      const key = found.get(row);
      const effect = key?.isUsed ? 'in use, stops the run' : used.length > 0 ? 'unused' : 'would be rotated';
      console.log(
        `  line ${row.line}: ${row.body.name}, for ${row.deployment}${key ? `, ${effect}: ${key.id}` : ''}`,
      );
    }
    if (used.length > 0) throw new Error(stopped(used, options.secrets));
    return;
  }
  for (const [deployment, groups] of missing) await register(service, deployment, groups);
  const lost: LostKey[] = [];
  let created = 0;
  /** Runs a step of the migration for one row. @returns undefined if the service rejected the row */
  const attempt = async <T>(row: WantedKey, step: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof Rejected) || error.status === 401) throw error;
      rejected.push(`Line ${row.line}: ${error.message}`);
      return undefined;
    }
  };
  for (const [at, row] of open.entries()) {
    const key = await attempt(row, () => createKey(service, row));
    if (key?.secret !== undefined) {
      keepKey(options.secrets, row, key.id, key.secret);
      created += 1;
    } else if (key) lost.push({ row, id: key.id });
    if ((at + 1) % 10 === 0 || at + 1 === open.length) console.error(`${at + 1} of ${open.length} keys`);
  }

  // Examine all keys before rotating the first: if one is in use, the secrets file was probably deleted or moved, and
  // pipelines may also have the secrets of the others.
  const unused: LostKey[] = [];
  const used: LostKey[] = [];
  for (const key of lost) {
    const found = await attempt(key.row, () => readKey(service, key.row.deployment, key.id));
    if (found) (found.isUsed ? used : unused).push(key);
  }
  let rotated = 0;
  for (const { row, id } of used.length > 0 ? [] : unused) {
    const secret = await attempt(row, () => rotateKey(service, row.deployment, id));
    if (secret === undefined) continue;
    keepKey(options.secrets, row, id, secret);
    rotated += 1;
    console.log(`Line ${row.line}: ${row.body.name}, for ${row.deployment}, rotated: ${id}`);
  }
  console.log(`${created} keys created, ${rotated} rotated, ${existing} already existed.`);
  const faults = [
    ...(rejected.length > 0 ? [`${rejected.length} rejected:`, ...rejected] : []),
    ...(used.length > 0 ? [stopped(used, options.secrets)] : []),
  ];
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

/** A key that an earlier run created, and whose line is missing from the secrets file. */
interface LostKey {
  row: WantedKey;
  id: string;
}

function keepKey(path: string, row: WantedKey, id: string, secret: string): void {
  keep(path, [row.deployment, row.body.name, row.oldId, id, secret]);
}

/** Returns the error for keys that are in use. @param path the secrets file */
function stopped(used: readonly LostKey[], path: string): string {
  return [
    `${used.length} keys of an earlier run are in use, but not in ${path}. The command rotates no key, because their pipelines would get 401:`,
    ...used.map(({ row, id }) => `Line ${row.line}: ${row.body.name}, for ${row.deployment}: ${id}`),
    'Restore the lines of the earlier secrets file, or remove these rows from the CSV file. To replace a secret, run: deployment-api-keys keys rotate <key>',
  ].join('\n');
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
