import { afterAll, describe, expect, it } from 'vitest';
import { TOKEN_EXCHANGE } from '../../functions/http/oauth.ts';
import { openTokenVerifier } from '../../functions/runtime/subject-tokens.ts';
import { startCiIssuer } from '../support/ci-issuer.ts';
import { type InProcessOptions, inProcess, must, startTable } from '../support/in-process.ts';

const engine = await startTable();
afterAll(() => engine.stop());

const rules = { slideInterval: 0 };
let beforeReport: () => Promise<void> = async () => {};
const around: InProcessOptions['around'] = async (when, { operation }) => {
  if (when !== 'before' || operation !== 'TransactWriteItems') return;
  const act = beforeReport;
  beforeReport = async () => {};
  await act();
};
/** A service whose exchange can be paused after its read and before it records the use of an old secret. */
const slow = inProcess(engine, { rules, around });
const fast = inProcess(engine, { rules });
const START = fast.time.now;

let count = 0;
/** Creates a key, optionally uses its secret, and rotates the key. The old secret then expires in one hour. */
async function rotatedKey({ isUsed }: { isUsed: boolean }) {
  const id = `issue-token-${++count}`;
  fast.time.now = START;
  await fast.register(id);
  const key = await fast.createKey(id);
  if (isUsed) must(await fast.exchange(key), 200);
  fast.time.now = START + 60_000;
  const path = `/deployments/${id}/api-keys/${key.id}/rotate`;
  must(await fast.call('POST', path, { as: 'admin', json: { retireOld: 3600 } }), 200);
  const reports = async () =>
    (await fast.partition(`EVENTS#${id}`)).filter(({ type }) => type === 'api_key.secret_retiring');
  return { key, rotatedAt: fast.time.now, reports };
}

describe('Interleaved exchanges with an old secret write one event', () => {
  it.each(
    [true, false].flatMap((isUsed) =>
      // The times of the two exchanges, in milliseconds after the rotation.
      [
        [1, 0],
        [0, 1],
        [501, 500],
        [5000, 3000],
        [3000, 5000],
      ].map(([first = 0, second = 0]) => ({ isUsed, first, second })),
    ),
  )(
    'report the old secret once and both return a token: used before the rotation: $isUsed, $first and $second ms after the rotation',
    async ({ isUsed, first, second }) => {
      const { key, rotatedAt, reports } = await rotatedKey({ isUsed });
      slow.time.now = rotatedAt + first;
      fast.time.now = rotatedAt + second;
      const reported: number[] = [];
      beforeReport = async () => {
        must(await fast.exchange(key), 200);
        reported.push((await reports()).length);
      };
      must(await slow.exchange(key), 200);
      reported.push((await reports()).length);
      expect(reported).toStrictEqual([1, 1]);
    },
  );
});

it('exchanges return 503 only for tokens of an issuer whose inline keys are missing', async () => {
  const [sound, faulty] = [await startCiIssuer(), await startCiIssuer()];
  const issuers = [sound, faulty].map(({ url }) => ({ issuer: url, hasInlineKeys: true }));
  const inlineKeys = new Map([[sound.url, { keys: [sound.jwk] }]]);
  const verify = openTokenVerifier(() => service.time.now, { issuers, inlineKeys });
  const service = inProcess(engine, { trust: { issuers, verify } });
  await service.register('inline');
  const trust = issuers.map(({ issuer }) => ({ issuer, claims: { sub: 'pipeline' } }));
  const key = await service.createKey('inline', { name: 'ci', trust });
  const secretKey = await service.createKey('inline');
  const exchange = async ({ sign }: typeof sound) => {
    const expires = Math.floor(service.time.now / 1000) + 300;
    const form = {
      grant_type: TOKEN_EXCHANGE,
      client_id: key.id,
      subject_token: await sign({ claims: { sub: 'pipeline' }, audience: 'https://service.test', expires }),
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    };
    return (await service.call('POST', '/oauth/token', { form })).status;
  };
  const bySecret = (await service.exchange(secretKey)).status;
  expect([bySecret, await exchange(sound), await exchange(faulty)]).toStrictEqual([200, 200, 503]);
  // The faulty issuer serves keys, but the service never fetches keys of an issuer with inline keys.
  expect(faulty.requestCount).toBe(0);
});
