import { describe, expect, it } from 'vitest';
import { plainTextRule } from '../../functions/domain/allowed-characters.ts';
import { runStack } from '../support/stack.ts';

const NOON = Date.parse('2030-01-01T12:00:00.500Z');
const AT_NOON = '2030-01-01T12:00:00.500Z';

const service = await runStack();
service.clock.freeze(NOON);
await service.register('rules');

/** Returns the `sub` claim of an access token. */
const subOf = (jwt: string) => JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()).sub;

let count = 0;
const newId = () => `team-${++count}`;
const problem = (status: number, title: string, code: string, detail: string, errors?: object[]) => ({
  type: `/errors#${code}`,
  title,
  status,
  code,
  detail,
  ...(errors && { errors }),
});
const noSuch = (what: string) => problem(404, 'Not Found', 'not_found', `No such ${what}.`);
const fieldProblem = (field: string, rule: string) =>
  problem(400, 'Bad Request', 'invalid_request', `${field} ${rule}`, [{ field, rule }]);

describe('Administrators register, change, list and delete Deployments', () => {
  it('registering a Deployment returns 201; changing it returns 200 and keeps the values of omitted fields', async () => {
    const id = newId();
    const put = (body: object) => service.callAs('admin', 'PUT', `/deployments/${id}`, { json: body });
    const made = await put({ name: 'ETL', groups: ['data-eng'] });
    expect(made.status).toBe(201);
    expect(made.json).toEqual({ id, name: 'ETL', groups: ['data-eng'], createdAt: AT_NOON });
    expect(made.headers['content-type']).toBe('application/json');
    expect(made.headers['cache-control']).toBe('no-store');
    const renamed = await put({ name: 'Nightly' });
    expect(renamed.status).toBe(200);
    expect(renamed.json).toEqual({ ...made.json, name: 'Nightly' });
    expect((await put({ groups: [] })).json).toEqual({ ...made.json, name: 'Nightly', groups: [] });
    expect((await service.callAs('admin', 'GET', `/deployments/${id}`)).json).toEqual({
      ...made.json,
      name: 'Nightly',
      groups: [],
    });
  });

  it("a Deployment's name defaults to its ID, and a PUT without changes has no effect", async () => {
    const id = newId();
    await service.callAs('admin', 'PUT', `/deployments/${id}`, { json: {} });
    const events = await service.partition(`EVENTS#${id}`);
    const again = await service.callAs('admin', 'PUT', `/deployments/${id}`, { json: { name: id } });
    expect(again.status).toBe(200);
    expect(again.json).toEqual({ id, name: id, groups: [], createdAt: AT_NOON });
    expect(await service.partition(`EVENTS#${id}`)).toEqual(events);
  });

  it('deleting a Deployment returns 204 with an empty body, and deleting it again returns 404', async () => {
    const id = newId();
    await service.register(id);
    const deleted = await service.callAs('admin', 'DELETE', `/deployments/${id}`);
    expect([deleted.status, deleted.json]).toEqual([204, undefined]);
    const again = await service.callAs('admin', 'DELETE', `/deployments/${id}`);
    expect(again.status).toBe(404);
    expect(again.headers['content-type']).toBe('application/problem+json');
    expect(again.json).toEqual(noSuch('Deployment'));
  });

  it('the list of Deployments is paginated in order of ID, and shows members only the Deployments of their groups', async () => {
    const ids = ['p-1', 'p-2', 'p-3', 'p-4', 'p-5'];
    for (const id of ids) await service.register(id, { groups: id === 'p-3' ? [] : ['data-eng'] });
    const seen: string[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const query = cursor ? `&cursor=${cursor}` : '';
      const { status, json: body } = await service.callAs('member', 'GET', `/deployments?limit=2${query}`);
      expect(status).toBe(200);
      expect(body.items.length).toBeLessThanOrEqual(2);
      seen.push(...body.items.map(({ id }: { id: string }) => id));
      cursor = body.nextCursor;
      pages++;
    } while (cursor);
    expect(seen.filter((id) => id.startsWith('p-'))).toEqual(['p-1', 'p-2', 'p-4', 'p-5']);
    expect(seen).toEqual([...seen].sort());
    expect(pages).toBe(Math.ceil(seen.length / 2));
  });
});

