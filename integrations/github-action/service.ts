import { setTimeout } from 'node:timers/promises';
import { getIDToken, info, setSecret } from '@actions/core';
import { HttpClient } from '@actions/http-client';
import { isTokenOf } from '../../functions/domain/credentials.ts';
import { Failure, hintOfEvent } from './failure.ts';
import type { Inputs } from './inputs.ts';

/** Maximum number of attempts for a call. */
const ATTEMPTS = 5;
/**
 * Longest Retry-After that the action waits for, in seconds. The limit is low, because jobs are billed by the minute.
 */
const LONGEST_WAIT = 60;

/** An access token, and the time (RFC 3339) when it expires if it is not used. */
interface AccessToken {
  token: string;
  expiresAt: string;
}

/** A response from the service, or from another server at its URL. */
interface Answer {
  status: number;
  /** The fields of the body, if it is a JSON object. */
  body: Record<string, unknown>;
  headers: Readonly<Record<string, unknown>>;
}

/**
 * Exchanges the key's secret or the job's OIDC token for an access token. Masks the access token before doing anything
 * else.
 *
 * @throws Failure if the service rejects the exchange or cannot be reached
 */
export async function exchange(inputs: Inputs): Promise<AccessToken> {
  let subject = '';
  const scope: Record<string, string> = inputs.scope ? { scope: inputs.scope } : {};
  const sentAt = Date.now();
  const answer = await send(inputs.url, '/oauth/token', async () => {
    if (inputs.secret !== undefined) {
      return {
        grant_type: 'client_credentials',
        client_id: inputs.keyId,
        client_secret: inputs.secret,
        ...scope,
      };
    }
    // Get a new OIDC token for each attempt, because the service may accept each token only once and the response to
    // the previous attempt may have been lost.
    subject = await subjectToken(inputs.audience);
    return {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      client_id: inputs.keyId,
      subject_token: subject,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      ...scope,
    };
  });
  const { access_token: token, expires_in: lifetime } = answer.body;
  if (typeof token === 'string' && token !== '') setSecret(token);
  if (answer.status !== 200) throw rejection(inputs, answer, subject);
  const isOfKey = typeof token === 'string' && isTokenOf(inputs.keyId, token);
  const expiresAt = new Date(sentAt + Number(lifetime) * 1000);
  if (!isOfKey || !Number.isInteger(lifetime) || Number.isNaN(expiresAt.getTime())) {
    throw notTheService(inputs, answer);
  }
  return { token, expiresAt: expiresAt.toISOString() };
}

/**
 * Revokes an access token. Without a secret, the token itself authenticates the call.
 *
 * @throws Failure if the service did not confirm the revocation
 */
export async function revoke(inputs: Inputs, token: string): Promise<void> {
  const client = { client_id: inputs.keyId, ...(inputs.secret && { client_secret: inputs.secret }) };
  const answer = await send(inputs.url, '/oauth/revoke', async () => ({ token, ...client }));
  if (answer.status !== 200) throw rejection(inputs, answer, '');
}

/** Gets the job's OIDC token. @throws Failure if the job has no OIDC token */
async function subjectToken(audience: string): Promise<string> {
  if (!process.env.ACTIONS_ID_TOKEN_REQUEST_URL || !process.env.ACTIONS_ID_TOKEN_REQUEST_TOKEN) {
    throw new Failure(
      'key-secret is not given, and the job has no OIDC token. Add "permissions: {contents: read, id-token: write}" to the job, or pass ' +
        `key-secret.${hintOfEvent()}`,
    );
  }
  try {
    return await getIDToken(audience);
  } catch {
    throw new Failure('GitHub issued no OIDC token for the job. Run the job again.');
  }
}

/**
 * Sends a form, and retries it after a pause if the service is busy or the connection fails.
 *
 * @param parameters function that creates the form's fields for each attempt
 * @throws Failure if the last attempt also failed
 */
