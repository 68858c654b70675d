import { createHash } from 'node:crypto';
import { GROUP, isPlainText, MAX_GROUPS, NAME, plainTextRule } from './allowed-characters.ts';
import { DEPLOYMENT_ID, isDeploymentId } from './credentials.ts';
import type { EpochMillis } from './expiry.ts';

type Scalar = string | number | boolean;
/**
 * Condition for an attribute: the attribute must equal a value, equal one of several values, be present, or be absent.
 */
export type AttributeRule = Scalar | readonly Scalar[] | { readonly exists: boolean };
/** Conditions for the attributes of a row. A row must meet all of them. */
export type RowCondition = Readonly<Record<string, AttributeRule>>;

/**
 * Limits on the number of Deployments that can be deleted by changes to a followed table before a person must confirm
 * more deletions.
 */
export interface DeletionLimit {
  /** Maximum number of deletions per hour. @default 20 */
  readonly perHour?: number | undefined;
  /**
   * Maximum share of the table's Deployments that can be deleted per day, from 0 to 1; 1 means no limit. In a small
   * table, up to three deletions are allowed if they affect at most half of the Deployments. One deletion is always
   * allowed.
   * @default 0.25
   */
  readonly share?: number | undefined;
}

/** One of the platform's DynamoDB tables, in the stack's account and Region. Its rows are Deployments. */
export interface DeploymentsSource {
  /** ARN of the table. */
  readonly table: string;
  /** ARN of the table's stream, which must have new and old images. */
  readonly stream: string;
  /**
   * The attribute that holds a Deployment's ID. The ID must be unique among the rows and must not change while the
   * Deployment exists.
   */
  readonly id: string;
  /** The attribute that holds a Deployment's name. @default the ID is the name, and people can change the name */
  readonly name?: string | undefined;
  /**
   * The attribute that holds a Deployment's groups: a list, a set or a single string.
   * @default none; people can set the groups
   */
  readonly groups?: string | undefined;
  /** Condition for the rows that are Deployments. @default every row */
  readonly where?: RowCondition | undefined;
  /** Condition for the rows that are deleted Deployments. @default none: a deleted Deployment has no row */
  readonly deleted?: RowCondition | undefined;
  /**
   * Limits on how many Deployments can be deleted before a person must confirm more deletions.
   * @default 20 per hour, and a quarter per day
   */
  readonly deletions?: DeletionLimit | undefined;
  /** ARN of the customer managed KMS key that encrypts the table. @default none */
  readonly encryptionKey?: string | undefined;
}

/**
 * A row as a map from attribute names to values. Values are strings, numbers, booleans, `null`, and arrays for lists or
 * sets of strings. A value of any other type counts as present, but equals nothing.
 */
export type Row = Readonly<Record<string, unknown>>;

/** A Deployment as its row describes it. A field is undefined if the source does not name an attribute for it. */
export interface SourcedDeployment {
  readonly id: string;
  readonly name: string | undefined;
  readonly groups: string[] | undefined;
}

/** How a Deployment was changed to match its source. */
export type FollowOutcome =
  | 'registered'
  | 'edited'
  | 'deleted'
  /** The Deployment should be deleted, but deletions are stopped until a person confirms them. */
  | 'stopped'
  | 'unchanged';

/** Thrown for a row that violates the service's rules. Retrying does not help. */
export class RejectedRow extends Error {
  override readonly name = 'RejectedRow';
}

/** Returns the names of the attributes that the source uses. The service reads no other attributes. */
export function attributesOf({ id, name, groups, where = {}, deleted = {} }: DeploymentsSource): string[] {
  const all = [id, name, groups, ...Object.keys(where), ...Object.keys(deleted)];
  return [...new Set(all.filter((it) => it !== undefined))];
}

/** Reports whether a row is a Deployment that is not deleted. The Deployment's ID can still be invalid. */
export function isDeployment(row: Row | undefined, { where, deleted }: DeploymentsSource): row is Row {
  return row !== undefined && holds(where ?? {}, row) && !(deleted && holds(deleted, row));
}

/**
 * Returns the Deployment that a row describes, or undefined if the row is not a Deployment or is deleted.
 * @throws RejectedRow if the row's ID, name or groups are invalid
 */
export function deploymentOf(row: Row | undefined, source: DeploymentsSource): SourcedDeployment | undefined {
  if (!isDeployment(row, source)) return undefined;
  const id = row[source.id];
  if (typeof id !== 'string' || !isDeploymentId(id)) {
    throw new RejectedRow(`${source.id} must be text of the form ^${DEPLOYMENT_ID}$`);
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

/** If a row has no name, its ID is the name. */
function nameOf(row: Row, { name }: DeploymentsSource, id: string): string | undefined {
  if (name === undefined) return undefined;
  const value = row[name] ?? id;
  if (isText(value, NAME)) return value;
  throw new RejectedRow(`${name} ${plainTextRule(...NAME)}`);
}

function groupsOf(row: Row, { groups }: DeploymentsSource): string[] | undefined {
  if (groups === undefined) return undefined;
  const value = row[groups] ?? [];
  const all = Array.isArray(value) ? value : [value];
  // Sort the groups, because the order of a set is arbitrary and unsorted groups would look like a change on every
  // read.
  if (all.length <= MAX_GROUPS && all.every((it) => isText(it, GROUP))) return [...new Set(all)].sort();
  throw new RejectedRow(`${groups} must be at most ${MAX_GROUPS} texts; each ${plainTextRule(...GROUP)}`);
}

const isText = (value: unknown, lengths: typeof NAME): value is string =>
  typeof value === 'string' && isPlainText(value, ...lengths);

const ULID_DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/**
 * Returns the ID of the generation that starts with a change. The ID is a ULID with the time of the change. Instead of
 * random bits, it contains 80 bits of the SHA-256 hash of the sequence number. The same change always gives the same
 * generation, and different changes give different generations. The sequence number itself does not fit into the ULID:
 * a sequence number has up to 40 digits (133 bits), and a ULID has 128 bits.
 * @param at epoch milliseconds
 */
export function generationOf(id: string, sequence: string, at: EpochMillis): string {
  const hash = createHash('sha256').update(`${id}\n${sequence}`).digest('hex').slice(0, 20);
  let rest = (BigInt(Math.floor(at)) << 80n) | BigInt(`0x${hash}`);
  let digits = '';
  for (let n = 0; n < 26; n++, rest >>= 5n) digits = ULID_DIGITS[Number(rest & 31n)] + digits;
  return digits;
}

/**
 * Pads a sequence number from a stream, so that sorting sequence numbers as text also sorts them as numbers.
 * @throws RejectedRow if the sequence number is missing
 */
export function sequenceOf(number: string | undefined): string {
  if (number !== undefined && /^\d{1,40}$/.test(number)) return number.padStart(40, '0');
  throw new RejectedRow('the record has no sequence number');
}

/**
 * Placeholder that sorts before every sequence number. It marks data that the service read from the table instead of
 * from a stream record.
 */
export const BY_COMPARISON = '0'.repeat(40);
