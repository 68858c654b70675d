import { beforeEach, describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import type { RejectedCall } from '../../functions/domain/records.ts';
import { recordRejectedCalls } from '../../functions/operations/record-rejected-calls.ts';
import { countRejectedCall } from '../../functions/table/rejected-calls.ts';
import { toDeployment, toEvent } from '../../functions/table/schema.ts';
import { deployment, event, GENERATION, MADE_AT, rejectedCall } from '../support/records.ts';
import { startStore } from '../support/store.ts';

const store = await startStore(
  'REJECTED_CALLS',
  'EVENTS#etl',
  'EVENTS#other',
  'DEPLOYMENT#etl',
  'DEPLOYMENT#other',
);
const { table } = store;
const logged: unknown[] = [];
beforeEach(() => {
  logged.length = 0;
});

const HOUR = 60 * 60 * 1000;
const NEXT_HOUR = MADE_AT + HOUR;
const count = (deploymentId: string, principal = 'eve', change: Partial<RejectedCall> = {}) =>
  countRejectedCall(table, {
    caller: { principal, type: 'person' },
    deploymentId,
    call: rejectedCall(change),
  });
const record = ({ now = NEXT_HOUR, hasTime = (): boolean => true } = {}) =>
  recordRejectedCalls({
    table,
    clock: () => now,
    hasTime,
    log: (message, fields) => logged.push([message, fields]),
  });
const eventsOf = (id: string) => store.partition(`EVENTS#${id}`);

describe('A job writes events about rejected calls', () => {
  it('writes one event about rejected calls for each caller, hour and Deployment', async () => {
    await store.put(toDeployment(deployment()), toDeployment(deployment({ id: 'other' })));
    for (let n = 0; n < 120; n++) await count('etl', 'eve', { at: MADE_AT + n });
    await count('other');
    expect(await record()).toBe(2);
    expect(await eventsOf('etl')).toEqual([
      {
        pk: 'EVENTS#etl',
        sk: expect.stringMatching(/^[0-9A-Z]{26}$/),
        type: 'call.refused',
        generation: GENERATION,
        actor: { principal: 'eve', type: 'person', address: '192.0.2.1', requestId: 'r-1' },
        createdAt: NEXT_HOUR,
        data: {
          call: 'GET /deployments/{deploymentId}',
          status: 404,
          code: 'not_found',
          count: 120,
          lastAt: '2027-01-15T08:00:00.119Z',
        },
        expiresAt: NEXT_HOUR / 1000 + 90 * 24 * 60 * 60,
      },
    ]);
    expect(await eventsOf('other')).toMatchObject([{ data: { count: 1 } }]);
    expect(await store.partition('REJECTED_CALLS')).toEqual([]);
    expect(await record()).toBe(0);
  });

  it('writes events about rejected calls only after their hour has ended', async () => {
    await store.put(toDeployment(deployment()));
    await count('etl');
    expect(await record({ now: NEXT_HOUR - 1 })).toBe(0);
    expect(await eventsOf('etl')).toEqual([]);
    expect(await record()).toBe(1);
  });

  it("discards rejected calls that name an ID that was never a Deployment's", async () => {
    await count('etl');
    expect(await record()).toBe(0);
    expect(await eventsOf('etl')).toEqual([]);
    expect(await store.partition('REJECTED_CALLS')).toEqual([]);
  });

  it("records rejected calls to a deleted Deployment until the Deployment's last event expires", async () => {
    const deleted = event({ type: 'deployment.deleted', id: newUlid(MADE_AT) });
    await store.put(toEvent(deleted));
    await count('etl');
    await record();
    const [, recorded] = await eventsOf('etl');
    expect(recorded).toMatchObject({ generation: '', expiresAt: deleted.expiresAt });
    const end = deleted.expiresAt * 1000;
    await count('etl', 'eve', { at: end });
    expect(await record({ now: end + HOUR })).toBe(0);
  });

  it("hides events about an earlier generation from members of the Deployment's current generation", async () => {
    await store.put(toDeployment(deployment({ generation: newUlid(MADE_AT + 2) })));
    await count('etl', 'eve', { at: MADE_AT + 1 });
    await count('etl', 'ada', { at: MADE_AT + 2 });
    await record();
    const generations = (await eventsOf('etl')).map(({ generation, actor }) => [
      (actor as { principal: string }).principal,
      generation === '',
    ]);
    expect(Object.fromEntries(generations)).toEqual({ eve: true, ada: false });
  });

  it('writes events about the rejected calls of ten callers per Deployment, and one more event about all others', async () => {
    await store.put(toDeployment(deployment()));
    for (let n = 0; n < 25; n++) {
      await count('etl', `eve-${n}`);
      await count('etl', `eve-${n}`);
    }
    expect(await record()).toBe(11);
    const events = await eventsOf('etl');
    const named = events.filter(({ data }) => (data as { call?: string }).call !== undefined);
    expect(new Set(named.map(({ actor }) => (actor as { principal: string }).principal)).size).toBe(10);
    const others = events.filter((one) => !named.includes(one));
    expect(others).toMatchObject([
      { type: 'call.refused', generation: GENERATION, actor: { principal: 'sweep', type: 'system' } },
    ]);
    expect(others[0]?.data).toEqual({ count: 30, callers: 15 });
    expect(await store.partition('REJECTED_CALLS')).toEqual([]);
  });

  it('logs how many rejected calls a caller made to Deployments after the first ten', async () => {
    for (let n = 0; n < 14; n++) await count(`made-up-${n}`);
    expect(await record()).toBe(0);
    expect(logged).toEqual([
      [
        'rejected calls about further Deployments',
        { principal: 'eve', type: 'person', hour: '2027-01-15T08', calls: 4 },
      ],
    ]);
  });

  it('the job for rejected calls continues where the previous run ran out of time', async () => {
    await store.put(toDeployment(deployment()));
    for (let n = 0; n < 5; n++) await count('etl', `eve-${n}`);
    let left = 2;
    await expect(record({ hasTime: () => left-- > 0 })).rejects.toThrow('no time left');
    expect(await eventsOf('etl')).toHaveLength(2);
    expect(await record()).toBe(3);
    expect(await eventsOf('etl')).toHaveLength(5);
  });

  it('writes one event about a rejected call even if two runs of the job overlap', async () => {
    await store.put(toDeployment(deployment()));
    for (let n = 0; n < 5; n++) await count('etl', `eve-${n}`);
    const written = await Promise.all([record(), record(), record()]);
    expect(written.reduce((sum, one) => sum + one)).toBe(5);
    expect(await eventsOf('etl')).toHaveLength(5);
  });
});
