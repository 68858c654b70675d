import { createHash } from 'node:crypto';
import {
  DESCRIPTION,
  GROUP,
  isPlainText,
  MAX_GROUPS,
  NAME,
  plainTextRule,
} from '../functions/domain/allowed-characters.ts';
import { isDeploymentId } from '../functions/domain/credentials.ts';
import type { EpochMillis } from '../functions/domain/expiry.ts';
import { parseCsv, parseList } from './csv.ts';
import { answerOf, failureOf, send } from './http.ts';

/** A key to create, from one row of the file. */
export interface WantedKey {
  line: number;
  /** The key's ID in the older service, so that people can find the pipeline that uses it. */
  oldId: string;
  deployment: string;
  groups: string[];
  body: { name: string; description?: string; scopes?: string[]; expiresAt?: string };
  /** The Idempotency-Key to send, so that a repeated request for the same row does not create a second key. */
  idempotencyKey: string;
}

/** A key that this run or an earlier run created. */
export interface NewKey {
  id: string;
  /** The key's secret; undefined if an earlier run created the key. */
  secret: string | undefined;
}

/** A key that the service has. */
export interface FoundKey {
  id: string;
  name: string;
  /** When the key was created, in epoch milliseconds. */
  createdAt: number;
  /** Whether the key or one of its secrets was ever used. */
  isUsed: boolean;
}

/** The fields of a row, by the names of their columns. */
export type Fields = Partial<Record<string, string>>;

/** Thrown when the service rejects a call and a retry would not help. */
export class Rejected extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const COLUMNS = ['deployment', 'name', 'oldId', 'description', 'scopes', 'expiresAt', 'groups'];
/** Maximum number of attempts for a call. The pauses between them add up to about a minute. */
const ATTEMPTS = 8;
/** How long the service remembers an Idempotency-Key, in milliseconds: 24 hours. */
const IDEMPOTENCY_MS = 24 * 60 * 60 * 1000;

/**
 * Returns a string that distinguishes a key from those in the other rows: its Deployment together with its old ID, or
 * with its name if it has no old ID.
 */
export const identityOf = ({ deployment = '', oldId, name = '' }: Fields): string =>
  JSON.stringify([deployment, oldId || name]);

/**
 * Reads the keys to create from CSV text.
 *
 * @throws Error with one line for each fault in the file, so that no key is created from a file that has faults
 */
export function readWanted(csv: string): WantedKey[] {
  const rows = parseCsv(csv);
  if (rows.length === 0) throw new Error('The file has no rows below the first line.');
  const faults = faultsOfColumns(Object.keys(rows[0]?.fields ?? {}));
  const wanted: WantedKey[] = [];
  const lineOf = new Map<string, number>();
  for (const { line, fields } of rows) {
    const identity = identityOf(fields);
    const { groups, faults: faultsOfGroups } = groupsOf(fields.groups ?? '');
    const found = [...faultsOfFields(fields), ...faultsOfLine(lineOf.get(identity)), ...faultsOfGroups];
    faults.push(...found.map((fault) => `Line ${line}: ${fault}`));
    lineOf.set(identity, line);
    wanted.push(wantedKey(line, fields, groups));
  }
  for (const [deployment, groups] of groupsOfDeployments(wanted)) {
    if (groups.length > MAX_GROUPS)
      faults.push(
        `The rows of ${deployment} have ${groups.length} groups. At most ${MAX_GROUPS} are allowed.`,
      );
  }
  if (faults.length > 0) throw new Error(faults.join('\n'));
  return wanted;
}

function wantedKey(line: number, fields: Fields, groups: string[]): WantedKey {
  const { deployment = '', name = '', oldId = '', description, scopes, expiresAt } = fields;
  return {
    line,
    oldId,
    deployment,
    groups,
    body: {
      name,
      ...(description && { description }),
      ...(scopes && { scopes: words(scopes) }),
      ...(expiresAt && { expiresAt }),
    },
    idempotencyKey: `migrate-${createHash('sha256').update(identityOf(fields)).digest('hex')}`,
  };
}

