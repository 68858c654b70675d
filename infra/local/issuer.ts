import { randomUUID } from 'node:crypto';
import { Events, type MutableToken, OAuth2Server } from 'oauth2-mock-server';
import type { Clock } from './clock.ts';

/** Who can sign in here. Their groups are what the stack's settings and the story speak of. */
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

/** The group whose members are the local stack's administrators. */
export const ADMIN_GROUP = 'platform-admins';
/** What the local stack's access tokens are for. */
export const AUDIENCE = 'deployment-api-keys';
/** The public client that signs people in. */
export const CLIENT_ID = 'deployment-api-keys-console';

const LIFETIME = 3600;

export const isPerson = (name: unknown): name is Person =>
  typeof name === 'string' && Object.hasOwn(PEOPLE, name);

/** Changes to a token, for a test that wants a bad one. */
export type Tamper = (token: MutableToken) => void;

/** The development issuer: OIDC with RS256 keys made at each start. Nobody needs a password. */
export class Issuer {
  readonly #server = new OAuth2Server();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#server.service.on(Events.BeforeTokenSigning, (token, { body }) => {
      if (isPerson(body.username)) this.#fill(token, body.username, 'amr' in token.payload ? 'access' : 'id');
    });
    this.#server.service.on(Events.BeforeResponse, (response, { body }) => {
      if (body.grant_type === 'password' && isPerson(body.username)) return;
      Object.assign(response, { statusCode: 400, body: { error: 'invalid_grant' } });
    });
  }

  /** @returns its URL, which is the tokens' `iss`. */
  async start(port: number): Promise<string> {
    await this.#server.issuer.keys.generate('RS256');
    await this.#server.start(port, '127.0.0.1');
    this.#server.issuer.url = `http://127.0.0.1:${this.#server.address().port}`;
    return this.#server.issuer.url;
  }

  async stop(): Promise<void> {
    if (this.#server.listening) await this.#server.stop();
  }

  /** @returns an access token, or with `kind` an ID token, of a person. */
  signIn(person: Person, kind: 'access' | 'id' = 'access', tamper: Tamper = () => {}): Promise<string> {
    return this.#server.issuer.buildToken({
      scopesOrTransform: (header, payload) => {
        this.#fill({ header, payload }, person, kind);
        tamper({ header, payload });
      },
    });
  }

  /** Access tokens after RFC 9068, ID tokens after OpenID Connect: a header, an audience and a scope apart. */
  #fill({ header, payload }: MutableToken, person: Person, kind: 'access' | 'id'): void {
    const { sub, name, email, groups } = PEOPLE[person];
    const iat = Math.floor(this.#clock.now() / 1000);
    const common = { sub, name, email, groups, iat, nbf: iat, exp: iat + LIFETIME, jti: randomUUID() };
    if (kind === 'access') {
      header.typ = 'at+jwt';
      Object.assign(payload, common, { aud: AUDIENCE, client_id: CLIENT_ID, scope: 'openid profile email' });
    } else {
      Object.assign(payload, common, { aud: CLIENT_ID });
    }
  }
}
