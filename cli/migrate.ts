import { appendFileSync, chmodSync, existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { csvField, parseCsv } from './csv.ts';
import { EXIT, Failure, UsageError } from './failure.ts';
import {
  createKey,
  type Fields,
  type FoundKey,
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
function keptIn(path: string): Fields[] {
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

/** The work of a run. */
interface Migration {
  service: Service;
  /** Path of the secrets file. */
  secrets: string;
  /** The rows whose keys are not in the secrets file. */
  open: readonly WantedKey[];
  /** Number of rows whose keys are already in the secrets file. */
  existing: number;
  /** The Deployments to register, with their groups. */
  missing: ReadonlyMap<string, string[]>;
}

async function migrate(csv: string, url: string, options: MigrateOptions): Promise<void> {
  const { secrets } = options;
  const wanted = readWanted(csv);
  const keptRows = keptIn(secrets);
  const kept = new Set(keptRows.map(identityOf));
  const service: Service = { url, token: await readToken() };
  const open = wanted.filter(
    ({ deployment, oldId, body }) => !kept.has(identityOf({ deployment, oldId, name: body.name })),
  );
  await rejectUnknownScopes(service, open);
  const missing = await missingDeployments(service, wanted, open);
  if (missing.size > 0 && !options.register) {
    throw new UsageError(
      `These Deployments are not registered: ${[...missing.keys()].join(', ')}. Register them, or use --register.`,
    );
  }
  const migration: Migration = { service, secrets, open, existing: wanted.length - open.length, missing };
  if (options.dryRun) await preview(migration, new Set(keptRows.map(({ id = '' }) => id)));
  else await apply(migration);
}

/** Returns the Deployments of open rows that are not registered, each with the groups of all its rows. */
async function missingDeployments(
  service: Service,
  wanted: readonly WantedKey[],
  open: readonly WantedKey[],
): Promise<Map<string, string[]>> {
  const needed = new Set(open.map(({ deployment }) => deployment));
  const missing = new Map<string, string[]>();
  for (const [deployment, groups] of groupsOfDeployments(wanted)) {
    if (needed.has(deployment) && !(await isRegistered(service, deployment))) missing.set(deployment, groups);
  }
  return missing;
}

/**
 * Prints what a run would do, and changes nothing.
 *
 * @param keptIds IDs of the keys in the secrets file
 * @throws Error if keys are in use that are not in the secrets file
 */
async function preview(migration: Migration, keptIds: ReadonlySet<string>): Promise<void> {
  const { service, secrets, open, existing, missing } = migration;
  const registered = open.filter(({ deployment }) => !missing.has(deployment));
  const found = await findKeys(service, registered, keptIds, Date.now());
  const used = [...found].flatMap(([row, { id, isUsed }]) => (isUsed ? [{ row, id }] : []));
  const isStopped = used.length > 0;
  console.log(
    `${open.length - found.size} keys would be created, ${isStopped ? 0 : found.size} would be rotated, ${existing} are already in ${secrets}.`,
  );
  for (const [id, groups] of missing) {
    const access = groups.length === 0 ? 'no groups' : `the groups ${groups.join(', ')}`;
    console.log(`  ${id} would be registered, with ${access}`);
  }
  for (const row of open) {
    console.log(`  line ${row.line}: ${keyText(row)}${effectOn(found.get(row), isStopped)}`);
  }
  if (isStopped) throw new Error(stopped(used, secrets));
}

/** Says what a run would do with a key that an earlier run created. @param isStopped whether any key is in use */
function effectOn(key: FoundKey | undefined, isStopped: boolean): string {
  if (!key) return '';
  if (key.isUsed) return `, in use, stops the run: ${key.id}`;
  return `, ${isStopped ? 'unused' : 'would be rotated'}: ${key.id}`;
}

/**
 * Registers the missing Deployments, creates the keys, and rotates those whose secrets are lost.
 *
 * @throws Error that names the rejected rows, and the keys in use that are not in the secrets file
 */
async function apply(migration: Migration): Promise<void> {
  const { service, secrets, existing, missing } = migration;
  const rejected: string[] = [];
  for (const [deployment, groups] of missing) await register(service, deployment, groups);
  const { created, lost } = await createKeys(migration, rejected);
  // Examine all keys before rotating the first: if one is in use, the secrets file was probably deleted or moved, and
  // pipelines may also have the secrets of the others.
  const { used, unused } = await splitByUse(service, lost, rejected);
  const rotated = used.length > 0 ? 0 : await rotateKeys(migration, unused, rejected);
  console.log(`${created} keys created, ${rotated} rotated, ${existing} already existed.`);
  const faults = [
    ...(rejected.length > 0 ? [`${rejected.length} rejected:`, ...rejected] : []),
    ...(used.length > 0 ? [stopped(used, secrets)] : []),
  ];
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

/**
 * Runs a step of the migration for one row.
 *
 * @param rejected receives a line if the service rejects the row
 * @returns undefined if the service rejects the row
 */
async function attempt<T>(
  row: WantedKey,
  rejected: string[],
  step: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof Rejected) || error.status === 401) throw error;
    rejected.push(`Line ${row.line}: ${error.message}`);
    return undefined;
  }
}

/** Creates the keys, and stores each secret immediately. @returns the keys that an earlier run created in `lost` */
async function createKeys(
  { service, secrets, open }: Migration,
  rejected: string[],
): Promise<{ created: number; lost: LostKey[] }> {
  const lost: LostKey[] = [];
  let created = 0;
  for (const [at, row] of open.entries()) {
    const key = await attempt(row, rejected, () => createKey(service, row));
    if (key?.secret !== undefined) {
      keepKey(secrets, row, key.id, key.secret);
      created += 1;
    } else if (key) lost.push({ row, id: key.id });
    if ((at + 1) % 10 === 0 || at + 1 === open.length) console.error(`${at + 1} of ${open.length} keys`);
  }
  return { created, lost };
}

async function splitByUse(
  service: Service,
  keys: readonly LostKey[],
  rejected: string[],
): Promise<{ used: LostKey[]; unused: LostKey[] }> {
  const split: { used: LostKey[]; unused: LostKey[] } = { used: [], unused: [] };
  for (const key of keys) {
    const found = await attempt(key.row, rejected, () => readKey(service, key.row.deployment, key.id));
    if (found) split[found.isUsed ? 'used' : 'unused'].push(key);
  }
  return split;
}

/** Rotates the keys, and stores each new secret immediately. @returns the number of rotated keys */
async function rotateKeys(
  { service, secrets }: Migration,
  keys: readonly LostKey[],
  rejected: string[],
): Promise<number> {
  let rotated = 0;
  for (const { row, id } of keys) {
    const secret = await attempt(row, rejected, () => rotateKey(service, row.deployment, id));
    if (secret === undefined) continue;
    keepKey(secrets, row, id, secret);
    rotated += 1;
    console.log(`Line ${row.line}: ${keyText(row)}, rotated: ${id}`);
  }
  return rotated;
}

const keyText = ({ body, deployment }: WantedKey): string => `${body.name}, for ${deployment}`;

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
    ...used.map(({ row, id }) => `Line ${row.line}: ${keyText(row)}: ${id}`),
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
