import { randomUUID } from 'node:crypto';
import { PutCommand, paginateScan } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { hashOf, newUlid } from '../../functions/domain/credentials.ts';
import { openTokenVerifier } from '../../functions/runtime/subject-tokens.ts';
import { SUBJECT_REJECTED, startCiIssuer } from '../support/ci-issuer.ts';
import { inProcess, startTable } from '../support/in-process.ts';
import { runStack } from '../support/stack.ts';

/**
 * Rows of docs/faults.md about OIDC tokens from CI instead of a secret. The number in a title is the number of the row.
 */
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';
const UNAVAILABLE = {
  error: 'temporarily_unavailable',
  error_description: expect.any(String),
};

const rsa = await startCiIssuer();
const ecdsa = await startCiIssuer('ES256');
const down = await startCiIssuer();
const engine = await startTable();
afterAll(() => engine.stop());
/** The calls to the table since a test last emptied this list. */
const calls: string[] = [];
const verify = openTokenVerifier(() => service.time.now, { issuers: [] });
const service = inProcess(engine, {
  rules: { slideInterval: 0 },
  trust: { issuers: [rsa.url, ecdsa.url, down.url], verify: (issuer, jwt) => verify(issuer, jwt) },
  around: (when, command) => {
    if (when === 'before') calls.push(command.operation);
  },
});
const AUDIENCE = 'https://service.test';
const NOW = Math.floor(service.time.now / 1000);
const START = service.time.now;
beforeEach(() => {
  service.time.now = START;
  down.answer = undefined;
});

let count = 0;
const newDeployment = async () => {
  const id = `subject-${++count}`;
  await service.register(id);
  return id;
};
/** Creates a key whose only rule accepts each token once. */
async function newKey(deploymentId: string, rule: object = {}): Promise<{ id: string; path: string }> {
  const trust = [{ issuer: rsa.url, claims: { sub: 'pipeline' }, singleUse: true, ...rule }];
  const { id } = await service.createKey(deploymentId, { name: 'ci', trust });
  return { id, path: `/deployments/${deploymentId}/api-keys/${id}` };
}
/** Returns a token that differs from every other token. */
const subjectToken = (issuer = rsa, expires = NOW + 300, audience = AUDIENCE) =>
  issuer.sign({ claims: { sub: 'pipeline', jti: randomUUID() }, audience, expires });

