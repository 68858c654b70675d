import { describe, expect, it } from 'vitest';
import { hashOf } from '../../functions/domain/credentials.ts';
import type { RejectedCall, RejectedCalls } from '../../functions/domain/records.ts';
import {
  countRejectedCall,
  endedRejectedCalls,
  MAX_DEPLOYMENTS,
  moveRejectedCalls,
} from '../../functions/table/rejected-calls.ts';
import { event, MADE_AT, rejectedCall } from '../support/records.ts';
import { startStore, watched } from '../support/store.ts';

const store = await startStore('REJECTED_CALLS', 'EVENTS#etl');
const { table } = store;

const HOUR = 60 * 60 * 1000;
const count = (deploymentId: string, change: Partial<RejectedCall> = {}, principal = 'eve') =>
  countRejectedCall(table, {
    caller: { principal, type: 'person' },
    deploymentId,
    call: rejectedCall(change),
  });
const hashOfEve = hashOf('["person","eve"]');
async function ended(now: number): Promise<RejectedCalls[]> {
  const all = [];
  for await (const calls of endedRejectedCalls(table, now)) all.push(calls);
  return all;
}

describe('Rejected calls are counted for each caller and hour', () => {
  it('one item per caller and hour counts rejected calls, and records the last one for each Deployment', async () => {
    await count('etl');
    await count('etl', { at: MADE_AT + 1, status: 403, code: 'forbidden' });
    await count('other');
    await count('etl', {}, 'ada');
    await count('etl', { at: MADE_AT + HOUR });
    const stored = await store.partition('REJECTED_CALLS');
    expect(stored).toHaveLength(3);
    expect(stored).toContainEqual({
      pk: 'REJECTED_CALLS',
      sk: `${hashOfEve}#2027-01-15T08`,
      principal: 'eve',
      principalType: 'person',
      callCount: 3,
      deployments: new Set(['etl', 'other']),
      'count#etl': 2,
      'last#etl': rejectedCall({ at: MADE_AT + 1, status: 403, code: 'forbidden' }),
      'count#other': 1,
      'last#other': rejectedCall(),
      // The item expires one week after the end of the hour.
      expiresAt: Date.parse('2027-01-22T09:00:00Z') / 1000,
    });
  });

  it('counts the rejected calls of a person and of an IAM principal with the same name separately', async () => {
    await count('etl', {}, 'arn:aws:iam::111122223333:role/deploy');
    const caller = { principal: 'arn:aws:iam::111122223333:role/deploy', type: 'iam' as const };
    await countRejectedCall(table, { caller, deploymentId: 'etl', call: rejectedCall() });
    expect((await ended(MADE_AT + HOUR)).map(({ caller: { type } }) => type).sort()).toEqual([
      'iam',
      'person',
    ]);
  });

  it('counts rejected calls correctly when 100 calls are made at the same time', async () => {
    await Promise.all(Array.from({ length: 100 }, () => count('etl')));
    expect(await store.partition('REJECTED_CALLS')).toMatchObject([{ callCount: 100, 'count#etl': 100 }]);
  });

  it("counting rejected calls never overwrites other attributes, regardless of the Deployment's ID", async () => {
    for (const id of ['pk', 'sk', 'expiresAt', 'principal', 'callCount', 'deployments']) await count(id);
    const [calls] = await ended(MADE_AT + HOUR);
    expect(calls).toMatchObject({ caller: { principal: 'eve' }, callCount: 6 });
    expect(calls?.deployments.map(({ count: of }) => of)).toEqual([1, 1, 1, 1, 1, 1]);
  });

  it('counts rejected calls separately for the first ten Deployments that a caller names, and then only in total', async () => {
    const longest = (n: number) => `${n}`.padEnd(64, 'd');
    const call = 'DELETE /platform/deployments/{deploymentId}/temporary-tokens/{tokenId}';
    const largest = {
      call,
      address: '2001:0db8:ffff:ffff:ffff:ffff:ffff:ffff',
      requestId: 'r'.repeat(36),
      code: 'idempotency_key_reused',
    };
    for (let n = 0; n < MAX_DEPLOYMENTS + 5; n++) await count(longest(n), largest, 's'.repeat(255));
    await count(longest(0), largest, 's'.repeat(255));
    const [stored = {}, ...others] = await store.partition('REJECTED_CALLS');
    expect(others).toEqual([]);
    const [calls] = await ended(MADE_AT + HOUR);
    expect(calls).toMatchObject({ callCount: MAX_DEPLOYMENTS + 6 });
    expect(calls?.deployments.map((one) => [one.deploymentId, one.count]).sort()).toEqual(
      Array.from({ length: MAX_DEPLOYMENTS }, (_, n) => [longest(n), n === 0 ? 2 : 1]),
    );
    const bytes = JSON.stringify({ ...stored, deployments: [...(stored.deployments as Set<string>)] }).length;
    expect(bytes).toBeLessThan(5 * 1024);
  });

  it('counts a rejected call even if the sweep moves the counts while the call is counted', async () => {
    const ofEve = { pk: 'REJECTED_CALLS', sk: `${hashOfEve}#2027-01-15T08` };
    for (let n = 0; n < MAX_DEPLOYMENTS; n++) await count(`etl-${n}`);
    const counted = { caller: { principal: 'eve', type: 'person' as const }, call: rejectedCall() };
    let isMoved = false;
    await countRejectedCall(
      {
        ...table,
        port: watched(table.port, async (when) => {
          if (when === 'before' || isMoved) return;
          isMoved = true;
          await store.remove(ofEve);
        }),
      },
      { ...counted, deploymentId: 'etl' },
    );
    expect(await ended(MADE_AT + HOUR)).toEqual([
      { caller: counted.caller, hour: '2027-01-15T08', callCount: 1, deployments: [] },
    ]);
    await count('etl');
    expect(await ended(MADE_AT + HOUR)).toMatchObject([{ callCount: 2, deployments: [{ count: 1 }] }]);
  });

  it('reads the counts of rejected calls only after the hour has ended', async () => {
    await count('etl');
    const end = MADE_AT + HOUR;
    expect(await ended(end - 1)).toEqual([]);
    expect(await ended(end)).toEqual([
      {
        caller: { principal: 'eve', type: 'person' },
        hour: '2027-01-15T08',
        callCount: 1,
        deployments: [{ deploymentId: 'etl', count: 1, last: rejectedCall() }],
      },
    ]);
  });

  it('reports a malformed item with counts of rejected calls', async () => {
    await count('etl');
    const [stored = {}] = await store.partition('REJECTED_CALLS');
    for (const damage of [
      { principal: 1 },
      { principalType: undefined },
      { callCount: '1' },
      { deployments: ['etl'] },
      { 'count#etl': undefined },
      { 'last#etl': { at: 1 } },
    ]) {
      store.malformed.length = 0;
      await store.put({ ...stored, ...damage });
      expect(await ended(MADE_AT + HOUR)).toEqual([]);
      expect(store.malformed).toHaveLength(1);
    }
  });
});

describe('moveRejectedCalls', () => {
  it('one transaction writes the events about rejected calls and deletes the counts', async () => {
    await count('etl');
    const [calls] = await ended(MADE_AT + HOUR);
    expect(await moveRejectedCalls(table, calls as never, [event({ type: 'call.refused' })])).toBe(true);
    expect(await store.partition('REJECTED_CALLS')).toEqual([]);
    expect(await store.partition('EVENTS#etl')).toMatchObject([{ type: 'call.refused' }]);
    expect(await moveRejectedCalls(table, calls as never, [event()])).toBe(false);
    expect(await store.partition('EVENTS#etl')).toHaveLength(1);
  });

  it('writes no events about rejected calls if another call was counted after the counts were read', async () => {
    await count('etl');
    const [calls] = await ended(MADE_AT + HOUR);
    await count('etl');
    expect(await moveRejectedCalls(table, calls as never, [event()])).toBe(false);
    expect(await store.partition('EVENTS#etl')).toEqual([]);
    expect(await ended(MADE_AT + HOUR)).toMatchObject([{ callCount: 2 }]);
  });
});
