import { setTimeout as pause } from 'node:timers/promises';
import aws4 from 'aws4';

/** Credentials that sign calls. */
export interface Signer {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
}

export interface SignedCall {
  /** Without a trailing slash. */
  url: string;
  region: string;
  method: string;
  /** Path with query. */
  path: string;
  /** Sent as JSON. Undefined means no body. */
  body?: object | undefined;
  idempotencyKey?: string | undefined;
}

export interface SignedAnswer {
  status: number;
  /** Undefined if it is not JSON. */
  body: unknown;
}

/** The time limit of one attempt, in milliseconds. */
const ATTEMPT = 10_000;
/** The time limit of a call with all its attempts, in milliseconds. */
const PATIENCE = 60_000;
/** The longest pause between two attempts, in milliseconds. */
const PAUSE = 8_000;

/**
 * Returns a function that makes signed calls (SigV4) to the service's API under /platform. It retries what may be
 * temporary: no answer, throttling, 5xx responses, and API Gateway's 403, because IAM needs time to propagate a new
 * role.
 *
 * @param deadline epoch milliseconds; no attempt starts later
 * @throws Error from the call when there was no answer at all
 */
export function openPlatform(signer: Signer, deadline: number) {
  return async (call: SignedCall): Promise<SignedAnswer> => {
    const end = Math.min(Date.now() + PATIENCE, deadline);
    for (let wait = 500; ; wait = Math.min(2 * wait, PAUSE)) {
      const answer = await attempt(signer, call).catch(() => undefined);
      if (answer && !canMend(answer)) return answer;
      if (Date.now() + wait >= end) {
        if (answer) return answer;
        throw new Error(`${call.url} did not answer in time.`);
      }
      await pause(wait / 2 + Math.random() * (wait / 2));
    }
  };
}

function canMend({ status, body }: SignedAnswer): boolean {
  const isByGateway = (Object(body) as { message?: unknown }).message === 'Forbidden';
  return status === 429 || status >= 500 || (status === 403 && isByGateway);
}

async function attempt(signer: Signer, call: SignedCall): Promise<SignedAnswer> {
  const { url, region, method, path, idempotencyKey } = call;
  const body = call.body === undefined ? '' : JSON.stringify(call.body);
  const { headers } = aws4.sign(
    {
      service: 'execute-api',
      region,
      method,
      path,
      headers: {
        Host: new URL(url).host,
        ...(body !== '' && { 'Content-Type': 'application/json' }),
        ...(idempotencyKey !== undefined && { 'Idempotency-Key': idempotencyKey }),
      },
      body,
    },
    signer,
  );
  const { Host: _, ...rest } = headers as Record<string, string>;
  const response = await fetch(`${url}${path}`, {
    method,
    headers: rest,
    body: body === '' ? null : body,
    redirect: 'error',
    signal: AbortSignal.timeout(ATTEMPT),
  });
  const text = await response.text();
  return { status: response.status, body: parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
