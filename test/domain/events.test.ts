import { expect, it } from 'vitest';
import { cloudEventOf, EVENT_SOURCE } from '../../functions/domain/cloud-event.ts';
import { hashOf } from '../../functions/domain/credentials.ts';
import { erasureData } from '../../functions/domain/erasure.ts';
import { newEvent } from '../../functions/domain/events.ts';
import { OF_PEOPLE } from '../../functions/domain/people.ts';

const NOW = Date.parse('2030-01-01T12:00:00.001Z');
const registration = { id: 'etl', generation: '01ARZ3NDEKTSV4RRFFQ69G5FAV' };
const actor = { principal: 'ada', type: 'person' as const, address: '192.0.2.1', requestId: 'r-1' };

it("newEvent sets the event's time, and an expiry 90 days later, rounded up to the second", () => {
  const event = newEvent('api_key.created', registration, actor, NOW, { name: 'ci' });
  expect(event).toEqual({
    id: event.id,
    type: 'api_key.created',
    deploymentId: 'etl',
    generation: registration.generation,
    actor,
    createdAt: NOW,
    data: { name: 'ci' },
    expiresAt: Math.ceil(NOW / 1000) + 90 * 86_400,
  });
  expect(event.id).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
  expect(newEvent('deployment.deleted', registration, actor, NOW).data).toEqual({});
});

it('cloudEventOf names the API key as the subject of an event about a key', () => {
  const event = newEvent('api_key.created', registration, actor, NOW, { keyId: 'dk_etl_X', name: 'ci' });
  expect(cloudEventOf(event)).toStrictEqual({
    specversion: '1.0',
    id: event.id,
    source: 'deployment-api-keys',
    type: 'api_key.created',
    subject: 'deployments/etl/api-keys/dk_etl_X',
    time: '2030-01-01T12:00:00.001Z',
    datacontenttype: 'application/json',
    data: { deploymentId: 'etl', generation: registration.generation, actor, keyId: 'dk_etl_X', name: 'ci' },
  });
  expect(EVENT_SOURCE).toBe('deployment-api-keys');
});

it('cloudEventOf names the Deployment as the subject of an event that is not about a key', () => {
  for (const data of [{}, { keyId: 7 }] as Record<string, number>[]) {
    const event = newEvent('deployment.edited', registration, actor, NOW, data);
    expect(cloudEventOf(event)).toMatchObject({ subject: 'deployments/etl' });
  }
});

it("cloudEventOf omits the person's sub from the event about an erasure", () => {
  const event = newEvent('person.erased', OF_PEOPLE, actor, NOW, erasureData('ada'));
  expect(cloudEventOf(event)).toStrictEqual({
    specversion: '1.0',
    id: event.id,
    source: 'deployment-api-keys',
    type: 'person.erased',
    subject: 'people/erased',
    time: '2030-01-01T12:00:00.001Z',
    datacontenttype: 'application/json',
    data: { actor, subHash: hashOf('ada') },
  });
  const ended = newEvent('person.access_ended', OF_PEOPLE, actor, NOW, { sub: 'a/da' });
  expect(ended).toMatchObject({ deploymentId: '', generation: '' });
  expect(cloudEventOf(ended)).toMatchObject({ subject: 'people/a%2Fda' });
});
