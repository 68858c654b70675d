import type { ServiceEvent } from '../domain/events.ts';
import { type Person, visibleTo } from '../domain/people.ts';
import type { Deployment, Generation } from '../domain/records.ts';
import { DIRECTORY_PARTITION, groupPartition } from './item-keys.ts';
import {
  inPartition,
  isUpdated,
  listPage,
  queryPage,
  readItem,
  setAttributes,
  type Table,
  transact,
  type Write,
  withCondition,
} from './retried-calls.ts';
import {
  deploymentKey,
  directoryKey,
  fromDeployment,
  fromDirectoryEntry,
  groupEntryKey,
  groupEntryKeys,
  hasEntries,
  isGeneration,
  NO_GENERATION,
  parse,
  purgeMarkerKey,
  toDeployment,
  toDirectoryEntry,
  toGroupEntries,
} from './schema.ts';

export type ListedDeployment = Omit<Deployment, 'keyCount'>;

/** Reads a Deployment. The read is strongly consistent. */
export async function readDeployment(table: Table, id: string): Promise<Deployment | undefined> {
  return parse(table, await readItem(table, deploymentKey(id)), fromDeployment);
}

/** The readable fields of a Deployment whose item is malformed. These fields are enough to delete the Deployment. */
export interface DamagedDeployment {
  id: string;
  /**
   * The generation in the Deployment's own item; if that is malformed, the generation in the directory; if that is
   * malformed too, `NO_GENERATION`.
   */
  generation: string;
  /** The groups in the Deployment's own item and in the directory. */
  groups: string[];
  /** The generation in the item, exactly as stored. */
  stored: { generation?: unknown };
}

const textsIn = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((it) => typeof it === 'string') : [];

/** Reads a malformed Deployment. @returns undefined if there is no such Deployment, or if it is well-formed */
export async function readDamagedDeployment(
  table: Table,
  id: string,
): Promise<DamagedDeployment | undefined> {
  const item = await readItem(table, deploymentKey(id));
  if (!item || fromDeployment(item)) return undefined;
  const entry = await readItem(table, directoryKey(id));
  const generation = [item.generation, entry?.generation].find(isGeneration) ?? NO_GENERATION;
  const groups = [item.groups, entry?.groups].flatMap(textsIn);
  return { id, generation, groups, stored: { generation: item.generation } };
}

/**
 * Reads a Deployment for the calls that list and revoke its keys and temporary tokens. A malformed Deployment has no
 * groups, but administrators can still revoke its keys and temporary tokens.
 * @throws ServiceError 404 if there is no such Deployment, or if the person is not allowed to see it
 */
export async function readVisibleDeployment(table: Table, person: Person, id: string): Promise<Generation> {
  const item = await readItem(table, deploymentKey(id));
  const deployment = parse(table, item, fromDeployment);
  // If the generation is also malformed, there is nothing to revoke, because every check of the Deployment's
  // credentials fails.
  const generation = item?.generation;
  const canBeEnded = !deployment && person.isAdministrator && isGeneration(generation);
  return canBeEnded ? { id, generation } : visibleTo(person, deployment);
}

/**
 * Lists Deployments in the order of their IDs.
 * @param prefix prefix that the IDs must have. @default any
 * @param after ID after which to start
 * @param limit the maximum number of Deployments
 * @param isWanted function that selects Deployments. @default all
 * @returns `next`: the ID after which the next page starts; undefined on the last page
 */
export async function listDeployments(
  table: Table,
  {
    prefix = '',
    after,
    limit,
    isWanted,
  }: {
    prefix?: string | undefined;
    after: string | undefined;
    limit: number;
    isWanted?: ((one: ListedDeployment) => boolean) | undefined;
  },
): Promise<{ items: ListedDeployment[]; next: string | undefined }> {
  const { items, next } = await listPage(table, inPartition(DIRECTORY_PARTITION, prefix), {
    start: after === undefined ? undefined : directoryKey(after),
    limit,
    // For a selective listing, read more than one page at a time. Otherwise, a person who can see only a few
    // Deployments would need many small pages.
    isSelective: isWanted !== undefined,
    entryOf: (item) => {
      const one = parse(table, item, fromDirectoryEntry);
      // Check the prefix again, because not every engine that emulates DynamoDB respects case in begins_with.
      return one?.id.startsWith(prefix) && (isWanted?.(one) ?? true) ? one : undefined;
    },
  });
  return { items, next: next?.sk };
}

/** Maximum number of groups whose entries one listing merges. For a person in more groups, read the directory. */
const MAX_GROUPS = 20;

