import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import * as oauth from 'oauth4webapi';
import { COMMAND_LINE_CALLBACK } from '../functions/domain/command-line.ts';
import { EXIT, Failure, UsageError } from './failure.ts';
import { describeConnection, send } from './http.ts';
import { isLoopback } from './service-url.ts';
import type { SignIn } from './sign-ins.ts';

/** The settings with which people sign in to a stack. */
export interface SignInConfig {
  readonly issuer: string;
  readonly clientId: string;
  /** OAuth scopes, separated by spaces. */
  readonly scope: string;
}

/** Time limit for a sign-in, in milliseconds. */
const SIGN_IN_TIMEOUT = 5 * 60_000;

/** Reads the sign-in settings from the stack's console. @throws Failure if the stack has no console */
export async function readSignInConfig(url: string): Promise<SignInConfig> {
  const response = await send(() => new Request(`${url}/console`));
  const page = await response.text();
  const content = /<meta name="console" content="([^"]*)"/.exec(page)?.[1];
  if (response.status !== 200 || content === undefined) {
    throw new Failure(
      `${url} has no console that says how to sign in. Give --issuer and --client-id, or check the URL.`,
      EXIT.usage,
    );
  }
  const unescaped = content.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)));
  const { issuer, clientId, signInScope } = JSON.parse(unescaped);
  return { issuer, clientId, scope: signInScope };
}

/**
 * Signs a person in with the authorization code flow and PKCE (RFC 8252). The issuer sends the browser back to a server on
 * this machine.
 *
 * @param onUrl receives the URL to open in a browser
 * @throws Failure if the issuer denies the sign-in, or if no one signs in within five minutes
 */
export async function signIn(config: SignInConfig, onUrl: (url: string) => void): Promise<SignIn> {
  const server = await discover(config.issuer);
  const client: oauth.Client = { client_id: config.clientId };
  if (!server.authorization_endpoint) throw new Failure(`${config.issuer} has no authorization endpoint.`);
  const state = oauth.generateRandomState();
  const nonce = oauth.generateRandomNonce();
  const verifier = oauth.generateRandomCodeVerifier();
  const url = new URL(server.authorization_endpoint);
  const parameters = {
    response_type: 'code',
    client_id: config.clientId,
    redirect_uri: COMMAND_LINE_CALLBACK,
    scope: scopeFor(server, config.scope),
    state,
    nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const arrival = await arrivalAt(COMMAND_LINE_CALLBACK, state, () => onUrl(url.href));
  return rejectedBy(config.issuer, async () => {
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      oauth.None(),
      oauth.validateAuthResponse(server, client, arrival, state),
      COMMAND_LINE_CALLBACK,
      verifier,
      optionsFor(config.issuer),
    );
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, {
      expectedNonce: nonce,
      requireIdToken: true,
    });
    const claims = oauth.getValidatedIdTokenClaims(tokens);
    const person = claims?.name ?? claims?.email ?? claims?.preferred_username ?? claims?.sub;
    return signInOf(config, String(person), tokens);
  });
}

/** Renews a sign-in with its refresh token. @returns undefined if the issuer no longer accepts it */
export async function renew(expired: SignIn): Promise<SignIn | undefined> {
  const { issuer, clientId, refreshToken, person } = expired;
  if (refreshToken === undefined) return undefined;
  const server = await discover(issuer);
  const client: oauth.Client = { client_id: clientId };
  const response = await oauth
    .refreshTokenGrantRequest(server, client, oauth.None(), refreshToken, optionsFor(issuer))
    .catch((error) => {
      throw new Failure(`Cannot reach ${issuer}: ${describeConnection(error)}.`, EXIT.unavailable);
    });
  try {
    const tokens = await oauth.processRefreshTokenResponse(server, client, response);
    return signInOf({ issuer, clientId }, person, {
      ...tokens,
      refresh_token: tokens.refresh_token ?? refreshToken,
    });
  } catch {
    return undefined;
  }
}

/** Revokes the refresh token of a sign-in, if the issuer supports revocation. @returns whether the token was revoked */
export async function end({ issuer, clientId, refreshToken }: SignIn): Promise<boolean> {
  if (refreshToken === undefined) return false;
  try {
    const server = await discover(issuer);
    if (!server.revocation_endpoint) return false;
    const client: oauth.Client = { client_id: clientId };
    const options = optionsFor(issuer);
    const response = await oauth.revocationRequest(server, client, oauth.None(), refreshToken, options);
    await oauth.processRevocationResponse(response);
    return true;
  } catch {
    return false;
  }
}

