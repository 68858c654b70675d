import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fromCursor, toCursor } from '../../functions/http/cursor.ts';

const LISTING = ['GET /deployments', 'ada'];
const forged = expect.objectContaining({
  status: 400,
  errors: [{ field: 'cursor', rule: 'must be the nextCursor of an earlier page of this listing' }],
});

it('a pagination cursor is decoded to its position if the listing and caller match', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.string({ minLength: 1, unit: 'grapheme' }), (listing, position) => {
      const cursor = toCursor(listing, position);
      expect(fromCursor(listing, cursor)).toBe(position);
      expect(cursor).toMatch(/^[\w-]+$/);
    }),
  );
});

it('a pagination cursor consists of a 16-byte hash and the position', () => {
  const bytes = Buffer.from(toCursor(LISTING, 'etl'), 'base64url');
  expect(bytes).toHaveLength(19);
  expect(bytes.subarray(16).toString()).toBe('etl');
});

it('a call without a cursor starts at the first page', () => {
  expect(fromCursor(LISTING, undefined)).toBeUndefined();
});

it('returns 400 for a pagination cursor from a different listing or caller', () => {
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

it('returns 400 for a pagination cursor that is empty, truncated, padded or without a position', () => {
  const cursor = toCursor(LISTING, 'etl');
  for (const text of ['', 'x', cursor.slice(0, -1), `${cursor}=`, `${cursor}!`, toCursor(LISTING, '')])
    expect(() => fromCursor(LISTING, text), text).toThrow(forged);
});

it('returns 400 for a forged pagination cursor whose position is too long', () => {
  const longest = 'x'.repeat(256);
  expect(fromCursor(LISTING, toCursor(LISTING, longest))).toBe(longest);
  for (const position of [`${longest}x`, 'é'.repeat(129), 'x'.repeat(1025), 'x'.repeat(100_000)])
    expect(() => fromCursor(LISTING, toCursor(LISTING, position))).toThrow(forged);
});
