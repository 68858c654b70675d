import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { formatCredential } from '../../functions/domain/credentials.ts';
import { EVENT_TYPES } from '../../functions/domain/events.ts';
import { GITHUB, RESERVED_CLAIMS } from '../../functions/domain/trust.ts';
import {
  deploymentInput,
  deploymentsInput,
  endAccessInput,
  eventsInput,
  explainInput,
  findPersonInput,
  keyChangesInput,
  keysInput,
  leakInput,
  newKeyInput,
  newTemporaryTokenInput,
  pageInput,
  parseInput,
  restoreAccessInput,
  rotationInput,
} from '../../functions/http/schemas.ts';
import { CONTEXTS } from '../support/contexts.ts';

const NOW = Date.parse('2030-01-01T12:00:00Z');
const KNOWN = ['code:deploy', 'airflow:read'];
const ISSUER = 'https://issuer.test';
const newKey = newKeyInput(KNOWN, NOW, [ISSUER, GITHUB]);
const keyChanges = keyChangesInput(KNOWN, NOW, []);
type Schema = Parameters<typeof parseInput>[0];

/** Returns the field and rule of each validation error, or undefined if the input is valid. */
function broken(schema: Schema, input: unknown, whole?: string): unknown {
  try {
    parseInput(schema, input, whole);
  } catch (error) {
    expect(error).toMatchObject({ status: 400, code: 'invalid_request' });
    return (error as { errors: { field: string; rule: string }[] }).errors.map(
      ({ field, rule }) => `${field} ${rule}`,
    );
  }
  return undefined;
}
const plain = (least: number, most: number) =>
  `must be ${least} to ${most} characters, without control, zero-width and bidirectional formatting characters, and without white space at the start or end`;
const text = (least: number, most: number) =>
  `must be ${least} to ${most} characters, without control characters`;
const list = <T>(length: number, one: T) => Array.from({ length }, () => one);

describe('The API validates the input of a request', () => {
  it('rejects request input that is not an object, and states whether it came from the body or the query', () => {
    for (const input of [null, 'x', 7, [], undefined]) {
      expect(broken(deploymentInput, input)).toEqual(['body must be an object']);
      expect(broken(deploymentInput, input, 'query')).toEqual(['query must be an object']);
    }
  });

  it('#52: the error for an unknown field repeats its name unless the name could contain a secret', () => {
    const input = { a: 1, ['b'.repeat(40)]: 2, ['c'.repeat(41)]: 3, __proto__x: 4 };
    expect(broken(deploymentInput, input)).toEqual([
      'a is not a field of this request',
      `${'b'.repeat(40)} is not a field of this request`,
      '(name of 41 characters) is not a field of this request',
      '__proto__x is not a field of this request',
    ]);
  });

  it('#52: an error never repeats a secret from a field name, at any level of nesting', () => {
    const random = '0aB3cD4eF5gH6iJ7kL8mN9oP0qR1sT2uV3wX4yZ5zA6';
    const ulid = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
    const secret = formatCredential({ kind: 'secret', deploymentId: 'etl', ulid }, random);
    const cut = `dks_a_${ulid}_${random.slice(0, 7)}`;
    for (const name of [
      ...CONTEXTS.map(([, put]) => put(secret)),
      cut,
      `x${cut}`,
      random,
      secret.slice(-49),
    ]) {
      const rule = { issuer: GITHUB, claims: { [name]: 1 }, [name]: 1 };
      const errors = broken(newKey, { name: 'x', [name]: 1, trust: [rule] });
      expect(errors).toHaveLength(3);
      const said = String(errors);
      for (let at = 0; at < 39; at++) expect(said).not.toContain(random.slice(at, at + 4));
    }
  });

  it('an error names at most 20 invalid fields', () => {
    const input = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`field${n}`, n]));
    const said = broken(deploymentInput, input);
    expect(said).toEqual(Array.from({ length: 20 }, (_, n) => `field${n} is not a field of this request`));
  });

  it('an error names each invalid field, even nested ones, and marks missing fields as required', () => {
    expect(broken(newKey, { description: 7, scopes: ['code:deploy', 'x'] })).toEqual([
      `name is required: ${plain(1, 100)}`,
      `description ${plain(0, 500)}`,
      'scopes[1] must be one of code:deploy, airflow:read',
    ]);
  });
});

