import { BatchWriteCommand } from '@aws-sdk/lib-dynamodb';
import { newUlid } from '../../functions/domain/credentials.ts';
import { expiryAfter, toSeconds } from '../../functions/domain/expiry.ts';
import { type Item, toApiKey, toToken } from '../../functions/table/schema.ts';
import type { TestTable } from './store.ts';

const NOW = Date.parse('2030-01-01T12:00:00Z');

/** Writes many keys and tokens of one generation directly to the table, as if they had accumulated over many years. */
export async function fill(
  table: TestTable,
  registration: { deploymentId: string; generation: string; keys: number; tokens: number },
): Promise<void> {
  const { deploymentId, generation } = registration;
  const ulids = Array.from({ length: registration.keys }, () => newUlid(NOW));
  function* items(): Generator<Item> {
    for (const ulid of ulids) {
      yield toApiKey({
        deploymentId,
        ulid,
        name: 'ci',
        scopes: ['code:deploy'],
        secrets: [{ hash: 'x'.repeat(43), createdAt: NOW }],
        enabled: true,
        epoch: 0,
        generation,
        revision: 0,
        createdAt: NOW,
        createdBy: 'admin',
      });
    }
    for (let n = 0; n < registration.tokens; n++) {
      const hash = `${String(n).padStart(10, '0')}${'h'.repeat(33)}`;
      const ulid = ulids[n % ulids.length] ?? '';
      yield toToken({
        deploymentId,
        ulid,
        hash,
        generation,
        epoch: 0,
        issuedAt: toSeconds(NOW),
        expiresAt: expiryAfter(NOW, 86_400),
      });
    }
  }
  const source = items();
  const writer = async () => {
    for (;;) {
      const batch = Array.from({ length: 25 }, () => source.next().value).filter(
        (item) => item !== undefined,
      );
      if (batch.length === 0) return;
      const RequestItems = {
        [table.tableName]: batch.map((item) => ({ PutRequest: { Item: item as Item } })),
      };
      await table.client.send(new BatchWriteCommand({ RequestItems }));
    }
  };
  await Promise.all(Array.from({ length: 8 }, writer));
}
