import { redacting } from './redact.ts';

const ATTEMPTS = 3;

/**
 * Answers CloudFormation at the address that its request names. The address lets whoever has it answer, so it is in
 * no error.
 * @throws Error when it took no answer: Lambda then sends the request again
 */
export async function respond(url: string, response: object): Promise<void> {
  const body = JSON.stringify(response, redacting);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    // The address is signed for an empty content type.
    const headers = { 'content-type': '' };
    const signal = AbortSignal.timeout(5000);
    const answer = await fetch(url, { method: 'PUT', headers, body, signal }).catch(() => undefined);
    if (answer?.ok) return;
  }
  throw new Error('CloudFormation did not take the answer.');
}
