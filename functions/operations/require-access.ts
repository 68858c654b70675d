import { accessEnded } from '../domain/errors.ts';
import { precedesEnd } from '../domain/people.ts';
import type { SignIn } from '../domain/records.ts';
import { readAccessRecord } from '../table/people.ts';
import type { Table } from '../table/table.ts';

/**
 * Returns a function that rejects a person's call if their access was ended after they signed in, or if they are
 * blocked. Each check costs one strongly consistent read. If the person's record is malformed, the function rejects
 * every sign-in.
 * @throws ServiceError 401 from the returned function
 */
export function accessRequirement(table: Table): (signIn: SignIn) => Promise<void> {
  return async (signIn) => {
    const { record, isThere } = await readAccessRecord(table, signIn);
    const isRejected = record ? record.blocked || precedesEnd(record.endedAt, signIn.at) : isThere;
    if (isRejected) throw accessEnded();
  };
}
