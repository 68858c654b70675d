import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { printable, withoutSecrets } from '../local/terminal.ts';
import type { Finding } from './doctor.ts';
import { Failure } from './failure.ts';
import { checkGuard } from './guard-check.ts';

/**
 * Sends a call to the management API as an administrator. The arguments are a method, a path and a body to send as
 * JSON.
 */
export type Manage = (method: string, path: string, json?: object) => Promise<Response>;

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
  readonly manage: Manage;
  /** An API behind the authorizer, if the run should also call one. It is called only with GET. */
  readonly api?: { readonly url: string; readonly requiredScope: string | undefined } | undefined;
  readonly onStep: (step: SeenStep) => void;
  readonly onFinding: (finding: Finding) => void;
  /**
   * Reports that the Deployment of a failed run was deleted, or names the Deployment if a person must delete it by
   * hand.
   */
  readonly onRemoved: (sentence: string) => void;
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
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    return await play(verification, interruption.signal);
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
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
  await step({
    isOfAdministrator: true,
    says: 'An administrator registers a Deployment',
    method: 'PUT',
    path: deployment,
    json: { name: 'Throwaway Deployment of verify-stack' },
    status: 201,
  });
  let isDeleted = false;
  try {
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
      const proof = { secret: basic[1] };
      const findings = await checkGuard(api.url, { url, keyId: basic[0], proof }, api.requiredScope);
      for (const finding of findings) onFinding(finding);
      if (findings.some(({ state }) => state === 'problem')) throw new Failure(`${api.url} is not guarded.`);
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
    if (!isDeleted) verification.onRemoved(await remove(manage, deployment));
  }
  return seen;
}

/** Waits for the event that reports the purge. @throws Failure if the event does not arrive in time */
async function purged(manage: Manage, deployment: string, interruption: AbortSignal): Promise<SeenStep> {
  const start = performance.now();
  while (performance.now() - start < PURGE_TIMEOUT && !interruption.aborted) {
    const response = await manage('GET', `${deployment}/events`);
    const { items = [] } = response.ok ? ((await response.json()) as { items?: { type: string }[] }) : {};
    if (items.some(({ type }) => type === 'deployment.purged')) {
      return {
        says: PURGED,
        method: 'GET',
        path: '/deployments/{deploymentId}/events',
        status: response.status,
        isExpected: true,
        milliseconds: Math.round(performance.now() - start),
        body: 'deployment.purged',
      };
    }
    await pause(500);
  }
  throw new Failure(
    `${PURGED}: the event deployment.purged did not come within ${PURGE_TIMEOUT / 1000} s. Look at the alarms of the purge.`,
  );
}

/** Deletes the Deployment of a run that failed. @returns a sentence that says whether this succeeded */
async function remove(manage: Manage, deployment: string): Promise<string> {
  const response = await manage('DELETE', deployment).catch(() => undefined);
  return response?.ok ? 'The throwaway Deployment was deleted.' : `Delete ${deployment} yourself.`;
}

/** Sends the request of a step. @throws Failure if there is no response, or if its body is not JSON */
async function take({ url, manage }: Verification, step: Step): Promise<SeenStep & { answer: Json }> {
  const { says, method, path } = step;
  const start = performance.now();
  const response = await (step.isOfAdministrator
    ? manage(method, path, step.json)
    : fetch(`${url}${path}`, requestOf(step))
  ).catch((error: unknown) => {
    if (error instanceof Failure) throw error;
    throw new Failure(`No server responds at ${printable(url)}.`);
  });
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
    redirect: 'manual',
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
