import { describe, expect, it } from 'vitest';
import type { EventType, ServiceEvent } from '../../functions/domain/events.ts';
import { replayDeployment, replayKey } from '../../functions/domain/replay.ts';
import { apiKey, deployment, event, MADE_AT } from '../support/records.ts';

const LATER = MADE_AT + 1000;
const since = (type: EventType, data: ServiceEvent['data'] = {}, createdAt = LATER) =>
  event({ type, data, createdAt });
const key = apiKey();
const [secret] = key.secrets;
const replayed = (before: typeof key, ...events: ServiceEvent[]) => {
  const { key: after, doubts } = replayKey(before, events);
  return { key: after, doubts: [...doubts] };
};

describe('a key of a backup', () => {
  it('to which nothing has happened is as it was', () => {
    expect(replayed(key)).toEqual({ key, doubts: [] });
    expect(replayed(key, since('api_key.created'), since('api_key.idle'))).toEqual({ key, doubts: [] });
  });

  it('that was deleted since is gone, and leaves no doubts', () => {
    const events = [
      since('api_key.edited', { changed: ['networks'] }),
      since('api_key.deleted'),
      since('api_key.enabled'),
    ];
    expect(replayed(key, ...events)).toEqual({ key: undefined, doubts: [] });
  });

  it('that leaked since is disabled, and remembers whether it was enabled', () => {
    for (const enabled of [true, false]) {
      expect(replayed(apiKey({ enabled }), since('api_key.leaked'))).toEqual({
        key: apiKey({ enabled: false, leak: { reportedAt: LATER, wasEnabled: enabled } }),
        doubts: [],
      });
    }
    const leaked = apiKey({ enabled: false, leak: { reportedAt: MADE_AT, wasEnabled: true } });
    expect(replayed(leaked, since('api_key.leaked'))).toEqual({ key: leaked, doubts: [] });
  });

  it('is disabled and enabled again', () => {
    const disabled = since('api_key.disabled');
    expect(replayed(key, disabled)).toEqual({ key: apiKey({ enabled: false }), doubts: [] });
    expect(replayed(key, disabled, since('api_key.enabled', {}, LATER + 1))).toEqual({
      key: apiKey({ enabled: true, activeSince: LATER + 1 }),
      doubts: [],
    });
  });

  it('has the name and the scopes that an event says have changed', () => {
    const data = { name: 'new', scopes: ['a'] };
    const edited = (changed: ServiceEvent['data'][string], rest: ServiceEvent['data'] = data) =>
      replayed(key, since('api_key.edited', { ...rest, changed })).key;
    expect(edited(['name', 'scopes'])).toEqual(apiKey(data));
    expect(edited(['name'])).toEqual(apiKey({ name: 'new' }));
    expect(edited(['scopes'])).toEqual(apiKey({ scopes: ['a'] }));
    for (const field of ['description', 'enabled']) expect(edited([field])).toEqual(key);
    expect(edited('name scopes expiresAt networks')).toEqual(key);
    expect(edited(['name', 'scopes'], {})).toEqual(key);
    expect(edited(['name', 'scopes'], { name: 7, scopes: 'a' })).toEqual(key);
    expect(replayed(key, since('api_key.edited', data)).key).toEqual(key);
  });

  it.each(['expiresAt', 'networks'])('whose %s changed to nobody knows what is disabled', (field) => {
    const edited = since('api_key.edited', { changed: [field] });
    const expected = { key: apiKey({ enabled: false }), doubts: ['its bounds are not known'] };
    expect(replayed(key, edited)).toEqual(expected);
    const enabled = since('api_key.enabled', {}, LATER);
    expect(replayed(key, edited, enabled)).toEqual({
      key: apiKey({ enabled: false, activeSince: LATER }),
      doubts: ['its bounds are not known'],
    });
  });
});

describe('a key of a backup that was rotated since', () => {
  const doubts = ['its new secret is lost'];
  const rotatedSince = (retireOld: string | number, before = key) =>
    replayed(before, since('api_key.rotated', { retireOld }));

  it('keeps its old secret as long as the rotation said', () => {
    expect(rotatedSince(60)).toEqual({
      key: apiKey({ activeSince: LATER, secrets: [{ ...secret, retiresAt: LATER + 60_000 } as never] }),
      doubts,
    });
  });

  it.each(['now', 'on_first_use'])('lost its old secret with it, when that was to go %s', (retireOld) => {
    expect(rotatedSince(retireOld)).toEqual({
      key: apiKey({ activeSince: LATER, secrets: [{ ...secret, retiresAt: LATER } as never] }),
      doubts,
    });
  });

  it('lets no secret live longer than an earlier rotation said', () => {
    const retiring = apiKey({ secrets: [{ ...secret, retiresAt: LATER + 5 } as never] });
    expect(rotatedSince(60, retiring).key?.secrets).toEqual([{ ...secret, retiresAt: LATER + 5 }]);
    const longer = apiKey({ secrets: [{ ...secret, retiresAt: LATER + 90_000 } as never] });
    expect(rotatedSince(60, longer).key?.secrets).toEqual([{ ...secret, retiresAt: LATER + 60_000 }]);
  });

  it('is unchanged when it has the secret of that rotation already', () => {
    const known = apiKey({ secrets: [secret as never, { hash: 'n', createdAt: LATER }] });
    expect(rotatedSince(0, known)).toEqual({ key: known, doubts: [] });
  });

  it('is no longer leaked when it was rotated at once, and is enabled if it was before', () => {
    for (const wasEnabled of [true, false]) {
      const leaked = apiKey({ enabled: false, leak: { reportedAt: 1, wasEnabled } });
      expect(rotatedSince('now', leaked).key).toMatchObject({ enabled: wasEnabled, leak: undefined });
      expect(rotatedSince(60, leaked).key).toMatchObject({ enabled: false, leak: leaked.leak });
    }
    expect(rotatedSince('now', apiKey({ enabled: false })).key).toMatchObject({ enabled: false });
  });
});

describe('a Deployment of a backup', () => {
  const etl = deployment();

  it('has the name and the groups that it was given since', () => {
    const data = { name: 'new', groups: ['a'] };
    expect(replayDeployment(etl, [])).toEqual(etl);
    expect(replayDeployment(etl, [since('deployment.edited', data)])).toEqual(deployment(data));
    expect(replayDeployment(etl, [since('deployment.edited', { name: 7, groups: 'a' })])).toEqual(etl);
    expect(replayDeployment(etl, [since('deployment.registered', data)])).toEqual(etl);
  });

  it('whose life was ended since stays dead', () => {
    const events = [since('deployment.deleted'), since('deployment.edited', { name: 'new' })];
    expect(replayDeployment(etl, events)).toBeUndefined();
  });
});
