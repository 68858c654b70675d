import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isUlid } from '../../functions/domain/credentials.ts';
import {
  type AttributeRule,
  attributesOf,
  BY_COMPARISON,
  type DeploymentsSource,
  deploymentOf,
  generationOf,
  isDeployment,
  RejectedRow,
  sequenceOf,
} from '../../functions/domain/deployments-source.ts';

const bare: DeploymentsSource = { table: 't', stream: 's', id: 'deploymentId' };
const whole: DeploymentsSource = { ...bare, name: 'label', groups: 'teams' };
const row = { deploymentId: 'etl', label: 'ETL', teams: ['b', 'a'] };
const refused = (message: string) => expect.objectContaining({ name: 'RejectedRow', message });

it('attributesOf lists each attribute that the source names, without duplicates', () => {
  expect(attributesOf(bare)).toEqual(['deploymentId']);
  const where = { type: 'deployment', label: { exists: true } };
  expect(attributesOf({ ...whole, where, deleted: { state: 'gone', type: 'x' } })).toEqual([
    'deploymentId',
    'label',
    'teams',
    'type',
    'state',
  ]);
});

describe('isDeployment', () => {
  it('counts every row as a Deployment when the source has no rules', () => {
    expect(isDeployment(row, bare)).toBe(true);
    expect(isDeployment(undefined, bare)).toBe(false);
  });

  it.each<[string, AttributeRule, unknown, boolean]>([
    ['equals the value', 'a', 'a', true],
    ['differs from the value', 'a', 'b', false],
    ['equals the number', 1, 1, true],
    ['is the number as text', 1, '1', false],
    ['equals the boolean', false, false, true],
    ['is one of several values', ['a', 'b'], 'b', true],
    ['is none of several values', ['a', 'b'], 'c', false],
    ['is missing where several values are allowed', ['a', 'b'], undefined, false],
    ['exists', { exists: true }, null, true],
    ['is missing where it must exist', { exists: true }, undefined, false],
    ['exists where it must not', { exists: false }, 'a', false],
    ['is missing where it must not exist', { exists: false }, undefined, true],
  ])(
    'applies the "where" rule, and negates the "deleted" rule, to an attribute that %s',
    (_, rule, value, holds) => {
      const one = { ...row, x: value };
      expect(isDeployment(one, { ...bare, where: { x: rule } })).toBe(holds);
      expect(isDeployment(one, { ...bare, deleted: { x: rule } })).toBe(!holds);
    },
  );

  it('counts a row as a Deployment only if the row satisfies all rules of the source', () => {
    const where = { deploymentId: 'etl', label: 'ETL' };
    expect(isDeployment(row, { ...bare, where })).toBe(true);
    expect(isDeployment({ ...row, label: 'x' }, { ...bare, where })).toBe(false);
    expect(isDeployment(row, { ...bare, where, deleted: where })).toBe(false);
    expect(isDeployment({ ...row, label: 'x' }, { ...bare, deleted: where })).toBe(true);
  });
});

const RULE =
  'without control, zero-width and bidirectional formatting characters, ' +
  'and without white space at the start or end';

