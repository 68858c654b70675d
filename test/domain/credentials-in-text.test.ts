import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  findCredentials,
  formatCredential,
  parseCredential,
  redactCredentials,
} from '../../functions/domain/credentials.ts';
import { CONTEXTS } from '../support/contexts.ts';
import { sample } from '../support/generated.ts';
import { mistyped } from '../support/mistyped.ts';

const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const KINDS = ['secret', 'token', 'temporary'] as const;
/** Valid Deployment IDs that look like a credential or like part of a credential. */
const DEPLOYMENTS = [
  'a',
  'etl_prod-1',
  'x'.repeat(64),
  'dks_etl',
  'dkt_dks_dkx_dk_',
  `a_${ULID}`,
  `dks_a_${ULID}_${'z'.repeat(31)}`,
  `_`.padStart(64, 'dks_'),
];
const CREDENTIALS = KINDS.flatMap((kind) =>
  DEPLOYMENTS.map((deploymentId, n) =>
    formatCredential(
      { kind, deploymentId, ulid: ULID },
      `${n}aB3cD4eF5gH6iJ7kL8mN9oP0qR1sT2uV3wX4yZ5zA6bC`.slice(0, 43),
    ),
  ),
);

/**
 * Returns every substring of the text that is a credential, by trying them all. Tests compare findCredentials with it.
 */
function everyCredential(text: string): string[] {
  const found = new Set<string>();
  for (let start = 0; start < text.length; start++) {
    for (let length = 82; length <= 145; length++) {
      const part = text.slice(start, start + length);
      if (parseCredential(part)) found.add(part);
    }
  }
  return [...found];
}

