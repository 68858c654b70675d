import { describe, expect, it } from 'vitest';
import { mintCredential } from '../../functions/domain/mint.ts';
import { redact } from '../../functions/runtime/redact.ts';

const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';

describe('the redactor of the log', () => {
  it('cuts every credential of ours down to its kind, and leaves key IDs', () => {
    for (const kind of ['secret', 'token', 'temporary'] as const) {
      const credential = mintCredential(kind, 'etl', ULID);
      expect(redact(`{"a":"x ${credential}","b":"dk_etl_${ULID}"}`)).toBe(
        `{"a":"x ${credential.slice(0, 3)}…","b":"dk_etl_${ULID}"}`,
      );
    }
  });

  it('cuts JWTs and the credentials of an Authorization header', () => {
    expect(redact('token eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln end')).toBe('token eyJ… end');
    expect(redact('"authorization":"Basic YTpi"')).toBe('"authorization":"Basic…"');
    expect(redact('"authorization":"bearer abc.def"')).toBe('"authorization":"bearer…"');
  });
});
