import { createHash } from 'node:crypto';
import { DEPLOYMENT_ID, isDeploymentId } from './identifiers.ts';
import { isPlainText, plainTextRule } from './text.ts';

type Scalar = string | number | boolean;
/** What an attribute must be: this value, one of these values, or present (or absent). */
export type AttributeRule = Scalar | readonly Scalar[] | { readonly exists: boolean };
/** A rule for each of some attributes of a row. All of them must hold. */
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
  /** Which of these are deleted. @default none: a deleted Deployment has no row */
  readonly deleted?: RowCondition | undefined;
  /** ARN of the customer managed key that encrypts the table. @default none */
  readonly encryptionKey?: string | undefined;
}

/**
 * A row by its attributes: text, numbers, flags, `null`, and lists or sets of text as arrays. Anything else is
 * there, and equal to nothing.
 */
export type Row = Readonly<Record<string, unknown>>;

/** What a row says of a Deployment. A field that the table does not know is undefined. */
export interface SourcedDeployment {
  readonly id: string;
  readonly name: string | undefined;
  readonly groups: string[] | undefined;
}

/** A row that our rules refuse for good: trying again changes nothing. */
export class RefusedRow extends Error {
  override readonly name = 'RefusedRow';
}

/** The attributes that are looked at; of others nothing is known. */
export function attributesOf({ id, name, groups, where = {}, deleted = {} }: DeploymentsSource): string[] {
  const all = [id, name, groups, ...Object.keys(where), ...Object.keys(deleted)];
  return [...new Set(all.filter((it) => it !== undefined))];
}

/** Is a row a Deployment, and not deleted? Its ID may be one that our rules refuse. */
export function isDeployment(row: Row | undefined, { where, deleted }: DeploymentsSource): row is Row {
  return row !== undefined && holds(where ?? {}, row) && !(deleted && holds(deleted, row));
}

/**
 * The Deployment that a row is; undefined for one that is none, or deleted.
 * @throws RefusedRow when our rules do not take it
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

/** A row without a name is called by its ID. */
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
  // A set has no order of its own: without one, each reading of it would look like a change.
  if (all.length <= 20 && all.every((it) => isText(it, 128))) return [...new Set(all)].sort();
  throw new RefusedRow(`${groups} must be at most 20 texts; each ${plainTextRule(1, 128)}`);
}

const isText = (value: unknown, most: number): value is string =>
  typeof value === 'string' && isPlainText(value, 1, most);

const ULID_DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/**
 * The generation of the life that a change begins: a ULID of the change's moment with, in place of random bits, 80
 * bits of SHA-256 of its sequence number. The same change always begins the same life, and another one another.
 * A sequence number itself does not fit: it has up to 40 digits, 133 bits, and a ULID has 128.
 * @param at epoch milliseconds
 */
export function generationOf(id: string, sequence: string, at: number): string {
  const hash = createHash('sha256').update(`${id}\n${sequence}`).digest('hex').slice(0, 20);
  let rest = (BigInt(Math.floor(at)) << 80n) | BigInt(`0x${hash}`);
  let digits = '';
  for (let n = 0; n < 26; n++, rest >>= 5n) digits = ULID_DIGITS[Number(rest & 31n)] + digits;
  return digits;
}

/** A sequence number of a stream, in a form whose order as text is its order as a number. */
export function sequenceOf(number: string | undefined): string {
  if (number !== undefined && /^\d{1,40}$/.test(number)) return number.padStart(40, '0');
  throw new RefusedRow('the record has no sequence number');
}

/** Comes before every change of a stream: what is known by looking, and from no record. */
export const BY_LOOKING = '0'.repeat(40);