describe('findCredentials', () => {
  it.each(CONTEXTS)('#51: finds a credential of any kind %s', (_, put) => {
    for (const credential of CREDENTIALS) expect(findCredentials(put(credential))).toEqual([credential]);
  });

  it('#51: returns each credential in a text once, in order of appearance', () => {
    for (const separator of ['', ' ', '_', 'dks_', ',', '\n']) {
      const text = [...CREDENTIALS, ...CREDENTIALS].join(separator);
      expect(findCredentials(text), separator).toEqual(CREDENTIALS);
    }
  });

  it('#51: finds a complete credential directly after a truncated one', () => {
    const [first = '', second = ''] = CREDENTIALS;
    // The start of the second credential can look like the missing end of the first one.
    for (let cut = 1; cut <= 60; cut++) {
      expect(findCredentials(first.slice(0, -cut) + second)).toEqual([second]);
    }
  });

  it('finds no credential in a key ID or in a mistyped or truncated credential', () => {
    for (const credential of CREDENTIALS) {
      const others = [
        mistyped(credential),
        credential.slice(0, -1),
        credential.slice(1),
        credential.toLowerCase(),
        credential.replace('_', '\u200b_'),
        credential.replace(/^dk[stx]/, 'dk'),
      ];
      for (const text of others) expect(findCredentials(`"${text}" ${text} `)).toEqual([]);
    }
    expect(findCredentials('')).toEqual([]);
  });

  it('#51: finds a substring if and only if it is a credential', () => {
    const credential = fc.constantFrom(...CREDENTIALS);
    const filler = fc.oneof(
      fc.constantFrom('', '_', ' ', 'dks_', 'dkt', '_dkx_', `_${ULID}_`, ULID, '0'.repeat(49), 'dks_a'),
      fc.string({ maxLength: 5 }),
    );
    const cut = fc
      .tuple(credential, fc.nat(145), fc.nat(145))
      .map(([text, from, to]) => text.slice(Math.min(from, to), Math.max(from, to)));
    const texts = fc
      .array(fc.oneof(credential, filler, cut), { maxLength: 6 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(texts, (text) => {
        expect(findCredentials(text).sort()).toEqual(everyCredential(text).sort());
      }),
      { numRuns: sample(1000) },
    );
  });

  it.each([
    ['prefixes', 'dks_'],
    ['prefixes and Deployment IDs', 'dks_a'],
    ['underscores', '_'],
    ['digits', '0'],
    ['ULIDs', `_${ULID}`],
    ['ends', `_${ULID}_${'0'.repeat(49)}`],
    ['ends with every prefix that fits', `${'dks_'.repeat(17)}_${ULID}_${'0'.repeat(49)}`],
    ['truncated credentials', `dks_a_${ULID}_${'0'.repeat(48)}`],
  ])('finds credentials in linear time, even in 32 KiB of %s', (_, part) => {
    const text = part.repeat(Math.ceil((32 * 1024) / part.length));
    const begin = process.cpuUsage();
    expect(findCredentials(text)).toEqual([]);
    const { user } = process.cpuUsage(begin);
    expect(user).toBeLessThan(500_000);
  });
});

describe('redactCredentials', () => {
  /** Reports whether the text contains any eight consecutive characters of the credential's random part or checksum. */
  const isShown = (credential: string, text: string) =>
    Array.from({ length: 42 }, (_, at) => credential.slice(-49).slice(at, at + 8)).some((part) =>
      text.toLowerCase().includes(part.toLowerCase()),
    );

  it.each(CONTEXTS)('#52: redaction removes all secret parts of a credential %s', (_, put) => {
    for (const credential of CREDENTIALS) {
      expect(redactCredentials(put(credential))).not.toSatisfy((text: string) => isShown(credential, text));
    }
  });

  it.each<[string, (credential: string) => string]>([
    ['was mistyped at its end', mistyped],
    ['was mistyped in its random part', (it) => `${it.slice(0, -30)}-${it.slice(-29)}`],
    ['has one character too many in its random part', (it) => `${it.slice(0, -30)}.${it.slice(-30)}`],
    ['contains a zero-width character', (it) => `${it.slice(0, -49)}\u200b${it.slice(-49)}`],
    ['was mistyped in the ULID', (it) => it.replace('01ARZ', '01ARU')],
    ['lacks one character of the ULID', (it) => it.replace('01ARZ', '1ARZ')],
    ['has a Deployment ID that is too long', (it) => it.replace(/^(dk[stx]_)/, `$1${'y'.repeat(64)}`)],
    ['was truncated at its end', (it) => it.slice(0, -1)],
    ['was truncated in its random part', (it) => it.slice(0, -26)],
    ['was truncated at its beginning', (it) => it.slice(1)],
    ['has lost its prefix', (it) => it.replace(/^dk[stx]_/, '')],
    ['has lost its prefix and Deployment ID', (it) => it.slice(-76)],
    ['is in lower case, like a header name', (it) => it.toLowerCase()],
    ['is in upper case', (it) => it.toUpperCase()],
  ])('#52: redaction removes all secret parts of a credential that %s', (_, change) => {
    for (const credential of CREDENTIALS) {
      for (const [, put] of CONTEXTS) {
        expect(redactCredentials(put(change(credential)))).not.toSatisfy((text: string) =>
          isShown(credential, text),
        );
      }
    }
  });

  it('redaction keeps the kind, the Deployment ID and the key ID of a credential', () => {
    const credential = mistyped(
      formatCredential({ kind: 'token', deploymentId: 'etl', ulid: ULID }, 'x'.repeat(43)),
    );
    expect(redactCredentials(`Bearer ${credential}, x`)).toBe(`Bearer dkt_etl_${ULID}_… x`);
  });

  it('redaction removes the secret part of a credential even if only its first character is left', () => {
    expect(redactCredentials(`${ULID}_x`)).toBe(`${ULID}_…`);
    expect(redactCredentials(`${ULID}_`)).toBe(`${ULID}_`);
  });

  it('redaction replaces a credential with a mistyped ULID by its prefix', () => {
    expect(redactCredentials(`dks_etl_${'A'.repeat(27)}`)).toBe('dks_…');
    expect(redactCredentials(`dks_etl_${'A'.repeat(26)}`)).toBe(`dks_etl_${'A'.repeat(26)}`);
  });

  it.each(DEPLOYMENTS)(
    'redaction keeps a whole text that is a key ID of the Deployment %s',
    (deploymentId) => {
      expect(redactCredentials(`dk_${deploymentId}_${ULID}`)).toBe(`dk_${deploymentId}_${ULID}`);
    },
  );

  it('redaction keeps key and Deployment IDs, even if they look like a credential', () => {
    for (const deploymentId of DEPLOYMENTS.filter((id) => !id.includes(`${ULID}_`))) {
      const text = `{"id":"dk_${deploymentId}_${ULID}","pk":"DEPLOYMENT#${deploymentId}"}`;
      expect(redactCredentials(text)).toBe(text);
    }
  });

  it.each([
    ['prefixes', 'dks_'],
    ['capital prefixes and letters', 'DKS_a'],
    ['digits', '0'],
    ['ULIDs', `${ULID}_`],
    ['runs of characters that are one too short', `dks_${'a'.repeat(26)}-`],
  ])('redacts credentials in linear time, even in 64 KiB of %s', (_, part) => {
    const text = part.repeat(Math.ceil((64 * 1024) / part.length));
    const begin = process.cpuUsage();
    redactCredentials(text);
    const { user } = process.cpuUsage(begin);
    expect(user).toBeLessThan(500_000);
  });
});
