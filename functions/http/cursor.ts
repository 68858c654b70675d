import { createHash } from 'node:crypto';
import { invalidFields } from '../domain/errors.ts';
import { CURSOR_RULE } from './schemas.ts';

const DIGEST_LENGTH = 16;

/**
 * Maximum size of a position, in bytes. The service's own positions are IDs and hashes, which are shorter. The limit is
 * necessary because anyone can compute a cursor's digest. For a sort key over 1,024 bytes, DynamoDB returns an error
 * that would become a 500.
 */
const MAX_POSITION = 256;

/** Identifies a listing and its caller: `[route, deploymentId, sub]`. */
export type Listing = readonly string[];

/**
 * Returns an opaque cursor. A cursor is a position, not a permission: the service checks access again for each page.
 * The cursor is bound to its listing and caller. Using a cursor for a different listing or caller is an error.
 * @param position where the next page begins; must not reveal anything that the caller is not allowed to see
 */
export function toCursor(listing: Listing, position: string): string {
  return Buffer.concat([digest(listing, position), Buffer.from(position)]).toString('base64url');
}

/**
 * Returns the position in a cursor, or undefined if there is no cursor.
 * @throws ServiceError 400 if the cursor belongs to a different listing or caller
 */
export function fromCursor(listing: Listing, cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  const bytes = Buffer.from(cursor, 'base64url');
  const position = bytes.subarray(DIGEST_LENGTH).toString();
  const isTooLong = bytes.length > DIGEST_LENGTH + MAX_POSITION;
  if (position === '' || isTooLong || toCursor(listing, position) !== cursor) {
    throw invalidFields([{ field: 'cursor', rule: CURSOR_RULE }]);
  }
  return position;
}

function digest(listing: Listing, position: string): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([...listing, position]))
    .digest()
    .subarray(0, DIGEST_LENGTH);
}
