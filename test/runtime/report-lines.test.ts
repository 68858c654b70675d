import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { formatCredential } from '../../functions/domain/credentials.ts';
import { newLogger } from '../../functions/runtime/logger.ts';
import { redact, writeLine } from '../../functions/runtime/report.ts';
import { CONTEXTS } from '../support/contexts.ts';

const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const RANDOM = '0aB3cD4eF5gH6iJ7kL8mN9oP0qR1sT2uV3wX4yZ5zA6';
const CREDENTIALS = (['secret', 'token', 'temporary'] as const).map((kind) =>
  formatCredential({ kind, deploymentId: 'etl_prod-1', ulid: ULID }, RANDOM),
);
const JWT = 'eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiIxIiwiZXhwIjoxfQ.c2lnbmF0dXJlLW9mLWl0';

const written: string[] = [];
beforeEach(() => {
  vi.spyOn(process.stdout, 'write').mockImplementation((line) => written.push(String(line)) > 0);
  vi.spyOn(process.stderr, 'write').mockImplementation((line) => written.push(String(line)) > 0);
});
afterEach(() => {
  written.length = 0;
});

describe('Credentials are redacted from logs', () => {
  it('redaction keeps the kind, the Deployment ID and the key ID of a credential', () => {
    for (const credential of CREDENTIALS) {
      expect(redact(`{"a":"x ${credential}","b":"dk_etl_${ULID}"}`)).toBe(
        `{"a":"x ${credential.slice(0, -49)}…","b":"dk_etl_${ULID}"}`,
      );
    }
  });

  it('redaction removes JWTs and the credentials of an Authorization header', () => {
    expect(redact('token eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln end')).toBe('token eyJ… end');
    expect(redact('"authorization":"Basic YTpi"')).toBe('"authorization":"Basic…"');
    expect(redact('"authorization":"bearer abc.def"')).toBe('"authorization":"bearer…"');
  });

  it.each(CONTEXTS)('#52: redaction removes a JWT %s', (_, put) => {
    expect(redact(put(JWT))).not.toContain(JWT.slice(40, 60));
  });

  it.each(['', ' ', '"', '\\"', '\\n', '%3D', '_', 'x', '7', 'authorization='])(
    '#52: redaction removes the credentials of an Authorization header that follows %j',
    (before) => {
      for (const scheme of ['Basic ', 'bearer\t', 'Basic+', 'BEARER%20']) {
        expect(redact(`${before}${scheme}YTpiY2Rl, x`)).toBe(`${before}${/^\w+/.exec(scheme)}…, x`);
      }
    },
  );

  it('redaction keeps words that only resemble the start of a JWT', () => {
    for (const text of ['heyJude.production', 'surveyJson', 'keyJar-of-the-production-account']) {
      expect(redact(text)).toBe(text);
    }
  });

  it.each([
    ['starts of JWTs', 'eyJ'],
    ['starts of JWTs and hyphens', 'eyJ-'],
    ['spaces after Basic', `Basic${' '.repeat(64 * 1024)}`],
    ['schemes', 'Bearer '],
  ])('redacts text in linear time, even 64 KiB of %s', (_, part) => {
    const text = part.repeat(Math.ceil((64 * 1024) / part.length));
    const begin = process.cpuUsage();
    redact(text);
    expect(process.cpuUsage(begin).user).toBeLessThan(500_000);
  });
});

/** The functions that write to a log, by name. The tests pass them objects that contain credentials. */
const WRITERS: Record<string, (value: object) => unknown> = {
  writeLine: (value) => writeLine('ERROR', 'failed', { value }),
  'the message of writeLine': (value) => writeLine('ERROR', String(Object.values(value)[0])),
  'the logger': (value) => newLogger('test').error('failed', { value }),
  'the message of the logger': (value) => newLogger('test').error(String(Object.values(value)[0])),
  'an error in the log': (value) => newLogger('test').error('failed', new Error(Object.keys(value)[0])),
  'the cause of an error in the log': (value) =>
    newLogger('test').error('failed', new Error('a', { cause: new Error('b', { cause: value }) })),
  'a property of an error in the log': (value) =>
    newLogger('test').error('failed', Object.assign(new Error('a'), value)),
};

describe.each(Object.entries(WRITERS))('%s', (_, write) => {
  it.each(CONTEXTS)(
    '#52: the log contains no secret part of a credential %s, not even in a property name',
    (_, put) => {
      for (const credential of CREDENTIALS) {
        const text = put(credential);
        write({ [text]: text, list: [text, { [text]: [text] }] });
        const all = written.join('');
        expect(all).not.toBe('');
        // The log must not contain any eight consecutive characters of the random part.
        for (let at = 0; at < 35; at++) expect(all).not.toContain(RANDOM.slice(at, at + 8));
      }
    },
  );
});
