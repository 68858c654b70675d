import { afterAll, expect, it } from 'vitest';
import { erasePeople } from '../../functions/table/erasure.ts';
import { inProcess, must, startTable } from '../support/in-process.ts';

const engine = await startTable();
afterAll(() => engine.stop());
const named = inProcess(engine, { nameClaim: 'name' });
const unnamed = inProcess(engine);

const claims = { iat: 1_577_836_800, name: 'Ada Lovelace' };
const ada = { as: 'admin', claims };
const grace = { as: 'admin', claims: { ...claims, name: 'Grace Hopper' } };
await named.register('etl');
const KEYS = '/deployments/etl/api-keys';
const TOKENS = '/deployments/etl/temporary-tokens';

it("an API key keeps its creator's name when someone else edits the key", async () => {
  named.time.now += 1000;
  const { json: key } = must(await named.call('POST', KEYS, { ...ada, json: { name: 'ci' } }), 201);
  named.time.now += 1000;
  expect(key).toMatchObject({ createdBy: 'admin', createdByName: 'Ada Lovelace' });
  const edited = must(
    await named.call('PATCH', `${KEYS}/${key.id}`, { ...grace, json: { name: 'cd' } }),
    200,
  );
  expect(edited.json).toMatchObject({ name: 'cd', createdByName: 'Ada Lovelace' });
  const listed = must(await named.call('GET', KEYS, { as: 'member' }), 200).json.items;
  expect(listed).toMatchObject([{ name: 'cd', createdByName: 'Ada Lovelace' }]);
  const { json: events } = must(await named.call('GET', '/deployments/etl/events', ada), 200);
  const actors = events.items.map(({ type, data }: never) => [type, (data as { actor: object }).actor]);
  expect(actors).toMatchObject([
    ['api_key.edited', { principal: 'admin', name: 'Grace Hopper', type: 'person' }],
    ['api_key.created', { principal: 'admin', name: 'Ada Lovelace', type: 'person' }],
    ['deployment.registered', { principal: 'admin', type: 'person' }],
  ]);
  expect(actors[2][1]).not.toHaveProperty('name');
});

it("lists a temporary token with its person's name, but a check does not return the name", async () => {
  const { json: token } = must(await named.call('POST', TOKENS, ada), 201);
  const { json } = must(await named.call('GET', TOKENS, ada), 200);
  expect(json.items).toMatchObject([{ createdBy: 'admin', createdByName: 'Ada Lovelace' }]);
  const reply = must(await named.call('GET', '/whoami', { token: token.access_token }), 200);
  expect(JSON.stringify(reply.json)).not.toContain('Ada');
});

it('a stack without the setting nameClaim stores no names', async () => {
  await unnamed.register('etl-2');
  must(await unnamed.call('POST', '/deployments/etl-2/api-keys', { ...ada, json: { name: 'ci' } }), 201);
  must(await unnamed.call('POST', '/deployments/etl-2/temporary-tokens', ada), 201);
  const stored = [
    ...(await unnamed.partition('DEPLOYMENT#etl-2')),
    ...(await unnamed.partition('EVENTS#etl-2')),
  ];
  expect(stored).toHaveLength(6);
  expect(JSON.stringify(stored)).not.toContain('Ada');
});

it('erasing a person removes their name from keys, temporary tokens, events and stored responses', async () => {
  await named.register('etl-3');
  const headers = { 'idempotency-key': 'first' };
  must(
    await named.call('POST', '/deployments/etl-3/api-keys', { ...ada, headers, json: { name: 'ci' } }),
    201,
  );
  must(await named.call('POST', '/deployments/etl-3/temporary-tokens', ada), 201);
  const stored = async () =>
    JSON.stringify([
      ...(await named.partition('DEPLOYMENT#etl-3')),
      ...(await named.partition('EVENTS#etl-3')),
    ]);
  // The key, the response to its creation, the temporary token and two events contain the name.
  expect((await stored()).match(/Ada Lovelace/g)).toHaveLength(5);
  await erasePeople(named.table, (value) => value === 'admin', false);
  expect(await stored()).not.toContain('Ada Lovelace');
});
