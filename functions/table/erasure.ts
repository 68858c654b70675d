import type { ServiceEvent } from '../domain/events.ts';
import { ERASED, typedActor } from '../domain/people.ts';
import type { Actor } from '../domain/records.ts';
import {
  deploymentPartition,
  eventsPartition,
  IDEMPOTENCY_PREFIX,
  KEY_PREFIX,
  PEOPLE_PARTITION,
  personPartition,
  REJECTED_CALLS_PARTITION,
  RESTORES_PARTITION,
  TEMPORARY_TOKEN_PREFIX,
} from './item-keys.ts';
import { deleteItems } from './purge.ts';
import {
  deleteItem,
  inPartition,
  isUpdated,
  queryPages,
  scanPage,
  type Table,
  transact,
} from './retried-calls.ts';
import type { Item, ItemKey } from './schema.ts';

/** The kinds of items that can name a person. */
const ERASED_KINDS = [
  'keys',
  'events',
  'temporary tokens',
  'stored responses',
  'counts of rejected calls',
  'records of ended access',
  'restores',
] as const;
export type ErasedKind = (typeof ERASED_KINDS)[number];

/** Reports whether a value is the `sub` of an erased person. */
export type IsErased = (value: unknown) => boolean;

/** An attribute to replace. Each part of its path is a name in a map or a position in a list. */
interface Replacement {
  path: readonly (string | number)[];
  was: unknown;
  /** The new value; undefined to remove the attribute. */
  value: unknown;
}

/** What to do with an item that names a person. */
interface Erasure {
  kind: ErasedKind;
  how: 'delete' | Replacement[];
}

/**
 * Maximum number of passes over the table. A further pass finds what a call that was under way has written since the
 * last one.
 */
const PASSES = 5;

/** Records that a person is erased, so that a restore of an older backup erases them again. */
export async function putErasureEvent(table: Table, event: ServiceEvent): Promise<void> {
  await transact(table, [], event);
}

/**
 * Removes the `sub` of people from all items, and deletes their temporary tokens. Keys, other people's items and the
 * keys of items stay as they are: the partition of a person's ended access contains only a hash. Scans the table with
 * strongly consistent reads until it finds nothing.
 * @param isDryRun true to count the items of one pass, and change nothing
 * @returns the number of items of each kind
 * @throws ServiceError 503 if the table is unavailable; a later run continues
 * @throws Error if other calls keep writing the person's data
 */
export async function erasePeople(
  table: Table,
  isErased: IsErased,
  isDryRun: boolean,
): Promise<Record<ErasedKind, number>> {
  const counts = Object.fromEntries(ERASED_KINDS.map((kind) => [kind, 0])) as Record<ErasedKind, number>;
  for (let pass = 1; pass <= PASSES; pass++) {
    let isClean = true;
    for await (const { item, kind, how } of erasuresIn(table, isErased)) {
      isClean = false;
      if (isDryRun || (await erase(table, item, how))) counts[kind]++;
    }
    if (isDryRun || isClean) return counts;
  }
  throw new Error('Other calls keep writing data of this person. End their access, and try again.');
}

/** Scans the table, and yields each item that names an erased person. */
async function* erasuresIn(table: Table, isErased: IsErased): AsyncGenerator<Erasure & { item: Item }> {
  let start: Item | undefined;
  do {
    const page = await scanPage(table, { ConsistentRead: true, ExclusiveStartKey: start });
    for (const item of page.Items ?? []) {
      const erasure = erasureOf(item, isErased);
      if (erasure) yield { item, ...erasure };
    }
    start = page.LastEvaluatedKey;
  } while (start);
}

/**
 * Replaces attributes of an item, or deletes the item.
 * @returns false if the item has changed since it was read; the next pass reads it again
 */
async function erase(table: Table, item: Item, how: Erasure['how']): Promise<boolean> {
  const Key: ItemKey = { pk: String(item.pk), sk: String(item.sk) };
  if (how === 'delete') return deleteItem(table, { Key });
  if (Key.pk.startsWith(personPartition(''))) await deleteHeldKeys(table, Key.pk);
  return isUpdated(table, { Key, ...updateOf(how) });
}

/** Deletes the list of keys that the job about a person's ended access has found. */
async function deleteHeldKeys(table: Table, pk: string): Promise<void> {
  for await (const { items } of queryPages(table, inPartition(pk, KEY_PREFIX))) {
    await deleteItems(
      table,
      items.map(({ sk }) => ({ pk, sk: String(sk) })),
    );
  }
}

/** Returns an update that replaces attributes, on the condition that none of them has changed. */
function updateOf(replacements: Replacement[]) {
  const names: Record<string, string> = {};
  const values: Record<string, unknown> = {};
  const parts = replacements.map(({ path, was, value }, index) => {
    const pathText = path
      .map((part, depth) => {
        if (typeof part === 'number') return `[${part}]`;
        const name = `#${index}_${depth}`;
        names[name] = part;
        return depth === 0 ? name : `.${name}`;
      })
      .join('');
    values[`:was${index}`] = was;
    // The transports omit undefined values from the request.
    values[`:is${index}`] = value;
    return { pathText, index, isRemoved: value === undefined };
  });
  const set = parts
    .filter((part) => !part.isRemoved)
    .map(({ pathText, index }) => `${pathText} = :is${index}`);
  const removed = parts.filter((part) => part.isRemoved).map(({ pathText }) => pathText);
  const removal = removed.length > 0 ? ` REMOVE ${removed.join(', ')}` : '';
  return {
    UpdateExpression: `SET ${set.join(', ')}${removal}`,
    ConditionExpression: parts.map(({ pathText, index }) => `${pathText} = :was${index}`).join(' AND '),
    ExpressionAttributeNames: names,
    ExpressionAttributeValues: values,
  };
}

