import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { newUlid } from '../../functions/domain/credentials.ts';
import { ACCOUNT } from '../../local/template.ts';
import { type Engine, startEngine } from '../support/engine.ts';
import { sample } from '../support/generated.ts';
import { startMeter } from '../support/meter.ts';
import { signedCall } from '../support/signed.ts';
import { startStack, type TestStack } from '../support/stack.ts';

const NOON = Date.parse('2030-01-01T12:00:00.500Z');

/** Every operation of the API that names a Deployment, taken from the service's own OpenAPI document. */
const { paths } = JSON.parse(readFileSync('docs/openapi.json', 'utf8'));
const routes = Object.entries<object>(paths)
  .filter(([path]) => path.startsWith('/deployments/{deploymentId}'))
  .flatMap(([path, methods]) =>
    Object.keys(methods)
      .filter((method) => method !== 'parameters')
      .map((method): [string, string] => [method.toUpperCase(), path]),
  );

/**
 * Three IDs of the same length: of another group's Deployment, of a deleted Deployment, and of a Deployment that never
 * existed.
 */
const IDS = ['others-1', 'erased-1', 'absent-1'] as const;

let engine: Engine;
let meter: Awaited<ReturnType<typeof startMeter>>;
let stack: TestStack;
const keys = new Map<string, string>();
const { DYNAMODB_ENDPOINT: before } = process.env;
beforeAll(async () => {
  engine = await startEngine();
  meter = await startMeter(engine.endpoint);
  process.env.DYNAMODB_ENDPOINT = meter.endpoint;
  const context = { platformPrincipals: [`arn:aws:iam::${ACCOUNT}:role/deployer`] };
  stack = await startStack({ context, stream: false });
  // The schedules are off, because only the test itself may call the table.
  for (const schedule of stack.schedules) await schedule.stop();
  stack.clock.freeze(NOON);
  for (const id of ['others-1', 'erased-1']) {
    await stack.register(id, { groups: [] });
    keys.set(id, (await stack.createKey(id)).id);
  }
  await stack.callAs('admin', 'DELETE', '/deployments/erased-1');
  keys.set('absent-1', `dk_absent-1_${newUlid(NOON)}`);
}, 180_000);
afterAll(async () => {
  await stack.stop();
  if (before === undefined) delete process.env.DYNAMODB_ENDPOINT;
  else process.env.DYNAMODB_ENDPOINT = before;
  await meter.stop();
  await engine.stop();
});
beforeEach(() => stack.clock.freeze(NOON));

/** Generates one path segment. A slash, or a segment of only dots, would change the path. */
const anyStep = fc
  .string({ minLength: 1, unit: 'grapheme-ascii' })
  .map((text) => `x${text}`.replaceAll('/', ''));

/** Valid, invalid and malformed values that a caller can send with any call. */
const anyRequest = fc.record({
  keyId: fc.oneof(fc.constant('a key of it'), anyStep),
  tokenId: fc.oneof(fc.constant(newUlid(NOON)), anyStep),
  query: fc.constantFrom('', '?limit=1', '?limit=0', '?cursor=x', '?unknown=1', '?limit=1&limit=2'),
  contentType: fc.constantFrom('application/json', 'text/plain', undefined),
  idempotencyKey: fc.constantFrom(undefined, 'once', 'not, valid'),
  body: fc.oneof(
    fc.constant('{"name": "ci"}'),
    fc.constant('{"groups": ["data-eng"]}'),
    fc.constant('{'),
    fc.constant('x'.repeat(70_000)),
    fc.json(),
  ),
});

describe('A caller cannot distinguish a hidden Deployment from a missing one', () => {
  it('#54: calls on hidden and missing Deployments get equal responses and cause table operations of equal size', async () => {
    expect(routes.length).toBeGreaterThan(12);
    const token = await stack.signIn('member');
    const property = fc.asyncProperty(fc.constantFrom(...routes), anyRequest, async ([method, path], it) => {
      const seen = [];
      for (const id of IDS) {
        const target = path
          .replace('{deploymentId}', id)
          .replace('{keyId}', encodeURIComponent(it.keyId === 'a key of it' ? `${keys.get(id)}` : it.keyId))
          .replace('{tokenId}', encodeURIComponent(it.tokenId));
        meter.take();
        const { status, text, headers } = await stack.call(method, `${target}${it.query}`, {
          token,
          headers: {
            ...(it.contentType !== undefined && { 'content-type': it.contentType }),
            ...(it.idempotencyKey !== undefined && { 'idempotency-key': it.idempotencyKey }),
          },
          ...(method !== 'GET' && { body: it.body }),
        });
        const { date: _date, 'apigw-requestid': _id, ...others } = headers;
        seen.push({ status, text, headers: others, requests: meter.take().requests });
      }
      // The service rejects a malformed call before it reads any item, regardless of the Deployment.
      if (seen[0]?.status !== 400) {
        expect(seen[0]?.status).toBe(404);
        expect(seen[0]?.requests).toEqual([
          // For each call, the service reads the person and the Deployment.
          expect.stringMatching(/^GetItem \d+$/),
          expect.stringMatching(/^GetItem \d+$/),
          expect.stringMatching(/^UpdateItem \d+$/),
        ]);
      }
      expect(seen[1]).toEqual(seen[0]);
      expect(seen[2]).toEqual(seen[0]);
    });
    await fc.assert(property, { numRuns: sample(300) });
  }, 120_000);

  it('#54: a hidden Deployment still looks like a missing one after the caller has named ten other IDs within an hour', async () => {
    stack.clock.freeze(NOON + 60 * 60 * 1000);
    for (let n = 0; n < 10; n++) await stack.callAs('member', 'GET', `/deployments/made-up-${n}`);
    const seen = [];
    for (const id of IDS) {
      meter.take();
      const { status } = await stack.callAs('member', 'GET', `/deployments/${id}`);
      seen.push({ status, ...meter.take() });
    }
    expect(seen[0]).toMatchObject({ status: 404, calls: ['GetItem', 'GetItem', 'UpdateItem', 'UpdateItem'] });
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
  });

  it('#54: a call by an IAM principal that the stack does not list does not access the table', async () => {
    const stranger = stack.credentialOf(`arn:aws:sts::${ACCOUNT}:assumed-role/stranger/build-7`);
    for (const [method, path] of routes) {
      // Only people can create temporary tokens, so the path under /platform does not exist.
      if (path.includes('temporary-tokens')) continue;
      for (const id of IDS) {
        const target = path.replace('{deploymentId}', id).replace('{keyId}', `${keys.get(id)}`);
        meter.take();
        const { status } = await signedCall(stack, stranger, method, `/platform${target}`);
        expect([target, status, meter.take().calls]).toEqual([target, 403, []]);
      }
    }
  });
});
