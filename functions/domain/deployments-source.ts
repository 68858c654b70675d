import { createHash } from 'node:crypto';
import { DEPLOYMENT_ID, isDeploymentId } from './identifiers.ts';
import { isPlainText, plainTextRule } from './text.ts';

type Scalar = string | number | boolean;
/** What an attribute must be: this value, one of these values, or present (or absent). */
export type AttributeRule = Scalar | readonly Scalar[] | { readonly exists: boolean };
/** Rules for attributes of a row. All of them must hold. */
export type RowCondition = Readonly<Record<string, AttributeRule>>;

/** A DynamoDB table of the platform, in the stack's account and Region, whose rows are Deployments. */
export interface DeploymentsSource {
  /** ARN of the table. */
  readonly table: string;
  /** ARN of its stream, which must have new and old images. */
  readonly stream: string;
  /** The attribute that holds a Deployment's ID. Only one row has it, and it stays the same while the Deployment exists. */
  readonly id: string;
  /** The attribute that holds its name. @default the ID is the name, and people may change it */
  readonly name?: string | undefined;
  /** The attribute that holds its groups: a list, a set or one string. @default none, and people may set them */
  readonly groups?: string | undefined;
  /** Which rows are Deployments. @default all */
  readonly where?: RowCondition | undefined;
  /** Which of those rows are deleted Deployments. @default none: a deleted Deployment has no row */
  readonly deleted?: RowCondition | undefined;
  /** ARN of the customer managed key that encrypts the table. @default none */
  readonly encryptionKey?: string | undefined;
}

/**
 * A row by attribute: strings, numbers, booleans, `null`, and lists or sets of strings as arrays. A value of any other
 * type counts as present, but equals nothing.
 */
export type Row = Readonly<Record<string, unknown>>;

/** A Deployment as its row describes it. A field without an attribute in the source is undefined. */
export interface SourcedDeployment {
  readonly id: string;
  readonly name: string | undefined;
  readonly groups: string[] | undefined;
}

/** A row that breaks the rules of the service. Retrying does not help. */
export class RefusedRow extends Error {
  override readonly name = 'RefusedRow';
}

/** Returns the names of the attributes that the source uses. The service reads no others. */
export function attributesOf({ id, name, groups, where = {}, deleted = {} }: DeploymentsSource): string[] {
  const all = [id, name, groups, ...Object.keys(where), ...Object.keys(deleted)];
  return [...new Set(all.filter((it) => it !== undefined))];
}

/** Reports whether a row is a Deployment that is not deleted. Its ID may still be invalid. */
export function isDeployment(row: Row | undefined, { where, deleted }: DeploymentsSource): row is Row {
  return row !== undefined && holds(where ?? {}, row) && !(deleted && holds(deleted, row));
}

/**
 * Returns the Deployment that a row describes, or undefined if the row is not a Deployment or is deleted.
 * @throws RefusedRow when its ID, name or groups are invalid
 */
export function deploymentOf(row: Row | undefined, source: DeploymentsSource): SourcedDeployment | undefined {
  if (!isDeployment(row, source)) return undefined;
  const id = row[source.id];
  if (typeof id !== 'string' || !isDeploymentId(id)) {
    throw new RefusedRow(`${source.id} must be text of the form ^${DEPLOYMENT_ID}$`);
  }
  return { id, name: nameOf(row, source, id), groups: groupsOf(row, source) };
}

function holds(condition: RowCondition, row: Row): boolean {
  return Object.entries(condition).every(([attribute, rule]) => {
    const value = row[attribute];
    if (typeof rule !== 'object') return value === rule;
    return 'exists' in rule ? (value !== undefined) === rule.exists : rule.includes(value as Scalar);
  });
}

/** The name of a row without a name is its ID. */
function nameOf(row: Row, { name }: DeploymentsSource, id: string): string | undefined {
  if (name === undefined) return undefined;
  const value = row[name] ?? id;
  if (isText(value, 100)) return value;
  throw new RefusedRow(`${name} ${plainTextRule(1, 100)}`);
}

function groupsOf(row: Row, { groups }: DeploymentsSource): string[] | undefined {
  if (groups === undefined) return undefined;
  const value = row[groups] ?? [];
  const all = Array.isArray(value) ? value : [value];
  // The order of a set is arbitrary. Unsorted groups would look like a change on every read.
  if (all.length <= 20 && all.every((it) => isText(it, 128))) return [...new Set(all)].sort();
  throw new RefusedRow(`${groups} must be at most 20 texts; each ${plainTextRule(1, 128)}`);
}

const isText = (value: unknown, most: number): value is string =>
  typeof value === 'string' && isPlainText(value, 1, most);

const ULID_DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/**
 * Returns the generation that starts with a change: a ULID of the change's time. 80 bits of SHA-256 of the sequence
 * number take the place of its random bits. The same change always gives the same generation, and different changes
 * give different ones. The sequence number itself does not fit: it has up to 40 digits (133 bits), and a ULID has 128
 * bits.
 * @param at epoch milliseconds
 */
export function generationOf(id: string, sequence: string, at: number): string {
  const hash = createHash('sha256').update(`${id}\n${sequence}`).digest('hex').slice(0, 20);
  let rest = (BigInt(Math.floor(at)) << 80n) | BigInt(`0x${hash}`);
  let digits = '';
  for (let n = 0; n < 26; n++, rest >>= 5n) digits = ULID_DIGITS[Number(rest & 31n)] + digits;
  return digits;
}

/**
 * Pads a sequence number of a stream, so that sorting as text sorts by number.
 * @throws RefusedRow when it is missing
 */
export function sequenceOf(number: string | undefined): string {
  if (number !== undefined && /^\d{1,40}$/.test(number)) return number.padStart(40, '0');
  throw new RefusedRow('the record has no sequence number');
}

/** Sorts before every sequence number. Marks what the service read from the table instead of from a stream record. */
export const BY_LOOKING = '0'.repeat(40);