const formOf = (id: string, subject: string) => ({
  form: { grant_type: TOKEN_EXCHANGE, client_id: id, subject_token: subject, subject_token_type: JWT },
});
const exchange = (id: string, subject: string) => service.call('POST', '/oauth/token', formOf(id, subject));
/** Exchanges a token for an access token. @returns 200 or 400; every rejection has the same body */
async function outcome(id: string, subject: string): Promise<number> {
  const { status, json } = await exchange(id, subject);
  if (status !== 200) expect([status, json], subject).toEqual([400, SUBJECT_REJECTED]);
  return status;
}
/** Exchanges these tokens one after the other, and returns how many are accepted. */
async function accepted(all: readonly [id: string, subject: string][]): Promise<number> {
  let sum = 0;
  for (const [id, subject] of all) if ((await outcome(id, subject)) === 200) sum++;
  return sum;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** Returns every string that differs from the given one only in the unused base64url bits of its last character. */
function withOtherUnusedBits(part: string): string[] {
  const bytes = Buffer.from(part, 'base64url');
  return [...ALPHABET]
    .map((last) => part.slice(0, -1) + last)
    .filter((text) => text !== part && Buffer.from(text, 'base64url').equals(bytes));
}
/** The order n of the curve P-256. The ECDSA signatures (r, s) and (r, n - s) are both valid. */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
function twinOf(jwt: string): string {
  const [header, payload, signature = ''] = jwt.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  const s = ORDER - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const twin = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
  return `${header}.${payload}.${twin.toString('base64url')}`;
}

describe('A rule with singleUse accepts each subject token only once', () => {
  it('#43: accepts a single-use subject token only once, regardless of the encoding of its signature', async () => {
    const { id } = await newKey(await newDeployment());
    const jwt = await subjectToken();
    const [header, payload, signature = ''] = jwt.split('.');
    const others = [
      ...withOtherUnusedBits(signature),
      ...['=', '==', '.', ' ', '\n', '\t', '%3D', '\u200b', '~'].map((end) => signature + end),
      ...['=', ' ', '\n', '.'].map((start) => start + signature),
      `${signature.slice(0, 9)}\n${signature.slice(9)}`,
      signature.replaceAll('-', '+').replaceAll('_', '/').concat('=='),
      Buffer.from(signature, 'base64url').toString('base64'),
    ].map((text) => `${header}.${payload}.${text}`);
    expect(others.length).toBeGreaterThan(15);
    // The service accepts none of these variants, neither before nor after the real token, and no variant uses up the
    // real token.
    for (const subject of others) expect(await outcome(id, subject)).toBe(400);
    expect(await outcome(id, jwt)).toBe(200);
    for (const subject of [jwt, ` ${jwt}`, `${jwt}\n`, ...others])
      expect(await outcome(id, subject)).toBe(400);
  });

  it('#43: accepts a single-use subject token only once, even if its ECDSA signature is replaced by the other valid one', async () => {
    const { id } = await newKey(await newDeployment(), { issuer: ecdsa.url });
    const plain = await newKey(await newDeployment(), { issuer: ecdsa.url, singleUse: false });
    for (const isTwinFirst of [false, true]) {
      const jwt = await subjectToken(ecdsa);
      const [first, second] = isTwinFirst ? [twinOf(jwt), jwt] : [jwt, twinOf(jwt)];
      // The second signature is also valid, so only the record of the used token prevents another use.
      expect(await outcome(plain.id, twinOf(jwt))).toBe(200);
      expect(await accepted([first, second, first, second].map((subject) => [id, subject]))).toBe(1);
    }
  });

  it('#43: rejects a subject token whose header or payload was re-encoded', async () => {
    const { id } = await newKey(await newDeployment());
    const jwt = await subjectToken();
    expect(await outcome(id, jwt)).toBe(200);
    const parts = jwt.split('.');
    const [header = '', payload = '', signature = ''] = parts;
    const json = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
    const encoded = (text: string) => Buffer.from(text).toString('base64url');
    for (const subject of [
      `${encoded(JSON.stringify(json(header), null, 1))}.${payload}.${signature}`,
      `${header}.${encoded(` ${JSON.stringify(json(payload))}`)}.${signature}`,
      `${header}.${encoded(JSON.stringify({ ...json(payload), jti: undefined }))}.${signature}`,
      ...withOtherUnusedBits(header).map((text) => `${text}.${payload}.${signature}`),
      ...withOtherUnusedBits(payload).map((text) => `${header}.${text}.${signature}`),
      `${header}=.${payload}.${signature}`,
      `${header}.${payload}=.${signature}`,
      `${header}.${payload} .${signature}`,
      `${jwt}.${signature}`,
      `.${jwt}`,
      parts.slice(0, 2).join('.'),
    ]) {
      expect(await outcome(id, subject)).toBe(400);
    }
  });

  it('#43: accepts a single-use subject token only once, even if its text is changed in generated ways', async () => {
    const { id } = await newKey(await newDeployment());
    const strings = fc.constantFrom(
      '=',
      '==',
      ' ',
      '\n',
      '\r\n',
      '\t',
      '.',
      '+',
      '/',
      '-',
      '_',
      'A',
      '\u00a0',
      '%',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat({ max: 1 }), strings), {
          minLength: 1,
          maxLength: 3,
        }),
        fc.boolean(),
        async (edits, isChangedFirst) => {
          const jwt = await subjectToken();
          const changed = edits.reduce((text, [where, cut, put]) => {
            const at = Math.floor(where * text.length);
            return text.slice(0, at) + put + text.slice(at + cut);
          }, jwt);
          const both = isChangedFirst ? [changed, jwt] : [jwt, changed];
          expect(await accepted([...both, ...both].map((subject) => [id, subject]))).toBe(1);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('#43: accepts a single-use subject token once per stack, not once per key or Deployment', async () => {
    const [one, two] = [await newDeployment(), await newDeployment()];
    const keys = await Promise.all([one, one, two].map((deploymentId) => newKey(deploymentId)));
    const jwt = await subjectToken();
    expect(await accepted([...keys, ...keys].map(({ id }) => [id, jwt]))).toBe(1);
  });

  it('#43: accepts a single-use subject token only once, even if many Deployments receive it at the same time', async () => {
    const keys = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const deploymentId = await newDeployment();
        return Promise.all([newKey(deploymentId), newKey(deploymentId)]);
      }),
    );
    for (let round = 0; round < 5; round++) {
      const jwt = await subjectToken();
      const statuses = await Promise.all(keys.flat().map(({ id }) => outcome(id, jwt)));
      expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    }
  });

  it('#43: rejects a subject token that the previous release has already accepted', async () => {
    const deploymentId = await newDeployment();
    const { id } = await newKey(deploymentId);
    const [used, fresh] = [await subjectToken(), await subjectToken()];
    const [{ generation } = {}] = await service.partition(`DEPLOYMENT#${deploymentId}`);
    const sk = `SUBJECT#${hashOf(used)}`;
    const Item = { pk: `DEPLOYMENT#${deploymentId}`, sk, generation, expiresAt: NOW + 360 };
    await service.table.client.send(new PutCommand({ TableName: service.table.tableName, Item }));
    expect(await outcome(id, used)).toBe(400);
    expect(await outcome(id, fresh)).toBe(200);
  });

  it('#43: while two releases serve calls, the new one records used subject tokens so that the old one finds them', async () => {
    const deploymentId = await newDeployment();
    const { id } = await newKey(deploymentId);
    const jwt = await subjectToken();
    expect(await outcome(id, jwt)).toBe(200);
    const items = await service.partition(`DEPLOYMENT#${deploymentId}`);
    const { generation } = items.find(({ sk }) => sk === 'DEPLOYMENT') ?? {};
    expect(items.filter(({ sk }) => String(sk).startsWith('SUBJECT#'))).toEqual([
      { pk: `DEPLOYMENT#${deploymentId}`, sk: `SUBJECT#${hashOf(jwt)}`, generation, expiresAt: NOW + 360 },
    ]);
  });

  it('#43: accepts a subject token repeatedly under a rule without singleUse', async () => {
    const deploymentId = await newDeployment();
    const [once, often] = [await newKey(deploymentId), await newKey(deploymentId, { singleUse: false })];
    const jwt = await subjectToken();
    const calls = [often, once, once, often, often].map(({ id }): [string, string] => [id, jwt]);
    expect(await accepted(calls)).toBe(4);
  });

  it('#43: rejects a subject token that is longer than 16 KiB', async () => {
    const { id } = await newKey(await newDeployment());
    const of = async (length: number) => {
      const empty = await rsa.sign({
        claims: { sub: 'pipeline', pad: '' },
        audience: AUDIENCE,
        expires: NOW + 300,
      });
      // Base64 encodes three bytes in four characters, so the loop adds single bytes to reach the length.
      for (let pad = Math.floor(((length - empty.length) * 3) / 4) - 4; ; pad++) {
        const claims = { sub: 'pipeline', pad: 'x'.repeat(pad) };
        const jwt = await rsa.sign({ claims, audience: AUDIENCE, expires: NOW + 300 });
        if (jwt.length >= length) return jwt;
      }
    };
    expect(await outcome(id, await of(16 * 1024 - 4))).toBe(200);
    expect(await outcome(id, await of(16 * 1024 + 1))).toBe(400);
  });
});

