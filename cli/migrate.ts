import { appendFileSync, chmodSync, existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { runCommand, UsageError } from './command.ts';
import { csvField, parseCsv } from './csv.ts';
import {
  createKey,
  identityOf,
  isRegistered,
  Rejected,
  readWanted,
  register,
  rejectUnknownScopes,
  type Service,
  type WantedKey,
} from './migration.ts';

const HELP = `Creates API keys from a CSV file, to move pipelines from an older key service. See docs/migrating.md.

  npm run migrate -- keys.csv --url https://keys.example.com --secrets new-keys.csv [--register] [--dry-run]

  keys.csv     the keys to create. The first line names the columns: deployment, name, and optionally oldId,
               description, scopes (separated by spaces), expiresAt (RFC 3339) and groups (separated by semicolons,
               only for --register; a group can contain spaces, and must be quoted if it contains a semicolon)
  --url        URL of the service: the stack's output ApiUrl
  --secrets    the file for IDs and secrets, created with mode 0600. Each key is written to it as soon as it is
               created. Rows whose key is already in the file are skipped
  --register   register the missing Deployments, with the groups in their rows
  --dry-run    check the file and the Deployments, but create nothing

The access token of an administrator is read from MIGRATE_TOKEN, or from the first line of standard input. The command
prints no secrets. If it is interrupted, run it again: it never creates rows in --secrets
twice, and it creates no other row twice within 24 hours.`;

const CREATED_COLUMNS = ['deployment', 'name', 'oldId', 'id', 'secret'];

function readArguments(args: string[]) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      url: { type: 'string' },
      secrets: { type: 'string' },
      register: { type: 'boolean', default: false },
      'dry-run': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const [file, ...more] = positionals;
  const { url, secrets } = values;
  if (file === undefined || more.length > 0) throw new UsageError('Give exactly one CSV file.');
  if (url === undefined || !isSafe(url))
    throw new UsageError('--url must be an https URL (http is only allowed for this machine).');
  if (secrets === undefined) throw new UsageError('--secrets is missing. Give the file for IDs and secrets.');
  return { ...values, file, url: url.replace(/\/$/, ''), secrets };
}

function isSafe(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return (
    protocol === 'https:' || (protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(hostname))
  );
}

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
    // The umask may have removed bits from the mode.
    chmodSync(path, 0o600);
  }
  appendFileSync(path, `${values.map(csvField).join(',')}\n`, { flush: true });
}

async function run(): Promise<void> {
  const options = readArguments(process.argv.slice(2));
  if (!options) return console.log(HELP);
  const wanted = readWanted(readFileSync(options.file, 'utf8'));
  const kept = keptIn(options.secrets);
  const service: Service = { url: options.url, token: await readToken(), pause };
  const open = wanted.filter(
    ({ deployment, oldId, body }) => !kept.has(identityOf({ deployment, oldId, name: body.name })),
  );
  const rejected: string[] = [];
  await rejectUnknownScopes(service, open);

  const missing = new Map<string, WantedKey>();
  for (const key of new Map(open.map((each) => [each.deployment, each])).values()) {
    if (!(await isRegistered(service, key.deployment))) missing.set(key.deployment, key);
  }
  if (missing.size > 0 && !options.register) {
    throw new UsageError(
      `These Deployments are not registered: ${[...missing.keys()].join(', ')}. Register them, or use --register.`,
    );
  }
  if (options['dry-run']) {
    console.log(
      `${open.length} keys would be created, ${wanted.length - open.length} are already in ${options.secrets}.`,
    );
    for (const id of missing.keys()) console.log(`  ${id} would be registered`);
    for (const { line, deployment, body } of open)
      console.log(`  line ${line}: ${body.name}, for ${deployment}`);
    return;
  }
  for (const { deployment, groups } of missing.values()) await register(service, deployment, groups);
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

function describe(error: unknown): string {
  if (error instanceof Rejected && error.status === 401) {
    return 'The service rejected the token. Run the command again with a new access token of an administrator; it continues.';
  }
  return error instanceof Error ? error.message : String(error);
}

await runCommand('migrate', run, describe);