/** Opens a URL in the browser. Does nothing if there is no browser, because the URL is also printed. */
export function openBrowser(url: string): void {
  const [command, ...args] =
    process.platform === 'darwin'
      ? ['open', url]
      : process.platform === 'win32'
        ? ['rundll32', 'url.dll,FileProtocolHandler', url]
        : ['xdg-open', url];
  const child = spawn(command ?? '', args, { stdio: 'ignore', detached: true });
  child.on('error', () => {});
  child.unref();
}

// The stack accepts an http issuer only on a loopback host, for development.
const optionsFor = (issuer: string) => ({
  [oauth.allowInsecureRequests]: isLoopback(new URL(issuer).hostname),
});

async function discover(issuer: string): Promise<oauth.AuthorizationServer> {
  const url = new URL(issuer);
  const response = await oauth
    .discoveryRequest(url, { ...optionsFor(issuer), algorithm: 'oidc' })
    .catch((error) => {
      throw new Failure(`Cannot reach ${issuer}: ${describeConnection(error)}.`, EXIT.unavailable);
    });
  return rejectedBy(issuer, () => oauth.processDiscoveryResponse(url, response));
}

/**
 * Adds `offline_access`, which requests a refresh token, if the issuer supports it. Other issuers reject unknown
 * scopes.
 */
function scopeFor(server: oauth.AuthorizationServer, scope: string): string {
  const words = new Set(scope.split(' '));
  if (server.scopes_supported?.includes('offline_access')) words.add('offline_access');
  return [...words].join(' ');
}

function signInOf(
  { issuer, clientId }: Pick<SignInConfig, 'issuer' | 'clientId'>,
  person: string,
  {
    access_token: accessToken,
    refresh_token: refreshToken,
    expires_in: lifetime,
  }: oauth.TokenEndpointResponse,
): SignIn {
  const expiresAt = lifetime === undefined ? undefined : Date.now() + lifetime * 1000;
  return { issuer, clientId, accessToken, refreshToken, expiresAt, person };
}

/** Turns an error from the issuer into a failure with the issuer's description. */
async function rejectedBy<T>(issuer: string, steps: () => Promise<T>): Promise<T> {
  try {
    return await steps();
  } catch (error) {
    if (error instanceof Failure) throw error;
    const { error: code, error_description: description, message } = error as Record<string, unknown>;
    const why = [code ?? message, description].filter(Boolean).join(': ');
    throw new Failure(`${issuer} rejected the sign-in: ${why}.`, EXIT.rejected);
  }
}

/**
 * Waits for the browser at the callback URL.
 *
 * @param state value that the request must contain. Other requests get a response and are ignored
 * @returns the URL that the browser requested
 */
async function arrivalAt(callback: string, state: string, onListening: () => void): Promise<URL> {
  const { port, pathname } = new URL(callback);
  let arrive: (url: URL) => void = () => {};
  const arrival = new Promise<URL>((resolve) => {
    arrive = resolve;
  });
  const create = () =>
    createServer((request, response) => {
      const url = new URL(request.url ?? '/', callback);
      const isOurs = url.pathname === pathname && url.searchParams.get('state') === state;
      response.writeHead(isOurs ? 200 : 404, {
        'content-type': 'text/html; charset=utf-8',
        connection: 'close',
      });
      const words = url.searchParams.has('error') ? 'You are not signed in.' : 'You are signed in.';
      response.end(
        isOurs ? page(`${words} Close this tab and return to the terminal.`) : page('Nothing is here.'),
      );
      if (isOurs) arrive(url);
    });
  const servers = await listen(create, Number(port));
  try {
    onListening();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Failure('Nobody signed in within 5 minutes.', EXIT.rejected)),
        SIGN_IN_TIMEOUT,
      );
    });
    return await Promise.race([arrival, late]).finally(() => clearTimeout(timer));
  } finally {
    for (const server of servers) {
      server.close();
      server.closeIdleConnections();
    }
  }
}

/** Listens on both loopback addresses, because a browser may use either for `localhost`. */
async function listen(create: () => Server, port: number): Promise<Server[]> {
  const servers: Server[] = [];
  for (const host of ['127.0.0.1', '::1']) {
    const server = create().listen(port, host);
    try {
      await once(server, 'listening');
      servers.push(server);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Listening on ::1 fails on a machine without IPv6.
      if (host === '::1' && code !== 'EADDRINUSE') continue;
      for (const other of servers) other.close();
      throw new UsageError(
        `Port ${port} is in use, and the issuer sends the browser there. Is another sign-in waiting? (${code})`,
      );
    }
  }
  return servers;
}

const page = (text: string) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>Deployment API Keys</title><p>${text}</p></html>\n`;
