import { paginateScan } from '@aws-sdk/lib-dynamodb';
import { beforeEach, expect, it } from 'vitest';
import { DEVELOPER } from '../../local/api-gateway/iam-authorizer.ts';
import { tracesOf } from '../support/canaries.ts';
import { startCiIssuer, subjectForm } from '../support/ci-issuer.ts';
import { signedCall } from '../support/signed.ts';
import { type Reply, runStack } from '../support/stack.ts';

const NOON = Date.parse('2030-01-01T12:00:00.500Z');
const ci = await startCiIssuer();
const down = await startCiIssuer();
const foreign = await startCiIssuer();
const service = await runStack({
  context: { trustedIssuers: [ci.url, down.url], platformPrincipals: DEVELOPER.arn },
});
beforeEach(() => service.clock.freeze(NOON));

it('a subject token that is explained, rejected or sent to the wrong endpoint is not stored, logged or returned', {
  timeout: 120_000,
}, async () => {
  const id = 'explain-canary';
  await service.register(id);
  const keys = `/deployments/${id}/api-keys`;
  const trust = [
    { issuer: ci.url, claims: { sub: 'pipeline' }, singleUse: true },
    { issuer: down.url, claims: { sub: 'pipeline' } },
  ];
  const key = (await service.callAs('member', 'POST', keys, { json: { name: 'ci', trust } })).json;
  const secret = await service.createKey(id);
  const path = `${keys}/${key.id}/explain`;
  const sign = (from = ci, claims: object = { sub: 'pipeline' }, expires = NOON / 1000 + 299.5) =>
    from.sign({ claims, audience: service.url, expires });
  down.answer = (_, response) => {
    response.statusCode = 500;
    response.end();
  };
  const valid = await sign();
  const [header, , signature] = (await sign(ci, { sub: 'other' })).split('.');
  const canaries: Record<string, string> = {
    valid,
    mismatching: await sign(ci, { sub: 'tester' }),
    expired: await sign(ci, { sub: 'pipeline' }, NOON / 1000 - 600.5),
    forged: `${header}.${valid.split('.')[1]}.${signature}`,
    foreign: await sign(foreign),
    unavailable: await sign(down),
  };
  const replies: [status: number, Reply][] = [];
  const send = async (status: number, target: string, options: object) =>
    replies.push([status, await service.callAs('member', 'POST', target, options)]);
  for (const [name, token] of Object.entries(canaries)) {
    const json = { subject_token: token };
    await send(name === 'unavailable' ? 503 : 200, path, { json });
    await send(400, path, { json: { subject_token: `${token}=` } });
    await send(400, path, { json: { subject_token: `Bearer ${token}` } });
    await send(400, path, { json: { subject_token: token.repeat(40) } });
    await send(400, path, { json: { subject_token: [token] } });
    await send(400, path, { json: { subject_token: token, [token]: token } });
    await send(400, path, { json: token });
    await send(400, path, {
      body: `{"subject_token": ${token}`,
      headers: { 'content-type': 'application/json' },
    });
    await send(415, path, { form: json });
    await send(400, `${path}?subject_token=${token}`, { json });
    await send(400, `${path}?${token}=1`, { json });
    await send(409, `${keys}/${secret.id}/explain`, { json });
    await send(404, `${keys}/${secret.id.replace(/.$/, '0')}0/explain`, { json });
    await send(404, `/deployments/absent/api-keys/${key.id}/explain`, { json });
    for (const form of [
      Buffer.from(token).toString('base64'),
      encodeURIComponent(token.replaceAll('.', '%2E')),
    ])
      await send(400, path, { json: { subject_token: form, [form]: 1 } });
    replies.push([401, await service.call('POST', path, { token, json })]);
    replies.push([
      name === 'unavailable' ? 503 : 200,
      await signedCall(service, DEVELOPER, 'POST', `/platform${path}`, { json }, { at: new Date(NOON) }),
    ]);
  }
  expect(replies.map(([, { status }]) => status)).toEqual(replies.map(([status]) => status));

  await service.waitForDelivery(60_000);
  const items: object[] = [];
  const { client, name: TableName } = service.table;
  for await (const { Items = [] } of paginateScan({ client }, { TableName, ConsistentRead: true }))
    items.push(...Items);
  const answers = replies.map(([, { text, headers }]) => `${text} ${JSON.stringify(headers)}`).join('\n');
  expect(service.logs.text('manage-keys').length).toBeGreaterThan(1000);
  for (const text of [service.logs.text(), JSON.stringify(items), answers]) {
    // The previous search covers only signatures, but the payload of a token must not occur either.
    expect(tracesOf(canaries, text)).toEqual([]);
    for (const token of Object.values(canaries)) expect(text).not.toContain(token.split('.')[1]);
  }
  // An explain call does not use up a subject token that a rule accepts only once.
  const exchange = () =>
    service.call('POST', '/oauth/token', {
      form: subjectForm(key.id, valid),
    });
  expect([(await exchange()).status, (await exchange()).status]).toEqual([200, 400]);
});
