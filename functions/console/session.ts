import * as oauth from 'oauth4webapi';
import type { Config } from './config.ts';
import { paths } from './paths.ts';

/** The tokens of the signed-in person. They are kept only in memory, so a reload loses them. */
interface SignedIn {
  accessToken: string;
  refreshToken: string | undefined;
  /** Epoch milliseconds; undefined if the issuer did not report it. */
  expiresAt: number | undefined;
}

export type SignInState =
  | { name: 'out' }
  | { name: 'in'; person: string }
  /** The person was signed in, but the issuer or the service no longer accepts the sign-in. */
  | { name: 'ended'; person: string };

/** What sessionStorage keeps during the redirect to the issuer. It is removed on return. */
interface Crossing {
  state: string;
  nonce: string;
  verifier: string;
  /** The path at which the person was. */
  returnTo: string;
}

const CROSSING = 'console.sign-in';
/** Set while someone is signed in in this tab, so that a reload signs in again without a click. Not a secret. */
const RETURNING = 'console.returning';
/** How long before its expiry an access token is renewed, in milliseconds, so that no call uses an expired one. */
const MARGIN = 30_000;

/** Signs people in with OpenID Connect: authorization code flow with PKCE, as a public client. */
export class Session {
  state: SignInState = { name: 'out' };
  readonly #config: Config;
  readonly #client: oauth.Client;
  readonly #options: { [oauth.allowInsecureRequests]: boolean };
  readonly #onChange: () => void;
  #signedIn: SignedIn | undefined;
  #server: Promise<oauth.AuthorizationServer> | undefined;
  #renewal: Promise<boolean> | undefined;

  constructor(config: Config, onChange: () => void) {
    this.#config = config;
    this.#client = { client_id: config.clientId };
    // The stack accepts an http issuer only on a loopback host, for development.
    this.#options = { [oauth.allowInsecureRequests]: config.issuer.startsWith('http:') };
    this.#onChange = onChange;
  }

  /** Whether someone was signed in in this tab before the page was reloaded. */
  get isReturning(): boolean {
    return sessionStorage.getItem(RETURNING) !== null;
  }

  /**
   * Starts a sign-in by redirecting to the issuer.
   * @param returnTo path to return to
   */
  async begin(returnTo: string): Promise<void> {
    const { authorization_endpoint } = await this.#authorizationServer();
    if (!authorization_endpoint) throw new Error('The issuer has no authorization endpoint.');
    const crossing: Crossing = {
      state: oauth.generateRandomState(),
      nonce: oauth.generateRandomNonce(),
      verifier: oauth.generateRandomCodeVerifier(),
      returnTo,
    };
    sessionStorage.setItem(CROSSING, JSON.stringify(crossing));
    const url = new URL(authorization_endpoint);
    const parameters = {
      response_type: 'code',
      client_id: this.#config.clientId,
      redirect_uri: redirectUri(),
      scope: this.#config.signInScope,
      state: crossing.state,
      nonce: crossing.nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(crossing.verifier),
      code_challenge_method: 'S256',
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    location.assign(url);
  }

  /**
   * Completes a sign-in after the redirect from the issuer: exchanges the code for tokens.
   * @param url the URL of the page on arrival
   * @returns the path at which the person was
   * @throws Error when the issuer denied the sign-in, or when this tab did not start it
   */
  async complete(url: URL): Promise<string> {
    const stored = sessionStorage.getItem(CROSSING);
    sessionStorage.removeItem(CROSSING);
    sessionStorage.removeItem(RETURNING);
    if (!stored) throw new Error('This sign-in was not begun here.');
    const { state, nonce, verifier, returnTo }: Crossing = JSON.parse(stored);
    const server = await this.#authorizationServer();
    const parameters = oauth.validateAuthResponse(server, this.#client, url, state);
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      this.#client,
      oauth.None(),
      parameters,
      redirectUri(),
      verifier,
      this.#options,
    );
    const tokens = await oauth.processAuthorizationCodeResponse(server, this.#client, response, {
      expectedNonce: nonce,
      requireIdToken: true,
    });
    const claims = oauth.getValidatedIdTokenClaims(tokens);
    const person = String(claims?.name ?? claims?.email ?? claims?.preferred_username ?? claims?.sub);
    this.#keep(tokens);
    sessionStorage.setItem(RETURNING, '1');
    this.#become({ name: 'in', person });
    return returnTo;
  }