describe('The API validates text in a request', () => {
  const name = (value: unknown) => broken(deploymentInput, { name: value });
  const rule = [`name ${plain(1, 100)}`];

  it('measures the length of text in characters, not in UTF-16 units', () => {
    for (const good of [
      'a',
      'x'.repeat(100),
      '😀'.repeat(100),
      'a  b',
      'a"b',
      'é',
      'e\u0301',
      '漢字',
      'a\u00a0b',
      '🚀 deploy',
    ])
      expect(name(good)).toBeUndefined();
    for (const bad of ['', 'x'.repeat(101), '😀'.repeat(101), 'x'.repeat(201)])
      expect(name(bad)).toEqual(rule);
  });

  it('rejects text with control characters or lone surrogates, and values that are not strings', () => {
    for (const bad of ['a\nb', '\n', 'a\0', '\u007f', '\u0085', 'a\ud800', 7, null, ['a']])
      expect(name(bad)).toEqual(rule);
  });

  const control = [...Array(0x20).keys(), ...Array.from({ length: 0x21 }, (_, at) => 0x7f + at)];
  const zeroWidth = [
    0xad, 0x34f, 0x115f, 0x1160, 0x17b4, 0x180b, 0x2028, 0x2029, 0x200b, 0x200c, 0x200d, 0x2060, 0x2064,
    0x3164, 0xfe00, 0xfe0f, 0xfeff, 0xffa0, 0xe0001, 0xe0061, 0xe0100,
  ];
  const bidirectional = [
    0x61c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069,
  ];
  const white = [
    0x20, 0x09, 0x0a, 0xa0, 0x1680, 0x2000, 0x2003, 0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000, 0xfeff,
    0x2800,
  ];
  const around = fc.tuple(fc.stringMatching(/^[a-z]{1,9}$/), fc.stringMatching(/^[a-z]{1,9}$/));

  it.each([
    ['name', 100, (value: string) => broken(newKey, { name: value })],
    ['name', 100, (value: string) => broken(deploymentInput, { name: value })],
    ['name', 100, (value: string) => broken(keyChanges, { name: value })],
    ['groups[0]', 128, (value: string) => broken(deploymentInput, { groups: [value] })],
    ['description', 500, (value: string) => broken(newKey, { name: 'ci', description: value })],
    ['description', 500, (value: string) => broken(keyChanges, { description: value })],
  ] as const)(
    'rejects invisible characters, and white space around the text, in a field: %s, at most %d characters',
    (field, most, validate) => {
      const refusal = [`${field} ${plain(field === 'description' ? 0 : 1, most)}`];
      const invisible = fc
        .constantFrom(...control, ...zeroWidth, ...bidirectional)
        .map((code) => String.fromCodePoint(code));
      fc.assert(
        fc.property(around, invisible, fc.nat(2), ([before, after], wrong, place) => {
          const value = [wrong + after, before + wrong + after, before + wrong][place] ?? '';
          expect(validate(value), JSON.stringify(value)).toEqual(refusal);
        }),
        { numRuns: 300 },
      );
      for (const space of white.map((code) => String.fromCodePoint(code))) {
        for (const value of [space, `${space}a`, `a${space}`, `${space}a${space}`]) {
          expect(validate(value), JSON.stringify(value)).toEqual(refusal);
        }
      }
      expect(validate('a b')).toBeUndefined();
    },
  );
});

describe('The API validates the input for a Deployment', () => {
  it('accepts a Deployment with or without a name and groups', () => {
    for (const input of [
      {},
      { name: 'ETL' },
      { groups: [] },
      { name: 'ETL', groups: list(20, 'g'.repeat(128)) },
    ])
      expect(parseInput(deploymentInput, input)).toEqual(input);
  });

  it('a Deployment has at most 20 groups of 1 to 128 characters', () => {
    const rule = ['groups must be an array of at most 20 groups'];
    expect(broken(deploymentInput, { groups: list(21, 'g') })).toEqual(rule);
    expect(broken(deploymentInput, { groups: 'g' })).toEqual(rule);
    expect(broken(deploymentInput, { groups: ['g', 'g'.repeat(129), ''] })).toEqual([
      `groups[1] ${plain(1, 128)}`,
      `groups[2] ${plain(1, 128)}`,
    ]);
  });
});

