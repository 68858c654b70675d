import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { documentedScripts, type Script } from '../support/documented-shell.ts';
import { firstOf, firstUntilNight } from '../support/generated.ts';
import { temporaryFolder } from '../support/temporary.ts';

const SERVICE = 'http://service.invalid';
/** The URL of the local stack, as the README states it. */
const LOCAL_STACK = 'http://127.0.0.1:8787';
const NGINX = 'http://127.0.0.1:8080';
/** The URL of the local stack's queues and schedules. */
const OPERATIONS = 'http://127.0.0.1:8796';
const scripts = documentedScripts(SERVICE);

/** The environment variables that the documents expect. Every secret contains the word canary. */
const ENVIRONMENT = {
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'job-canary',
  ACTIONS_ID_TOKEN_REQUEST_URL: `${SERVICE}/job?v=2`,
  API: SERVICE,
  ADMIN_TOKEN: 'person-canary',
  API_ID: 'a1b2c3d4e5',
  API_URL: SERVICE,
  AWS_ACCESS_KEY_ID: 'ASIAEXAMPLE',
  AWS_REGION: 'eu-west-1',
  AWS_SECRET_ACCESS_KEY: 'aws-canary',
  AWS_SESSION_TOKEN: 'session-canary',
  AWS_TOKEN: 'subject.canary.signature',
  BACKUP: 'arn:aws:dynamodb:eu-west-1:111122223333:table/keys/backup/1',
  CI_ISSUER: 'https://ci.example.com',
  CI_KEY: 'dk_etl_01JP0000000000000000000001',
  CI_SUBJECT_TOKEN: 'subject.canary.signature',
  CI_TOKEN: 'subject.canary.signature',
  CIRCLE_OIDC_TOKEN_V2: 'subject.canary.signature',
  DEPLOYMENT: 'etl',
  DEPLOYMENT_KEY_SECRET: 'dks_canary',
  DEPLOYMENT_TOKEN: 'dkx_canary',
  FUNCTIONS: 'keys-Authorize keys-Purge',
  FUNCTION_ARN: 'arn:aws:lambda:eu-west-1:111122223333:function:keys-Authorize',
  HTTP_URL: `${SERVICE}/deployments`,
  IMAGE: '111122223333.dkr.ecr.eu-west-1.amazonaws.com/airflow:1',
  KEYS: `${SERVICE}/deployments/etl/api-keys`,
  KEYS_URL: SERVICE,
  KEY_ID: 'dk_etl_01JP0000000000000000000000',
  KEY_SECRET: 'dks_canary',
  LOG_GROUP: 'deployment-api-keys-production-AuthorizeLogs',
  NEW: 'keys-new-Table',
  NEW_SECRET: 'dks_canary_new',
  OLD: 'keys-old-Table',
  PERSON: 'person-canary',
  PLATFORM_URL: SERVICE,
  POINT: '2030-01-01T12:00:00Z',
  QUEUE_URL: 'https://sqs.eu-west-1.amazonaws.com/111122223333/failures',
  RECEIPT_HANDLE: 'AQEB',
  REGISTRY: '111122223333.dkr.ecr.eu-west-1.amazonaws.com',
  REST_URL: `${SERVICE}/deployments`,
  ROLE_ARN: 'arn:aws:iam::444455556666:role/ask-the-authorizer',
  RUN_ID: 'run-7',
  STACK: 'deployment-api-keys-development',
  SUB: 'ada',
  SUBJECT: 'subject.canary.signature',
  TABLE: 'keys-Table',
  TableName: 'keys-Table',
  TOKEN: 'dkt_canary',
  USER_POOL: 'eu-west-1_Example',
  URI: 'arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/keys-Authorize/invocations',
};