function faultsOfColumns(columns: readonly string[]): string[] {
  const unknown = columns.filter((name) => !COLUMNS.includes(name));
  const missing = ['deployment', 'name'].filter((name) => !columns.includes(name));
  return [
    ...unknown.map((name) => `Line 1: unknown column ${name}. Allowed columns: ${COLUMNS.join(', ')}.`),
    ...missing.map((name) => `Line 1: the column ${name} is missing.`),
  ];
}

/** Returns the faults in the fields of a row, except in its groups. */
function faultsOfFields({ deployment = '', name = '', description, scopes, expiresAt }: Fields): string[] {
  const faults: string[] = [];
  if (!isDeploymentId(deployment))
    faults.push('deployment must be an ID: letters, digits, _ and -, at most 64.');
  if (!isPlainText(name, ...NAME)) faults.push(`name ${plainTextRule(...NAME)}.`);
  if (description && !isPlainText(description, ...DESCRIPTION))
    faults.push(`description ${plainTextRule(...DESCRIPTION)}.`);
  if (scopes && words(scopes).length === 0)
    faults.push('scopes contains only white space. Leave it empty for all scopes of the stack.');
  if (expiresAt && Number.isNaN(Date.parse(expiresAt))) faults.push('expiresAt must be a time in RFC 3339.');
  return faults;
}

/** Returns the fault of a row for the same key as an earlier row. @param earlier line of the earlier row, if any */
const faultsOfLine = (earlier: number | undefined): string[] =>
  earlier === undefined ? [] : [`same key as line ${earlier}. Give one of them another name or oldId.`];

/** Returns the groups of each Deployment: the groups in all of its rows, without duplicates. */
export function groupsOfDeployments(keys: readonly WantedKey[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { deployment, groups: more } of keys) {
    groups.set(deployment, [...new Set([...(groups.get(deployment) ?? []), ...more])]);
  }
  return groups;
}

const words = (text: string) => text.split(/\s+/).filter((word) => word !== '');

/**
 * Reads the groups without trimming or splitting names at spaces: a changed name would give access to other people, or
 * to no one.
 */
function groupsOf(text: string): { groups: string[]; faults: string[] } {
  try {
    const groups = parseList(text);
    const faults: string[] = [];
    const wrong = groups.find((group) => !isPlainText(group, ...GROUP));
    if (wrong !== undefined) faults.push(`groups: ${JSON.stringify(wrong)} ${plainTextRule(...GROUP)}.`);
    if (groups.length > MAX_GROUPS) faults.push(`groups must have at most ${MAX_GROUPS} entries.`);
    return { groups, faults };
  } catch {
    return { groups: [], faults: ['groups has a misplaced or unclosed quote.'] };
  }
}

/** The service in which keys are created. */
export interface Service {
  /** The base URL without a trailing slash. */
  url: string;
  /** An administrator's OIDC access token. */
  token: string;
}

/**
 * Checks in the stack's metadata (RFC 8414) that the stack has every scope in the rows.
 *
 * @throws Error with one line for each unknown scope
 */