describe('The API validates the input for a new key', () => {
  it('requires a name for a new API key, but no other field', () => {
    expect(parseInput(newKey, { name: 'ci' })).toEqual({ name: 'ci' });
    const networks = list(20, '10.0.0.0/8');
    const trust = [{ issuer: ISSUER, claims: { sub: 'x' } }];
    expect(
      parseInput(newKey, {
        name: 'ci',
        description: '',
        scopes: ['airflow:read', 'code:deploy', 'airflow:read'],
        expiresAt: '2030-01-01T13:00:00.5+01:00'.replace('13:00:00.5', '13:00:01'),
        networks,
        trust,
      }),
    ).toEqual({
      name: 'ci',
      description: '',
      scopes: ['airflow:read', 'code:deploy'],
      expiresAt: NOW + 1000,
      networks,
      trust,
    });
    expect(broken(newKey, { name: 'ci', description: 'x'.repeat(501) })).toEqual([
      `description ${plain(0, 500)}`,
    ]);
    expect(parseInput(newKey, { name: 'ci', description: null })).toEqual({ name: 'ci', description: null });
    expect(broken(newKey, { name: 'ci', enabled: true })).toEqual(['enabled is not a field of this request']);
  });

  it('a new API key has 1 to 16 scopes, all of which the stack knows', () => {
    const rule = ['scopes must be an array of 1 to 16 scopes'];
    expect(broken(newKey, { name: 'ci', scopes: [] })).toEqual(rule);
    expect(broken(keyChanges, { scopes: [] })).toEqual(rule);
    expect(broken(newTemporaryTokenInput(KNOWN), { scopes: [] })).toEqual(rule);
    expect(broken(newKey, { name: 'ci', scopes: list(16, 'code:deploy') })).toBeUndefined();
    expect(broken(newKey, { name: 'ci', scopes: list(17, 'code:deploy') })).toEqual(rule);
    expect(broken(newKey, { name: 'ci', scopes: 'code:deploy' })).toEqual(rule);
    for (const bad of ['admin', 'Code', '', 7])
      expect(broken(newKey, { name: 'ci', scopes: [bad] })).toEqual([
        'scopes[0] must be one of code:deploy, airflow:read',
      ]);
  });

  it("rejects a malformed scope even if the stack's settings contain it", () => {
    expect(broken(newKeyInput(['Code'], NOW, []), { name: 'ci', scopes: ['Code'] })).toEqual([
      'scopes[0] must be one of Code',
    ]);
  });

  it("requires a new key's expiry to be in the future and to have a time zone", () => {
    const rule = ['expiresAt must be an RFC 3339 time in the future, such as 2030-01-31T12:00:00Z'];
    for (const bad of [
      '2030-01-01T12:00:00Z',
      '2029-01-01T12:00:00Z',
      '2030-01-02',
      '2030-01-02T12:00:00',
      'x',
      7,
      null,
    ])
      expect(broken(newKey, { name: 'ci', expiresAt: bad })).toEqual(rule);
    expect(broken(newKey, { name: 'ci', expiresAt: '2030-01-01T12:00:00.001Z' })).toBeUndefined();
  });

  it('a new API key has at most 20 allowed IP ranges in CIDR notation', () => {
    const rule = ['networks must be an array of at most 20 CIDR ranges'];
    expect(broken(newKey, { name: 'ci', networks: list(21, '10.0.0.0/8') })).toEqual(rule);
    expect(broken(newKey, { name: 'ci', networks: '10.0.0.0/8' })).toEqual(rule);
    expect(broken(newKey, { name: 'ci', networks: ['10.0.0.0/8', '10.0.0.1/8'] })).toEqual([
      'networks[1] must be a CIDR range such as 203.0.113.0/24 or 2001:db8::/32, without host bits',
    ]);
  });

  it('rejects every trust rule when the stack trusts no issuer', () => {
    const trust = [{ issuer: ISSUER, claims: { sub: 'x' } }];
    expect(broken(newKeyInput(KNOWN, NOW, []), { name: 'ci', trust })).toEqual([
      'trust[0].issuer must be one that the stack trusts',
    ]);
  });
});

