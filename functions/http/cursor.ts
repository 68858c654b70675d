import { createHash } from 'node:crypto';
import { invalidFields } from '../domain/errors.ts';

const DIGEST_LENGTH = 16;

/**
 * The most bytes of a position. Ours are IDs and hashes. Anybody can compute the digest, and DynamoDB rejects a sort key over
 * 1,024 bytes with an error that would be a 500.
 */
const MAX_POSITION = 256;

/** Which listing a cursor is for, and whose: `[route, deploymentId, sub]`. */
export type Listing = readonly string[];

/**
 * An opaque cursor. It is a position and no permission: it is bound to its listing and caller so that a mix-up is
 * an error, while what may be seen is decided anew for each page.
 * @param position where the next page begins; never of a thing that the caller may not see
 */
export function toCursor(listing: Listing, position: string): string {
  return Buffer.concat([digest(listing, position), Buffer.from(position)]).toString('base64url');
}

/**
 * @returns the position; undefined when there is no cursor
 * @throws ServiceError 400 for one that this listing did not give this caller
 */
export function fromCursor(listing: Listing, cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  const bytes = Buffer.from(cursor, 'base64url');
  const position = bytes.subarray(DIGEST_LENGTH).toString();
  const isTooLong = bytes.length > DIGEST_LENGTH + MAX_POSITION;
  if (position === '' || isTooLong || toCursor(listing, position) !== cursor) {
    throw invalidFields([
      { field: 'cursor', rule: 'must be the nextCursor of an earlier page of this listing' },
    ]);
  }
  return position;
}

function digest(listing: Listing, position: string): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([...listing, position]))
    .digest()
    .subarray(0, DIGEST_LENGTH);
}