export async function rejectUnknownScopes(service: Service, wanted: WantedKey[]): Promise<void> {
  const metadata = await call(service, 'GET', '/.well-known/oauth-authorization-server');
  const known = metadata.scopes_supported as string[];
  const faults = wanted.flatMap(({ line, body: { scopes = [] } }) =>
    scopes
      .filter((scope) => !known.includes(scope))
      .map((scope) => `Line ${line}: unknown scope ${scope}. Scopes of the stack: ${known.join(', ')}.`),
  );
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

/** Returns whether the Deployment is registered. */
export async function isRegistered(service: Service, deployment: string): Promise<boolean> {
  try {
    await call(service, 'GET', `/deployments/${deployment}`);
    return true;
  } catch (error) {
    if (error instanceof Rejected && error.status === 404) return false;
    throw error;
  }
}

/** Registers a Deployment with these groups. An existing Deployment keeps its name and gets the groups. */
export async function register(service: Service, deployment: string, groups: string[]): Promise<void> {
  await call(service, 'PUT', `/deployments/${deployment}`, { groups });
}

/**
 * Creates one key. If an earlier run created the key, the key is unchanged and the result has no secret.
 *
 * @throws Rejected if the service rejects a call
 */
export async function createKey(service: Service, wanted: WantedKey): Promise<NewKey> {
  const { id, secret } = await call(service, 'POST', keysOf(wanted.deployment), wanted.body, {
    'idempotency-key': wanted.idempotencyKey,
  });
  return { id: String(id), secret: typeof secret === 'string' ? secret : undefined };
}

/** Returns a key. @throws Rejected if the service rejects the call */
export async function readKey(service: Service, deployment: string, id: string): Promise<FoundKey> {
  return foundKey(await call(service, 'GET', `${keysOf(deployment)}/${id}`));
}

/**
 * Rotates a key, retires its old secret immediately, and returns the new secret. Call this only for a key that is not
 * used: a pipeline that has the old secret gets 401.
 *
 * @throws Rejected if the service rejects the call
 */
export async function rotateKey(service: Service, deployment: string, id: string): Promise<string> {
  const body = { retireOld: 'now' };
  return String((await call(service, 'POST', `${keysOf(deployment)}/${id}/rotate`, body)).secret);
}

/**
 * Finds the keys that earlier runs probably created for these rows, without changing anything: keys with the row's name
 * that are younger than 24 hours. Only the call that creates a key could tell for sure.
 *
 * @param wanted rows whose Deployments are registered
 * @param kept IDs of the keys in the secrets file, which belong to other rows
 * @param now epoch milliseconds
 */
export async function findKeys(
  service: Service,
  wanted: readonly WantedKey[],
  kept: ReadonlySet<string>,
  now: EpochMillis,
): Promise<Map<WantedKey, FoundKey>> {
  const found = new Map<WantedKey, FoundKey>();
  for (const deployment of new Set(wanted.map((key) => key.deployment))) {
    const keys = (await listKeys(service, deployment)).filter(
      ({ id, createdAt }) => !kept.has(id) && createdAt > now - IDEMPOTENCY_MS,
    );
    for (const row of wanted.filter((key) => key.deployment === deployment)) {
      const at = keys.findIndex(({ name }) => name === row.body.name);
      const [key] = at === -1 ? [] : keys.splice(at, 1);
      if (key) found.set(row, key);
    }
  }
  return found;
}

async function listKeys(service: Service, deployment: string): Promise<FoundKey[]> {
  const keys: FoundKey[] = [];
  let cursor = '';
  do {
    const page = await call(service, 'GET', `${keysOf(deployment)}?limit=100${cursor}`);
    keys.push(...(page.items as Record<string, unknown>[]).map(foundKey));
    cursor = page.nextCursor ? `&cursor=${encodeURIComponent(String(page.nextCursor))}` : '';
  } while (cursor !== '');
  return keys;
}

const keysOf = (deployment: string) => `/deployments/${deployment}/api-keys`;

function foundKey({ id, name, createdAt, lastUsedAt, credentials }: Record<string, unknown>): FoundKey {
  const secrets = credentials as { lastUsedAt?: string }[];
  return {
    id: String(id),
    name: String(name),
    createdAt: Date.parse(String(createdAt)),
    isUsed: lastUsedAt !== undefined || secrets.some((secret) => secret.lastUsedAt !== undefined),
  };
}

/**
 * Calls the service, and returns the fields of its response. Every call can be repeated safely: the service creates a
 * key once for each Idempotency-Key, and a rotated key is not used yet.
 *
 * @throws Rejected if the service rejects the call; Failure if the service cannot be reached, or redirects
 */
async function call(
  { url, token }: Service,
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<Record<string, unknown>> {
  const init = {
    method,
    headers: {
      ...headers,
      authorization: `Bearer ${token}`,
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  };
  const response = await send(() => new Request(`${url}${path}`, init), { attempts: ATTEMPTS });
  if (response.ok) return (await response.json()) as Record<string, unknown>;
  const answer = await answerOf(response);
  const { status, statusText } = response;
  if (status < 400) throw failureOf(url, answer);
  const { detail, message } = answer.body;
  throw new Rejected(status, `${status} ${detail ?? message ?? statusText}`);
}
