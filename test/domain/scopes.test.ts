import fc from 'fast-check';
import { expect, it } from 'vitest';
import { effectiveScopes, isScope, narrowScopes } from '../../functions/domain/scopes.ts';

const known = ['code:deploy', 'airflow:read', 'airflow:write'];

it('isScope accepts lower-case words separated by single colons, up to 64 characters', () => {
  for (const good of ['a', 'code:deploy', 'a-1:b2:c3', 'x'.repeat(64)])
    expect(isScope(good), good).toBe(true);
  const bad = ['', 'A', '1a', 'a:', ':a', 'a::b', 'a b', 'a_b', 'x'.repeat(65), 'a\n', 'deployment:Etl'];
  for (const text of bad) expect(isScope(text), text).toBe(false);
});

it('isScope rejects every scope whose first word is deployment', () => {
  const rest = fc.stringMatching(/^(:[a-z][a-z0-9-]{0,9}){0,4}$/);
  fc.assert(
    fc.property(rest, (it) => {
      expect(isScope(`deployment${it}`)).toBe(false);
      expect(isScope(`deployments${it}`)).toBe(true);
      expect(isScope(`a:deployment${it}`)).toBe(true);
    }),
  );
});

it('isScope rejects "any", which requiredScopes uses for a route that requires no scope', () => {
  expect(isScope('any')).toBe(false);
  for (const good of ['any:thing', 'anything', 'a:any']) expect(isScope(good), good).toBe(true);
});

it("narrowScopes accepts a subset of the key's scopes in any order, and the key's own Deployment", () => {
  expect(narrowScopes('airflow:write code:deploy', known, 'etl')).toEqual(['code:deploy', 'airflow:write']);
  expect(narrowScopes('deployment:etl airflow:read', known, 'etl')).toEqual(['airflow:read']);
  expect(narrowScopes('deployment:etl', known, 'etl')).toEqual([]);
});

it('narrowScopes rejects unknown scopes, the wrong Deployment and malformed text', () => {
  const bad = [
    'admin',
    'code:deploy admin',
    'deployment:other',
    ' code:deploy',
    'code:deploy  airflow:read',
    'A',
    '"',
  ];
  for (const scope of bad) expect(narrowScopes(scope, known, 'etl'), scope).toBeUndefined();
});

it('effectiveScopes returns only scopes that the token, the key and the stack all have', () => {
  const some = fc.subarray(known);
  fc.assert(
    fc.property(
      fc.option(some, { nil: undefined }),
      fc.option(some, { nil: undefined }),
      some,
      (token, key, stack) => {
        for (const scope of effectiveScopes(token, key, stack)) {
          expect(token ?? known).toContain(scope);
          expect(key ?? known).toContain(scope);
          expect(stack).toContain(scope);
        }
      },
    ),
  );
  expect(effectiveScopes(undefined, known, known)).toEqual(known);
});