describe('A token exchange does not reveal which keys exist', () => {
  /**
   * Returns the IDs of existing keys that can use the token, of existing keys that cannot, and of keys that do not
   * exist.
   */
  async function clientIds(issuer: string): Promise<Record<string, string>> {
    const deploymentId = await newDeployment();
    const rule = { issuer, singleUse: false };
    const withSecret = await service.createKey(deploymentId);
    const disabled = await newKey(deploymentId, rule);
    await service.call('PATCH', disabled.path, { as: 'admin', json: { enabled: false } });
    return {
      'a key that trusts the issuer': (await newKey(deploymentId, rule)).id,
      'a key that trusts another issuer': (await newKey(deploymentId, { issuer: ecdsa.url })).id,
      'a key for another pipeline': (await newKey(deploymentId, { ...rule, claims: { sub: 'x' } })).id,
      'a disabled key': disabled.id,
      'a key with a secret': withSecret.id,
      'an unknown key': `dk_${deploymentId}_${newUlid(START)}`,
      'a key of an unknown Deployment': `dk_absent_${newUlid(START)}`,
    };
  }
  /** Returns the response to an exchange, and the calls that the exchange makes to the table. */
  async function observed(id: string, subject: string) {
    calls.length = 0;
    const reply = await exchange(id, subject);
    return [reply.status, reply.json, [...calls]];
  }

  it('#54: returns 503 for every client_id while a trusted issuer is down, without calling the table', async () => {
    const ids = await clientIds(down.url);
    const subject = await subjectToken(down);
    down.answer = (_, response) => response.writeHead(500).end();
    for (const [name, id] of Object.entries({ ...ids, 'no client_id of ours': 'x' })) {
      // Covers both cases: the service has just called the issuer, or has not called it for a while.
      service.time.now += name.length % 2 ? 0 : 5000;
      const { headers } = await exchange(id, subject);
      expect(headers['Retry-After'], name).toBe('1');
      expect(await observed(id, subject), name).toEqual([503, UNAVAILABLE, []]);
    }
  });

  it('#54: rejects a forged subject token for every client_id without calling the table', async () => {
    const ids = await clientIds(rsa.url);
    const [header, payload, signature] = (await subjectToken()).split('.');
    const [, , other] = (await subjectToken()).split('.');
    for (const [name, id] of Object.entries({ ...ids, 'no client_id of ours': 'x' })) {
      for (const forged of [other, signature?.slice(4), 'AAAA']) {
        const subject = `${header}.${payload}.${forged}`;
        expect(await observed(id, subject), name).toEqual([400, SUBJECT_REJECTED, []]);
      }
    }
  });

  it('#54: rejects a subject token that matches no key after exactly one read, regardless of the client_id', async () => {
    const { 'a key that trusts the issuer': opened = '', ...others } = await clientIds(rsa.url);
    const subject = await subjectToken();
    for (const [name, id] of Object.entries(others)) {
      expect(await observed(id, subject), name).toEqual([400, SUBJECT_REJECTED, ['BatchGetItem']]);
    }
    expect((await exchange(opened, subject)).status).toBe(200);
  });

  it('#54: rejects a subject token for a different audience after exactly one read, regardless of the client_id', async () => {
    const subject = await subjectToken(rsa, NOW + 300, 'https://elsewhere.test');
    for (const [name, id] of Object.entries(await clientIds(rsa.url))) {
      expect(await observed(id, subject), name).toEqual([400, SUBJECT_REJECTED, ['BatchGetItem']]);
    }
    const { id } = await newKey(await newDeployment(), { audience: 'https://elsewhere.test' });
    expect(await outcome(id, subject)).toBe(200);
    expect(await outcome(id, await subjectToken())).toBe(400);
  });

  it('#54: contacts an unreachable issuer again after 5 seconds, and then accepts its tokens', async () => {
    const { id } = await newKey(await newDeployment(), { issuer: down.url, singleUse: false });
    const subject = await subjectToken(down);
    service.time.now += 60_000;
    down.answer = (_, response) => response.writeHead(500).end();
    const before = down.requestCount;
    for (const [wait, requestCount] of [
      [0, 1],
      [0, 1],
      [4999, 1],
      [1, 2],
      // A clock that is turned back must not make the service wait longer.
      [-60_000, 3],
    ] as const) {
      service.time.now += wait;
      expect((await exchange(id, subject)).status).toBe(503);
      expect(down.requestCount - before).toBe(requestCount);
    }
    down.answer = undefined;
    expect((await exchange(id, subject)).status).toBe(503);
    service.time.now += 5000;
    expect((await exchange(id, subject)).status).toBe(200);
  });

  it('#54: uses the cached keys of an issuer that is down', async () => {
    const { id } = await newKey(await newDeployment(), { singleUse: false });
    expect(await outcome(id, await subjectToken())).toBe(200);
    rsa.answer = (_, response) => response.writeHead(500).end();
    onTestFinished(() => {
      rsa.answer = undefined;
    });
    service.time.now += 60_000;
    const unknown = await rsa.sign({ claims: {}, audience: AUDIENCE, expires: NOW + 300, kid: 'two' });
    expect((await exchange(id, unknown)).status).toBe(503);
    expect(await outcome(id, await subjectToken())).toBe(200);
  });
});

