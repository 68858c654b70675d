import type { Finding } from './doctor.ts';
import { type Exchange, exchange, revoke } from './exchange.ts';
import { Failure } from './failure.ts';
import { send } from './http.ts';

/** A call to the API, and the responses that show that the API is guarded. */
interface GuardCall {
  readonly title: string;
  readonly token?: string;
  readonly isAllowed: boolean;
}

/**
 * Sends GET requests to verify that an API is guarded: that it rejects calls without a token, with an invalid token and
 * with a token without the required scope, and accepts a call with the right token.
 *
 * @param what credentials used to get the tokens; undefined to check only calls without a token
 * @param requiredScope scope that the API requires
 */
export async function checkGuard(
  api: string,
  what: Exchange | undefined,
  requiredScope: string | undefined,
): Promise<Finding[]> {
  const attempts = what?.attempts;
  const findings: Finding[] = [
    await answerTo(api, { title: 'without a token', isAllowed: false }, attempts),
    await answerTo(api, { title: 'with an invalid token', token: 'invalid', isAllowed: false }, attempts),
  ];
  if (!what) {
    findings.push({
      state: 'unknown',
      text: 'Give --key-id and a secret to check calls with tokens as well.',
    });
    return findings;
  }
  const right = { ...what, scope: requiredScope ?? what.scope };
  if (requiredScope === undefined) {
    findings.push({
      state: 'unknown',
      text: 'Give --required-scope to check a call with a token that lacks it.',
    });
  } else {
    findings.push(await withoutScope(api, what, requiredScope));
  }
  findings.push(await withToken(api, right, { title: 'with the right token', isAllowed: true }));
  return findings;
}

/** Calls the API with a token that has one of the key's scopes, but not the required scope. */
async function withoutScope(api: string, what: Exchange, requiredScope: string): Promise<Finding> {
  const { token, scope } = await exchange({ ...what, scope: undefined });
  await revoke(what, token);
  const other = scope.split(' ').find((word) => !word.startsWith('deployment:') && word !== requiredScope);
  if (other === undefined) {
    return {
      state: 'unknown',
      text: `The key has no other scope than ${requiredScope}, so a token without it cannot be tried.`,
    };
  }
  return withToken(
    api,
    { ...what, scope: other },
    { title: `with a token without the scope ${requiredScope}`, isAllowed: false },
  );
}

async function withToken(api: string, what: Exchange, call: Omit<GuardCall, 'token'>): Promise<Finding> {
  const { token } = await exchange(what);
  try {
    return await answerTo(api, { ...call, token }, what.attempts);
  } finally {
    await revoke(what, token);
  }
}

async function answerTo(api: string, { title, token, isAllowed }: GuardCall, attempts = 2): Promise<Finding> {
  const headers = token === undefined ? undefined : { authorization: `Bearer ${token}` };
  let status: number;
  try {
    const response = await send(() => new Request(api, headers && { headers }), { attempts });
    await response.body?.cancel();
    ({ status } = response);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { state: 'problem', text: error.message };
  }
  const call = `A call ${title} gets HTTP ${status}`;
  if (status >= 500) return { state: 'problem', text: `${call}: the API or its authorizer failed.` };
  const isRejected = status === 401 || status === 403;
  if (isAllowed) {
    if (isRejected)
      return {
        state: 'problem',
        text: `${call}: the API rejects valid tokens. Does its authorizer belong to this stack, and does the token have the scope?`,
      };
    return status < 400
      ? { state: 'ok', text: `${call}.` }
      : { state: 'unknown', text: `${call}. Is there a resource at this URL?` };
  }
  if (isRejected) return { state: 'ok', text: `${call}.` };
  if (status < 400)
    return {
      state: 'problem',
      text: `${call}: the API is not guarded. Attach the authorizer to this route.`,
    };
  return { state: 'unknown', text: `${call}, so this URL proves nothing. Give one that answers GET.` };
}
