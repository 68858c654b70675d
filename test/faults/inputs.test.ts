import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashOf, ulidPrefix } from '../../functions/domain/credentials.ts';
import { sample } from '../support/generated.ts';
import { runStack } from '../support/stack.ts';

const stack = await runStack();
await stack.register('inputs');
const TOKENS = '/deployments/inputs/temporary-tokens';

/** Signs in with this `sub`, in a token that looks like one from the issuer. */
const signInAs = (sub: string, person: 'admin' | 'member' = 'member') =>
  stack.signIn(person, 'access', ({ payload }) => {
    payload.sub = sub;
  });

const printable = fc.string({
  unit: fc.constantFrom(...characters(0x20, 0x7e)),
  minLength: 1,
  maxLength: 255,
});
const unprintable = fc.constantFrom(
  ...characters(0, 0x1f),
  ...characters(0x7f, 0x17f),
  'Ж',
  '漢',
  '\u200b',
  '\u2028',
  '😀',
);
/** Generates printable ASCII text with one character that is not printable ASCII. */
const malformedSub = fc
  .tuple(
    fc.string({ unit: fc.constantFrom(...characters(0x20, 0x7e)), maxLength: 40 }),
    unprintable,
    fc.nat(40),
  )
  .map(([text, wrong, at]) => text.slice(0, at) + wrong + text.slice(at));
const longSub = fc.string({
  unit: fc.constantFrom(...characters(0x21, 0x7e)),
  minLength: 256,
  maxLength: 2048,
});

describe('#57: The service validates the sub claim of a sign-in', () => {
  it('#57: returns 401 for a sign-in with a sub claim that is not 1 to 255 printable ASCII characters', async () => {
    const sub = fc.oneof({ weight: 3, arbitrary: malformedSub }, longSub, fc.constant(''));
    await fc.assert(
      fc.asyncProperty(sub, async (text) => {
        const token = await signInAs(text);
        for (const [method, path] of [
          ['GET', '/deployments'],
          ['POST', TOKENS],
        ] as const) {
          const { status, json, headers } = await stack.call(method, path, { token });
          expect([status, json]).toStrictEqual([
            401,
            {
              type: '/errors#invalid_token',
              title: 'Unauthorized',
              status: 401,
              code: 'invalid_token',
              detail: 'The sub of the access token must be 1 to 255 printable ASCII characters.',
            },
          ]);
          expect(headers['www-authenticate']).toBe('Bearer error="invalid_token"');
        }
      }),
      { numRuns: sample(100) },
    );
  });

  it('#57: issues a temporary token for every printable sub claim, and /whoami returns that sub', async () => {
    await fc.assert(
      fc.asyncProperty(printable, async (sub) => {
        const issued = await stack.call('POST', TOKENS, { token: await signInAs(sub), json: {} });
        expect(issued.status).toBe(201);
        const { status, json, headers } = await stack.call('GET', '/whoami', {
          token: issued.json.access_token,
        });
        expect([status, json.principalId]).toStrictEqual([200, sub]);
        // HTTP recipients trim header values, so a `sub` with leading or trailing spaces would look like another
        // person's.
        expect(headers['x-principal-id']).toBe(sub === sub.trim() ? sub : undefined);
      }),
      { numRuns: sample(100) },
    );
  });

  it('#57: /whoami accepts a temporary token even if its stored sub violates the current rule', async () => {
    const issued = await stack.callAs('member', 'POST', TOKENS, { json: {} });
    const token: string = issued.json.access_token;
    const items = await stack.partition('DEPLOYMENT#inputs');
    const grant = items.find(({ sk }) => String(sk).endsWith(hashOf(token)));
    await fc.assert(
      fc.asyncProperty(fc.oneof(malformedSub, longSub), async (sub) => {
        await stack.putItem({ ...grant, sub });
        const { status, json, headers } = await stack.call('GET', '/whoami', { token });
        expect([status, json.principalId, json.principalType]).toStrictEqual([200, sub, 'person']);
        const isPrintable = /^[\x21-\x7e]+$/.test(sub);
        expect(headers['x-principal-id']).toBe(isPrintable ? sub : undefined);
        expect(headers['x-deployment-id']).toBe('inputs');
      }),
      { numRuns: sample(50) },
    );
  });
});

describe('#57: A person whose sub is the name of a job is not mistaken for the job', () => {
  it.each(['purge', 'restore', 'source', 'sweep', 'anonymous', 'system'])(
    '#57: events from the API and the event bus show a person whose sub is the name of a job as a person: %s',
    async (sub) => {
      const issued = await stack.call('POST', TOKENS, { token: await signInAs(sub), json: {} });
      expect(issued.status).toBe(201);
      const refused = await stack.call('DELETE', '/deployments/inputs', { token: await signInAs(sub) });
      expect(refused.status).toBe(403);
      const { json } = await stack.callAs('admin', 'GET', '/deployments/inputs/events?limit=100');
      const isTheirs = ({ data }: { data: { actor: { principal: string } } }) => data.actor.principal === sub;
      const theirs = json.items.filter(isTheirs);
      expect(theirs.length).toBeGreaterThan(0);
      const actor = { principal: sub, type: 'person', address: '127.0.0.1', requestId: expect.any(String) };
      for (const { data } of theirs) expect(data.actor).toStrictEqual(actor);
      await stack.waitForDelivery();
      const onBus = stack.buses[0]?.entries.map(({ Detail }) => JSON.parse(Detail)).filter(isTheirs) ?? [];
      expect(onBus.length).toBeGreaterThan(0);
      for (const { data } of onBus) expect(data.actor).toStrictEqual(actor);
    },
  );

  it('#57: events from an earlier version, which had no actor types, still show a person as a person', async () => {
    const id = (n: number) => `${ulidPrefix(Date.now())}${String(n).padStart(16, '0')}`;
    const untyped = (n: number, actor: object) =>
      stack.putItem({
        pk: 'EVENTS#untyped',
        sk: id(n),
        type: 'deployment.deleted',
        generation: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
        actor: { requestId: '', ...actor },
        createdAt: 1,
        data: {},
        expiresAt: 2 ** 33,
      });
    await untyped(1, { principal: 'purge', address: '' });
    await untyped(2, { principal: 'purge', address: '192.0.2.1' });
    const { json } = await stack.callAs('admin', 'GET', '/deployments/untyped/events');
    expect(json.items.map(({ data }: { data: { actor: object } }) => data.actor)).toStrictEqual([
      { requestId: '', principal: 'purge', address: '192.0.2.1', type: 'person' },
      { requestId: '', principal: 'purge', address: '', type: 'system' },
    ]);
  });
});

/** Returns all characters between two code points, inclusive. */
function characters(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, at) => String.fromCharCode(first + at));
}
