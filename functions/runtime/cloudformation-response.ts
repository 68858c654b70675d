import { redacting } from './report.ts';

const ATTEMPTS = 3;

/**
 * Sends a response to CloudFormation, at the URL in its request. Anyone who has the URL can respond, so errors do not
 * contain the URL.
 * @throws Error if CloudFormation did not accept the response; Lambda then retries the request
 */
export async function respond(url: string, response: object): Promise<void> {
  const body = JSON.stringify(response, redacting);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    // The signature of the URL requires an empty content type.
    const headers = { 'content-type': '' };
    const signal = AbortSignal.timeout(5000);
    const answer = await fetch(url, { method: 'PUT', headers, body, signal }).catch(() => undefined);
    if (answer?.ok) return;
  }
  throw new Error('CloudFormation did not accept the response.');
}
