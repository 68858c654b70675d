import { afterAll, describe, expect, it } from 'vitest';
import { formatCredential } from '../../functions/domain/credentials.ts';
import { CONTEXTS } from '../support/contexts.ts';
import { inProcess, startTable } from '../support/in-process.ts';
import { mistyped } from '../support/mistyped.ts';
import { type CreatedKey, runStack } from '../support/stack.ts';

const service = await runStack();
const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
/** Deployments whose IDs look like a credential or like part of a credential. */
const DEPLOYMENTS = ['etl', 'dks_etl', `dkt_a_${ULID}_${'z'.repeat(31)}`];
for (const id of DEPLOYMENTS) await service.register(id);

const report = (credential: unknown) => service.call('POST', '/leaks', { json: { credential } });
const createKeys = (count: number) =>
  Promise.all(Array.from({ length: count }, () => service.createKey('etl')));
const statusesOf = (keys: CreatedKey[]) =>
  Promise.all(keys.map(async (key) => (await service.exchange(key)).status));

const NONE = {
  type: expect.any(String),
  title: 'Bad Request',
  status: 400,
  code: 'invalid_request',
  detail: 'credential must contain a secret (dks_…) or token (dkt_…, dkx_…), complete and not encoded',
  errors: [
    {
      field: 'credential',
      rule: 'must contain a secret (dks_…) or token (dkt_…, dkx_…), complete and not encoded',
    },
  ],
};

describe('POST /leaks finds credentials in a text and revokes them', () => {
  it.each(CONTEXTS)('#51: a leak report disables the key whose secret it contains %s', async (name, put) => {
    const ofContext = DEPLOYMENTS[name.length % DEPLOYMENTS.length] ?? '';
    const key = await service.createKey(ofContext);
    expect((await service.exchange(key)).status).toBe(200);
    const reply = await report(put(key.secret));
    expect([reply.status, reply.text]).toEqual([202, '']);
    expect((await service.exchange(key)).status).toBe(401);
  });

  it('#51: a leak report revokes exactly the tokens that its text contains', async () => {
    const key = await service.createKey('etl');
    const [token = '', other = ''] = [
      await service.exchangeForToken(key),
      await service.exchangeForToken(key),
    ];
    const temporary: string = (
      await service.callAs('member', 'POST', '/deployments/etl/temporary-tokens', { json: {} })
    ).json.access_token;
    expect((await report(`{"a":"Bearer ${token}","b":"\\n${temporary}"}`)).status).toBe(202);
    expect([await service.use(token), await service.use(temporary), await service.use(other)]).toEqual([
      401, 401, 200,
    ]);
    expect((await service.exchange(key)).status).toBe(200);
  });

  it('#51: a leak report revokes up to 20 different credentials, even if its text repeats them', async () => {
    const keys = await createKeys(20);
    const text = [...keys, ...keys].map(({ secret }) => secret).join('');
    expect((await report(text)).status).toBe(202);
    expect(await statusesOf(keys)).toEqual(Array(20).fill(401));
  });

  it('#51: a leak report with more than 20 different credentials is rejected and revokes none of them', async () => {
    const keys = await createKeys(21);
    const rule = 'must contain at most 20 different secrets and tokens; send the others in another report';
    const reply = await report(keys.map(({ secret }) => secret).join('\n'));
    expect([reply.status, reply.json]).toEqual([
      400,
      { ...NONE, detail: `credential ${rule}`, errors: [{ field: 'credential', rule }] },
    ]);
    expect(await statusesOf(keys)).toEqual(Array(21).fill(200));
  });

  it('#51: a leak report of up to 32 KiB in UTF-8 is accepted, and a longer one is rejected', async () => {
    const [key, other] = (await createKeys(2)) as [CreatedKey, CreatedKey];
    const rule = 'must be 1 to 32768 bytes of text in UTF-8';
    const filled = (secret: string, bytes: number) =>
      `${'é'.repeat(1000)}${' '.repeat(bytes - 2000 - secret.length)}${secret}`;
    expect((await report(filled(key.secret, 32_768))).status).toBe(202);
    const reply = await report(filled(other.secret, 32_769));
    expect([reply.status, reply.json]).toEqual([
      400,
      { ...NONE, detail: `credential ${rule}`, errors: [{ field: 'credential', rule }] },
    ]);
    expect(await statusesOf([key, other])).toEqual([401, 200]);
  });

  it('#51: POST /leaks returns 400 for a leak report without a credential', async () => {
    const key = await service.createKey('etl');
    const texts = [
      'hunter2',
      ' ',
      key.id,
      mistyped(key.secret),
      key.secret.slice(0, -1),
      key.secret.slice(1),
      key.secret.toUpperCase(),
      `${key.secret.slice(0, 60)}\n${key.secret.slice(60)}`,
      Buffer.from(key.secret).toString('base64'),
      key.secret.replaceAll('_', '%5F'),
      'dks_'.repeat(8000),
    ];
    for (const text of texts) {
      const reply = await report(text);
      expect([reply.status, reply.json], text).toEqual([400, NONE]);
    }
    expect((await service.exchange(key)).status).toBe(200);
  });

  it('#51: POST /leaks returns 202 for credentials that are unknown, revoked or already reported', async () => {
    const key = await service.createKey('etl');
    const unknown = (['secret', 'token', 'temporary'] as const).map((kind) =>
      formatCredential({ kind, deploymentId: 'etl', ulid: ULID }, '0'.repeat(43)),
    );
    for (const text of [...unknown, unknown.join(' '), key.secret, key.secret]) {
      expect((await report(text)).status).toBe(202);
    }
  });
});

describe('POST /leaks revokes as many of the reported credentials as it can', async () => {
  const engine = await startTable();
  afterAll(() => engine.stop());

  it('#51: if one credential in a leak report cannot be revoked, the service revokes the others and returns 503', async () => {
    let broken = '';
    const app = inProcess(engine, {
      around: (when, command) => {
        const isMeant = broken !== '' && JSON.stringify(command).includes(broken);
        if (when === 'before' && isMeant) throw new Error('the table does not answer');
      },
    });
    await app.register('etl');
    const keys = await Promise.all(Array.from({ length: 12 }, () => app.createKey('etl')));
    const text = keys.map(({ secret }) => secret).join(' ');
    const statuses = () => Promise.all(keys.map(async (key) => (await app.exchange(key)).status));
    broken = keys[3]?.id.slice(-26) ?? '';
    await expect(app.leak(text)).rejects.toMatchObject({ status: 503, code: 'temporarily_unavailable' });
    broken = '';
    expect(await statuses()).toEqual(keys.map((_, n) => (n === 3 ? 200 : 401)));
    await app.leak(text);
    expect(await statuses()).toEqual(Array(12).fill(401));
    const events = (await app.partition('EVENTS#etl')).filter(({ type }) => type === 'api_key.leaked');
    expect(events).toHaveLength(12);
  });

  it('#51: if a leak report runs out of time, the service returns 503 instead of starting with another credential', async () => {
    let reads = 0;
    const app = inProcess(engine, { around: (when) => void (when === 'before' && reads++) });
    const unknown = Array.from({ length: 20 }, (_, n) =>
      formatCredential({ kind: 'secret', deploymentId: 'etl', ulid: ULID }, String(n).padStart(43, '0')),
    );
    await expect(app.leak(unknown.join(' '), () => reads < 10)).rejects.toMatchObject({ status: 503 });
    expect(reads).toBeGreaterThanOrEqual(10);
    expect(reads).toBeLessThan(20);
  });
});
