import { describe, expect, it } from 'vitest';
import { compileFilter } from '../../../local/lambda/filter.ts';

const passes = (pattern: object, event: object) => compileFilter([JSON.stringify(pattern)])(event);

describe('An emulated event filter matches events as Lambda does', () => {
  it.each([
    ['matches an equal string', { a: ['x', 1, null] }, { a: 'x' }, true],
    ['matches an equal number', { a: [1] }, { a: 1 }, true],
    ['matches null', { a: [null] }, { a: null }, true],
    ['does not match a number with a string', { a: [1] }, { a: '1' }, false],
    ['does not match a missing field with null', { a: [null] }, {}, false],
    ['matches a nested field', { a: { b: { c: ['x'] } } }, { a: { b: { c: 'x' } } }, true],
    ['requires every field to match', { a: ['x'], b: ['y'] }, { a: 'x', b: 'z' }, false],
    ['matches any value of a list', { a: ['x'] }, { a: ['w', 'x'] }, true],
    ['matches a prefix', { a: [{ prefix: 'KEY#' }] }, { a: 'KEY#1' }, true],
    ['does not match another prefix', { a: [{ prefix: 'KEY#' }] }, { a: 'TOKEN#1' }, false],
    [
      'matches a value that anything-but does not list',
      { a: [{ 'anything-but': ['x', 'y'] }] },
      { a: 'z' },
      true,
    ],
    [
      'does not match a value that anything-but lists',
      { a: [{ 'anything-but': ['x', 'y'] }] },
      { a: 'y' },
      false,
    ],
    ['matches an existing field with exists: true', { a: [{ exists: true }] }, { a: 0 }, true],
    ['does not match a missing field with exists: true', { a: [{ exists: true }] }, {}, false],
    ['matches a missing field with exists: false', { a: [{ exists: false }] }, {}, true],
    ['matches a number in a numeric range', { a: [{ numeric: ['>', 0, '<=', 5] }] }, { a: 5 }, true],
    [
      'does not match a number outside a numeric range',
      { a: [{ numeric: ['>', 0, '<=', 5] }] },
      { a: 6 },
      false,
    ],
    [
      'does not match a DynamoDB number, which is a string, with numeric',
      { a: [{ numeric: ['=', 5] }] },
      { a: '5' },
      false,
    ],
    ['treats inherited names as missing', { toString: [{ exists: true }] }, {}, false],
  ])('an event filter %s', (_, pattern, event, expected) => {
    expect(passes(pattern, event)).toBe(expected);
  });

  it('an event filter passes every event if it has no patterns, and otherwise events that match any pattern', () => {
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
  ])('the emulator rejects an event filter with a rule that is not emulated: %j', (pattern) => {
    expect(() => compileFilter([JSON.stringify(pattern)])).toThrow('does not know the filter rule');
  });
});