async function send(
  url: string,
  path: string,
  parameters: () => Promise<Record<string, string>>,
): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    const form = new URLSearchParams(await parameters()).toString();
    const answer = await postForm(`${url}${path}`, form);
    const isFailure = answer instanceof Error;
    if (!isFailure && answer.status !== 429 && answer.status < 500) return answer;

    const what = isFailure ? 'The connection failed' : `The service answered HTTP ${answer.status}`;
    if (attempt === ATTEMPTS) {
      const cause = isFailure ? ` (${codeOf(answer)}). Is url right, and can the runner reach it?` : '.';
      throw new Failure(`${url}: ${what} ${ATTEMPTS} times${cause}`);
    }
    const retryAfterSeconds = isFailure ? 0 : retryAfter(answer);
    if (retryAfterSeconds > LONGEST_WAIT) {
      throw new Failure(
        `${url}: ${what} and asks to wait ${retryAfterSeconds} s. Run the job again after that time.`,
      );
    }
    const pause = Math.max(2 ** (attempt - 1), retryAfterSeconds) * (1 + Math.random() / 2);
    info(`${what}. Attempt ${attempt + 1} of ${ATTEMPTS} follows in ${pause.toFixed(1)} s.`);
    await setTimeout(pause * 1000);
  }
}

async function postForm(url: string, form: string): Promise<Answer | Error> {
  // This client uses the runner's proxy. Do not follow redirects, because they would send the secret to another server.
  const client = new HttpClient('deployment-api-keys-action', [], {
    allowRedirects: false,
    socketTimeout: 30_000,
  });
  try {
    const response = await client.post(url, form, { 'content-type': 'application/x-www-form-urlencoded' });
    const { statusCode = 0, headers } = response.message;
    return { status: statusCode, headers, body: fieldsOf(await response.readBody()) };
  } catch (error) {
    return error instanceof Error ? error : new Error('unknown');
  }
}

function fieldsOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/**
 * Returns the seconds to wait according to a Retry-After header, which contains a number or a date (RFC 9110, section
 * 10.2.3). Returns 0 if the header is missing or contains anything else.
 */
function retryAfter({ headers }: Answer): number {
  const text = String(headers['retry-after'] ?? '');
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const until = Date.parse(text);
  return Number.isNaN(until) ? 0 : Math.max(0, Math.ceil((until - Date.now()) / 1000));
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : error.message;
}

/** Explains why the service rejected a call and what to do. The explanation contains the service's own message. */
function rejection(inputs: Inputs, answer: Answer, subject: string): Failure {
  const { error, error_description: description } = answer.body;
  if (!isErrorText(error) || !isErrorText(description)) return notTheService(inputs, answer);
  const said = `${inputs.url} answered ${error}: ${description}`;
  if (error === 'invalid_client') {
    return new Failure(
      `${said} The secret is wrong or was rotated, or the key ${inputs.keyId} is disabled, expired or deleted, or limited ` +
        'to other IP ranges. The console shows which to those who manage the key.',
    );
  }
  if (subject !== '' && error === 'invalid_request') {
    return new Failure(
      `${said} The key ${inputs.keyId} has no trust rule that matches this job, or it is disabled, expired or deleted, or ` +
        `limited to other IP ranges. The OIDC token of this job has ${claimsOf(subject)}.`,
    );
  }
  return new Failure(said);
}

/**
 * Returns whether a value is the text of an OAuth error (RFC 6749, section 5.2). Another server could respond with
 * anything, even with the secret that it received.
 */
function isErrorText(value: unknown): value is string {
  const isOfGrammar = typeof value === 'string' && /^[\x20\x21\x23-\x5b\x5d-\x7e]{1,500}$/.test(value);
  return isOfGrammar && !/dk[stx]_|eyJ/.test(value);
}

/**
 * Lists those claims of the token that trust rules can refer to, so that the user can compare them with the key's
 * rules. These claims are not secret.
 */
function claimsOf(jwt: string): string {
  const names = ['iss', 'aud', 'sub', 'repository_id', 'repository_owner_id', 'ref', 'environment'];
  const claims = fieldsOf(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString());
  return names
    .filter((name) => claims[name] !== undefined)
    .map((name) => `${name} ${JSON.stringify(claims[name])}`)
    .join(', ');
}

function notTheService({ url }: Inputs, { status, headers }: Answer): Failure {
  const isRedirect = status >= 300 && status < 400 && headers.location !== undefined;
  const more = isRedirect ? ' with a redirect, which the action does not follow' : '';
  return new Failure(
    `${url} answered HTTP ${status}${more}, and not as Deployment API Keys does. Is url the stack's output ApiUrl?`,
  );
}
