import { describe, expect, it } from 'vitest';
import { compileFilter } from '../../../local/lambda/filter.ts';

const passes = (pattern: object, event: object) => compileFilter([JSON.stringify(pattern)])(event);

describe('a filter pattern', () => {
  it.each([
    ['equal', { a: ['x', 1, null] }, { a: 'x' }, true],
    ['equal number', { a: [1] }, { a: 1 }, true],
    ['equal null', { a: [null] }, { a: null }, true],
    ['number is no string', { a: [1] }, { a: '1' }, false],
    ['absent is not null', { a: [null] }, {}, false],
    ['nested', { a: { b: { c: ['x'] } } }, { a: { b: { c: 'x' } } }, true],
    ['every field counts', { a: ['x'], b: ['y'] }, { a: 'x', b: 'z' }, false],
    ['any of a list', { a: ['x'] }, { a: ['w', 'x'] }, true],
    ['prefix', { a: [{ prefix: 'KEY#' }] }, { a: 'KEY#1' }, true],
    ['another prefix', { a: [{ prefix: 'KEY#' }] }, { a: 'TOKEN#1' }, false],
    ['anything-but', { a: [{ 'anything-but': ['x', 'y'] }] }, { a: 'z' }, true],
    ['but that', { a: [{ 'anything-but': ['x', 'y'] }] }, { a: 'y' }, false],
    ['exists', { a: [{ exists: true }] }, { a: 0 }, true],
    ['exists not', { a: [{ exists: true }] }, {}, false],
    ['must not exist', { a: [{ exists: false }] }, {}, true],
    ['numeric', { a: [{ numeric: ['>', 0, '<=', 5] }] }, { a: 5 }, true],
    ['numeric, beyond', { a: [{ numeric: ['>', 0, '<=', 5] }] }, { a: 6 }, false],
    ['a DynamoDB number is a string, and not numeric', { a: [{ numeric: ['=', 5] }] }, { a: '5' }, false],
    ['inherited names are absent', { toString: [{ exists: true }] }, {}, false],
  ])('%s', (_, pattern, event, expected) => {
    expect(passes(pattern, event)).toBe(expected);
  });

  it('passes everything where there is none, and with several any one', () => {
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
  ])('is refused where it is not imitated: %j', (pattern) => {
    expect(() => compileFilter([JSON.stringify(pattern)])).toThrow('does not know the filter rule');
  });
});
