import { describe, expect, it } from 'vitest';
import { GITHUB, isBound, isPrefix, MAX_CLAIMS, MAX_RULES, satisfies } from '../../functions/domain/trust.ts';

it('a key has at most 10 rules, and a rule at most 10 claims', () => {
  expect([MAX_RULES, MAX_CLAIMS]).toEqual([10, 10]);
});

it.each([
  ['repository_id', { repository_id: '1' }, true],
  ['repository_owner_id', { repository_owner_id: '1', ref: 'refs/heads/main' }, true],
  ['nothing but names', { repository: 'acme/etl', repository_owner: 'acme' }, false],
  ['a prefix of a number', { repository_id: { prefix: '1:' } }, false],
])('a rule of GitHub must bind a number: %s', (_, claims, bound) => {
  expect(isBound({ issuer: 'https://token.actions.githubusercontent.com', claims })).toBe(bound);
  expect(isBound({ issuer: GITHUB, claims })).toBe(bound);
  expect(isBound({ issuer: 'https://gitlab.com', claims })).toBe(true);
});

it('a prefix ends in / or :', () => {
  expect(['acme/', 'repo:', 'acme', 'a/b', 'a:b', ''].map(isPrefix)).toEqual([
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});

describe('a token satisfies a rule', () => {
  const ok = (claims: Parameters<typeof satisfies>[0]['claims'], of: Record<string, unknown>) =>
    satisfies({ issuer: GITHUB, claims }, of);

  it('when each claim is the text, or begins with the prefix', () => {
    expect(ok({ a: 'x', b: { prefix: 'acme/' } }, { a: 'x', b: 'acme/etl', c: 1 })).toBe(true);
    expect(ok({ a: 'x', b: { prefix: 'acme/' } }, { a: 'x', b: 'evil/acme/' })).toBe(false);
    expect(ok({ a: 'x', b: { prefix: 'acme/' } }, { a: 'y', b: 'acme/etl' })).toBe(false);
    expect(ok({ a: 'x' }, { a: 'xy' })).toBe(false);
  });

  it('with numbers and booleans as their text', () => {
    expect(ok({ a: '7', b: 'true', c: { prefix: '1' } }, { a: 7, b: true, c: 12 })).toBe(true);
  });

  it('never by a claim that is missing, inherited, or no single value', () => {
    expect(ok({ a: 'undefined' }, {})).toBe(false);
    expect(ok({ toString: { prefix: 'function' } }, {})).toBe(false);
    expect(ok({ a: 'x' }, Object.create({ a: 'x' }))).toBe(false);
    for (const value of [null, ['x'], { x: 1 }]) {
      expect(ok({ a: String(value) }, { a: value })).toBe(false);
      expect(ok({ a: { prefix: '' } }, { a: value })).toBe(false);
    }
  });
});
