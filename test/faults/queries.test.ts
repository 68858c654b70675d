import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { CfnTemplate } from '../../local/template.ts';
import { runStack } from '../support/stack.ts';

const routes: string[] = [];
const stack = await runStack({
  alterTemplate: ({ Resources }: CfnTemplate) => {
    for (const { Type, Properties } of Object.values(Resources)) {
      if (Type === 'AWS::ApiGatewayV2::Route') routes.push(String(Properties?.RouteKey));
    }
  },
});

/** A sign-in code from an issuer. Such a code has no format that redaction could recognise. */
const code = randomBytes(24).toString('hex');

/** Returns all encodings of a string in which the string could appear in an output. */
const formsOf = (text: string) => [
  text,
  Buffer.from(text).toString('base64').slice(2, -4),
  Buffer.from(text).toString('base64url').slice(2, -4),
  encodeURIComponent(text),
];

describe('#50: Logs contain no credentials from query strings or referrers', () => {
  it('#50: no log contains tokens or sign-in codes from the query string or referrer, for any route and response', {
    timeout: 120_000,
  }, async () => {
    const token = await stack.newToken('queries');
    const core = token.slice(-49, -6);
    const query = `code=${code}&state=${code}&access_token=${token}&client_secret=${token}&scope=${code}&cursor=${code}`;
    const referer = `${stack.url}/console/signed-in?${query}`;
    const statuses = new Set<number>();
    expect(routes.length).toBeGreaterThan(20);
    for (const route of [...routes, 'GET /no/such/path']) {
      const [method = '', path = ''] = route.split(' ');
      const target = `${path.replace('{proxy+}', 'signed-in').replaceAll(/\{\w+\}/g, 'queries')}?${query}`;
      for (const signedIn of [undefined, await stack.signIn('admin'), token, `${code}x`]) {
        const headers = { referer, ...(signedIn && { authorization: `Bearer ${signedIn}` }) };
        const body =
          method === 'GET' || method === 'DELETE' ? {} : { form: { token: code, grant_type: code } };
        statuses.add((await stack.call(method, target, { headers, ...body })).status);
      }
    }
    await expect(
      stack.invoke('authorize', { type: 'REQUEST', rawQueryString: query, headers: { referer } }),
    ).rejects.toThrow();
    // The requests cover every outcome: served, rejected by the gateway, rejected by a function.
    expect([...statuses]).toEqual(expect.arrayContaining([200, 400, 401, 404, 415]));
    const logs = stack.logs.text();
    for (const form of [...formsOf(code), ...formsOf(core)]) expect(logs.includes(form), form).toBe(false);
    expect(logs).toContain('"requestId"');
  });
});
