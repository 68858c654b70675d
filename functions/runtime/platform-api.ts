import { setTimeout as pause } from 'node:timers/promises';
import aws4 from 'aws4';

/** Credentials for signing calls. */
export interface AwsCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
}

export interface SignedCall {
  /** URL of the service, without a trailing slash. */
  url: string;
  region: string;
  method: string;
  /** Path of the call, including the query string. */
  path: string;
  /** Body, sent as JSON. Undefined means no body. */
  body?: object | undefined;
  idempotencyKey?: string | undefined;
}

export interface SignedAnswer {
  status: number;
  /** Parsed body; undefined if the body is not JSON. */
  body: unknown;
}

/** Time limit for one attempt, in milliseconds. */
const ATTEMPT_TIMEOUT = 10_000;
/** Time limit for a call, including all its attempts, in milliseconds. */
const TIME_LIMIT = 60_000;
/** Maximum pause between attempts, in milliseconds. */
const MAX_PAUSE = 8_000;

/**
 * Returns a function that makes signed calls (SigV4) to the service's API under /platform. The function retries
 * failures that might be temporary: no response, throttling, 5xx responses, and API Gateway's 403, because IAM needs
 * time to propagate a new role.
 *
 * @param deadline latest time at which an attempt can start, in epoch milliseconds
 * @throws Error from the returned function if no attempt got a response
 */
export function openPlatformApi(signer: AwsCredentials, deadline: number) {
  return async (call: SignedCall): Promise<SignedAnswer> => {
    const end = Math.min(Date.now() + TIME_LIMIT, deadline);
    for (let wait = 500; ; wait = Math.min(2 * wait, MAX_PAUSE)) {
      const answer = await attempt(signer, call).catch(() => undefined);
      if (answer && !isRetryable(answer)) return answer;
      if (Date.now() + wait >= end) {
        if (answer) return answer;
        throw new Error(`${call.url} did not answer in time.`);
      }
      await pause(wait / 2 + Math.random() * (wait / 2));
    }
  };
}

function isRetryable({ status, body }: SignedAnswer): boolean {
  const isByGateway = (Object(body) as { message?: unknown }).message === 'Forbidden';
  return status === 429 || status >= 500 || (status === 403 && isByGateway);
}

async function attempt({ sessionToken, ...signer }: AwsCredentials, call: SignedCall): Promise<SignedAnswer> {
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
    { ...signer, ...(sessionToken !== undefined && { sessionToken }) },
  );
  const { Host: _, ...rest } = headers as Record<string, string>;
  const response = await fetch(`${url}${path}`, {
    method,
    headers: rest,
    body: body === '' ? null : body,
    redirect: 'error',
    signal: AbortSignal.timeout(ATTEMPT_TIMEOUT),
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
