import { appendFileSync, chmodSync, existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { csvField, parseCsv } from './csv.ts';
import {
  isRegistered,
  makeKey,
  Refused,
  readWanted,
  refuseUnknownScopes,
  register,
  type Service,
  type WantedKey,
} from './migration.ts';

const HELP = `Makes API keys from a CSV file, for pipelines that come from an older key service. docs/migrating.md

  npm run migrate -- keys.csv --url https://keys.example.com --secrets new-keys.csv [--register] [--dry-run]

  keys.csv     a first line with the names of its columns: deployment, name, and any of oldId, description,
               scopes (between spaces), expiresAt (RFC 3339), groups (between semicolons, for --register; spaces
               belong to a group, and one that holds a semicolon is quoted)
  --url        the service: the stack's output ApiUrl
  --secrets    where IDs and secrets are written, one line a key, as soon as it is made. Made with mode 0600. Rows
               that are in it are not made again
  --register   register the Deployments that are not there yet, with the row's groups
  --dry-run    check the file and the Deployments, and make nothing

The token of an administrator comes from MIGRATE_TOKEN, or is the first line of standard input. No secret is printed.
Run it again after an interruption: within 24 hours no key is made twice, and rows in --secrets never are.`;

const MADE_COLUMNS = ['deployment', 'name', 'oldId', 'id', 'secret'];

class UsageError extends Error {}

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
  if (file === undefined || more.length > 0) throw new UsageError('Name one CSV file.');
  if (url === undefined || !isSafe(url))
    throw new UsageError('--url must be an https URL (http for this machine alone).');
  if (secrets === undefined) throw new UsageError('--secrets: name the file for IDs and secrets.');
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
  if (process.stdin.isTTY) console.error('Paste the access token of an administrator, and press Enter:');
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() !== '') return line.trim();
  }
  throw new UsageError('The token of an administrator is missing: MIGRATE_TOKEN, or standard input.');
}

/** The keys that an earlier run has kept. @throws UsageError where others could read the file */
function keptIn(path: string): Set<string> {
  if (!existsSync(path)) return new Set();
  const { mode } = lstatSync(path);
  if ((mode & 0o777) !== 0o600 || !lstatSync(path).isFile()) {
    throw new UsageError(`${path} must be a file of mode 0600: it holds secrets.`);
  }
  return new Set(parseCsv(readFileSync(path, 'utf8')).map(({ fields }) => identityOf(fields)));
}

const identityOf = ({ deployment, oldId, name }: Record<string, unknown>) =>
  JSON.stringify([deployment, oldId || name]);

function keep(path: string, values: string[]): void {
  if (!existsSync(path)) {
    writeFileSync(path, `${MADE_COLUMNS.join(',')}\n`, { mode: 0o600, flag: 'wx' });
    // The umask may have taken from the mode, never added to it.
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
  const isKept = ({ deployment, oldId, body }: WantedKey) =>
    kept.has(identityOf({ deployment, oldId, name: body.name }));
  const open = wanted.filter((key) => !isKept(key));
  const refused: string[] = [];
  await refuseUnknownScopes(service, open);

  const missing = new Map<string, WantedKey>();
  for (const key of new Map(open.map((each) => [each.deployment, each])).values()) {
    if (!(await isRegistered(service, key.deployment))) missing.set(key.deployment, key);
  }
  if (missing.size > 0 && !options.register) {
    throw new UsageError(
      `These Deployments are not registered: ${[...missing.keys()].join(', ')}. Register them, or give --register.`,
    );
  }
  if (options['dry-run']) {
    console.log(
      `${open.length} keys would be made, ${wanted.length - open.length} are in ${options.secrets} already.`,
    );
    for (const id of missing.keys()) console.log(`  ${id} would be registered`);
    for (const { line, deployment, body } of open)
      console.log(`  line ${line}: ${body.name}, of ${deployment}`);
    return;
  }
  for (const { deployment, groups } of missing.values()) await register(service, deployment, groups);
  for (const [at, key] of open.entries()) {
    try {
      const { id, secret } = await makeKey(service, key);
      keep(options.secrets, [key.deployment, key.body.name, key.oldId, id, secret]);
    } catch (error) {
      if (!(error instanceof Refused) || error.status === 401) throw error;
      refused.push(`Line ${key.line}: ${error.message}`);
    }
    if ((at + 1) % 10 === 0 || at + 1 === open.length) console.error(`${at + 1} of ${open.length} keys`);
  }
  console.log(
    `${open.length - refused.length} keys made, ${wanted.length - open.length} were there already.`,
  );
  if (refused.length > 0) throw new Error(`${refused.length} refused:\n${refused.join('\n')}`);
}

function describe(error: unknown): string {
  if (error instanceof UsageError) return `${error.message}\n\nnpm run migrate -- --help says more.`;
  if (error instanceof Refused && error.status === 401) {
    return 'The token was refused: it has expired, or is none of an administrator. Run it again with a new one: it goes on.';
  }
  return error instanceof Error ? error.message : String(error);
}

try {
  await run();
} catch (error) {
  console.error(describe(error));
  process.exitCode = 1;
}