describe('The service checks the times in a subject token', () => {
  const payload = (exp: string) =>
    `{"iss":"${rsa.url}","aud":"${AUDIENCE}","sub":"pipeline","jti":"${randomUUID()}","exp":${exp}}`;

  it.each([
    [String(NOW + 300.5), 400],
    [`${NOW + 300}.000001`, 400],
    [String(2 ** 53), 400],
    ['9007199254740993', 400],
    [String(Number.MAX_SAFE_INTEGER), 400],
    ['253402300800', 400],
    ['1e308', 400],
    ['1e400', 400],
    ['-1', 400],
    ['-1e308', 400],
    ['0', 400],
    [`"${NOW + 300}"`, 400],
    [`[${NOW + 300}]`, 400],
    ['null', 400],
    ['true', 400],
    ['{}', 400],
    [String(NOW - 60), 400],
    [String(NOW + 300), 200],
    [`${NOW + 300}.0`, 200],
    [String(NOW + 86_400), 200],
    [String(NOW + 86_401), 400],
    ['253402300799', 400],
  ])('#58: a subject token with an exp of %s returns %d, with and without singleUse', async (exp, status) => {
    const deploymentId = await newDeployment();
    for (const singleUse of [true, false]) {
      const { id } = await newKey(deploymentId, { singleUse });
      expect(await outcome(id, await rsa.signText(payload(exp)))).toBe(status);
    }
  });

  it.each([
    [String(NOW + 299), 200],
    [String(NOW + 299.5), 200],
    [String(NOW - 86_400), 200],
    [String(NOW + 300), 400],
    [String(NOW + 301), 400],
    ['1e308', 400],
    [`"${NOW}"`, 400],
    ['null', 400],
    ['[]', 400],
  ])(
    '#58: a subject token with an iat of %s and an exp 300 seconds ahead returns %d',
    async (iat, status) => {
      const { id } = await newKey(await newDeployment());
      const text = payload(`${NOW + 300},"iat":${iat}`);
      expect(await outcome(id, await rsa.signText(text))).toBe(status);
    },
  );

  it('#58: rejects a subject token without exp', async () => {
    const { id } = await newKey(await newDeployment());
    const text = payload('1').replace(',"exp":1', '');
    expect(await outcome(id, await rsa.signText(text))).toBe(400);
  });

  it('#58: accepts a subject token only if its exp is a whole number of seconds and in the future', async () => {
    const { id } = await newKey(await newDeployment());
    const exps = fc.oneof(
      fc.double(),
      fc.double({ min: NOW, max: NOW + 10 }),
      fc.maxSafeInteger(),
      fc.integer({ min: NOW - 10, max: NOW + 10 }),
      fc.bigInt({ min: 2n ** 53n, max: 2n ** 200n }),
    );
    await fc.assert(
      fc.asyncProperty(exps, async (exp) => {
        // JSON has no NaN or Infinity, and JSON.stringify does not accept bigint.
        const text = typeof exp === 'bigint' ? String(exp) : JSON.stringify(exp);
        const isWhole = Number.isSafeInteger(exp) && exp > NOW - 5 && exp <= NOW + 86_400;
        expect(await outcome(id, await rsa.signText(payload(text)))).toBe(isWhole ? 200 : 400);
      }),
      { numRuns: 60 },
    );
  });
});

