import { expect, it } from 'vitest';
import { mustBeDisabled, reasonsToHold } from '../../functions/domain/held-keys.ts';
import type { AccessRecord, ApiKey, HeldKey, MalformedKey } from '../../functions/domain/records.ts';
import { apiKey, KEY_ULID, MADE_AT } from '../support/records.ts';

const ENDED_AT = MADE_AT + 1000;
const TRUST = [{ issuer: 'https://gitlab.com', claims: { project_id: '1' } }];
const secret = (setBy?: string, retiresAt?: number) => ({ hash: 'h', createdAt: MADE_AT, setBy, retiresAt });
const trusting = (createdBy: string, trustSetBy?: string) =>
  apiKey({ createdBy, trustSetBy, secrets: [], trust: TRUST });
const malformed = (change: Partial<MalformedKey>) =>
  ({ malformed: true, deploymentId: 'etl', ulid: KEY_ULID, ...change }) as MalformedKey;

it.each<[string, ApiKey | MalformedKey, HeldKey['reasons']]>([
  ['a key that someone else created', apiKey({ createdBy: 'eve' }), []],
  ['a key whose secret its creator received', apiKey({ createdBy: 'ada' }), ['created', 'secret']],
  [
    'a key that someone else rotated',
    apiKey({ createdBy: 'ada', secrets: [secret(undefined, MADE_AT), secret('eve')] }),
    ['created'],
  ],
  [
    'a key that the person rotated, even if another secret is still active',
    apiKey({ createdBy: 'eve', secrets: [secret(), secret('ada')] }),
    ['secret'],
  ],
  [
    'a key that the person rotated until another rotation',
    apiKey({ createdBy: 'eve', secrets: [secret('ada', MADE_AT), secret('eve')] }),
    [],
  ],
  ['a key whose trust rules its creator set', trusting('ada'), ['created', 'trust']],
  ['a key whose trust rules someone else set', trusting('ada', 'eve'), ['created']],
  ['a key whose trust rules the person set', trusting('eve', 'ada'), ['trust']],
  [
    'a key whose trust rules were removed',
    apiKey({ createdBy: 'eve', trust: undefined, trustSetBy: 'ada' }),
    [],
  ],
  ['a malformed key that the person created', malformed({ createdBy: 'ada' }), ['created']],
  ['a malformed key whose trust rules the person set', malformed({ trustSetBy: 'ada' }), ['trust']],
  ['a malformed key without a creator', malformed({}), []],
])('finds the reasons why a person holds %s', (_, key, reasons) => {
  expect(reasonsToHold(key, 'ada', MADE_AT)).toStrictEqual(reasons);
});

it('the keys of erased people belong to no one', () => {
  const key = apiKey({ createdBy: 'erased', trust: TRUST });
  expect(reasonsToHold(key, 'erased', MADE_AT)).toStrictEqual([]);
});

const leak = (wasEnabled: boolean) => ({ enabled: false, leak: { reportedAt: MADE_AT, wasEnabled } });
const enabled = (at: number, by: string) => ({ lastEnabled: { at, by } });

it.each<[string, Partial<ApiKey>, AccessRecord['job']['keys'], boolean]>([
  ['disables an enabled key', {}, 'disable', true],
  ['disables no key if it only reports keys', {}, 'report', false],
  ['leaves a disabled key disabled', { enabled: false }, 'disable', false],
  ['disables a leaked key that a rotation would enable', leak(true), 'disable', true],
  ['leaves a leaked key that a rotation would not enable', leak(false), 'disable', false],
  [
    'leaves a key that someone else has enabled since the end of access',
    enabled(ENDED_AT + 1, 'eve'),
    'disable',
    false,
  ],
  [
    'disables a key that someone else enabled at the end of access',
    enabled(ENDED_AT, 'eve'),
    'disable',
    true,
  ],
  [
    'disables a key that the person has enabled since the end of access',
    enabled(ENDED_AT + 1, 'ada'),
    'disable',
    true,
  ],
])('the job of ended access %s', (_, change, keys, expected) => {
  const record: AccessRecord = {
    issuer: 'https://issuer.example',
    sub: 'ada',
    endedAt: ENDED_AT,
    blocked: false,
    revision: 1,
    job: { id: KEY_ULID, keys, found: 0, disabled: 0 },
  };
  expect(mustBeDisabled(apiKey(change), record)).toBe(expected);
});
