import { createHash } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { Clock } from '../../../local/clock.ts';
import { CLIENT_ID, Issuer } from '../../../local/sign-in/issuer.ts';

const issuer = new Issuer(new Clock());
const url = await issuer.start(0);
afterAll(() => issuer.stop());

const VERIFIER = 'v'.repeat(43);
const REDIRECT = 'http://127.0.0.1:8787/console/signed-in';
const signInQuery = {
  response_type: 'code',
  client_id: CLIENT_ID,
  redirect_uri: REDIRECT,
  scope: 'openid',
  state: 's',
  nonce: 'n',
  code_challenge: createHash('sha256').update(VERIFIER).digest('base64url'),
  code_challenge_method: 'S256',
};

const open = (path: string, query: Record<string, string>, cookie = '') =>
  fetch(`${url}${path}?${new URLSearchParams(query)}`, { redirect: 'manual', headers: { cookie } });

/**
 * Signs in as a person would on the page.
 * @returns the URL to which the browser is redirected with the code
 */
async function choose(person: string, query: Record<string, string> = signInQuery): Promise<URL> {
  const chosen = await open('/sign-in', { ...query, as: person });
  const authorized = await fetch(new URL(chosen.headers.get('location') ?? '', url), { redirect: 'manual' });
  return new URL(authorized.headers.get('location') ?? '');
}

const token = (body: Record<string, string>) =>
  fetch(`${url}/token`, {
    method: 'POST',
    body: new URLSearchParams({ client_id: CLIENT_ID, redirect_uri: REDIRECT, ...body }),
  });

const exchangeCode = (code: string | null) =>
  token({ grant_type: 'authorization_code', code: code ?? '', code_verifier: VERIFIER });

const claims = (jwt: string) => JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString());

describe('The development issuer has a sign-in page', () => {
  it('the sign-in page lists the development people and asks for no password', async () => {
    const page = await open('/sign-in', signInQuery);
    const text = await page.text();
    expect(text).toContain('Ada Admin');
    expect(text).toContain('Max Member');
    expect(text).not.toContain('<script');
  });

  it.each([
    ['admin', 'admin-7d0c', ['platform-admins']],
    ['member', 'member-2f41', ['data-eng']],
  ])('the development issuer signs in %s with a code and PKCE', async (person, sub, groups) => {
    const back = await choose(person);
    expect(`${back.origin}${back.pathname}`).toBe(REDIRECT);
    expect(back.searchParams.get('state')).toBe('s');
    const response = await exchangeCode(back.searchParams.get('code'));
    const tokens = (await response.json()) as Record<string, string>;
    expect(claims(tokens.access_token ?? '')).toMatchObject({ sub, groups });
    expect(claims(tokens.id_token ?? '')).toMatchObject({ sub, nonce: 'n', aud: CLIENT_ID });
    expect(tokens).not.toHaveProperty('refresh_token');
  });

  it('the development issuer accepts each code once, and rejects codes that it did not issue', async () => {
    const code = (await choose('member')).searchParams.get('code');
    expect((await exchangeCode(code)).status).toBe(200);
    expect((await exchangeCode(code)).status).toBe(400);
    expect((await exchangeCode('made-up')).status).toBe(400);
  });

  it('the development issuer accepts a code only together with its own verifier', async () => {
    const code = (await choose('member')).searchParams.get('code') ?? '';
    const stolen = { grant_type: 'authorization_code', code, code_verifier: 'x'.repeat(43) };
    expect((await token(stolen)).status).toBe(400);
  });

  it('the development issuer refreshes a sign-in with offline_access, and accepts each refresh token once', async () => {
    const back = await choose('member', { ...signInQuery, scope: 'openid offline_access' });
    const first = (await (await exchangeCode(back.searchParams.get('code'))).json()) as Record<
      string,
      string
    >;
    const renew = (refreshToken = '') => token({ grant_type: 'refresh_token', refresh_token: refreshToken });
    const second = (await (await renew(first.refresh_token)).json()) as Record<string, string>;
    expect(claims(second.access_token ?? '')).toMatchObject({ sub: 'member-2f41' });
    expect((await renew(first.refresh_token)).status).toBe(400);
    expect((await renew(second.refresh_token)).status).toBe(200);
  });

  it('the development issuer remembers the chosen person until that person signs out', async () => {
    const chosen = await open('/sign-in', { ...signInQuery, as: 'member' });
    const cookie = chosen.headers.get('set-cookie') ?? '';
    expect(cookie).toBe('development-issuer=member; HttpOnly; SameSite=Lax; Path=/');
    const again = await open('/sign-in', signInQuery, 'development-issuer=member');
    expect(again.headers.get('location')).toContain('person=member');
    const out = await open('/sign-out', {
      post_logout_redirect_uri: 'http://127.0.0.1:8787/console/signed-out',
    });
    expect(out.headers.get('set-cookie')).toContain('Max-Age=0');
    expect(out.headers.get('location')).toBe('http://127.0.0.1:8787/console/signed-out');
  });

  it.each([
    ['a redirect to another site', { redirect_uri: 'https://evil.example.com/' }],
    [
      'a redirect to a host whose name starts like this machine',
      { redirect_uri: 'http://127.0.0.1.evil.example.com/' },
    ],
    ['a client without PKCE', { code_challenge_method: 'plain' }],
  ])('the development issuer does not sign anyone in for %s', async (_, wrong) => {
    expect((await open('/sign-in', { ...signInQuery, ...wrong, as: 'admin' })).status).toBe(400);
  });

  it('the development issuer does not redirect to another site after a sign-out', async () => {
    const out = await open('/sign-out', { post_logout_redirect_uri: 'https://evil.example.com/' });
    expect(out.status).toBe(200);
    expect(out.headers.get('location')).toBeNull();
  });
});
