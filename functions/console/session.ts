import * as oauth from 'oauth4webapi';
import type { Config } from './config.ts';
import { paths } from './paths.ts';
import { type Person, personOf } from './person.ts';

/** The tokens of the signed-in person. They are kept only in memory, so reloading the page loses them. */
interface SignedIn {
  accessToken: string;
  refreshToken: string | undefined;
  /** Expiry of the access token, in epoch milliseconds; undefined if the issuer did not report it. */
  expiresAt: number | undefined;
}

export type SignInState =
  | { name: 'out' }
  | { name: 'in'; person: Person }
  /**
   * The person was signed in, but the issuer or the service no longer accepts the session. The service can give a
   * reason, for example that an administrator has ended the person's access.
   */
  | { name: 'ended'; person: Person; reason: string | undefined };

/** The state that sessionStorage holds during the redirect to the issuer. It is removed when the person returns. */
interface Crossing {
  state: string;
  nonce: string;
  verifier: string;
  /** Path of the page that the person was on. */
  returnTo: string;
  /** Whether the sign-in request asked the issuer not to prompt. */
  isSilent: boolean;
}

const CROSSING = 'console.sign-in';
/**
 * Entry that is stored after signing out of an issuer that keeps its own session, so that this tab does not sign in
 * again automatically.
 */
const SIGNED_OUT = 'console.signed-out';
/**
 * Error codes with which an issuer says that it cannot sign a person in without a prompt (OpenID Connect Core, section
 * 3.1.2.6).
 */
const NEEDS_PROMPT = [
  'login_required',
  'interaction_required',
  'consent_required',
  'account_selection_required',
];
/**
 * How long before its expiry the console renews an access token, in milliseconds, so that no call uses an expired
 * token.
 */
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
  #needsPrompt = false;

  constructor(config: Config, onChange: () => void) {
    this.#config = config;
    this.#client = { client_id: config.clientId };
    // The stack accepts an http issuer only on a loopback host, for development.
    this.#options = { [oauth.allowInsecureRequests]: config.issuer.startsWith('http:') };
    this.#onChange = onChange;
  }

  /**
   * Reports whether to try to sign in without a prompt, because the issuer might have a session of this person. False
   * if the issuer has just said that it needs a prompt, if the redirect of an earlier attempt in this tab never
   * returned, or if the person has signed out.
   */
  get canBeSilent(): boolean {
    const isUnfinished = sessionStorage.getItem(CROSSING) !== null;
    return !this.#needsPrompt && !isUnfinished && sessionStorage.getItem(SIGNED_OUT) === null;
  }

  /**
   * Starts a sign-in by redirecting to the issuer.
   * @param returnTo path to return to
   * @param isSilent true if the issuer must not show a page
   */
  async begin(returnTo: string, isSilent = false): Promise<void> {
    const { authorization_endpoint } = await this.#authorizationServer();
    if (!authorization_endpoint) throw new Error('The issuer has no authorization endpoint.');
    const crossing: Crossing = {
      state: oauth.generateRandomState(),
      nonce: oauth.generateRandomNonce(),
      verifier: oauth.generateRandomCodeVerifier(),
      returnTo,
      isSilent,
    };
    sessionStorage.removeItem(SIGNED_OUT);
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
      ...(isSilent && { prompt: 'none' }),
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    location.assign(url);
  }

  /**
   * Completes a sign-in after the redirect from the issuer: exchanges the code for tokens.
   * @param url the URL of the page on arrival
   * @returns the path of the page that the person was on. If the issuer needs a prompt, no one is signed in.
   * @throws Error if the issuer denied the sign-in, or if this tab did not start it
   */
  async complete(url: URL): Promise<string> {
    const stored = sessionStorage.getItem(CROSSING);
    sessionStorage.removeItem(CROSSING);
    if (!stored) throw new Error('This sign-in was not begun here.');
    const { state, nonce, verifier, returnTo, isSilent }: Crossing = JSON.parse(stored);
    const server = await this.#authorizationServer();
    let parameters: URLSearchParams;
    try {
      parameters = oauth.validateAuthResponse(server, this.#client, url, state);
    } catch (error) {
      const isExpected =
        error instanceof oauth.AuthorizationResponseError && NEEDS_PROMPT.includes(error.error);
      if (!isSilent || !isExpected) throw error;
      this.#needsPrompt = true;
      return returnTo;
    }
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
    const person = personOf(tokens.access_token, { ...claims }, this.#config);
    this.#keep(tokens);
    this.#become({ name: 'in', person });
    return returnTo;
  }

  /** Returns the access token, and renews it first if it is about to expire; undefined if no one is signed in. */
  async accessToken(): Promise<string | undefined> {
    const { expiresAt } = this.#signedIn ?? {};
    const isEnding = expiresAt !== undefined && Date.now() > expiresAt - MARGIN;
    if (isEnding && this.#signedIn?.refreshToken) await this.renew(this.#signedIn.accessToken);
    return this.#signedIn?.accessToken;
  }

  /**
   * Renews the sign-in, unless another call has already done so.
   * @param ended the access token to replace; undefined if there was no access token
   * @returns false if the sign-in cannot be renewed
   */
  async renew(ended: string | undefined): Promise<boolean> {
    // Some issuers accept a refresh token only once, so concurrent calls share one renewal. A call that gets a 401
    // after the renewal uses the new token.
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

  /**
   * Ends the session after the service has rejected the access token and the token could not be renewed.
   * @param reason the service's explanation, as a sentence; undefined if the token has expired
   */
  end(reason: string | undefined): void {
    if (this.state.name !== 'in') return;
    this.#signedIn = undefined;
    this.#become({ name: 'ended', person: this.state.person, reason });
  }

  /** Discards the tokens, and then ends the session at the issuer if the issuer supports that. */
  async signOut(): Promise<void> {
    this.#signedIn = undefined;
    const { end_session_endpoint } = await this.#authorizationServer().catch(
      (): Partial<oauth.AuthorizationServer> => ({}),
    );
    const signedOut = `${location.origin}${paths.signedOut()}`;
    if (!end_session_endpoint) {
      sessionStorage.setItem(SIGNED_OUT, '1');
      return location.assign(signedOut);
    }
    const url = new URL(end_session_endpoint);
    // OpenID Connect RP-Initiated Logout, section 2. Omits id_token_hint, which would put a token into a URL.
    url.searchParams.set('client_id', this.#config.clientId);
    url.searchParams.set('post_logout_redirect_uri', signedOut);
    // `logout_uri` is Cognito's name for `post_logout_redirect_uri`.
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
