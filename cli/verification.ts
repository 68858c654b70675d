import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { printable, withoutSecrets } from '../local/terminal.ts';
import type { Api } from './api.ts';
import { NAME } from './command.ts';
import type { Finding } from './doctor.ts';
import { Failure } from './failure.ts';
import { checkGuard } from './guard-check.ts';
import { send } from './http.ts';

/** A step that was run, and the service's response. */
export interface SeenStep {
  readonly says: string;
  readonly method: string;
  /** Path of the call, with `{deploymentId}` in place of the throwaway Deployment's ID. */
  readonly path: string;
  readonly status: number;
  readonly isExpected: boolean;
  readonly milliseconds: number;
  /** The body, without secrets. */
  readonly body: string;
}

/** A stack to verify, and the callbacks that report the results. */
export interface Verification {
  /** URL of the service, without a trailing slash. */
  readonly url: string;
  /** Calls the management API once, as an administrator. */
  readonly manage: Api['manage'];
  /** Options that the command `deployments delete` needs for the same stack, such as `--sigv4`. */
  readonly options: string;
  /**
   * An API behind the authorizer, if the run should also call one. It is called only with GET. `{deploymentId}` in its
   * URL stands for the throwaway Deployment's ID.
   */
  readonly api?: { readonly url: string; readonly requiredScope: string | undefined } | undefined;
  readonly onStep: (step: SeenStep) => void;
  readonly onFinding: (finding: Finding) => void;
  /** Reports what a failed or interrupted run leaves, and how to delete it. */
  readonly onLeft: (sentence: string) => void;
}

/** A step to run: the request and the expected status. */
interface Step {
  readonly says: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly isOfAdministrator?: true;
  readonly bearer?: string;
  readonly basic?: readonly [id: string, secret: string];
  readonly json?: object;
  readonly form?: Record<string, string>;
}

type Json = Record<string, unknown>;

/** Time limit for the purge of an almost empty Deployment, in milliseconds. Such a purge normally takes seconds. */
const PURGE_TIMEOUT = 120_000;
const PURGED = 'The purge deletes what the Deployment left';
/** Signals that interrupt a run. SIGPIPE means that the reader of standard output has closed the pipe. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGPIPE'] as const;

/**
 * Tests a key's whole life cycle on a stack, in a throwaway Deployment: create, exchange, use, reject, revoke, delete
 * and purge. Also deletes the Deployment if a step fails or the process is interrupted.
 *
 * @returns the steps with their results
 * @throws Failure if a response differs from the expected response
 */