describe('A deployed stack remembers used subject tokens', async () => {
  const NOON = START;
  const stack = await runStack({ context: { slideInterval: 0, trustedIssuers: rsa.url } });
  beforeEach(() => stack.clock.freeze(NOON));
  const trust = [{ issuer: rsa.url, claims: { sub: 'pipeline' }, singleUse: true }];
  const statusOf = async (id: string, subject: string) =>
    (await stack.call('POST', '/oauth/token', formOf(id, subject))).status;
  const inStack = (expires?: number) => subjectToken(rsa, expires, stack.url);

  it('#43: rejects a used subject token after its Deployment was deleted, purged and registered again', async () => {
    await stack.register('etl');
    const first = await stack.createKey('etl', { name: 'ci', trust });
    const jwt = await inStack();
    expect(await statusOf(first.id, jwt)).toBe(200);
    await stack.callAs('admin', 'DELETE', '/deployments/etl');
    await vi.waitFor(async () => expect(await stack.partition('DEPLOYMENT#etl')).toEqual([]), {
      timeout: 20_000,
      interval: 50,
    });
    // Runs all other jobs that delete items.
    const tick = { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} };
    for (const name of ['purge', 'reconcile']) await stack.invoke(name, tick);
    await stack.register('etl');
    const { id } = await stack.createKey('etl', { name: 'ci', trust });
    expect(await statusOf(id, jwt)).toBe(400);
    expect(await statusOf(id, await inStack())).toBe(200);
  });

  it('#43: remembers a used subject token for longer than the token can be accepted', async () => {
    await stack.register('dags');
    const { id } = await stack.createKey('dags', { name: 'ci', trust });
    const [jwt, last] = [await inStack(NOW + 100), await inStack(NOW + 100)];
    expect(await statusOf(id, jwt)).toBe(200);
    const pk = `SUBJECT#${hashOf(`${rsa.url}\0${jwt.slice(0, jwt.lastIndexOf('.'))}`)}`;
    expect(await stack.partition(pk)).toEqual([{ pk, sk: 'SUBJECT', expiresAt: NOW + 160 }]);

    // Clocks can differ by 5 s. TTL has already deleted all items that it may delete, but must not have deleted this
    // record.
    stack.clock.freeze((NOW + 104) * 1000);
    await stack.table.sweepExpired();
    expect([await statusOf(id, jwt), await statusOf(id, last), await statusOf(id, last)]).toEqual([
      400, 200, 400,
    ]);
    stack.clock.freeze((NOW + 161) * 1000);
    await stack.table.sweepExpired();
    expect(await stack.partition(pk)).toEqual([]);
    expect([await statusOf(id, jwt), await statusOf(id, last)]).toEqual([400, 400]);
  });

  it('#58: every TTL that an exchange writes is a whole number of seconds', async () => {
    await stack.register('ml');
    const { id } = await stack.createKey('ml', { name: 'ci', trust });
    const headers = { 'idempotency-key': 'once' };
    const path = '/deployments/ml';
    const created = await stack.callAs('member', 'POST', `${path}/api-keys`, {
      json: { name: 'x' },
      headers,
    });
    const token = await stack.exchangeForToken(created.json);
    expect(await statusOf(id, await inStack())).toBe(200);
    await stack.callAs('member', 'POST', `${path}/temporary-tokens`, { json: {}, headers });
    await stack.callAs('member', 'DELETE', path);
    stack.clock.advance(1.001);
    expect(await stack.use(token)).toBe(200);

    const timed = (await everything()).filter(({ expiresAt }) => expiresAt !== undefined);
    const kinds = timed.map(({ pk, sk }) => `${String(pk).split('#')[0]} ${String(sk).split('#')[0]}`);
    for (const kind of ['DEPLOYMENT TOKEN', 'DEPLOYMENT GRANT', 'DEPLOYMENT IDEM', 'SUBJECT SUBJECT'])
      expect(kinds).toContain(kind);
    expect(timed.filter(({ expiresAt }) => !Number.isSafeInteger(expiresAt))).toEqual([]);
  });

  async function everything(): Promise<Record<string, unknown>[]> {
    const { client, name: TableName } = stack.table;
    const items: Record<string, unknown>[] = [];
    for await (const page of paginateScan({ client }, { TableName })) items.push(...(page.Items ?? []));
    return items;
  }
});
