import { readFileSync } from 'node:fs';
import { BatchWriteCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hashOf, mintCredential, newUlid } from '../../functions/domain/credentials.ts';
import { toToken } from '../../functions/table/schema.ts';
import { WARMED_UP } from '../../infra/bundles.ts';
import { startCiIssuer } from '../support/ci-issuer.ts';
import { type Engine, startEngine } from '../support/engine.ts';
import { type Bill, startMeter } from '../support/meter.ts';
import { seconds } from '../support/records.ts';
import { type CreatedKey, runStack, type TestStack } from '../support/stack.ts';

const NOON = Date.parse('2030-01-01T12:00:00Z');
const DAY = 24 * 60 * 60 * 1000;

/** Typical sizes of values, and the largest sizes that the API accepts, in ASCII characters. */
const SIZES = {
  usual: {
    deployment: { name: 'Nightly loads', groups: ['data-eng', 'platform'] },
    key: { name: 'GitHub Actions', description: 'Deploys the DAGs of the nightly loads' },
  },
  largest: {
    deployment: {
      name: 'n'.repeat(100),
      groups: Array.from({ length: 20 }, (_, n) => `${n}`.padEnd(128, 'g')),
    },
    key: { name: 'n'.repeat(100), description: 'd'.repeat(500) },
  },
};

const ci = await startCiIssuer();
let engine: Engine;
let meter: Awaited<ReturnType<typeof startMeter>>;
let stack: TestStack;
const { DYNAMODB_ENDPOINT: before } = process.env;
beforeAll(async () => {
  engine = await startEngine();
  meter = await startMeter(engine.endpoint);
  process.env.DYNAMODB_ENDPOINT = meter.endpoint;
});
afterAll(async () => {
  if (before === undefined) delete process.env.DYNAMODB_ENDPOINT;
  else process.env.DYNAMODB_ENDPOINT = before;
  await meter.stop();
  await engine.stop();
});