  /** Returns the access token, renewed if it is about to expire; undefined when no one is signed in. */
  async accessToken(): Promise<string | undefined> {
    const { expiresAt } = this.#signedIn ?? {};
    const isEnding = expiresAt !== undefined && Date.now() > expiresAt - MARGIN;
    if (isEnding && this.#signedIn?.refreshToken) await this.renew(this.#signedIn.accessToken);
    return this.#signedIn?.accessToken;
  }

  /**
   * Renews the sign-in, unless another call has already done so.
   * @param ended the access token to replace; undefined if there was none
   * @returns false when the sign-in cannot be renewed
   */
  async renew(ended: string | undefined): Promise<boolean> {
    // Some issuers accept a refresh token only once, so concurrent calls share one renewal. A call that learns of the
    // expiry after the renewal uses the new token.
    if (this.#signedIn && this.#signedIn.accessToken !== ended) return true;
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #renew(): Promise<boolean> {
    const refreshToken = this.#signedIn?.refreshToken;
    if (!refreshToken) return false;
    try {
      const server = await this.#authorizationServer();
      const response = await oauth.refreshTokenGrantRequest(
        server,
        this.#client,
        oauth.None(),
        refreshToken,
        this.#options,
      );
      const tokens = await oauth.processRefreshTokenResponse(server, this.#client, response);
      this.#keep({ ...tokens, refresh_token: tokens.refresh_token ?? refreshToken });
      return true;
    } catch {
      return false;
    }
  }

  /** Ends the session after the service rejected the access token and it could not be renewed. */
  end(): void {
    if (this.state.name !== 'in') return;
    this.#signedIn = undefined;
    this.#become({ name: 'ended', person: this.state.person });
  }

  /** Forgets the tokens, and then ends the session at the issuer if it supports that. */
  async signOut(): Promise<void> {
    this.#signedIn = undefined;
    sessionStorage.removeItem(RETURNING);
    const { end_session_endpoint } = await this.#authorizationServer().catch(
      (): Partial<oauth.AuthorizationServer> => ({}),
    );
    const signedOut = `${location.origin}${paths.signedOut()}`;
    if (!end_session_endpoint) return location.assign(signedOut);
    const url = new URL(end_session_endpoint);
    // OpenID Connect RP-Initiated Logout §2. Leaves out id_token_hint, which would put a token into a URL.
    url.searchParams.set('client_id', this.#config.clientId);
    url.searchParams.set('post_logout_redirect_uri', signedOut);
    // Cognito's name for the same parameter.
    url.searchParams.set('logout_uri', signedOut);
    location.assign(url);
  }

  #keep(tokens: oauth.TokenEndpointResponse): void {
    this.#signedIn = {
      accessToken: tokens.access_token,
      refreshToken: tokens.refresh_token,
      expiresAt: tokens.expires_in === undefined ? undefined : Date.now() + tokens.expires_in * 1000,
    };
  }

  #become(state: SignInState): void {
    this.state = state;
    this.#onChange();
  }

  #authorizationServer(): Promise<oauth.AuthorizationServer> {
    this.#server ??= this.#discover().catch((error) => {
      this.#server = undefined;
      throw error;
    });
    return this.#server;
  }

  async #discover(): Promise<oauth.AuthorizationServer> {
    const issuer = new URL(this.#config.issuer);
    const response = await oauth.discoveryRequest(issuer, { ...this.#options, algorithm: 'oidc' });
    return oauth.processDiscoveryResponse(issuer, response);
  }
}

const redirectUri = () => `${location.origin}${paths.signedIn()}`;