/** A response to any call that the documents make. */
const ANSWER = JSON.stringify({
  id: 'dk_etl_01JP0000000000000000000000',
  secret: 'dks_etl_canary',
  status: 'active',
  trust: [{}],
  items: [
    {
      type: 'api_key.edited',
      id: 'LPJNul-wow4m6DsqxbninA',
      issuedAt: '2026-11-26T12:00:00Z',
      expiresAt: '2026-11-27T12:00:00Z',
    },
  ],
  lastUsedAt: '2026-11-26T12:00:00Z',
  lastUsedFrom: { address: '127.0.0.1' },
  last_used_at: '2026-11-26T12:00:00Z',
  access_token: 'dkt_etl_canary',
  token_type: 'Bearer',
  value: 'subject.canary.signature',
  principalType: 'api_key',
  engine: 'http://127.0.0.1:8000',
  table: 'keys-Table',
});

/** Ways in which a call can fail. Where a document expects 401, the API accepts the call instead. */
const REJECTIONS: Record<string, (response: ServerResponse, expected?: number) => unknown> = {
  '401': (response, expected) =>
    response.writeHead(expected === 401 ? 200 : 401).end('{"error":"invalid_client"}'),
  '400': (response) => response.writeHead(400).end('{"code":"invalid","detail":"name: Required."}'),
  '503 without a body': (response) => response.writeHead(503, { 'retry-after': '1' }).end(),
  'a connection reset': (response) => response.destroy(),
};

interface Rejection {
  /** The number of the call to reject, counted from 1. All later calls are rejected too, in case the script retries. */
  nth: number;
  reject: (response: ServerResponse, expected?: number) => unknown;
}

/** What a service remembers of earlier calls. */
interface ServiceState {
  isDeleted: boolean;
  /** The scope of the last token. */
  scope: string | undefined;
}

/** Returns the status of the API behind the authorizer. */
function guardedStatus({ headers }: IncomingMessage, { scope }: ServiceState): number {
  if (headers.authorization === undefined) return 401;
  return scope === 'code:deploy' ? 200 : 403;
}

const isRejected = (nth: number, rejection: Rejection, retries: boolean) =>
  nth === rejection.nth || (retries && nth > rejection.nth);

/** Accepts a call, except a check of a token after a deletion. */
function accept(
  { method, url = '' }: IncomingMessage,
  form: URLSearchParams,
  state: ServiceState,
  response: ServerResponse,
): void {
  // Without a scope, a token has all scopes of its key.
  if (url === '/oauth/token') state.scope = form.get('scope') ?? 'code:deploy';
  if (method === 'DELETE') state.isDeleted = true;
  if (url === '/whoami' && state.isDeleted) {
    response.writeHead(401).end('{"message":"Unauthorized"}');
    return;
  }
  const answer = { '/aws': 'keys-Table', '/npm': 'person-canary', '/npx': '' }[url] ?? ANSWER;
  response.writeHead(url === '/leaks' ? 202 : 200).end(answer);
}

/**
 * A service that accepts every call except one, and rejects the tokens after a deletion. The API behind the authorizer
 * requires the scope code:deploy for the route `deploys`.
 */
