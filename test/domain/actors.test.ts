import { expect, it } from 'vitest';
import { systemActor, typedActor } from '../../functions/domain/people.ts';

const ROLE = 'arn:aws:iam::111122223333:role/platform';

it('sets the actor type to "system" in events that the service\'s own jobs create', () => {
  expect(systemActor('purge')).toStrictEqual({
    principal: 'purge',
    type: 'system',
    address: '',
    requestId: '',
  });
});

it('does not change the actor type that is stored in an event', () => {
  for (const type of ['person', 'iam', 'system', 'anonymous'] as const) {
    const actor = { principal: 'purge', type, address: '', requestId: '' };
    expect(typedActor(actor, 'api_key.leaked')).toStrictEqual(actor);
  }
});

it.each([
  ['system', 'purge', '', 'deployment.purged'],
  ['system', 'restore', '', 'deployment.restored'],
  ['system', 'source', '', 'deployment.edited'],
  ['system', 'sweep', '', 'api_key.expired'],
  ['anonymous', 'anonymous', '192.0.2.1', 'api_key.leaked'],
  ['anonymous', 'anonymous', '192.0.2.1', 'token.leaked'],
  ['anonymous', 'anonymous', '192.0.2.1', 'temporary_token.leaked'],
  ['iam', ROLE, '192.0.2.1', 'api_key.created'],
  ['person', 'ada', '192.0.2.1', 'api_key.created'],
  ['person', 'ada', '192.0.2.1', 'api_key.leaked'],
])(
  'derives the actor type %s from the principal %s when a stored event has no actor type',
  (type, principal, address, eventType) => {
    const actor = { principal, address, requestId: 'r-1' };
    expect(typedActor(actor, eventType)).toStrictEqual({ ...actor, type });
  },
);

it('#57: derives the actor type "person" for a person whose sub is "anonymous" or the name of a job', () => {
  for (const principal of ['purge', 'restore', 'source', 'sweep', 'anonymous', 'system']) {
    const actor = { principal, address: '192.0.2.1', requestId: 'r-1' };
    expect(typedActor(actor, 'deployment.deleted')).toStrictEqual({ ...actor, type: 'person' });
  }
});