describe('The API validates trust rules', () => {
  const rule = { issuer: ISSUER, claims: { sub: 'x' } };
  const of = (trust: unknown) => broken(newKey, { name: 'ci', trust });
  const one = (change: object) => of([{ ...rule, ...change }]);

  it('requires an issuer and claims in a trust rule, but no audience or singleUse', () => {
    for (const change of [
      {},
      { audience: 'a'.repeat(256), singleUse: true },
      { singleUse: false },
      {
        claims: {
          sub: 'x'.repeat(256),
          ref: { prefix: 'a:' },
          [`n${'x'.repeat(99)}`]: { prefix: `${'x'.repeat(255)}/` },
        },
      },
      { claims: { sub: 'x', ...Object.fromEntries(list(9, 0).map((_, n) => [`c${n}`, 'x'])) } },
    ])
      expect(one(change)).toBeUndefined();
    expect(of(list(10, rule))).toBeUndefined();
  });

  it('accepts 1 to 10 trust rules for an API key', () => {
    for (const bad of [[], list(11, rule), rule, null])
      expect(of(bad)).toEqual(['trust must be an array of 1 to 10 rules']);
  });

  it('a trust rule has 1 to 10 claims', () => {
    const claims = ['trust[0].claims must be 1 to 10 claims, each a text or a prefix that ends in / or :'];
    const many = Object.fromEntries(list(11, 0).map((_, n) => [`c${n}`, 'x']));
    expect(of([{ issuer: ISSUER }])).toEqual([
      'trust[0].claims is required: must be 1 to 10 claims, each a text or a prefix that ends in / or :',
    ]);
    for (const bad of [{}, many, 'x', null]) expect(one({ claims: bad })).toEqual(claims);
  });

  it('a trust rule compares a claim with exact text, or with a prefix that ends with / or :', () => {
    const claim = ['trust[0].claims.sub must be a text, or a prefix that ends in / or :'];
    for (const bad of ['', 'x'.repeat(257)])
      expect(one({ claims: { sub: bad } })).toEqual([`trust[0].claims.sub ${text(1, 256)}`]);
    for (const bad of [7, 'a\n', {}, null, ['x'], { prefix: 7 }])
      expect(one({ claims: { sub: bad } })).toEqual(claim);
    const ofPrefix = (prefix: string) => one({ claims: { sub: { prefix } } });
    expect(ofPrefix('xy')).toEqual([
      'trust[0].claims.sub.prefix must be a text, or a prefix that ends in / or :',
    ]);
    for (const bad of ['/', `${'x'.repeat(256)}/`])
      expect(ofPrefix(bad)).toEqual([`trust[0].claims.sub.prefix ${text(2, 256)}`]);
    expect(one({ claims: { sub: { prefix: 'x/', y: 1 } } })).toEqual([
      'trust[0].claims.sub.y is not a field of this request',
    ]);
  });

  it('rejects a trust rule with an empty, overlong or unprintable claim name', () => {
    for (const bad of ['', 'x'.repeat(101), 'a\n'])
      expect(one({ claims: { [bad]: 'x' } })).not.toBeUndefined();
  });

  it('rejects a trust rule with an unknown field, or with an invalid issuer, audience or singleUse', () => {
    expect(one({ issuer: 'https://evil.test' })).toEqual([
      'trust[0].issuer must be one that the stack trusts',
    ]);
    expect(one({ audience: '' })).toEqual([`trust[0].audience ${text(1, 256)}`]);
    expect(one({ audience: 'x'.repeat(257) })).toEqual([`trust[0].audience ${text(1, 256)}`]);
    expect(one({ singleUse: 'yes' })).toEqual(['trust[0].singleUse must be true or false']);
    expect(one({ x: 1 })).toEqual(['trust[0].x is not a field of this request']);
    expect(of([7])).toHaveLength(1);
  });

  it('rejects a trust rule that does not bind a tenant of its issuer', () => {
    expect(one({ issuer: GITHUB, claims: { repository: 'a/b' } })).toEqual([
      'trust[0] must bind repository_id or repository_owner_id to a number, in digits',
    ]);
    expect(one({ issuer: GITHUB, claims: { repository_id: '1' } })).toBeUndefined();
    expect(one({ claims: { ref: 'main' } })).toEqual(['trust[0] must bind sub to exact text']);
  });

  it("rejects a trust rule that does not bind the claims in the setting of the stack's issuer", () => {
    const schema = newKeyInput(KNOWN, NOW, [{ issuer: ISSUER, bind: ['project', 'environment'] }]);
    const bound = (claims: object) => broken(schema, { name: 'ci', trust: [{ issuer: ISSUER, claims }] });
    expect(bound({ project: '7', environment: 'production' })).toBeUndefined();
    expect(bound({ sub: 'x', project: '7' })).toEqual([
      'trust[0] must bind project and environment to exact text',
    ]);
  });

  it('rejects a trust rule for reserved claims, and names each of these claims', () => {
    const claims = JSON.parse('{"sub": "x", "__proto__": "x", "iss": {}, "constructor": "x"}');
    expect(one({ claims })).toEqual([
      'trust[0].claims must not name the claim __proto__',
      'trust[0].claims must not name the claim iss',
      'trust[0].claims must not name the claim constructor',
    ]);
  });
});