export async function verifyStack(verification: Verification): Promise<SeenStep[]> {
  const interruption = new AbortController();
  const onSignal = () => interruption.abort();
  // npx passes on a signal that the terminal has already sent to this process, so a second signal must not end the run.
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    return await play(verification, interruption.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

async function play(verification: Verification, interruption: AbortSignal): Promise<SeenStep[]> {
  const { url, manage, api, onFinding } = verification;
  const deploymentId = `verify-${randomBytes(4).toString('hex')}`;
  const deployment = `/deployments/${deploymentId}`;
  const seen: SeenStep[] = [];
  const report = (step: SeenStep) => {
    seen.push(step);
    verification.onStep(step);
  };
  const step = async (next: Step): Promise<Json> => {
    if (interruption.aborted) throw new Failure('Interrupted.');
    const { answer, ...played } = await take(verification, next);
    report({ ...played, path: next.path.replaceAll(deploymentId, '{deploymentId}') });
    if (!played.isExpected) throw new Failure(`The response should have the status ${next.status}.`);
    return answer;
  };
  let isDeleted = false;
  interruption.addEventListener('abort', () => {
    if (isDeleted) verification.onLeft('Interrupted. The throwaway Deployment is already deleted.');
    else verification.onLeft(`Interrupted. Deleting the throwaway Deployment ${deploymentId}.`);
  });
  try {
    await step({
      isOfAdministrator: true,
      says: 'An administrator registers a Deployment',
      method: 'PUT',
      path: deployment,
      json: { name: 'Throwaway Deployment of verify-stack' },
      status: 201,
    });
    const key = await step({
      isOfAdministrator: true,
      says: 'The administrator creates a key, whose secret is returned only once',
      method: 'POST',
      path: `${deployment}/api-keys`,
      json: { name: 'ci' },
      status: 201,
    });
    const basic = [String(key.id), String(key.secret)] as const;
    const exchange = {
      method: 'POST',
      path: '/oauth/token',
      basic,
      form: { grant_type: 'client_credentials' },
    };
    const { access_token: first } = await step({
      ...exchange,
      says: 'A pipeline exchanges the ID and the secret for an access token',
      status: 200,
    });
    const use = { method: 'GET', path: '/whoami', bearer: String(first) };
    await step({ ...use, says: 'The pipeline uses the token', status: 200 });
    await step({ method: 'GET', path: '/whoami', says: 'A call without a token is rejected', status: 401 });
    await step({
      ...use,
      path: `/whoami?deployment=${deploymentId}-other`,
      says: 'The token is rejected for another Deployment',
      status: 403,
    });
    if (api) {
      const what = { url, keyId: basic[0], proof: { secret: basic[1] }, attempts: 1 };
      const resource = api.url.replaceAll('{deploymentId}', deploymentId);
      const findings = await checkGuard(resource, what, api.requiredScope);
      for (const finding of findings) onFinding(finding);
      if (findings.some(({ state }) => state === 'problem')) {
        throw new Failure(`The checks of ${printable(api.url)} failed.`);
      }
    }
    await step({
      method: 'POST',
      path: '/oauth/revoke',
      basic,
      form: { token: String(first) },
      says: 'The pipeline revokes the token',
      status: 200,
    });
    await step({ ...use, says: 'The revoked token is rejected immediately', status: 401 });
    const { access_token: second } = await step({
      ...exchange,
      says: 'The pipeline gets another token',
      status: 200,
    });
    await step({
      isOfAdministrator: true,
      says: 'The administrator deletes the Deployment',
      method: 'DELETE',
      path: deployment,
      status: 204,
    });
    isDeleted = true;
    await step({ ...use, bearer: String(second), says: 'The token is rejected immediately', status: 401 });
    await step({ ...exchange, says: 'The key is rejected too', status: 401 });
    report(await purged(manage, deployment, interruption));
  } finally {
    if (!isDeleted && mayBeRegistered(seen[0])) verification.onLeft(await remove(verification, deploymentId));
  }
  return seen;
}

/**
 * Returns whether the throwaway Deployment can exist after its registration: also after a server error or without a
 * response, but not if the service rejected the registration.
 */
const mayBeRegistered = (registration: SeenStep | undefined): boolean =>
  registration === undefined || registration.isExpected || registration.status >= 500;

/**
 * Waits for the event that reports the purge. @throws Failure if the service rejects a call, if the event does not
 * arrive in time, or after an interruption
 */
async function purged(
  manage: Api['manage'],
  deployment: string,
  interruption: AbortSignal,
): Promise<SeenStep> {
  const start = performance.now();
  const milliseconds = () => Math.round(performance.now() - start);
  while (milliseconds() < PURGE_TIMEOUT) {
    if (interruption.aborted) throw new Failure('Interrupted.');
    const response = await manage('GET', `${deployment}/events`);
    if (response.status !== 200) throw new Failure(`${PURGED}: the events answer HTTP ${response.status}.`);
    const { items = [] } = (await response.json()) as { items?: { type: string }[] };
    if (items.some(({ type }) => type === 'deployment.purged')) {
      return {
        says: PURGED,
        method: 'GET',
        path: '/deployments/{deploymentId}/events',
        status: 200,
        isExpected: true,
        milliseconds: milliseconds(),
        body: 'deployment.purged',
      };
    }
    await pause(500, undefined, { signal: interruption }).catch(() => {});
  }
  throw new Failure(
    `${PURGED}: the event deployment.purged did not come within ${PURGE_TIMEOUT / 1000} s. Look at the alarms of the purge.`,
  );
}

/** Deletes the Deployment of a run that failed. @returns a sentence that says what is left, and how to delete it */
async function remove({ url, manage, options }: Verification, deploymentId: string): Promise<string> {
  const response = await manage('DELETE', `/deployments/${deploymentId}`).catch(() => undefined);
  if (response?.ok) return 'The throwaway Deployment was deleted.';
  if (response?.status === 404) return 'The throwaway Deployment does not exist.';
  return `The throwaway Deployment may be left. To delete it, run: ${NAME} deployments delete ${deploymentId} --url ${printable(url)} --yes${options}`;
}

/** Sends the request of a step. @throws Failure if there is no response, or if its body is not JSON */
async function take({ url, manage }: Verification, step: Step): Promise<SeenStep & { answer: Json }> {
  const { says, method, path } = step;
  const start = performance.now();
  const response = await (step.isOfAdministrator
    ? manage(method, path, step.json)
    : send(() => new Request(`${url}${path}`, requestOf(step)), { attempts: 1 }));
  const text = await response.text();
  const { status } = response;
  const milliseconds = Math.round(performance.now() - start);
  const body = printable(withoutSecrets(text));
  const isExpected = status === step.status;
  const answer = isExpected ? parsed(text) : {};
  return { says, method, path, status, isExpected, milliseconds, body, answer };
}

function requestOf({ method, bearer, basic, form }: Step): RequestInit {
  return {
    method,
    headers: {
      ...(bearer && { authorization: `Bearer ${bearer}` }),
      ...(basic && { authorization: `Basic ${Buffer.from(basic.join(':')).toString('base64')}` }),
    },
    ...(form && { body: new URLSearchParams(form) }),
  };
}

function parsed(text: string): Json {
  try {
    return text === '' ? {} : JSON.parse(text);
  } catch {
    throw new Failure('The response is not JSON.');
  }
}