describe('deploymentOf', () => {
  it("reads a Deployment's ID from its row, and its name and groups if the source maps them", () => {
    expect(deploymentOf(row, bare)).toEqual({ id: 'etl', name: undefined, groups: undefined });
    expect(deploymentOf(row, whole)).toEqual({ id: 'etl', name: 'ETL', groups: ['a', 'b'] });
    expect(deploymentOf(undefined, whole)).toBeUndefined();
    expect(deploymentOf(row, { ...whole, where: { label: 'x' } })).toBeUndefined();
  });

  it.each([undefined, 7, '', 'a b', 'a#b'])(
    'rejects a row with the invalid Deployment ID %j',
    (deploymentId) => {
      expect(() => deploymentOf({ ...row, deploymentId }, whole)).toThrow(
        refused('deploymentId must be text of the form ^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$'),
      );
      expect(() => deploymentOf({ ...row, deploymentId }, whole)).toThrow(RejectedRow);
    },
  );

  it("reads a Deployment's name from its row, and uses its ID if the row has no name", () => {
    const name = (label: unknown) => deploymentOf({ ...row, label }, whole)?.name;
    for (const missing of [undefined, null]) expect(name(missing)).toBe('etl');
    for (const good of ['a', '😀'.repeat(100)]) expect(name(good)).toBe(good);
    for (const bad of [
      '',
      ' ',
      'a ',
      ' a',
      'a\u200b',
      'a\u202eb',
      'x'.repeat(101),
      'a\nb',
      '\n',
      '\ud800',
      7,
      ['a'],
    ])
      expect(() => name(bad)).toThrow(refused(`label must be 1 to 100 characters, ${RULE}`));
  });

  it("reads a Deployment's groups from a list, a set or a string, sorted and without duplicates", () => {
    const groups = (teams: unknown) => deploymentOf({ ...row, teams }, whole)?.groups;
    for (const missing of [undefined, null]) expect(groups(missing)).toEqual([]);
    expect(groups('a')).toEqual(['a']);
    expect(groups('a b; c, d')).toEqual(['a b; c, d']);
    expect(groups(['data platform', 'a b'])).toEqual(['a b', 'data platform']);
    expect(groups(['c', 'a', 'c', 'b'])).toEqual(['a', 'b', 'c']);
    expect(groups(Array.from({ length: 20 }, (_, n) => `g${n}`))).toHaveLength(20);
    expect(groups(['x'.repeat(128)])).toHaveLength(1);
    const tooMany = Array.from({ length: 21 }, (_, n) => `g${n}`);
    for (const bad of [
      tooMany,
      ['x'.repeat(129)],
      [''],
      ['a', 7],
      7,
      {},
      'a ',
      ' a',
      ['a\u200b'],
      ['a\u202eb'],
      ['\u3000'],
    ])
      expect(() => groups(bad)).toThrow(
        refused(`teams must be at most 20 texts; each must be 1 to 128 characters, ${RULE}`),
      );
  });
});

it('generationOf returns a ULID that is determined by the time, Deployment ID and sequence number of the change', () => {
  const at = Date.parse('2030-01-01T12:00:00Z');
  const generation = generationOf('etl', '7', at);
  expect(isUlid(generation)).toBe(true);
  const digit = (it: string) => BigInt('0123456789ABCDEFGHJKMNPQRSTVWXYZ'.indexOf(it));
  const value = [...generation].reduce((sum, it) => sum * 32n + digit(it), 0n);
  expect(value >> 80n).toBe(BigInt(at));
  // The first 80 bits of the SHA-256 of `etl`, a newline and `7`.
  const hash = createHash('sha256').update('etl\n7').digest('hex').slice(0, 20);
  expect(value & ((1n << 80n) - 1n)).toBe(BigInt(`0x${hash}`));
  expect(generationOf('etl', '7', at)).toBe(generation);
  expect(generationOf('etl', '7', at + 0.9)).toBe(generation);
  for (const [id, sequence, when] of [
    ['etl', '8', at],
    ['other', '7', at],
    ['etl', '7', at + 1],
    ['etl\n', '7', at],
  ] as const)
    expect(generationOf(id, sequence, when)).not.toBe(generation);
});

describe('sequenceOf', () => {
  it('pads a sequence number to 40 digits, so that string order matches numeric order', () => {
    expect(sequenceOf('7')).toBe('0000000000000000000000000000000000000007');
    expect(sequenceOf('9'.repeat(40))).toBe('9'.repeat(40));
    expect(sequenceOf('10') > sequenceOf('9')).toBe(true);
    expect(BY_COMPARISON).toBe(sequenceOf('0'));
  });

  it('rejects a stream record without a valid sequence number', () => {
    for (const bad of [undefined, '', 'x', '1x', 'x1', '-1', '1'.repeat(41), '1\n'])
      expect(() => sequenceOf(bad)).toThrow(refused('the record has no sequence number'));
  });
});
