import aws4 from 'aws4';
import createClient, { type Client } from 'openapi-fetch';
import type { paths } from '../functions/openapi/api-types.ts';
import { NAME, serviceUrl } from './command.ts';
import { EXIT, Failure, UsageError } from './failure.ts';
import { failureOf, send } from './http.ts';
import { readSignIns, renewSignIn, type SignIn } from './sign-ins.ts';

/** The options that all commands for the management API share. */
export interface ApiOptions {
  readonly url?: string;
  readonly sigv4?: true;
  readonly region?: string;
  /** Whether the command prints JSON. */
  readonly json?: true;
}

/** A stack's management API, authenticated as a caller. */
export interface Api {
  /** URL of the service, without a trailing slash. */
  readonly url: string;
  readonly client: Client<paths>;
  /**
   * Sends a call once, without retrying it, and returns the response regardless of its status. Throws a Failure if the
   * service cannot be reached.
   */
  readonly manage: (method: string, path: string, json?: object) => Promise<Response>;
}

/** How long before its expiry an access token is renewed, in milliseconds. */
const MARGIN = 30_000;

/**
 * Returns the API with the caller's authentication: AWS credentials (under /platform), an access token from the
 * environment, or the person's sign-in.
 *
 * @throws UsageError if the URL is missing; Failure if the sign-in is missing
 */
export function openApi(options: ApiOptions): Api {
  const { current, stacks } = readSignIns();
  const url = serviceUrl(options.url, current);
  const [baseUrl, authenticate] = options.sigv4
    ? [`${url}/platform`, signer(url, options.region)]
    : [url, withBearer(tokenSource(url, stacks[url]))];
  return { url, client: clientFor(baseUrl, authenticate), manage: callOnce(baseUrl, authenticate) };
}

/** Returns the function that supplies a person's access token. @throws Failure if there is no access token */
function tokenSource(url: string, signIn: SignIn | undefined): () => Promise<string> {
  const given = process.env.DEPLOYMENT_KEYS_ACCESS_TOKEN;
  if (given) return async () => given.trim();
  const found = signedIn(url, signIn);
  return () => freshToken(url, found);
}

/** Returns the sign-in. @throws Failure if the sign-in is undefined; the message explains how to sign in */
export function signedIn(url: string, signIn: SignIn | undefined): SignIn {
  if (signIn) return signIn;
  throw new Failure(`You are not signed in to ${url}. Run: ${NAME} login --url ${url}`, EXIT.rejected);
}

/**
 * Returns the access token of a sign-in, and renews it first if it is about to expire. @throws Failure if the access
 * token can't be renewed
 */
async function freshToken(url: string, signIn: SignIn): Promise<string> {
  if (signIn.expiresAt === undefined || Date.now() < signIn.expiresAt - MARGIN) return signIn.accessToken;
  const { renew } = await import('./issuer.ts');
  const renewed = await renew(signIn);
  if (!renewed) throw new Failure(`Your sign-in to ${url} has expired. ${SIGN_IN_AGAIN}`, EXIT.rejected);
  renewSignIn(url, renewed);
  return renewed.accessToken;
}

const SIGN_IN_AGAIN = `Run: ${NAME} login`;

/** Adds authentication to a request. The body is passed separately, because a signature covers it. */
type Authenticate = (request: Request, body: string) => Promise<Request>;

function clientFor(baseUrl: string, authenticate: Authenticate): Client<paths> {
  const attempt = async (request: Request): Promise<Response> => {
    const body = await request.text();
    return send(() => authenticate(request, body));
  };
  return createClient<paths>({ baseUrl, fetch: attempt });
}

const callOnce =
  (baseUrl: string, authenticate: Authenticate): Api['manage'] =>
  async (method, path, json) => {
    const body = json === undefined ? '' : JSON.stringify(json);
    const headers = json === undefined ? undefined : { 'content-type': 'application/json' };
    const request = new Request(`${baseUrl}${path}`, { method, ...(headers && { headers }) });
    return send(() => authenticate(request, body), { attempts: 1 });
  };

/** Returns the function that calls the management API once as the person with this access token. */
export const manageWith = (url: string, token: string): Api['manage'] =>
  callOnce(
    url,
    withBearer(async () => token),
  );

const withBearer =
  (token: () => Promise<string>): Authenticate =>
  async ({ url, method, headers }, body) =>
    new Request(url, {
      method,
      headers: { ...Object.fromEntries(headers), authorization: `Bearer ${await token()}` },
      ...(body && { body }),
    });

/** Signs requests with the credentials that the AWS SDK finds in the environment. */
function signer(url: string, given: string | undefined): Authenticate {
  const ofHost = /\.execute-api\.([a-z0-9-]+)\.amazonaws\.com/.exec(new URL(url).hostname)?.[1];
  const region = given ?? ofHost ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION;
  if (!region)
    throw new UsageError("The Region is missing. Use --region, or set AWS_REGION to the stack's Region.");
  return async (request, body) => {
    const { host, pathname, search } = new URL(request.url);
    const { headers = {} } = aws4.sign(
      {
        host,
        method: request.method,
        path: `${pathname}${search}`,
        headers: Object.fromEntries(request.headers),
        service: 'execute-api',
        region,
        body,
      },
      await awsCredentials(),
    );
    // fetch sets the Host and Content-Length headers itself, to the same values.
    const { Host: _, 'Content-Length': __, ...sent } = headers as Record<string, string>;
    return new Request(request.url, { method: request.method, headers: sent, ...(body && { body }) });
  };
}

async function awsCredentials() {
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
  try {
    return await defaultProvider()();
  } catch (error) {
    throw new Failure(
      `There are no AWS credentials: ${error instanceof Error ? error.message : 'unknown reason'} Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.`,
      EXIT.rejected,
    );
  }
}

/** The result of a call made with openapi-fetch. */
interface Reply<T> {
  readonly data?: T;
  readonly error?: unknown;
  readonly response: Response;
}

/** Returns the data of a call's result. @throws Failure that says what to do if the service rejected the call */
export async function resultOf<T>({ url }: Api, call: Promise<Reply<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (response.ok) return data as T;
  const body = typeof error === 'object' && error !== null ? { ...error } : {};
  const failure = failureOf(url, { status: response.status, headers: response.headers, body });
  const hint = hintFor(response);
  throw hint ? new Failure(`${failure.message} ${hint}`, failure.exitCode) : failure;
}

function hintFor({ status, url }: Response): string {
  const isPlatform = new URL(url).pathname.includes('/platform/');
  if (status === 401) return `Your sign-in is not accepted. ${SIGN_IN_AGAIN}`;
  if (status === 404 && !isPlatform) return 'Check the ID, and that one of your groups has access.';
  if (status === 403 && isPlatform) {
    return 'Check the credentials, the Region, and that the role is one of the platformPrincipals and may call execute-api:Invoke.';
  }
  return '';
}

/** A page of a listing. */
interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor?: string | undefined;
}

/**
 * Reads a listing page by page.
 *
 * @param read function that reads the page at a cursor
 * @param limit maximum number of items to return
 */
export async function allOf<T>(
  read: (cursor: string | undefined) => Promise<Page<T>>,
  limit = Infinity,
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const page = await read(cursor);
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined && items.length < limit);
  return items.slice(0, limit);
}
