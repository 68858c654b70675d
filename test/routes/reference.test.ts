import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../functions/domain/error-codes.ts';
import { openApiDocument } from '../../functions/openapi/document.ts';
import { runStack } from '../support/stack.ts';

const stack = await runStack();

describe('GET /errors documents every error code', () => {
  it('GET /errors explains every error code in a section whose ID is the code', async () => {
    const { status, headers, text } = await stack.call('GET', '/errors');
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    const sections = [...text.matchAll(/<section id="(\w+)">([\s\S]*?)<\/section>/g)];
    expect(sections.map(([, code]) => code)).toEqual(Object.keys(ERROR_CODES).toSorted());
    const words = (html = '') => html.replace(/<[^>]+>/g, '').replaceAll('&#38;', '&');
    for (const [index, [, help]] of Object.entries(ERROR_CODES).entries()) {
      for (const sentence of Object.values(help)) expect(words(sections[index]?.[2])).toContain(sentence);
    }
  });

  it('the /errors page can be cached, runs no script, loads no other files and cannot be framed', async () => {
    const { headers, text } = await stack.call('GET', '/errors');
    expect(headers).toMatchObject({
      'cache-control': 'public, max-age=3600',
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
    expect(headers['content-security-policy']).toMatch(
      /^default-src 'none'; style-src 'sha256-[\w+/=]{44}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'$/,
    );
    expect(text).not.toMatch(/<script|src=|https?:/);
  });

  it('the type of an error response links to the /errors page', async () => {
    const reply = await stack.call('GET', '/deployments/absent', { token: await stack.signIn('admin') });
    expect(reply.json).toStrictEqual({
      type: '/errors#not_found',
      title: 'Not Found',
      status: 404,
      code: 'not_found',
      detail: 'No such Deployment.',
    });
    const [path, code] = reply.json.type.split('#');
    expect((await stack.call('GET', path)).text).toContain(`<section id="${code}">`);
  });
});

describe('GET /openapi.json returns the OpenAPI document', () => {
  it('GET /openapi.json returns docs/openapi.json with the stack as the server', async () => {
    const { status, headers, json } = await stack.call('GET', '/openapi.json');
    expect([status, headers['content-type'], headers['cache-control']]).toEqual([
      200,
      'application/json',
      'public, max-age=3600',
    ]);
    expect(json).toEqual({ ...JSON.parse(JSON.stringify(openApiDocument())), servers: [{ url: '/' }] });
  });

  it('a page from another origin can read /openapi.json, because it is public', async () => {
    const { headers } = await stack.call('GET', '/openapi.json');
    expect(headers['access-control-allow-origin']).toBe('*');
  });
});

describe('The API reference is compressed', () => {
  it.each(['/errors', '/openapi.json'])(
    'the service compresses %s for clients that accept gzip',
    async (path) => {
      const plain = await stack.call('GET', path, { headers: { 'accept-encoding': 'identity' } });
      expect(plain.headers).not.toHaveProperty('content-encoding');
      const response = await fetch(`${stack.url}${path}`, { headers: { 'accept-encoding': 'gzip' } });
      expect(response.headers.get('content-encoding')).toBe('gzip');
      expect(response.headers.get('vary')).toBe('Accept-Encoding');
      // fetch has already decompressed the response.
      expect(await response.text()).toBe(plain.text);
    },
  );
});