/** Runs every operation once, each in a separate Deployment, and returns the cost of each operation. */
async function bills(id: string, { deployment, key }: (typeof SIZES)['usual']): Promise<Map<string, Bill>> {
  const spent = new Map<string, Bill>();
  async function costs<T extends { status: number } | number>(
    operation: string,
    status: number,
    of: () => Promise<T>,
  ) {
    meter.take();
    const reply = await of();
    expect([operation, typeof reply === 'number' ? reply : reply.status]).toStrictEqual([operation, status]);
    spent.set(operation, meter.take());
    return reply as Exclude<T, number>;
  }
  const as = (method: string, path: string, json?: unknown) =>
    stack.callAs('admin', method, path, json === undefined ? {} : { json });
  const path = `/deployments/${id}`;

  stack.clock.freeze(NOON);
  await costs('Register a Deployment', 201, () => as('PUT', path, deployment));
  await costs('Read a Deployment', 200, () => as('GET', path));
  await costs('Change a Deployment', 200, () => as('PUT', path, { name: deployment.name.toUpperCase() }));

  const made: CreatedKey = (await costs('Create a key', 201, () => as('POST', `${path}/api-keys`, key))).json;
  const keyPath = `${path}/api-keys/${made.id}`;
  await costs('Read a key', 200, () => as('GET', keyPath));
  await costs('Change a key', 200, () => as('PATCH', keyPath, { name: key.name.toUpperCase() }));
  for (let n = 1; n < 100; n++) await as('POST', `${path}/api-keys`, key);
  await costs('List 100 keys', 200, () => as('GET', `${path}/api-keys`));

  await costs('Exchange credentials for a token, first in an interval', 200, () => stack.exchange(made));
  await costs('Exchange credentials for a token', 200, () => stack.exchange(made));
  const forged = mintCredential('secret', id, made.id.slice(-26));
  await costs('Exchange with a wrong secret', 401, () => stack.exchange({ ...made, secret: forged }));
  const old: CreatedKey = (await as('POST', `${path}/api-keys`, key)).json;
  await stack.exchange(old);
  stack.clock.freeze(NOON + 1000);
  await as('POST', `${path}/api-keys/${old.id}/rotate`, { retireOld: 3600 });
  stack.clock.freeze(NOON + 2000);
  await costs('Exchange with an old secret, first in its last day', 200, () => stack.exchange(old));
  stack.clock.freeze(NOON);

  const trust = [{ issuer: ci.url, claims: { sub: 'pipeline' } }];
  const trusting = (await as('POST', `${path}/api-keys`, { ...key, trust })).json;
  const subject = (jti: string) =>
    ci.sign({ claims: { sub: 'pipeline', jti }, audience: stack.url, expires: NOON / 1000 + 300 });
  const first = await subject(`${id} first`);
  const explain = (subject_token: string) =>
    as('POST', `${path}/api-keys/${trusting.id}/explain`, { subject_token });
  // The functions cache the issuer's keys, so the cost of an exchange does not include the request for them.
  await explain(first);
  await costs('Explain a token of a CI', 200, () => explain(first));
  const exchangeSubject = (subject_token: string) =>
    stack.call('POST', '/oauth/token', {
      form: {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        client_id: trusting.id,
        subject_token,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      },
    });
  await costs('Exchange a token of a CI, first in an interval', 200, () => exchangeSubject(first));
  await costs('Exchange a token of a CI', 200, () => exchangeSubject(first));
  await as('PATCH', `${path}/api-keys/${trusting.id}`, { trust: [{ ...trust[0], singleUse: true }] });
  const once = await subject(`${id} once`);
  await costs('Exchange a token of a CI, with singleUse', 200, () => exchangeSubject(once));
  await costs('Exchange a forged token of a CI', 400, () => exchangeSubject(once.slice(0, -40)));

  const token = await stack.exchangeForToken(made);
  const basic: [string, string] = [made.id, made.secret];
  await costs('Introspect a token', 200, () =>
    stack.call('POST', '/oauth/introspect', { basic, form: { token } }),
  );

  const other = await stack.exchangeForToken(made);
  stack.clock.freeze(NOON + 1_000_000);
  await costs('Check a token, extended, first in an interval', 200, () => stack.use(other));
  await costs('Check a token, extended', 200, () => stack.use(token));
  await costs('Check a token, not extended', 200, () => stack.use(token));
  stack.clock.freeze(NOON + 2 * DAY);
  await costs('Check an expired token', 401, () => stack.use(token));
  stack.clock.freeze(NOON + 1_000_000);
  const unknown = mintCredential('token', id, made.id.slice(-26));
  await costs('Check a token that was never issued', 401, () => stack.use(unknown));
  await costs('Check a token that lacks the scope, with `/whoami`', 403, () =>
    stack.call('GET', '/whoami?deployment=other', { token }),
  );
  await costs('Check a malformed token', 401, () => stack.use('dkt_no_token'));
  await costs('Revoke a token', 200, () => stack.call('POST', '/oauth/revoke', { basic, form: { token } }));

  const [item] = await stack.partition(`DEPLOYMENT#${id}`);
  await seedTokens(id, String(item?.generation), 100, made.id.slice(-26));
  const tokens = await costs('List 100 access tokens of a key', 200, () => as('GET', `${keyPath}/tokens`));
  expect(tokens.json.items).toHaveLength(100);
  const listed = `${keyPath}/tokens/${tokens.json.items[0].id}`;
  await costs('Revoke a token by its ID', 204, () => as('DELETE', listed));
  await costs('Revoke all tokens of a key', 204, () => as('DELETE', `${keyPath}/tokens`));

  const grant = (
    await costs('Issue a temporary token', 201, () => as('POST', `${path}/temporary-tokens`, {}))
  ).json;
  await costs('Check a temporary token', 200, () => stack.use(grant.access_token));
  await costs('List one temporary token', 200, () => as('GET', `${path}/temporary-tokens`));
  await costs('Revoke a temporary token', 204, () => as('DELETE', `${path}/temporary-tokens/${grant.id}`));

  const others = `others${id.slice(6)}`;
  const groups = deployment.groups.filter((group) => group !== 'data-eng');
  await as('PUT', `/deployments/${others}`, { ...deployment, groups });
  const rejected = (of: string) => stack.callAs('member', 'GET', `/deployments/${of}`);
  await costs('Rejected call on a Deployment without access', 404, () => rejected(others));
  // This call happens in a later hour, because a single item that records both calls would be larger.
  stack.clock.freeze(NOON + 5_000_000);
  await costs('Rejected call on a Deployment that does not exist', 404, () =>
    rejected(`absent${id.slice(6)}`),
  );

  await costs('Delete a key', 204, () => as('DELETE', keyPath));
  await costs('Delete a Deployment', 204, () => as('DELETE', path));
  return spent;
}

