import { createHash } from 'node:crypto';
import { isPlainText, plainTextRule } from '../functions/domain/allowed-characters.ts';
import { isDeploymentId } from '../functions/domain/credentials.ts';
import type { EpochMillis } from '../functions/domain/expiry.ts';
import { parseCsv, parseList } from './csv.ts';

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

/** Thrown when the service rejects a call and a retry would not help. */
export class Rejected extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const COLUMNS = ['deployment', 'name', 'oldId', 'description', 'scopes', 'expiresAt', 'groups'];
/** Statuses after which a retry may succeed. */
const TRANSIENT = new Set([429, 500, 502, 503, 504]);
const ATTEMPTS = 6;
/** How long the service remembers an Idempotency-Key, in milliseconds: 24 hours. */
const IDEMPOTENCY_MS = 24 * 60 * 60 * 1000;

/**
 * Returns a string that distinguishes a key from those in the other rows: its Deployment together with its old ID, or
 * with its name if it has no old ID.
 */
export const identityOf = ({ deployment = '', oldId, name = '' }: Partial<Record<string, string>>): string =>
  JSON.stringify([deployment, oldId || name]);

/**
 * Reads the keys to create from CSV text.
 *
 * @throws Error with one line for each fault in the file, so that no key is created from a file that has faults
 */
export function readWanted(csv: string): WantedKey[] {
  const rows = parseCsv(csv);
  if (rows.length === 0) throw new Error('The file has no rows below the first line.');
  const faults: string[] = [];
  const columns = Object.keys(rows[0]?.fields ?? {});
  for (const name of columns) {
    if (!COLUMNS.includes(name))
      faults.push(`Line 1: unknown column ${name}. Allowed columns: ${COLUMNS.join(', ')}.`);
  }
  for (const name of ['deployment', 'name']) {
    if (!columns.includes(name)) faults.push(`Line 1: the column ${name} is missing.`);
  }
  const lineOf = new Map<string, number>();
  const wanted = rows.map(({ line, fields }) => {
    const { deployment = '', name = '', oldId = '', description, scopes, expiresAt, groups = '' } = fields;
    const fault = (rule: string) => faults.push(`Line ${line}: ${rule}`);
    if (!isDeploymentId(deployment)) fault(`deployment must be an ID: letters, digits, _ and -, at most 64.`);
    if (!isPlainText(name, 1, 100)) fault(`name ${plainTextRule(1, 100)}.`);
    if (description && !isPlainText(description, 0, 500)) fault(`description ${plainTextRule(0, 500)}.`);
    if (scopes && words(scopes).length === 0)
      fault('scopes contains only white space. Leave it empty for all scopes of the stack.');
    if (expiresAt && Number.isNaN(Date.parse(expiresAt))) fault('expiresAt must be a time in RFC 3339.');
    const identity = identityOf(fields);
    const earlier = lineOf.get(identity);
    if (earlier !== undefined) fault(`same key as line ${earlier}. Give one of them another name or oldId.`);
    lineOf.set(identity, line);
    return {
      line,
      oldId,
      deployment,
      groups: groupsOf(groups, fault),
      body: {
        name,
        ...(description && { description }),
        ...(scopes && { scopes: words(scopes) }),
        ...(expiresAt && { expiresAt }),
      },
      idempotencyKey: `migrate-${createHash('sha256').update(identity).digest('hex')}`,
    };
  });
  for (const [deployment, groups] of groupsOfDeployments(wanted)) {
    if (groups.length > 20)
      faults.push(`The rows of ${deployment} have ${groups.length} groups. At most 20 are allowed.`);
  }
  if (faults.length > 0) throw new Error(faults.join('\n'));
  return wanted;
}

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
function groupsOf(text: string, fault: (rule: string) => void): string[] {
  try {
    const groups = parseList(text);
    const wrong = groups.find((group) => !isPlainText(group, 1, 128));
    if (wrong !== undefined) fault(`groups: ${JSON.stringify(wrong)} ${plainTextRule(1, 128)}.`);
    if (groups.length > 20) fault('groups must have at most 20 entries.');
    return groups;
  } catch {
    fault('groups has a misplaced or unclosed quote.');
    return [];
  }
}

/** The service in which keys are created. */
export interface Service {
  /** The base URL without a trailing slash. */
  url: string;
  /** An administrator's OIDC access token. */
  token: string;
  /** Waits for the given number of milliseconds. */
  pause: (ms: number) => Promise<unknown>;
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

async function call(
  { url, token, pause }: Service,
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<Record<string, unknown>> {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(`${url}${path}`, {
      method,
      redirect: 'error',
      signal: AbortSignal.timeout(30_000),
      headers: {
        ...headers,
        authorization: `Bearer ${token}`,
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (response.ok) return (await response.json()) as Record<string, unknown>;
    const { detail, message } = (await response.json().catch(() => ({}))) as Record<string, unknown>;
    if (!TRANSIENT.has(response.status) || attempt === ATTEMPTS) {
      throw new Rejected(response.status, `${response.status} ${detail ?? message ?? response.statusText}`);
    }
    await pause((Number(response.headers.get('retry-after')) || 2 ** attempt) * 1000);
  }
}
