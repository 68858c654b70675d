import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromCursor, toCursor } from '../../functions/http/cursor.ts';

const LISTING = ['GET /deployments', 'ada'];
const forged = expect.objectContaining({
  status: 400,
  errors: [{ field: 'cursor', rule: 'must be the nextCursor of an earlier page of this listing' }],
});

describe('pagination cursors', () => {
  it('return the position for the same listing and caller', () => {
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

  it('consist of 16 bytes and the position', () => {
    const bytes = Buffer.from(toCursor(LISTING, 'etl'), 'base64url');
    expect(bytes).toHaveLength(19);
    expect(bytes.subarray(16).toString()).toBe('etl');
  });

  it('return the first page when there is no cursor', () => {
    expect(fromCursor(LISTING, undefined)).toBeUndefined();
  });

  it('pagination cursors are rejected with a 400 for another listing, caller or position', () => {
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

  it('pagination cursors are rejected with a 400 when they are empty, truncated, padded or without a position', () => {
    const cursor = toCursor(LISTING, 'etl');
    for (const text of ['', 'x', cursor.slice(0, -1), `${cursor}=`, `${cursor}!`, toCursor(LISTING, '')])
      expect(() => fromCursor(LISTING, text), text).toThrow(forged);
  });

  it('pagination cursors are rejected with a 400 when they are forged with a position longer than any of ours', () => {
    const longest = 'x'.repeat(256);
    expect(fromCursor(LISTING, toCursor(LISTING, longest))).toBe(longest);
    for (const position of [`${longest}x`, 'é'.repeat(129), 'x'.repeat(1025), 'x'.repeat(100_000)])
      expect(() => fromCursor(LISTING, toCursor(LISTING, position))).toThrow(forged);
  });
});
