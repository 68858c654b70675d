import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Events, type MutableToken, OAuth2Server } from 'oauth2-mock-server';
import type { Clock } from '../clock.ts';
import { signInPage } from './sign-in-page.ts';

/** The people who can sign in. The stack's settings and the story refer to their groups. */
export const PEOPLE = {
  admin: {
    sub: 'admin-7d0c',
    name: 'Ada Admin',
    email: 'ada@example.com',
    groups: ['platform-admins'],
  },
  member: { sub: 'member-2f41', name: 'Max Member', email: 'max@example.com', groups: ['data-eng'] },
} as const;

export type Person = keyof typeof PEOPLE;

/** The group of the local stack's administrators. */
export const ADMIN_GROUP = 'platform-admins';
/** The audience of the local stack's access tokens. */
export const AUDIENCE = 'deployment-api-keys';
/** The public client that signs people in. */
export const CLIENT_ID = 'deployment-api-keys-console';

const LIFETIME = 3600;

/** Returns whether a value names a person who can sign in. */
export const isPerson = (name: unknown): name is Person =>
  typeof name === 'string' && Object.hasOwn(PEOPLE, name);

/** Changes a token before it is signed, so that tests can get an invalid token. */
export type Tamper = (token: MutableToken) => void;

/** Cookie that remembers who signed in, like a session at a real issuer. */
const COOKIE = 'development-issuer';
const PATHS = { signIn: '/sign-in', signOut: '/sign-out', authorize: '/authorize' };

/**
 * The development issuer, an OIDC issuer with RS256 keys that are generated at each start. There are no passwords: a
 * page lists the people to choose from, and the issuer remembers the choice.
 */
export class Issuer {
  readonly #server = new OAuth2Server();
  readonly #clock: Clock;
  /**
   * The person behind each code or refresh token, and whether its tokens can be renewed. Each code or token works
   * once.
   */
  readonly #grants = new Map<string, { person: Person; isOffline: boolean }>();

  constructor(clock: Clock) {
    this.#clock = clock;
    const { service } = this.#server;
    service.addRoute('GET', PATHS.signIn, (request, response) => this.#offer(request, response));
    service.addRoute('GET', PATHS.signOut, (request, response) => this.#signOut(request, response));
    service.on(Events.BeforeWellKnownOpenIdConfiguration, ({ body }) => {
      const { url } = this.#server.issuer;
      Object.assign(body ?? {}, {
        authorization_endpoint: `${url}${PATHS.signIn}`,
        end_session_endpoint: `${url}${PATHS.signOut}`,
      });
    });
    service.on(Events.BeforeAuthorizeRedirect, ({ url }, request) => {
      const code = url.searchParams.get('code');
      const query = queryOf(request);
      const person = query.get('person');
      // A scope requests a refresh token (OpenID Connect Core, section 11).
      const isOffline = query.get('scope')?.split(' ').includes('offline_access') ?? false;
      if (code && isPerson(person)) this.#grants.set(code, { person, isOffline });
    });
    service.on(Events.BeforeTokenSigning, (token, { body }) => {
      const person = this.#grantOf(body)?.person;
      const kind = 'amr' in token.payload ? 'access' : 'id';
      if (person) this.#fill(token, person, kind);
      // Use the machine's time, because browsers check ID tokens against their own clock, which a test cannot change.
      if (kind === 'id') Object.assign(token.payload, timesFrom(Date.now()));
    });
    service.on(Events.BeforeResponse, (response, { body }) => {
      const grant = this.#grantOf(body);
      if (!grant) return Object.assign(response, { statusCode: 400, body: { error: 'invalid_grant' } });
      this.#grants.delete(body.code ?? body.refresh_token ?? '');
      const tokens = response.body as { refresh_token?: string };
      if (grant.isOffline) this.#grants.set(String(tokens.refresh_token), grant);
      else delete tokens.refresh_token;
    });
  }

  #grantOf({ grant_type, username, code, refresh_token }: TokenRequest) {
    if (grant_type === 'password')
      return isPerson(username) ? { person: username, isOffline: false } : undefined;
    if (grant_type === 'authorization_code') return this.#grants.get(String(code));
    return grant_type === 'refresh_token' ? this.#grants.get(String(refresh_token)) : undefined;
  }

  #offer(request: IncomingMessage, response: ServerResponse): void {
    const query = queryOf(request);
    const isOurs = isLoopback(query.get('redirect_uri')) && query.get('code_challenge_method') === 'S256';
    if (!isOurs) {
      response
        .writeHead(400, { 'content-type': 'text/plain' })
        .end('Wanted: a loopback redirect_uri, and PKCE.');
      return;
    }
    const chosen = query.get('as') ?? cookieOf(request);
    if (!isPerson(chosen) && query.get('prompt') === 'none') {
      // Without a session, a sign-in without a prompt fails with `login_required` (OpenID Connect Core, section
      // 3.1.2.6).
      const back = new URL(String(query.get('redirect_uri')));
      back.searchParams.set('error', 'login_required');
      back.searchParams.set('state', query.get('state') ?? '');
      response.writeHead(302, { location: back.href }).end();
      return;
    }
    if (isPerson(chosen)) {
      query.delete('as');
      query.set('person', chosen);
      response
        .writeHead(302, {
          location: `${PATHS.authorize}?${query}`,
          'set-cookie': `${COOKIE}=${chosen}; HttpOnly; SameSite=Lax; Path=/`,
        })
        .end();
      return;
    }
    const choices = Object.entries(PEOPLE).map(([as, { name, groups }]) => ({
      name,
      groups,
      href: `${PATHS.signIn}?${new URLSearchParams([...query, ['as', as]])}`,
    }));
    response
      .writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
      .end(signInPage(choices));
  }

