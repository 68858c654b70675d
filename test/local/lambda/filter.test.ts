import { describe, expect, it } from 'vitest';
import { compileFilter } from '../../../local/lambda/filter.ts';

const passes = (pattern: object, event: object) => compileFilter([JSON.stringify(pattern)])(event);

describe('an emulated event filter pattern', () => {
  it.each([
    ['equal', { a: ['x', 1, null] }, { a: 'x' }, true],
    ['equal number', { a: [1] }, { a: 1 }, true],
    ['matches an equal number', { a: [null] }, { a: null }, true],
    ['matches null', { a: [1] }, { a: '1' }, false],
    ['does not match a number with a string', { a: [null] }, {}, false],
    ['nested', { a: { b: { c: ['x'] } } }, { a: { b: { c: 'x' } } }, true],
    ['does not match a missing field with null', { a: ['x'], b: ['y'] }, { a: 'x', b: 'z' }, false],
    ['requires every field to match', { a: ['x'] }, { a: ['w', 'x'] }, true],
    ['prefix', { a: [{ prefix: 'KEY#' }] }, { a: 'KEY#1' }, true],
    ['matches any value of a list', { a: [{ prefix: 'KEY#' }] }, { a: 'TOKEN#1' }, false],
    ['anything-but', { a: [{ 'anything-but': ['x', 'y'] }] }, { a: 'z' }, true],
    ['does not match another prefix', { a: [{ 'anything-but': ['x', 'y'] }] }, { a: 'y' }, false],
    ['exists', { a: [{ exists: true }] }, { a: 0 }, true],
    ['supports anything-but', { a: [{ exists: true }] }, {}, false],
    ['matches a missing field with exists: false', { a: [{ exists: false }] }, {}, true],
    ['numeric', { a: [{ numeric: ['>', 0, '<=', 5] }] }, { a: 5 }, true],
    [
      'does not match an existing field with exists: false',
      { a: [{ numeric: ['>', 0, '<=', 5] }] },
      { a: 6 },
      false,
    ],
    ['does not match a number outside a numeric range', { a: [{ numeric: ['=', 5] }] }, { a: '5' }, false],
    [
      'does not match a DynamoDB number, which is a string, with numeric',
      { toString: [{ exists: true }] },
      {},
      false,
    ],
  ])('treats inherited names as missing', (_, pattern, event, expected) => {
    expect(passes(pattern, event)).toBe(expected);
  });

  it('lets every event pass when there are no patterns, and an event that any of several patterns matches', () => {
    expect(compileFilter([])({ a: 1 })).toBe(true);
    const either = compileFilter(['{"a":[1]}', '{"b":[1]}']);
    expect(either({ b: 1 })).toBe(true);
    expect(either({ c: 1 })).toBe(false);
  });

  it.each([
    { a: [{ suffix: 'x' }] },
    { a: [{ 'equals-ignore-case': 'x' }] },
    { a: [{ 'anything-but': { prefix: 'x' } }] },
    { a: [{ prefix: 'x', exists: true }] },
    { a: [{ numeric: ['~', 1] }] },
    { $or: [{ a: [1] }] },
    { a: 'x' },
  ])('rejects a rule that is not emulated: %j', (pattern) => {
    expect(() => compileFilter([JSON.stringify(pattern)])).toThrow('does not know the filter rule');
  });
});