describe('The API validates an edit to a key', () => {
  it('accepts an edit to any field of a key, but null only for description and expiresAt', () => {
    const all = {
      name: 'a',
      scopes: ['code:deploy'],
      enabled: false,
      networks: [],
      description: null,
      expiresAt: null,
    };
    expect(parseInput(keyChanges, all)).toEqual(all);
    expect(parseInput(keyChanges, {})).toEqual({});
    expect(broken(keyChanges, { name: null })).toEqual([`name ${plain(1, 100)}`]);
    expect(broken(keyChanges, { name: '', description: 'x'.repeat(501) })).toEqual([
      `name ${plain(1, 100)}`,
      `description ${plain(0, 500)}`,
    ]);
    expect(broken(keyChanges, { enabled: 'true' })).toEqual(['enabled must be true or false']);
    expect(broken(keyChanges, { networks: null })).toEqual([
      'networks must be an array of at most 20 CIDR ranges',
    ]);
    expect(broken(keyChanges, { trust: [] })).toEqual(['trust must be an array of 1 to 10 rules']);
    const trust = [{ issuer: ISSUER, claims: { sub: 'x' } }];
    expect(parseInput(keyChangesInput(KNOWN, NOW, [ISSUER]), { trust })).toEqual({ trust });
    expect(broken(keyChanges, { trust })).toEqual(['trust[0].issuer must be one that the stack trusts']);
    expect(broken(keyChanges, { expiresAt: '2029-01-01T12:00:00Z' })).toEqual([
      'expiresAt must be an RFC 3339 time in the future, such as 2030-01-31T12:00:00Z',
    ]);
  });
});

describe('The API validates the input for rotating a key', () => {
  it('a rotation retires the old secret after 7 days by default', () => {
    expect(parseInput(rotationInput, {})).toEqual({ retireOld: 604_800 });
    for (const retireOld of ['on_first_use', 'now', 0, 7_776_000])
      expect(parseInput(rotationInput, { retireOld })).toEqual({ retireOld });
  });

  it('retireOld must be "on_first_use", "now" or a whole number of seconds up to 90 days', () => {
    for (const retireOld of [-1, 7_776_001, 1.5, '60', 'later', null, true])
      expect(broken(rotationInput, { retireOld })).toEqual([
        'retireOld must be "on_first_use", "now", or whole seconds from 0 to 7776000',
      ]);
    expect(broken(rotationInput, { x: 1 })).toEqual(['x is not a field of this request']);
  });
});

it('accepts optional scopes for a temporary token if the stack knows them', () => {
  const schema = newTemporaryTokenInput(KNOWN);
  expect(parseInput(schema, {})).toEqual({});
  expect(parseInput(schema, { scopes: ['airflow:read'] })).toEqual({ scopes: ['airflow:read'] });
  expect(broken(schema, { scopes: ['x'], y: 1 })).toEqual([
    'scopes[0] must be one of code:deploy, airflow:read',
    'y is not a field of this request',
  ]);
});

it('accepts any text of 1 to 32,768 bytes as a leak report, including control characters', () => {
  const rule = 'must be 1 to 32768 bytes of text in UTF-8';
  for (const credential of ['x', '\u0000\n', '\ud800', 'x'.repeat(32768), 'é'.repeat(16384)]) {
    expect(parseInput(leakInput, { credential })).toEqual({ credential });
  }
  for (const credential of ['', 'x'.repeat(32769), `${'é'.repeat(16384)}x`, 1, null, ['x']]) {
    expect(broken(leakInput, { credential })).toEqual([`credential ${rule}`]);
  }
  expect(broken(leakInput, {})).toEqual([`credential is required: ${rule}`]);
  expect(broken(leakInput, { credential: 'x', y: 1 })).toEqual(['y is not a field of this request']);
});

