import { getBooleanInput, getInput, setSecret } from '@actions/core';
import { parseCredential, parseKeyId } from '../../functions/domain/credentials.ts';
import { Failure, hintOfEvent } from './failure.ts';

/** The validated inputs of the action. */
export interface Inputs {
  /** URL of the service, without a trailing slash. */
  url: string;
  keyId: string;
  /** The key's secret. Undefined if the job's OIDC token is used. */
  secret: string | undefined;
  /** Scopes, separated by single spaces. An empty string means all scopes of the key. */
  scope: string;
  /** Audience of the OIDC token. */
  audience: string;
  /** True to revoke the token at the end of the job. */
  revoke: boolean;
}

/** The default value of the `key-secret` input in action.yml. */
const OIDC = 'oidc';

/**
 * Reads and validates the inputs. Error messages never repeat a value, because the value may be a secret that was
 * entered in the wrong place.
 *
 * @throws Failure that names the input and says what to do
 */
export function readInputs(): Inputs {
  const keySecret = getInput('key-secret');
  // Mask the secret before anything can be printed. GitHub only masks values that come from its own secrets.
  if (keySecret !== '' && keySecret !== OIDC) setSecret(keySecret);
  const url = readUrl(getInput('url'));
  const keyId = readKeyId(getInput('key-id'));
  return {
    url,
    keyId,
    secret: keySecret === OIDC ? undefined : readSecret(keySecret, keyId),
    scope: getInput('scope').split(/\s+/).join(' '),
    audience: getInput('audience') || url,
    revoke: readRevoke(),
  };
}

function readUrl(text: string): string {
  if (text === '') throw new Failure("url is empty. Pass the URL of the service, the stack's output ApiUrl.");
  if (!URL.canParse(text)) {
    throw new Failure(
      "url is not a URL. Pass the URL of the service, the stack's output ApiUrl, for example https://keys.example.com.",
    );
  }
  const { protocol, hostname, origin, pathname, username, password, search, hash } = new URL(text);
  if (username || password || search || hash) {
    throw new Failure('url must not contain a user name, a password, a query or a fragment.');
  }
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || /^127\.[\d.]+$/.test(hostname);
  if (protocol !== 'https:' && !(protocol === 'http:' && isLoopback)) {
    throw new Failure(
      'url must begin with https://, because the secret is sent there. http:// is allowed only for localhost.',
    );
  }
  if (pathname.endsWith('/oauth/token')) {
    throw new Failure('url must be the URL of the service, without /oauth/token.');
  }
  return `${origin}${pathname}`.replace(/\/+$/, '');
}

function readKeyId(text: string): string {
  if (text === '') throw new Failure('key-id is empty. Pass the ID of the API key, which begins with dk_.');
  if (!parseKeyId(text)) {
    throw new Failure(
      /^dk[stx]_/.test(text)
        ? 'key-id holds a secret or a token. Pass the ID of the API key, which begins with dk_, and rotate the key if a log shows the secret.'
        : 'key-id is not the ID of an API key: dk_, the ID of the Deployment, _ and 26 characters. Was it truncated?',
    );
  }
  return text;
}

function readSecret(text: string, keyId: string): string {
  if (text === '') {
    throw new Failure(
      `key-secret is empty: is the secret set for this repository and environment?${hintOfEvent()}`,
    );
  }
  const expected = parseKeyId(keyId);
  const credential = parseCredential(text);
  if (/^dk[tx]_/.test(text)) throw new Failure('key-secret holds a token. Pass the secret of the API key.');
  if (parseKeyId(text)) throw new Failure('key-secret holds the ID of an API key. Pass its secret.');
  if (!credential) {
    throw new Failure(
      'key-secret is not a complete secret: was it truncated or changed when it was stored? A secret begins with dks_.',
    );
  }
  if (credential.ulid !== expected?.ulid || credential.deploymentId !== expected.deploymentId) {
    throw new Failure(`key-secret belongs to another API key than key-id, which is ${keyId}.`);
  }
  return text;
}

function readRevoke(): boolean {
  try {
    return getBooleanInput('revoke');
  } catch {
    throw new Failure('revoke must be true or false.');
  }
}
