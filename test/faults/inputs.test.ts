import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashOf } from '../../functions/domain/secrets.ts';
import { sample } from '../support/generated.ts';
import { callAs, partition, putItem } from '../support/service.ts';
import { call, makeDeployment, runStack } from '../support/stack.ts';

const stack = await runStack();
await makeDeployment(stack, 'inputs');
const TOKENS = '/deployments/inputs/temporary-tokens';

/** Signs in with a `sub`, as the issuer might write it. */
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
/** Printable ASCII with one character in it that is not. */
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

describe('#57: a sub', () => {
  it('#57: rejects a sign-in whose sub is not 1 to 255 printable ASCII characters with 401', async () => {
    const sub = fc.oneof({ weight: 3, arbitrary: malformedSub }, longSub, fc.constant(''));
    await fc.assert(
      fc.asyncProperty(sub, async (text) => {
        const token = await signInAs(text);
        for (const [method, path] of [
          ['GET', '/deployments'],
          ['POST', TOKENS],
        ] as const) {
          const { status, json, headers } = await call(stack, method, path, { token });
          expect([status, json]).toStrictEqual([
            401,
            {
              type: 'about:blank',
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

  it('#57: issues a temporary token for every printable sub, and /whoami answers with that sub', async () => {
    await fc.assert(
      fc.asyncProperty(printable, async (sub) => {
        const issued = await call(stack, 'POST', TOKENS, { token: await signInAs(sub), json: {} });
        expect(issued.status).toBe(201);
        const { status, json, headers } = await call(stack, 'GET', '/whoami', {
          token: issued.json.access_token,
        });
        expect([status, json.principalId]).toStrictEqual([200, sub]);
        // Recipients trim a header, so that a sub with outer spaces would be read as another person's.
        expect(headers['x-principal-id']).toBe(sub === sub.trim() ? sub : undefined);
      }),
      { numRuns: sample(100) },
    );
  });

  it('#57: answers /whoami for a temporary token whose stored sub breaks the rule', async () => {
    const issued = await callAs(stack, 'member', 'POST', TOKENS, { json: {} });
    const token: string = issued.json.access_token;
    const items = await partition(stack, 'DEPLOYMENT#inputs');
    const grant = items.find(({ sk }) => String(sk).endsWith(hashOf(token)));
    await fc.assert(
      fc.asyncProperty(fc.oneof(malformedSub, longSub), async (sub) => {
        await putItem(stack, { ...grant, sub });
        const { status, json, headers } = await call(stack, 'GET', '/whoami', { token });
        expect([status, json.principalId, json.principalType]).toStrictEqual([200, sub, 'person']);
        const isPrintable = /^[\x21-\x7e]+$/.test(sub);
        expect(headers['x-principal-id']).toBe(isPrintable ? sub : undefined);
        expect(headers['x-deployment-id']).toBe('inputs');
      }),
      { numRuns: sample(50) },
    );
  });
});

/** All characters from one code to another, both included. */
function characters(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, at) => String.fromCharCode(first + at));
}