/** Returns how to erase people from an item; undefined if it names none of them. Also works on malformed items. */
function erasureOf(item: Item, isErased: IsErased): Erasure | undefined {
  const pk = String(item.pk);
  if (pk.startsWith(deploymentPartition(''))) return erasureInDeployment(item, isErased);
  if (pk.startsWith(eventsPartition(''))) return replaced('events', inEvent(item, isErased));
  if (pk === REJECTED_CALLS_PARTITION) {
    return deleted('counts of rejected calls', item.principalType !== 'system' && isErased(item.principal));
  }
  if (pk === PEOPLE_PARTITION || pk.startsWith(personPartition(''))) {
    return replaced('records of ended access', isErased(item.sub) ? [erased(['sub'], item.sub)] : []);
  }
  // Do not change the options of an unfinished restore, because the restore continues only with the same options.
  const isFinished = pk === RESTORES_PARTITION && item.finishedAt !== undefined;
  return isFinished ? replaced('restores', inOptions(item, isErased)) : undefined;
}

function erasureInDeployment(item: Item, isErased: IsErased): Erasure | undefined {
  const sk = String(item.sk);
  if (sk.startsWith(KEY_PREFIX)) return replaced('keys', inKey(item, isErased));
  if (sk.startsWith(IDEMPOTENCY_PREFIX)) return replaced('stored responses', inAnswer(item, isErased));
  const isTemporaryToken = sk.startsWith(TEMPORARY_TOKEN_PREFIX);
  return isTemporaryToken ? deleted('temporary tokens', isErased(item.sub)) : undefined;
}

const erased = (path: Replacement['path'], was: unknown, value: unknown = ERASED): Replacement => ({
  path,
  was,
  value,
});
/** Returns a list that removes an attribute, or an empty list if the item does not have the attribute. */
const gone = (path: Replacement['path'], was: unknown): Replacement[] =>
  was === undefined ? [] : [{ path, was, value: undefined }];

const replaced = (kind: ErasedKind, how: Replacement[]): Erasure | undefined =>
  how.length > 0 ? { kind, how } : undefined;
const deleted = (kind: ErasedKind, isTheirs: boolean): Erasure | undefined =>
  isTheirs ? { kind, how: 'delete' } : undefined;

/** Returns the fields of an attribute; none if it is not a map. */
const fieldsOf = (value: unknown): Item =>
  typeof value === 'object' && value !== null ? (value as Item) : {};
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function inKey({ createdBy, createdByName, trustSetBy, lastEnabled, secrets }: Item, isErased: IsErased) {
  const { by } = fieldsOf(lastEnabled);
  return [
    ...(isErased(createdBy)
      ? [erased(['createdBy'], createdBy), ...gone(['createdByName'], createdByName)]
      : []),
    ...(isErased(trustSetBy) ? [erased(['trustSetBy'], trustSetBy)] : []),
    ...(isErased(by) ? [erased(['lastEnabled', 'by'], by)] : []),
    ...listOf(secrets).flatMap((secret, index) => {
      const { setBy } = fieldsOf(secret);
      return isErased(setBy) ? [erased(['secrets', index, 'setBy'], setBy)] : [];
    }),
  ];
}

function inEvent({ actor, data, type }: Item, isErased: IsErased): Replacement[] {
  const { principal, address, name } = fieldsOf(actor);
  const { sub } = fieldsOf(data);
  const isActor =
    isErased(principal) && typedActor(fieldsOf(actor) as unknown as Actor, String(type)).type !== 'system';
  return [
    ...(isActor ? [erased(['actor', 'principal'], principal), erased(['actor', 'address'], address)] : []),
    ...(isActor ? gone(['actor', 'name'], name) : []),
    ...(isErased(sub) ? [erased(['data', 'sub'], sub)] : []),
  ];
}

/** The stored response to a call that created a key or a temporary token. */
function inAnswer({ answer }: Item, isErased: IsErased): Replacement[] {
  const { body } = fieldsOf(answer);
  const json = jsonOf(body);
  if (!isErased(json.createdBy)) return [];
  const { createdByName: _, ...others } = json;
  return [erased(['answer', 'body'], body, JSON.stringify({ ...others, createdBy: ERASED }))];
}

function jsonOf(text: unknown): Item {
  try {
    return fieldsOf(JSON.parse(String(text)));
  } catch {
    return {};
  }
}

function inOptions({ options }: Item, isErased: IsErased): Replacement[] {
  return listOf(fieldsOf(options).ignored).flatMap((principal, index) =>
    isErased(principal) ? [erased(['options', 'ignored', index], principal)] : [],
  );
}
