import { unavailable } from '../domain/errors.ts';

/** Why a write of a transaction was refused, as DynamoDB says it. */
interface Reason {
  Code?: string | undefined;
  Item?: unknown;
}

/**
 * For each write of a transaction whether its condition failed; and then the item that was there, where the
 * write asked for it, in DynamoDB's own form.
 */
export type Refusals<Stored = unknown> = ({ failed: false } | { failed: true; item: Stored | undefined })[];

const ATTEMPTS = 6;

/**
 * Write all or nothing. Collisions with other transactions are tried again, each after a longer random pause.
 * @param write sends the transaction; DynamoDB's refusal of it is an error with its name and `CancellationReasons`
 * @returns undefined when all is written; otherwise nothing is, and the list says why
 * @throws ServiceError 503 when collisions do not end; whatever else `write` throws
 */
export async function settle<Stored>(write: () => Promise<unknown>): Promise<Refusals<Stored> | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      await write();
      return undefined;
    } catch (error) {
      const { name, CancellationReasons: reasons = [] } = error as Error & { CancellationReasons?: Reason[] };
      if (name !== 'TransactionCanceledException') throw error;
      const refusals = reasons.map(({ Code, Item }) =>
        Code === 'ConditionalCheckFailed'
          ? { failed: true as const, item: Item as Stored | undefined }
          : { failed: false as const },
      );
      if (refusals.some(({ failed }) => failed)) return refusals;
      const isCollision = reasons.some(
        ({ Code }) => Code === 'TransactionConflict' || Code === 'ThrottlingError',
      );
      if (!isCollision) throw error;
      if (attempt === ATTEMPTS) throw unavailable(error);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * 2 ** attempt));
    }
  }
}