/** A row of the table in docs/cost.md. */
const row = (operation: string, usual: Bill, largest: Bill) => {
  const units = ({ read, written }: Bill) => `${read} + ${written}`;
  return `| ${operation} | ${usual.calls.join(', ') || 'none'} | ${units(usual)} | ${units(largest)} |`;
};

// On a busy machine, an attempt can time out and be repeated.
const ONCE_MORE = { timeout: 120_000, retry: 2 };

it(
  'every operation makes the number of calls and uses the capacity units that the documentation states',
  ONCE_MORE,
  async () => {
    stack = await runStack({
      stream: false,
      context: { trustedIssuers: ci.url },
    });
    // The cost must not include calls by background jobs.
    for (const schedule of stack.schedules) schedule.stop();
    // The cost must not include the reads with which some functions open their connection during init.
    for (const name of WARMED_UP) await stack.invoke(name, {}).catch(() => {});
    const usual = await bills('nightly-loads', SIZES.usual);
    const largest = await bills('d'.repeat(64), SIZES.largest);
    const rows = [...usual].map(([operation, bill]) => row(operation, bill, largest.get(operation) as Bill));
    const documents = readFileSync(new URL('../../docs/cost.md', import.meta.url), 'utf8');
    const stated = documents.split('\n').filter((line) => / \d+(\.\d+)? \+ \d+ \|$/.test(line));
    expect(stated).toStrictEqual(rows);

    const id = 'purged';
    await stack.callAs('admin', 'PUT', `/deployments/${id}`, { json: SIZES.usual.deployment });
    const [deployment] = await stack.partition(`DEPLOYMENT#${id}`);
    const generation = String(deployment?.generation);
    await seedTokens(id, generation, 1000);
    await stack.callAs('admin', 'DELETE', `/deployments/${id}`);
    meter.take();
    await stack.invoke('purge', { Records: [removal(id, generation)] });
    const { calls, written } = meter.take();
    expect(await stack.partition(`DEPLOYMENT#${id}`)).toStrictEqual([]);
    // The purge writes 1,000 deletions and the confirmed marker, and then, in one transaction, the end of the purge and
    // its event.
    expect(written).toBe(1005);
    expect(calls.filter((name) => name === 'Query')).toHaveLength(2);
    expect(documents).toContain('1.03 write units an item');
    expect(written / 1000).toBeLessThanOrEqual(1.03);
  },
);

async function seedTokens(deploymentId: string, generation: string, count: number, ulid = newUlid(NOON)) {
  const { client, name } = stack.table;
  const tokens = Array.from({ length: count }, () =>
    toToken({
      deploymentId,
      ulid,
      hash: hashOf(mintCredential('token', deploymentId, ulid)),
      generation,
      epoch: 0,
      issuedAt: seconds(NOON / 1000),
      expiresAt: seconds((NOON + DAY) / 1000),
    }),
  );
  for (let at = 0; at < count; at += 25) {
    const RequestItems = { [name]: tokens.slice(at, at + 25).map((Item) => ({ PutRequest: { Item } })) };
    await client.send(new BatchWriteCommand({ RequestItems }));
  }
}

/** The stream record of a removed Deployment. */
const removal = (id: string, generation: string) => ({
  eventName: 'REMOVE',
  eventSource: 'aws:dynamodb',
  dynamodb: {
    Keys: { pk: { S: `DEPLOYMENT#${id}` }, sk: { S: 'DEPLOYMENT' } },
    OldImage: { generation: { S: generation } },
    SequenceNumber: '1',
  },
});