describe("A person's groups determine what the person can do", () => {
  it("in every call, a member gets the same 404 for a missing Deployment as for another group's Deployment", async () => {
    const foreign = newId();
    await service.register(foreign, { groups: ['others'] });
    const key = await service.createKey(foreign);
    for (const id of [foreign, 'absent']) {
      const keyPath = `/deployments/${id}/api-keys/${key.id}`;
      const calls: [string, string, object?][] = [
        ['GET', `/deployments/${id}`],
        ['PUT', `/deployments/${id}`, { name: 'x' }],
        ['DELETE', `/deployments/${id}`],
        ['POST', `/deployments/${id}/api-keys`, { name: 'x' }],
        ['GET', `/deployments/${id}/api-keys`],
        ['GET', keyPath],
        ['PATCH', keyPath, { name: 'x' }],
        ['DELETE', keyPath],
      ];
      for (const [method, path, body] of calls) {
        const answer = await service.callAs('member', method, path, { json: body });
        expect([answer.status, answer.json], `${method} ${path}`).toEqual([404, noSuch('Deployment')]);
      }
    }
  });

  it('a member can manage the keys of a Deployment of their groups, but cannot change or delete the Deployment', async () => {
    const id = newId();
    await service.register(id, { groups: ['data-eng'] });
    const made = await service.callAs('member', 'POST', `/deployments/${id}/api-keys`, {
      json: { name: 'ci' },
    });
    expect(made.status).toBe(201);
    expect(made.json.createdBy).toBe(subOf(await service.signIn('member')));
    for (const [method, body] of [['PUT', { name: 'x' }], ['DELETE']] as [string, object?][]) {
      const answer = await service.callAs('member', method, `/deployments/${id}`, { json: body });
      expect([answer.status, answer.json]).toEqual([
        403,
        problem(403, 'Forbidden', 'forbidden', 'Only an administrator may do this.'),
      ]);
    }
  });

  it("a call for a key under another Deployment's path returns 404", async () => {
    const [one, other] = [newId(), newId()];
    await service.register(one, { groups: ['data-eng'] });
    await service.register(other, { groups: ['data-eng'] });
    const key = await service.createKey(other);
    const answer = await service.callAs('member', 'GET', `/deployments/${one}/api-keys/${key.id}`);
    expect([answer.status, answer.json]).toEqual([404, noSuch('API key')]);
  });
});