it('a page has 100 items by default, and the parameter limit accepts 1 to 100', () => {
  expect(parseInput(pageInput, {})).toEqual({ limit: 100 });
  expect(parseInput(pageInput, { limit: '1', cursor: 'c', x: 'y' })).toEqual({ limit: 1, cursor: 'c' });
  for (const limit of ['9', '10', '99', '100'])
    expect(parseInput(pageInput, { limit })).toEqual({ limit: Number(limit) });
  for (const limit of ['', '0', '01', '101', '1000', '-1', '1.5', ' 1', '1x', 'x'])
    expect(broken(pageInput, { limit }, 'query')).toEqual(['limit must be a whole number from 1 to 100']);
});

it('explains a subject token of 1 to 16,384 characters', () => {
  const rule = 'subject_token must be a JWT of 1 to 16384 characters';
  for (const subject_token of ['x', 'x'.repeat(16_384)])
    expect(parseInput(explainInput, { subject_token })).toEqual({ subject_token });
  for (const subject_token of ['', 'x'.repeat(16_385), 7, null])
    expect(broken(explainInput, { subject_token })).toEqual([rule]);
  expect(broken(explainInput, {})).toEqual([
    'subject_token is required: must be a JWT of 1 to 16384 characters',
  ]);
});

it('lists the Deployments whose IDs begin with a prefix, which is itself a valid Deployment ID', () => {
  const rule =
    'prefix must be the beginning of a Deployment ID: 1 to 64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit';
  expect(parseInput(deploymentsInput, {})).toEqual({ limit: 100 });
  for (const prefix of ['e', '0_-', 'x'.repeat(64)])
    expect(parseInput(deploymentsInput, { prefix, limit: '7' })).toEqual({ prefix, limit: 7 });
  for (const prefix of ['', '_a', '-', 'a#b', 'a\n', 'x'.repeat(65)])
    expect(broken(deploymentsInput, { prefix }, 'query')).toEqual([rule]);
});

it('lists keys from the oldest to the newest by default, or in the opposite order', () => {
  expect(parseInput(keysInput, {})).toEqual({ limit: 100, order: 'oldest' });
  for (const order of ['oldest', 'newest'])
    expect(parseInput(keysInput, { order })).toEqual({ limit: 100, order });
  for (const order of ['', 'Newest', 'x'])
    expect(broken(keysInput, { order }, 'query')).toEqual(['order must be oldest or newest']);
});

it('lists events of one type or one key', () => {
  const keyId = 'dk_etl_01ARZ3NDEKTSV4RRFFQ69G5FAV';
  expect(parseInput(eventsInput, {})).toEqual({ limit: 100 });
  for (const type of EVENT_TYPES) expect(parseInput(eventsInput, { type })).toEqual({ limit: 100, type });
  expect(parseInput(eventsInput, { keyId })).toEqual({ limit: 100, keyId });
  for (const type of ['', 'api_key', 'API_KEY.CREATED'])
    expect(broken(eventsInput, { type }, 'query')).toEqual(['type must be the type of an event']);
  for (const bad of ['', 'dk_etl', `${keyId}x`, keyId.replace('dk', 'dks')])
    expect(broken(eventsInput, { keyId: bad }, 'query')).toEqual(['keyId must be the ID of a key']);
});

describe('The API validates the sub of a person', () => {
  it.each([
    ['whose access ends', endAccessInput],
    ['whose access is restored', restoreAccessInput],
    ['whose keys are listed', findPersonInput],
  ])('the sub of a person %s is required and has 1 to 255 printable ASCII characters', (_, schema) => {
    const rule = 'must be 1 to 255 printable ASCII characters';
    for (const sub of [' ', '~', 'x'.repeat(255)])
      expect(parseInput(schema as Schema, { sub })).toMatchObject({ sub });
    for (const sub of ['', 'x'.repeat(256), 'é', 'a\n', '\u007f'])
      expect(broken(schema, { sub })).toEqual([`sub ${rule}`]);
    expect(broken(schema, {})).toHaveLength(1);
    expect(broken(schema, { sub: 'ada', x: 1 })).toEqual(['x is not a field of this request']);
  });

  it("the end of a person's access reports their keys by default, and does not block them", () => {
    expect(parseInput(endAccessInput, { sub: 'ada' })).toEqual({ sub: 'ada', keys: 'report', block: false });
    for (const change of [
      { keys: 'report', block: true },
      { keys: 'disable', block: false },
    ])
      expect(parseInput(endAccessInput, { sub: 'ada', ...change })).toEqual({ sub: 'ada', ...change });
    for (const keys of ['', 'delete', null, true])
      expect(broken(endAccessInput, { sub: 'ada', keys })).toEqual(['keys must be "report" or "disable"']);
    for (const block of ['true', 1, null])
      expect(broken(endAccessInput, { sub: 'ada', block })).toEqual(['block must be true or false']);
  });

  it("a page of a person's keys has 100 items by default, and the field limit accepts 1 to 100", () => {
    expect(parseInput(findPersonInput, { sub: 'ada' })).toEqual({ sub: 'ada', limit: 100 });
    for (const limit of [1, 100])
      expect(parseInput(findPersonInput, { sub: 'ada', limit, cursor: 'c' })).toEqual({
        sub: 'ada',
        limit,
        cursor: 'c',
      });
    for (const limit of [0, 101, '7', 1.5, null])
      expect(broken(findPersonInput, { sub: 'ada', limit })).toEqual([
        'limit must be a whole number from 1 to 100',
      ]);
  });
});

