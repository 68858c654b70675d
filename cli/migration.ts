import { createHash } from 'node:crypto';
import { isDeploymentId } from '../functions/domain/identifiers.ts';
import { isPlainText, plainTextRule } from '../functions/domain/text.ts';
import { parseCsv, parseList } from './csv.ts';

/** A key to make, from one row of the file. */
export interface WantedKey {
  line: number;
  /** What the older service calls it, for whoever swaps it in a pipeline. */
  oldId: string;
  deployment: string;
  groups: string[];
  body: { name: string; description?: string; scopes?: string[]; expiresAt?: string };
  /** Sent as Idempotency-Key: the same row makes one key, however often it is sent. */
  idempotencyKey: string;
}

/** A key that was made. */
export interface MadeKey {
  wanted: WantedKey;
  id: string;
  secret: string;
}

/** The call was answered with what no retry changes. */
export class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const COLUMNS = ['deployment', 'name', 'oldId', 'description', 'scopes', 'expiresAt', 'groups'];
/** Answers after which the same call may succeed. */
const PASSING = new Set([429, 500, 502, 503, 504]);
const ATTEMPTS = 6;

/**
 * Reads which keys are wanted.
 * @throws Error with a line for each fault, so that nothing begins with a file that is half right
 */
export function readWanted(csv: string): WantedKey[] {
  const rows = parseCsv(csv);
  if (rows.length === 0) throw new Error('The file has no row below its first line.');
  const faults: string[] = [];
  const columns = Object.keys(rows[0]?.fields ?? {});
  for (const name of columns) {
    if (!COLUMNS.includes(name))
      faults.push(`Line 1: ${name} is no column. There are ${COLUMNS.join(', ')}.`);
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
      fault('scopes is blank. Leave it empty for all scopes of the stack.');
    if (expiresAt && Number.isNaN(Date.parse(expiresAt))) fault('expiresAt must be a time in RFC 3339.');
    const identity = JSON.stringify([deployment, oldId || name]);
    const before = lineOf.get(identity);
    if (before !== undefined)
      fault(`the same as line ${before}: give one of them another name, or an oldId.`);
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
  if (faults.length > 0) throw new Error(faults.join('\n'));
  return wanted;
}

const words = (text: string) => text.split(/\s+/).filter((word) => word !== '');

/** Groups as they are, spaces included: one that was split or cut would let other people in, or nobody. */
function groupsOf(text: string, fault: (rule: string) => void): string[] {
  try {
    const groups = parseList(text);
    const wrong = groups.find((group) => !isPlainText(group, 1, 128));
    if (wrong !== undefined) fault(`groups: ${JSON.stringify(wrong)} ${plainTextRule(1, 128)}.`);
    if (groups.length > 20) fault('groups must be at most 20.');
    return groups;
  } catch {
    fault('groups has a quote in the wrong place, or one that is never closed.');
    return [];
  }
}

export interface Service {
  /** Without a slash at its end. */
  url: string;
  /** An administrator's OIDC access token. */
  token: string;
  /** Waits so many milliseconds. */
  pause: (ms: number) => Promise<unknown>;
}

/** @throws Error with a line for each scope that the stack does not have, by its metadata (RFC 8414) */
export async function refuseUnknownScopes(service: Service, wanted: WantedKey[]): Promise<void> {
  const metadata = await call(service, 'GET', '/.well-known/oauth-authorization-server');
  const known = metadata.scopes_supported as string[];
  const faults = wanted.flatMap(({ line, body: { scopes = [] } }) =>
    scopes
      .filter((scope) => !known.includes(scope))
      .map((scope) => `Line ${line}: the stack has no scope ${scope}. It has ${known.join(', ')}.`),
  );
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

/** Whether the Deployment is registered. */
export async function isRegistered(service: Service, deployment: string): Promise<boolean> {
  try {
    await call(service, 'GET', `/deployments/${deployment}`);
    return true;
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return false;
    throw error;
  }
}

/** Registers it; one that is there keeps its name, and gets these groups. */
export async function register(service: Service, deployment: string, groups: string[]): Promise<void> {
  await call(service, 'PUT', `/deployments/${deployment}`, { groups });
}

/**
 * Makes one key. Where an earlier run has made it and died before it could keep the secret, the key is rotated at
 * once: nobody has ever had that secret.
 */
export async function makeKey(service: Service, wanted: WantedKey): Promise<MadeKey> {
  const keys = `/deployments/${wanted.deployment}/api-keys`;
  const made = await call(service, 'POST', keys, wanted.body, { 'idempotency-key': wanted.idempotencyKey });
  const id = String(made.id);
  if (typeof made.secret === 'string') return { wanted, id, secret: made.secret };
  const rotated = await call(service, 'POST', `${keys}/${id}/rotate`, { retireOld: 'now' });
  return { wanted, id, secret: String(rotated.secret) };
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
      body: body && JSON.stringify(body),
    });
    if (response.ok) return (await response.json()) as Record<string, unknown>;
    const { detail, message } = (await response.json().catch(() => ({}))) as Record<string, unknown>;
    if (!PASSING.has(response.status) || attempt === ATTEMPTS) {
      throw new Refused(response.status, `${response.status} ${detail ?? message ?? response.statusText}`);
    }
    await pause((Number(response.headers.get('retry-after')) || 2 ** attempt) * 1000);
  }
}