describe('Members create, edit, list and delete API keys', () => {
  it("creating an API key returns 201 with a Location header, and gives the key all of the stack's scopes by default", async () => {
    const id = newId();
    await service.register(id);
    const path = `/deployments/${id}/api-keys`;
    const {
      status,
      headers,
      json: body,
    } = await service.callAs('admin', 'POST', path, { json: { name: 'ci' } });
    expect(status).toBe(201);
    expect(headers.location).toBe(`${path}/${body.id}`);
    expect(headers['cache-control']).toBe('no-store');
    expect(body).toEqual({
      id: expect.stringMatching(new RegExp(`^dk_${id}_[0-9A-HJKMNP-TV-Z]{26}$`)),
      name: 'ci',
      description: null,
      scopes: ['code:deploy', 'airflow:read', 'airflow:write'],
      enabled: true,
      status: 'active',
      createdAt: AT_NOON,
      createdBy: subOf(await service.signIn('admin')),
      activeDays: [],
      networks: [],
      credentials: [{ createdAt: AT_NOON }],
      secret: expect.any(String),
    });
  });

  it('a PATCH changes only the given fields of an API key, and null clears a field', async () => {
    const id = newId();
    await service.register(id);
    const whole = {
      name: 'ci',
      description: 'deploys',
      scopes: ['airflow:read'],
      expiresAt: '2031-01-01T00:00:00Z',
    };
    const { secret: _, ...key } = await service.createKey(id, whole);
    expect(key).toMatchObject({ ...whole, expiresAt: '2031-01-01T00:00:00.000Z' });
    const patch = (body: object) =>
      service.callAs('admin', 'PATCH', `/deployments/${id}/api-keys/${key.id}`, { json: body });
    expect((await patch({ description: null })).json).toEqual({ ...key, description: null });
    const { expiresAt: __, ...withoutExpiry } = key as typeof key & { expiresAt: string };
    expect((await patch({ expiresAt: null })).json).toEqual({ ...withoutExpiry, description: null });
    const edited = await patch({ scopes: ['code:deploy', 'code:deploy'], enabled: false });
    expect(edited.json).toMatchObject({ scopes: ['code:deploy'], enabled: false, name: 'ci' });
    expect((await patch({})).status).toBe(200);
  });

  it('an API key with a name that is no longer allowed is shown unchanged and can be edited', async () => {
    const id = newId();
    await service.register(id);
    const key = await service.createKey(id);
    const path = `/deployments/${id}/api-keys/${key.id}`;
    const bad = 'ci\u200b \u202e';
    const pk = `DEPLOYMENT#${id}`;
    for (const attribute of ['name', 'description'])
      await service.setAttribute([pk, `KEY#${key.id.slice(-26)}`], attribute, bad);
    await service.setAttribute([pk, 'DEPLOYMENT'], 'groups', [bad]);

    for (const json of [{ scopes: ['airflow:read'] }, { enabled: false }, { expiresAt: null }]) {
      const { status, json: shown } = await service.callAs('admin', 'PATCH', path, { json });
      expect([status, shown.name, shown.description]).toEqual([200, bad, bad]);
    }
    const { json } = await service.callAs('admin', 'GET', path);
    expect(json).toMatchObject({ name: bad, description: bad, scopes: ['airflow:read'], enabled: false });
    const renamed = await service.callAs('admin', 'PUT', `/deployments/${id}`, { json: { name: 'ETL' } });
    expect([renamed.status, renamed.json.groups]).toEqual([200, [bad]]);

    const again = await service.callAs('admin', 'PATCH', path, { json: { name: bad } });
    expect([again.status, again.json]).toEqual([400, fieldProblem('name', plainTextRule(1, 100))]);
  });

  it('the list of API keys is paginated and contains no secrets', async () => {
    const id = newId();
    await service.register(id);
    const made: string[] = [];
    for (let n = 0; n < 5; n++) {
      service.clock.advance(0.001);
      made.push((await service.createKey(id, { name: `key ${n}` })).id);
    }
    const path = `/deployments/${id}/api-keys`;
    const first = await service.callAs('admin', 'GET', `${path}?limit=3`);
    const second = await service.callAs('admin', 'GET', `${path}?limit=3&cursor=${first.json.nextCursor}`);
    expect([...first.json.items, ...second.json.items].map((key) => key.id)).toEqual(made);
    expect(second.json.nextCursor).toBeUndefined();
    expect(JSON.stringify([first, second])).not.toMatch(/dks_|hash|secret/);
  });

  it('a Deployment can have at most 1,000 API keys, and deleting a key makes room for another', async () => {
    const id = newId();
    await service.register(id);
    const key = await service.createKey(id);
    await service.setAttribute([`DEPLOYMENT#${id}`, 'DEPLOYMENT'], 'keyCount', 1000);
    const path = `/deployments/${id}/api-keys`;
    const full = await service.callAs('admin', 'POST', path, { json: { name: 'one more' } });
    expect([full.status, full.json]).toEqual([
      409,
      problem(409, 'Conflict', 'conflict', 'A Deployment has at most 1000 keys. Delete one first.'),
    ]);
    await service.callAs('admin', 'DELETE', `${path}/${key.id}`);
    expect((await service.callAs('admin', 'POST', path, { json: { name: 'one more' } })).status).toBe(201);
  });

  it('API keys of an earlier generation of a Deployment are neither found nor listed', async () => {
    const id = newId();
    await service.register(id);
    const key = await service.createKey(id);
    await service.setAttribute(
      [`DEPLOYMENT#${id}`, 'DEPLOYMENT'],
      'generation',
      '01ARZ3NDEKTSV4RRFFQ69G5FAV',
    );
    const path = `/deployments/${id}/api-keys`;
    expect((await service.callAs('admin', 'GET', path)).json).toEqual({ items: [] });
    expect((await service.callAs('admin', 'GET', `${path}/${key.id}`)).status).toBe(404);
    expect((await service.callAs('admin', 'DELETE', `${path}/${key.id}`)).status).toBe(404);
  });
});