describe('The OpenAPI schema describes the limits of request input', () => {
  const said = (schema: Schema) => z.toJSONSchema(schema, { io: 'input' }).properties ?? {};

  it('the OpenAPI schema gives the length limits of text in characters', () => {
    expect(said(deploymentInput).name).toMatchObject({ type: 'string', minLength: 1, maxLength: 100 });
    expect(said(newKey).description).toMatchObject({
      anyOf: [{ type: 'string', minLength: 0, maxLength: 500 }, { type: 'null' }],
    });
  });

  it('the OpenAPI schema gives the maximum length of a scope', () => {
    expect(said(newKey).scopes).toMatchObject({ maxItems: 16, items: { maxLength: 64 } });
  });

  it('the OpenAPI schema gives the limits of a leak report, of a sub and of a prefix', () => {
    expect(said(leakInput).credential).toEqual({ type: 'string', minLength: 1, maxLength: 32_768 });
    expect(said(restoreAccessInput).sub).toEqual({
      type: 'string',
      minLength: 1,
      maxLength: 255,
      pattern: '^[ -~]+$',
    });
    expect(said(deploymentsInput).prefix).toEqual({
      type: 'string',
      pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$',
    });
  });

  it('the OpenAPI schema lists the types of events and the claims that a trust rule must not name', () => {
    expect(said(eventsInput).type).toEqual({ type: 'string', enum: EVENT_TYPES });
    const { claims } = (said(newKey).trust as { items: { properties: Record<string, object> } }).items
      .properties;
    expect(claims).toMatchObject({ propertyNames: { not: { enum: RESERVED_CLAIMS } } });
  });

  it('the OpenAPI schema declares the parameter limit as an integer', () => {
    expect(said(pageInput).limit).toMatchObject({ type: 'integer', minimum: 1, maximum: 100, default: 100 });
    expect(said(pageInput).limit).not.toHaveProperty('pattern', expect.anything());
  });
});

it.each<[string, Schema]>([
  ['a Deployment', deploymentInput],
  ['a new key', newKey],
  ['changes to a key', keyChanges],
  ['a rotation', rotationInput],
  ['a token to explain', explainInput],
  ['a new temporary token', newTemporaryTokenInput(KNOWN)],
  ['a leak report', leakInput],
  ['the end of access', endAccessInput],
  ['the return of access', restoreAccessInput],
  ['a search for a person', findPersonInput],
])('errors about %s name our rule, whatever type a field has', (_, schema) => {
  const fields = Object.keys((schema as unknown as { shape: object }).shape);
  const rule = fc.record({ issuer: fc.anything(), claims: fc.anything() }, { requiredKeys: [] });
  const value = fc.oneof(fc.jsonValue(), fc.array(fc.oneof(rule, fc.jsonValue()), { maxLength: 3 }));
  const body = fc.record(Object.fromEntries(fields.map((name) => [name, value])), { requiredKeys: [] });
  fc.assert(
    fc.property(body, (input) => {
      for (const error of (broken(schema, input) ?? []) as string[]) {
        expect(error).not.toMatch(/Invalid|expected|Unrecognized/);
      }
    }),
    {
      examples: fields.flatMap((name) => [
        [{}],
        [{ [name]: 5 }],
        [{ [name]: [5] }],
        [{ [name]: [{}] }],
      ]) as never,
    },
  );
});