/** Reports whether `listOfGroups` can list the Deployments of these groups. */
export function canListGroups(groups: readonly string[]): boolean {
  return new Set(groups).size <= MAX_GROUPS && groups.every(hasEntries);
}

/**
 * Lists the Deployments of some groups in the order of their IDs, with one query for each group. A page can be short or
 * empty and still have `next`, if entries are malformed. These queries are eventually consistent, unlike all others, so
 * that they cost half: a listing can miss a change of the last second, and everything else that shows or changes a
 * Deployment reads its current item.
 * @param groups groups for which `canListGroups` is true
 * @param prefix prefix that the IDs must have. @default any
 * @param after ID after which to start
 * @param limit the maximum number of Deployments
 * @returns `next`: the ID after which the next page starts; undefined on the last page
 */
export async function listOfGroups(
  table: Table,
  groups: readonly string[],
  { prefix = '', after, limit }: { prefix?: string | undefined; after: string | undefined; limit: number },
): Promise<{ items: ListedDeployment[]; next: string | undefined }> {
  const pages = await Promise.all(
    [...new Set(groups)].map(async (group) => {
      const page = await queryPage(table, {
        ...inPartition(groupPartition(group), prefix),
        ConsistentRead: false,
        // Read one more entry than the page needs, to find out whether there is a next page.
        Limit: limit + 1,
        ExclusiveStartKey: after === undefined ? undefined : groupEntryKey(group, after),
      });
      const { Items: items = [], LastEvaluatedKey: next } = page;
      return { group, items, next: next && String(next.sk) };
    }),
  );
  const found = new Map<string, ListedDeployment>();
  for (const { group, items } of pages) {
    for (const item of items) {
      const one = parse(table, item, fromDirectoryEntry);
      if (one?.id.startsWith(prefix) && one.groups.includes(group)) found.set(one.id, one);
    }
  }
  // Beyond the end of a group's page, that group can have Deployments that were not read.
  const ends = pages.flatMap((page) => page.next ?? []).sort();
  const [end] = ends;
  const sorted = [...found.values()].filter(({ id }) => end === undefined || id <= end).sort(byId);
  const items = sorted.slice(0, limit);
  return { items, next: sorted.length > limit ? items.at(-1)?.id : end };
}

/** Compares IDs in DynamoDB's sort order: by their bytes, which are ASCII. */
const byId = (one: ListedDeployment, other: ListedDeployment) => (one.id < other.id ? -1 : 1);

/** Lists all Deployments after the given ID. */
export async function* allDeployments(
  table: Table,
  from: string | undefined,
): AsyncGenerator<ListedDeployment> {
  let after = from;
  do {
    const { items, next } = await listDeployments(table, { after, limit: 100 });
    yield* items;
    after = next;
  } while (after !== undefined);
}

/**
 * Registers a Deployment.
 * @param more further writes in the same transaction
 * @returns false if a Deployment with that ID already exists
 */
export async function registerDeployment(
  table: Table,
  deployment: Deployment,
  event: ServiceEvent,
  more: Write[] = [],
): Promise<boolean> {
  const isNew = 'attribute_not_exists(pk)';
  const rejected = await transact(
    table,
    [
      { Put: { Item: toDeployment(deployment), ConditionExpression: isNew } },
      // This write has no condition, because the directory might still contain the entry of an earlier generation that
      // someone deleted by hand.
      ...entryWrites(deployment),
      ...more,
    ],
    event,
  );
  return !rejected;
}

/**
 * Returns the writes of a Deployment's entries in the directory and in its groups.
 * @param previous the groups in which the Deployment may have entries. Those in other groups are deleted
 */
export function entryWrites(deployment: Deployment, previous: readonly string[] = []): Write[] {
  const removed = previous.filter((group) => !deployment.groups.includes(group));
  return [
    { Put: { Item: toDirectoryEntry(deployment) } },
    ...toGroupEntries(deployment).map((Item) => ({ Put: { Item } })),
    ...groupEntryKeys({ id: deployment.id, groups: removed }).map((Key) => ({ Delete: { Key } })),
  ];
}

/** Changes to a Deployment. An omitted field keeps its value. */
export type DeploymentChanges = Partial<Pick<Deployment, 'name' | 'groups'>>;

/**
 * Changes a Deployment both in its item and in the directory, and starts a new revision.
 * @param read the Deployment as read
 * @param changes at least one change
 * @param more further writes in the same transaction
 * @returns false, without writing anything, if the Deployment was changed or deleted since it was read
 */