describe('Invalid input causes a 400 that names the field and the rule', () => {
  const nameRule =
    'must be 1 to 100 characters, without control, zero-width and bidirectional formatting characters, and without white space at the start or end';
  const bodies: [unknown, string, string][] = [
    [{}, 'name', `is required: ${nameRule}`],
    [{ name: '' }, 'name', nameRule],
    [{ name: 'x'.repeat(101) }, 'name', nameRule],
    [{ name: '𝒳'.repeat(101) }, 'name', nameRule],
    [{ name: 'a\nb' }, 'name', nameRule],
    [{ name: '\ud800' }, 'name', nameRule],
    [{ name: 1 }, 'name', nameRule],
    [
      { name: 'a', description: 'x'.repeat(501) },
      'description',
      'must be 0 to 500 characters, without control, zero-width and bidirectional formatting characters, and without white space at the start or end',
    ],
    [
      { name: 'a', scopes: ['admin'] },
      'scopes[0]',
      'must be one of code:deploy, airflow:read, airflow:write',
    ],
    [{ name: 'a', scopes: 'code:deploy' }, 'scopes', 'must be an array of 1 to 16 scopes'],
    [
      { name: 'a', expiresAt: '2029-01-01T00:00:00Z' },
      'expiresAt',
      'must be an RFC 3339 time in the future, such as 2030-01-31T12:00:00Z',
    ],
    [
      { name: 'a', expiresAt: '2031-02-30T00:00:00Z' },
      'expiresAt',
      'must be an RFC 3339 time in the future, such as 2030-01-31T12:00:00Z',
    ],
    [{ name: 'a', secret: 'mine' }, 'secret', 'is not a field of this request'],
    [JSON.parse('{"name":"a","__proto__":{"enabled":false}}'), '__proto__', 'is not a field of this request'],
    [[], 'body', 'must be an object'],
    ['name', 'body', 'must be an object'],
  ];
  it.each(bodies)(
    'creating a key with %j returns 400 and names the field and the rule: %s',
    async (body, field, rule) => {
      const answer = await service.callAs('admin', 'POST', '/deployments/rules/api-keys', { json: body });
      expect(answer.headers['content-type']).toBe('application/problem+json');
      expect([answer.status, answer.json]).toEqual([400, fieldProblem(field, rule)]);
    },
  );

  it('a 400 response names all invalid fields at once', async () => {
    const answer = await service.callAs('admin', 'POST', '/deployments/rules/api-keys', {
      json: { name: '', x: 1 },
    });
    expect(answer.json.errors.map((one: { field: string }) => one.field).sort()).toEqual(['name', 'x']);
  });

  it('registering a Deployment with more than 20 groups or an overlong or empty group returns 400', async () => {
    const put = (body: object) => service.callAs('admin', 'PUT', `/deployments/${newId()}`, { json: body });
    const rule = 'must be an array of at most 20 groups';
    expect((await put({ groups: Array(21).fill('g') })).json).toEqual(fieldProblem('groups', rule));
    const textRule =
      'must be 1 to 128 characters, without control, zero-width and bidirectional formatting characters, and without white space at the start or end';
    expect((await put({ groups: ['ok', ''] })).json).toEqual(fieldProblem('groups[1]', textRule));
    expect((await put({ groups: Array(20).fill('g'.repeat(128)) })).status).toBe(201);
  });

  it('every call returns 400 and names the field and the rule if the Deployment ID is invalid', async () => {
    const rule = 'must be 1 to 64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit';
    for (const id of ['a%23b', 'KEY%23', '-a', 'a%00', 'x'.repeat(65), 'x'.repeat(2048), '%C3%A4']) {
      for (const method of ['GET', 'PUT', 'DELETE']) {
        const answer = await service.callAs('admin', method, `/deployments/${id}`, {
          json: method === 'PUT' ? {} : undefined,
        });
        expect([answer.status, answer.json], id).toEqual([400, fieldProblem('deploymentId', rule)]);
      }
    }
  });

  it('every list call returns 400 for an invalid limit, and for a cursor of another list or another caller', async () => {
    const id = newId();
    await service.register(id, { groups: ['data-eng'] });
    for (let n = 0; n < 2; n++) await service.createKey(id);
    const path = `/deployments/${id}/api-keys`;
    for (const limit of ['0', '101', '-1', '1e1', '']) {
      const answer = await service.callAs('admin', 'GET', `${path}?limit=${limit}`);
      expect([answer.status, answer.json], limit).toEqual([
        400,
        fieldProblem('limit', 'must be a whole number from 1 to 100'),
      ]);
    }
    const { nextCursor } = (await service.callAs('admin', 'GET', `${path}?limit=1`)).json;
    const refusal = fieldProblem('cursor', 'must be the nextCursor of an earlier page of this listing');
    const other = newId();
    await service.register(other, { groups: ['data-eng'] });
    const attempts: [string, 'admin' | 'member'][] = [
      [`${path}?cursor=${nextCursor}`, 'member'],
      [`/deployments/${other}/api-keys?cursor=${nextCursor}`, 'admin'],
      [`/deployments?cursor=${nextCursor}`, 'admin'],
      [`${path}?cursor=${nextCursor}A`, 'admin'],
      [`${path}?cursor=x`, 'admin'],
    ];
    for (const [url, as] of attempts) {
      const answer = await service.callAs(as, 'GET', url);
      expect([answer.status, answer.json], url).toEqual([400, refusal]);
    }
  });

  it('a 400 response names unknown and repeated query parameters, regardless of their encoding', async () => {
    const unknown = 'is not a parameter of this request';
    const attempts: [query: string, field: string, rule: string][] = [
      ['limits=1', 'limits', unknown],
      ['Limit=1', 'Limit', unknown],
      ['=1', '(empty name)', unknown],
      ['limit%00=1', 'limit\0', unknown],
      ['%6Cimit=1&limit=1', 'limit', 'must be given only once'],
      ['limit=1&limit=1', 'limit', 'must be given only once'],
      ['cursor=a&cursor=b', 'cursor', 'must be given only once'],
      ['limit=1&__proto__=1', '__proto__', unknown],
      ['constructor', 'constructor', unknown],
      ['%5F%5Fproto%5F%5F=1', '__proto__', unknown],
      ['%FF=1', '\uFFFD', unknown],
      ['a%26limit=1', 'a&limit', unknown],
    ];
    for (const [query, field, rule] of attempts) {
      const answer = await service.callAs('admin', 'GET', `/deployments/rules/api-keys?${query}`);
      expect([answer.status, answer.json], query).toEqual([400, fieldProblem(field, rule)]);
    }
    for (const query of ['limit=1&', '&&', '%6Cimit=%31', 'X-Amz-Date=1&X-Amz-Date=2']) {
      const answer = await service.callAs('admin', 'GET', `/deployments/rules/api-keys?${query}`);
      expect(answer.status, query).toBe(200);
    }
  });

  it('the API returns 400 for a body that is not valid JSON, 415 for another content type and 413 for a large body', async () => {
    const post = (raw: string | Uint8Array<ArrayBuffer>, type = 'application/json') =>
      service.callAs('admin', 'POST', '/deployments/rules/api-keys', {
        body: raw,
        headers: { 'content-type': type },
      });
    expect((await post('{')).json).toEqual(fieldProblem('body', 'must be JSON'));
    expect((await post('')).json).toEqual(fieldProblem('body', 'must be JSON'));
    expect((await post('['.repeat(60_000))).json).toEqual(fieldProblem('body', 'must be JSON'));
    const notUtf8 = problem(400, 'Bad Request', 'invalid_request', 'The body must be UTF-8.');
    // These bodies contain a byte that cannot start a character, a truncated character, an overlong slash, and a
    // surrogate.
    for (const bytes of [[0xff], [0xe2, 0x82], [0xc0, 0xaf], [0xed, 0xa0, 0x80]]) {
      const body = new Uint8Array([...Buffer.from('{"name":"ci'), ...bytes, ...Buffer.from('"}')]);
      expect((await post(body)).json).toEqual(notUtf8);
    }
    expect((await post('{}', 'text/plain')).json).toEqual(
      problem(
        415,
        'Unsupported Media Type',
        'unsupported_media_type',
        'Send the body as Content-Type: application/json.',
      ),
    );
    const large = `{"name":"${'x'.repeat(65_536)}"}`;
    expect((await post(large)).json).toEqual(
      problem(413, 'Payload Too Large', 'invalid_request', 'The body must be at most 65536 bytes.'),
    );
  });
});
