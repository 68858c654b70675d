import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromCursor, toCursor } from '../../functions/http/cursor.ts';

const LISTING = ['GET /deployments', 'ada'];
const forged = expect.objectContaining({
  status: 400,
  errors: [{ field: 'cursor', rule: 'must be the nextCursor of an earlier page of this listing' }],
});

describe('a cursor', () => {
  it('gives the position back to the listing and the caller that it was made for', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string()),
        fc.string({ minLength: 1, unit: 'grapheme' }),
        (listing, position) => {
          const cursor = toCursor(listing, position);
          expect(fromCursor(listing, cursor)).toBe(position);
          expect(cursor).toMatch(/^[\w-]+$/);
        },
      ),
    );
  });

  it('is 16 bytes and the position', () => {
    const bytes = Buffer.from(toCursor(LISTING, 'etl'), 'base64url');
    expect(bytes).toHaveLength(19);
    expect(bytes.subarray(16).toString()).toBe('etl');
  });

  it('that is none is the first page', () => {
    expect(fromCursor(LISTING, undefined)).toBeUndefined();
  });

  it('of another listing, caller or position is a 400', () => {
    const cursor = toCursor(LISTING, 'etl');
    for (const listing of [
      ['GET /deployments', 'eve'],
      ['GET /', 'ada'],
      ['GET /deployments'],
      [...LISTING, ''],
    ])
      expect(() => fromCursor(listing, cursor)).toThrow(forged);
    const moved = Buffer.concat([Buffer.from(cursor, 'base64url').subarray(0, 16), Buffer.from('x')]);
    expect(() => fromCursor(LISTING, moved.toString('base64url'))).toThrow(forged);
  });

  it('that is empty, cut, padded, or has no position is a 400', () => {
    const cursor = toCursor(LISTING, 'etl');
    for (const text of ['', 'x', cursor.slice(0, -1), `${cursor}=`, `${cursor}!`, toCursor(LISTING, '')])
      expect(() => fromCursor(LISTING, text), text).toThrow(forged);
  });
});
