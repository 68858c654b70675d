import { setTimeout as pause } from 'node:timers/promises';
import { printable } from '../local/terminal.ts';
import { EXIT, Failure } from './failure.ts';

/** Maximum number of attempts for a call. */
const ATTEMPTS = 5;
/** Longest Retry-After that the CLI waits for, in seconds. */
const LONGEST_WAIT = 60;
/** Time after which an attempt fails, in milliseconds. */
const TIMEOUT = 30_000;
/** Statuses after which a retry may succeed. */
const TRANSIENT = new Set([429, 500, 502, 503, 504]);

/** The parts of a response that the CLI uses. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The fields of the body, if it is a JSON object. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** Plain descriptions of connection errors, by error code. */
const CONNECTION: Readonly<Record<string, string>> = {
  ENOTFOUND: 'there is no host of this name',
  EAI_AGAIN: 'the name of the host could not be looked up',
  ECONNREFUSED: 'nothing listens at this address',
  ECONNRESET: 'the connection was closed',
  ETIMEDOUT: 'the host does not respond',
  UND_ERR_CONNECT_TIMEOUT: 'the host does not respond',
  UND_ERR_SOCKET: 'the connection was closed',
  EHOSTUNREACH: 'the host cannot be reached from this network',
  ENETUNREACH: 'the host cannot be reached from this network',
  EPROTO: 'the server does not speak TLS, or not at this port',
  ERR_SSL_WRONG_VERSION_NUMBER:
    'the server does not speak TLS at this port: should the URL begin with http://?',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'the server does not speak TLS at this port',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate belongs to another host',
  CERT_HAS_EXPIRED: 'the certificate has expired, or the clock of this machine is wrong',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet: is the clock of this machine right?',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN:
    'the chain of certificates contains an unknown root, perhaps that of a proxy: set NODE_EXTRA_CA_CERTS',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'the certificate cannot be verified: set NODE_EXTRA_CA_CERTS to the CA of your company',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'the certificate cannot be verified: set NODE_EXTRA_CA_CERTS to the CA of your company',
};

/** Describes why a connection failed: `there is no host of this name (ENOTFOUND)`. */
export function describeConnection(error: unknown): string {
  const { name, cause } = error as {
    name?: string;
    cause?: { code?: string; message?: string; errors?: { code?: string }[] };
  };
  if (name === 'TimeoutError') return `no response within ${TIMEOUT / 1000} s`;
  const code = cause?.code ?? cause?.errors?.[0]?.code ?? cause?.message ?? 'unknown reason';
  const words = CONNECTION[code];
  return words ? `${words} (${code})` : printable(code);
}

/** Options for retries: whether a call can be repeated, and how attempts are reported. */
export interface RetryOptions {
  /**
   * Whether the call can be repeated safely. False for a call that may have taken effect even though the connection
   * failed, and that would take effect a second time if repeated.
   */
  readonly repeatable?: boolean;
  readonly attempts?: number | undefined;
}

/**
 * Sends a request, and retries it after a pause if the service is busy or the connection fails. Does not follow
 * redirects, because they would send secrets to another server.
 *
 * @param make function that creates the request for each attempt
 * @throws Failure if the service cannot be reached
 */
export async function send(
  make: () => Request | Promise<Request>,
  { repeatable = true, attempts = ATTEMPTS }: RetryOptions = {},
): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    const request = await make();
    const outcome = await responseTo(request);
    if (attempt >= attempts || !canRetry(outcome, repeatable)) {
      if (outcome instanceof Failure) throw outcome;
      return outcome;
    }
    const { host } = new URL(request.url);
    const what = outcome instanceof Failure ? outcome.message : `${host} answered HTTP ${outcome.status}.`;
    const retryAfterSeconds = outcome instanceof Failure ? 0 : retryAfter(outcome.headers);
    const seconds = Math.max(2 ** (attempt - 1) / 2, retryAfterSeconds) * (1 + Math.random() / 2);
    console.error(`${what} Attempt ${attempt + 1} of ${attempts} follows in ${seconds.toFixed(1)} s.`);
    await pause(seconds * 1000);
  }
}

/** Sends a request once. @returns the response, or the Failure that says why the service cannot be reached */
async function responseTo(request: Request): Promise<Response | Failure> {
  try {
    return await fetch(request, { redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT) });
  } catch (error) {
    const { host } = new URL(request.url);
    return new Failure(`Cannot reach ${host}: ${describeConnection(error)}.`, EXIT.unavailable);
  }
}

function canRetry(outcome: Response | Failure, repeatable: boolean): boolean {
  if (outcome instanceof Failure) return repeatable;
  return TRANSIENT.has(outcome.status) && retryAfter(outcome.headers) <= LONGEST_WAIT;
}

/** Sends a form to a URL. @param fields function that creates the form for each attempt */
export async function postForm(
  url: string,
  fields: () => Record<string, string> | Promise<Record<string, string>>,
  options: RetryOptions = {},
): Promise<Answer> {
  const make = async () => new Request(url, { method: 'POST', body: new URLSearchParams(await fields()) });
  return answerOf(await send(make, options));
}

/** Reads a response. */
export async function answerOf(response: Response): Promise<Answer> {
  return { status: response.status, headers: response.headers, body: fieldsOf(await response.text()) };
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
 * 10.2.3). Returns 0 for any other value.
 */
function retryAfter(headers: Headers): number {
  const text = headers.get('retry-after') ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const until = Date.parse(text);
  return Number.isNaN(until) ? 0 : Math.max(0, Math.ceil((until - Date.now()) / 1000));
}

/** The common form of error responses from OAuth calls, the management API and API Gateway. */
interface Rejection {
  readonly code: string;
  readonly detail: string;
}

/**
 * Returns the message in an error response; undefined if the response has neither this service's format nor API
 * Gateway's.
 */
export function rejectionOf({ body }: Answer): Rejection | undefined {
  const { error, error_description, code, detail, message } = body;
  if (typeof error === 'string') return { code: error, detail: String(error_description ?? '') };
  if (typeof code === 'string') return { code, detail: String(detail ?? '') };
  return typeof message === 'string' ? { code: 'gateway', detail: message } : undefined;
}

/** Returns the failure that describes an unsuccessful response. */
export function failureOf(url: string, answer: Answer): Failure {
  const { status, headers } = answer;
  const rejection = rejectionOf(answer);
  const host = new URL(url).host;
  if (status >= 300 && status < 400) {
    const to = printable(headers.get('location') ?? 'nowhere');
    return new Failure(
      `${host} redirects to ${to}. Credentials are not sent there. Is the URL right? Give the stack's output ApiUrl.`,
    );
  }
  if (!rejection) {
    return new Failure(
      `${host} answered HTTP ${status}, not as Deployment API Keys does. Is the URL right? Give the stack's output ApiUrl.`,
      status >= 500 ? EXIT.unavailable : EXIT.failed,
    );
  }
  const what = rejection.code === 'gateway' ? `HTTP ${status}` : printable(rejection.code);
  const text = `${host} answered ${what}: ${printable(rejection.detail).replace(/\.?$/, '.')}`;
  if (status === 401 || status === 403) return new Failure(text, EXIT.rejected);
  if (status === 404) return new Failure(text, EXIT.notFound);
  return new Failure(text, TRANSIENT.has(status) ? EXIT.unavailable : EXIT.failed);
}
