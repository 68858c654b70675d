import { expect, it } from 'vitest';
import { escaped, pageHeaders } from '../../functions/http/page-headers.ts';

it("an HTML page's security headers forbid everything that its policy does not allow", () => {
  expect(pageHeaders([`style-src 'self'`, `img-src data:`])).toStrictEqual({
    'Content-Security-Policy':
      "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), clipboard-write=(self)',
    'Referrer-Policy': 'no-referrer',
    'Strict-Transport-Security': 'max-age=31536000',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
  });
});

it('escapes every character of a text that could end an HTML element or attribute, and no other', () => {
  expect(escaped(`<a href="x?b=1&c='é'">`)).toBe(`&#60;a href=&#34;x?b=1&#38;c='é'&#34;&#62;`);
});