export async function editDeployment(
  table: Table,
  read: Deployment,
  changes: DeploymentChanges,
  event: ServiceEvent,
  more: Write[] = [],
): Promise<boolean> {
  const Update = {
    Key: deploymentKey(read.id),
    ...withCondition(setAttributes({ ...changes, revision: nextRevision(read) }), unchangedSince(read)),
  };
  const entries = entryWrites({ ...read, ...changes }, read.groups);
  const rejected = await transact(table, [{ Update }, ...entries, ...more], event);
  return !rejected;
}

/**
 * Starts a new revision of a Deployment and changes nothing else. An earlier edit that timed out, for example an edit
 * that adds a group, then has no effect when it reaches the table.
 * @returns false if the Deployment was changed or deleted since it was read
 */
export function beginDeploymentRevision(table: Table, read: Deployment): Promise<boolean> {
  const update = withCondition(setAttributes({ revision: nextRevision(read) }), unchangedSince(read));
  return isUpdated(table, { Key: deploymentKey(read.id), ...update });
}

const nextRevision = ({ revision = 0 }: Deployment) => revision + 1;

/** The condition that a Deployment has the generation, revision, name and groups that were read. */
export function unchangedSince({ generation, revision, name, groups }: Deployment) {
  const isSameRevision =
    revision === undefined ? 'attribute_not_exists(revision)' : 'revision = :revisionRead';
  return {
    ConditionExpression: `generation = :generation AND ${isSameRevision} AND #name = :nameRead AND #groups = :groupsRead`,
    ExpressionAttributeNames: { '#name': 'name', '#groups': 'groups' },
    ExpressionAttributeValues: {
      ':generation': generation,
      ':nameRead': name,
      ':groupsRead': groups,
      // The transports omit undefined values from the request.
      ':revisionRead': revision,
    },
  };
}

/**
 * Number of attempts to delete a Deployment together with its entries in all groups. After that, only the entries in the
 * groups that were read last are deleted, because nothing must prevent the deletion.
 */
const GROUP_ATTEMPTS = 5;

/**
 * Deletes a generation of a Deployment with its entries, and writes the marker that the purge deletes as its last step.
 * If the groups of a malformed Deployment cannot be read, reconciliation deletes its entries in groups.
 * @param deployment the Deployment as read
 * @param more further writes in the same transaction
 * @returns false if that generation is already deleted
 */
export async function deleteDeployment(
  table: Table,
  deployment: Deployment | DamagedDeployment,
  event: ServiceEvent,
  more: Write[] = [],
): Promise<boolean> {
  const { id, generation } = deployment;
  const isDamaged = 'stored' in deployment;
  const isThere = isAsRead(isDamaged ? deployment.stored : deployment);
  let { groups } = deployment;
  for (let attempt = 1; ; attempt++) {
    const isLast = isDamaged || attempt === GROUP_ATTEMPTS;
    const condition = isLast ? isThere : withCondition(isThere, hasGroups(groups));
    const rejected = await transact(
      table,
      [
        { Delete: { Key: deploymentKey(id), ...condition } },
        { Delete: { Key: directoryKey(id) } },
        ...groupEntryKeys({ id, groups }).map((Key) => ({ Delete: { Key } })),
        { Put: { Item: { ...purgeMarkerKey(id, generation), createdAt: event.createdAt } } },
        ...more,
      ],
      event,
    );
    if (!rejected) return true;
    if (isLast || !rejected[0]?.failed) return false;
    const current = await readDeployment(table, id);
    if (current?.generation !== generation) return false;
    groups = current.groups;
  }
}

/** The condition that a Deployment has the groups that were read. */
const hasGroups = (groups: readonly string[]) => ({
  ConditionExpression: 'generation = :generation AND #groups = :groupsRead',
  ExpressionAttributeNames: { '#groups': 'groups' },
  ExpressionAttributeValues: { ':groupsRead': groups },
});

/**
 * The condition that the Deployment exists and has the generation that was read. In a malformed Deployment, the
 * generation can be missing, or can have a value that a condition cannot contain. The condition is then that the
 * generation is not a string.
 */
function isAsRead({ generation }: DamagedDeployment['stored']) {
  return typeof generation === 'string'
    ? {
        ConditionExpression: 'generation = :generation',
        ExpressionAttributeValues: { ':generation': generation },
      }
    : {
        ConditionExpression: 'attribute_exists(pk) AND NOT attribute_type(generation, :text)',
        ExpressionAttributeValues: { ':text': 'S' },
      };
}