  #signOut(request: IncomingMessage, response: ServerResponse): void {
    const after = queryOf(request).get('post_logout_redirect_uri');
    const location = isLoopback(after) ? { location: String(after) } : {};
    response
      .writeHead('location' in location ? 302 : 200, {
        ...location,
        'set-cookie': `${COOKIE}=; Max-Age=0; Path=/`,
      })
      .end();
  }

  /** Starts the issuer. @returns the issuer's URL, which is the `iss` of its tokens */
  async start(port: number): Promise<string> {
    await this.#server.issuer.keys.generate('RS256');
    await this.#server.start(port, '127.0.0.1');
    this.#server.issuer.url = `http://127.0.0.1:${this.#server.address().port}`;
    return this.#server.issuer.url;
  }

  async stop(): Promise<void> {
    if (this.#server.listening) await this.#server.stop();
  }

  /** Returns a person's access token, or an ID token if `kind` is `id`. */
  signIn(person: Person, kind: 'access' | 'id' = 'access', tamper: Tamper = () => {}): Promise<string> {
    return this.#server.issuer.buildToken({
      scopesOrTransform: (header, payload) => {
        this.#fill({ header, payload }, person, kind);
        tamper({ header, payload });
      },
    });
  }

  /**
   * Fills in the claims: RFC 9068 for access tokens, OpenID Connect for ID tokens. The two kinds of token differ in
   * header, audience and scope.
   */
  #fill({ header, payload }: MutableToken, person: Person, kind: 'access' | 'id'): void {
    const { sub, name, email, groups } = PEOPLE[person];
    const common = { sub, name, email, groups, jti: randomUUID(), ...timesFrom(this.#clock.now()) };
    if (kind === 'access') {
      header.typ = 'at+jwt';
      Object.assign(payload, common, { aud: AUDIENCE, client_id: CLIENT_ID, scope: 'openid profile email' });
    } else {
      Object.assign(payload, common, { aud: CLIENT_ID });
    }
  }
}

/** The fields of a token request that identify the person. */
type TokenRequest = Partial<Record<'grant_type' | 'username' | 'code' | 'refresh_token', unknown>>;

/** Returns the times of a token that is issued now. @param now epoch milliseconds */
function timesFrom(now: number) {
  const iat = Math.floor(now / 1000);
  return { iat, nbf: iat, exp: iat + LIFETIME };
}

const queryOf = ({ url = '/' }: IncomingMessage) => new URL(url, 'http://localhost').searchParams;

const cookieOf = ({ headers: { cookie = '' } }: IncomingMessage) =>
  new RegExp(`(?:^|; )${COOKIE}=([a-z]+)`).exec(cookie)?.[1];

const isLoopback = (url: string | null) => /^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?\//.test(url ?? '');