async function startService(retries: boolean, rejection?: Rejection) {
  let calls = 0;
  const state: ServiceState = { isDeleted: false, scope: undefined };
  const server = createServer(async (request, response) => {
    calls++;
    const nth = calls;
    const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString());
    const status = request.url?.endsWith('/deploys') ? guardedStatus(request, state) : undefined;
    if (rejection && isRejected(nth, rejection, retries)) return rejection.reject(response, status);
    if (status !== undefined) return response.writeHead(status).end();
    return accept(request, form, state, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, calls: () => calls, stop: () => server.close() };
}

const folder = temporaryFolder('documented-shell');
/**
 * Programs that record their arguments. `aws` and `npm` then call the service, and fail if the service rejects the
 * call.
 */
const PROGRAMS: Record<string, string> = {
  aws: 'exec /usr/bin/curl -fsS "$SERVICE/aws"',
  npm: 'exec /usr/bin/curl -fsS "$SERVICE/npm"',
  npx: 'exec /usr/bin/curl -fsS "$SERVICE/npx"',
  // The fake service also stands in for APIs of AWS.
  curl: `for argument in "$@"; do
  case "$argument" in https://*.amazonaws.com/*) argument="$SERVICE/\${argument#https://*/}" ;; esac
  set -- "$@" "$argument"; shift
done
exec /usr/bin/curl "$@"`,
  'deployment-api-keys': 'exec /usr/bin/curl -fsS "$SERVICE/cli"',
  terraform: '[ "$1" != output ] || printf %s "$SERVICE/deployments"',
  // The stand-in fails if there is no password, as Docker does.
  docker: '[ "$1" != login ] || grep -q .',
  // This stand-in behaves like jq 1.6, which succeeds on empty input, even with -e.
  jq: 'input=$(cat)\n[ -z "$input" ] || printf "%s" "$input" | /usr/bin/jq "$@"',
  sleep: '',
  stty: '',
};
for (const [name, text] of Object.entries(PROGRAMS)) {
  writeFileSync(join(folder, name), `#!/bin/sh\necho ${name} "$@" >>"$ARGUMENTS"\n${text}\n`, {
    mode: 0o755,
  });
}

/** Runs a script against a separate service. */
async function run(
  { text, retries }: Script,
  [shell = '', ...flags]: readonly string[],
  rejection?: Rejection,
) {
  const service = await startService(retries, rejection);
  const place = temporaryFolder('documented-shell-run');
  const here = (value: string) =>
    [SERVICE, LOCAL_STACK, NGINX, OPERATIONS].reduce((text, url) => text.replaceAll(url, service.url), value);
  const env: Record<string, string> = {
    PATH: `${folder}:/usr/bin:/bin`,
    // Without this variable, bash assumes that it runs as a remote shell and reads the machine's configuration.
    SHLVL: '1',
    SERVICE: service.url,
    ARGUMENTS: join(place, 'arguments'),
    AWS_WEB_IDENTITY_TOKEN_FILE: join(place, 'token'),
    GITHUB_ENV: join(place, 'env'),
  };
  for (const [name, value] of Object.entries(ENVIRONMENT)) env[name] = here(value);
  const child = spawn(shell, [...flags, here(text)], { env, cwd: place });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  child.stdin.on('error', () => {}).end('dks_etl_canary\n');
  const code = await new Promise((resolve) => child.on('close', resolve));
  service.stop();
  return { code, output, calls: service.calls(), shown: readFileSync(env.ARGUMENTS ?? '', 'utf8') };
}

const NAMES = Object.keys(REJECTIONS);
/** Rotates a list, so that runs that try only the first entry of each list try all entries in turn. */
const rotated = <T>(list: readonly T[], by: number) => [
  ...list.slice(by % list.length),
  ...list.slice(0, by % list.length),
];

// Each script runs several times, and some scripts make ten calls, which is slow on a busy machine.
const OPTIONS = { timeout: 120_000 };

describe.each(scripts.map((script, n) => ({ ...script, n })))(
  '#59: The commands in $name fail if any of their calls fails',
  OPTIONS,
  ({ n, ...script }) => {
    const shells = firstOf(rotated(['bash', 'sh'], n));

    it.each(shells)(
      '#59: the documented commands succeed under `%s -eu` and never pass a secret to a program as an argument',
      async (shell) => {
        const { code, output, calls, shown } = await run(script, [shell, '-euc']);
        expect(code, `${script.text}\n${output}`).toBe(0);
        expect(calls).toBeGreaterThan(0);
        expect(shown).not.toContain('canary');
      },
    );

    it.each(shells)(
      '#59: the documented commands fail under `%s -e`, no matter which call the service rejects',
      async (shell) => {
        const { calls } = await run(script, [shell, '-ec']);
        for (let nth = 1; nth <= calls; nth++) {
          const tried = firstUntilNight(rotated(NAMES, n + nth));
          const outcomes = tried.map(async (name) => {
            const { code } = await run(script, [shell, '-ec'], {
              nth,
              reject: REJECTIONS[name] ?? (() => {}),
            });
            return `call ${nth}, ${name}: ${code === 0 ? 'succeeds' : 'fails'}`;
          });
          const expected = tried.map((name) => `call ${nth}, ${name}: fails`);
          expect(await Promise.all(outcomes), script.text).toEqual(expected);
        }
      },
    );
  },
);
