import type { ServiceEvent } from '../domain/events.ts';
import type { TemporaryToken, Token } from '../domain/records.ts';
import { deploymentPartition, TEMPORARY_TOKEN_PREFIX, TOKEN_PREFIX } from './item-keys.ts';
import { deleteItems } from './purge.ts';
import { inPartition, queryPages, type Table, transact } from './retried-calls.ts';
import { fromTemporaryToken, fromToken, type Item, parse, tokenKey } from './schema.ts';

/**
 * Returns all access tokens of a Deployment, one key after the other, including those of earlier generations. Omits
 * malformed tokens, which no check accepts. The reads are strongly consistent.
 */
export function allTokens(table: Table, deploymentId: string): AsyncGenerator<Token> {
  return recordsWithPrefix(table, deploymentId, TOKEN_PREFIX, fromToken);
}

/**
 * Returns all temporary tokens of a Deployment, including those of earlier generations. Omits malformed ones, which no
 * check accepts. The reads are strongly consistent.
 */
export function allTemporaryTokens(table: Table, deploymentId: string): AsyncGenerator<TemporaryToken> {
  return recordsWithPrefix(table, deploymentId, TEMPORARY_TOKEN_PREFIX, fromTemporaryToken);
}

async function* recordsWithPrefix<T>(
  table: Table,
  deploymentId: string,
  prefix: string,
  from: (item: Item | undefined) => T | undefined,
): AsyncGenerator<T> {
  for await (const { items } of queryPages(table, inPartition(deploymentPartition(deploymentId), prefix))) {
    for (const item of items) {
      const record = parse(table, item, from);
      if (record) yield record;
    }
  }
}

/**
 * Revokes tokens of one key. An extension that is under way then fails, because there is no item to update. Writes the
 * event first, so that no revocation goes unrecorded if the deletion is interrupted.
 * @throws ServiceError 503 if some tokens were not deleted
 */
export async function deleteTokens(table: Table, tokens: Token[], event: ServiceEvent): Promise<void> {
  await transact(table, [], event);
  await deleteItems(
    table,
    tokens.map(({ deploymentId, ulid, hash }) => tokenKey(deploymentId, ulid, hash)),
  );
}
