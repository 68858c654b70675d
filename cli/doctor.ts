import { parseKeyId } from '../functions/domain/credentials.ts';
import type { components } from '../functions/openapi/api-types.ts';
import type { Api } from './api.ts';
import type { Proof } from './credentials.ts';
import { requestToken, revoke } from './exchange.ts';
import { differenceText } from './explanation.ts';
import { Failure } from './failure.ts';
import { type Answer, answerOf, rejectionOf, send } from './http.ts';

type Key = components['schemas']['ApiKey'];

/** The result of a check: the check passed, it found the cause of a problem, or it could not be run. */
export interface Finding {
  readonly state: 'ok' | 'problem' | 'unknown';
  readonly text: string;
}

/** The findings that `doctor` reports. */
export interface Diagnosis {
  readonly findings: Finding[];
  /** The possible causes, most frequent first, if no check found the actual cause. */
  readonly possibleCauses: string[];
}

/** The input for `doctor`. Missing and malformed values are undefined. */
export interface Subject {
  readonly url: string;
  readonly keyId: string | undefined;
  readonly proof: Proof | undefined;
  readonly scope: string | undefined;
  /** The management API for a person or platform; undefined if there is no sign-in. */
  readonly api: Api | undefined;
}

const ok = (text: string): Finding => ({ state: 'ok', text });
const problem = (text: string): Finding => ({ state: 'problem', text });
const unknown = (text: string): Finding => ({ state: 'unknown', text });

/** Allowed difference between the clocks, in seconds. */
const CLOCK_TOLERANCE = 60;

/** Examines the service, then the key, then the exchange. */
export async function diagnose(subject: Subject): Promise<Diagnosis> {
  const { findings, scopes } = await examineService(subject);
  const possibleCauses: string[] = [];
  const isReachable = scopes !== undefined;
  if (isReachable) findings.push(...unknownScopes(subject, scopes));
  if (isReachable && subject.keyId !== undefined) {
    const key = await examineKey(subject, subject.keyId, findings);
    if (subject.proof) await examineExchange(subject, key, { findings, possibleCauses });
  }
  return { findings, possibleCauses };
}

/**
 * Checks the service's address, metadata and clock. @returns the scopes of the stack, or undefined if the stack can't
 * be reached
 */
async function examineService({
  url,
}: Subject): Promise<{ findings: Finding[]; scopes: string[] | undefined }> {
  let answer: Answer;
  try {
    const make = () => new Request(`${url}/.well-known/oauth-authorization-server`);
    answer = await answerOf(await send(make, { attempts: 2 }));
  } catch (error) {
    return { findings: [problem((error as Error).message)], scopes: undefined };
  }
  const { issuer, token_endpoint, scopes_supported } = answer.body;
  const findings = [clockFinding(answer.headers)];
  if (answer.status === 429 || answer.status >= 500) {
    findings.push(problem(`${url} is busy or out of order: HTTP ${answer.status}. Try again later.`));
    return { findings, scopes: undefined };
  }
  if (answer.status !== 200 || typeof token_endpoint !== 'string' || !Array.isArray(scopes_supported)) {
    findings.push(
      problem(
        `${url} is not Deployment API Keys: it has no OAuth metadata (HTTP ${answer.status}). Give the stack's output ApiUrl.`,
      ),
    );
    return { findings, scopes: undefined };
  }
  findings.push(
    issuer === url
      ? ok(`${url} is the service.`)
      : problem(`The service calls itself ${issuer}, not ${url}. Use that URL.`),
  );
  return { findings, scopes: scopes_supported };
}

function clockFinding(headers: Headers): Finding {
  const theirs = Date.parse(headers.get('date') ?? '');
  if (Number.isNaN(theirs))
    return unknown('The response has no date, so the clock of this machine cannot be checked.');
  const seconds = Math.round((Date.now() - theirs) / 1000);
  if (Math.abs(seconds) <= CLOCK_TOLERANCE) return ok('The clock of this machine is right.');
  const side = seconds > 0 ? 'ahead' : 'behind';
  return problem(
    `The clock of this machine is ${Math.abs(seconds)} s ${side}. Signatures (--sigv4), OIDC tokens and certificates are then rejected. Set the clock.`,
  );
}

function unknownScopes({ scope = '' }: Subject, known: readonly string[]): Finding[] {
  return scope
    .split(' ')
    .filter((word) => word !== '' && !known.includes(word))
    .map((word) => problem(`The stack has no scope ${word}. Its scopes are: ${known.join(', ')}.`));
}

/**
 * Reads the key with the sign-in, and checks whether the key can be used. @returns the key; undefined if it can't be
 * read
 */
async function examineKey(subject: Subject, keyId: string, findings: Finding[]): Promise<Key | undefined> {
  const { api, scope = '' } = subject;
  if (!api) {
    findings.push(
      unknown(
        'Without a sign-in, the key cannot be read. Run deployment-api-keys login for a better answer.',
      ),
    );
    return undefined;
  }
  const deploymentId = parseKeyId(keyId)?.deploymentId ?? '';
  const read = await api.client.GET('/deployments/{deploymentId}/api-keys/{keyId}', {
    params: { path: { deploymentId, keyId } },
  });
  const { data: key, response } = read;
  if (!key) {
    findings.push(await absence(api, deploymentId, response.status));
    return undefined;
  }
  const faults = [
    key.status === 'disabled' && 'The key is disabled. Enable it: deployment-api-keys keys enable.',
    key.status === 'expired' &&
      `The key expired at ${key.expiresAt}. Extend it: deployment-api-keys keys edit --expires 90d.`,
    key.status === 'idle' && 'The key was not used for too long. Rotate it, or disable and enable it.',
    key.status === 'leaked' && `The key was reported as leaked at ${key.leakedAt}. Create another one.`,
    ...scope
      .split(' ')
      .filter((word) => word !== '' && !(key.scopes as string[]).includes(word))
      .map((word) => `The key lacks the scope ${word}. Its scopes are: ${key.scopes.join(', ')}.`),
  ].filter((fault) => fault !== false);
  findings.push(
    ...(faults.length > 0 ? faults.map(problem) : [ok(`The key ${JSON.stringify(key.name)} is active.`)]),
  );
  return key;
}

async function absence(api: Api, deploymentId: string, status: number): Promise<Finding> {
  if (status === 401)
    return unknown('The sign-in is not accepted. Run deployment-api-keys login for a better answer.');
  if (status !== 404) return unknown(`The key cannot be read (HTTP ${status}).`);
  const { data } = await api.client.GET('/deployments/{deploymentId}', {
    params: { path: { deploymentId } },
  });
  return data
    ? problem(
        `The Deployment ${deploymentId} has no such key. It was deleted, or the ID belongs to another stack.`,
      )
    : problem(`The Deployment ${deploymentId} does not exist in this stack, or you have no access to it.`);
}

/** Tries the exchange, and then revokes the token that the exchange returned. */
async function examineExchange(
  { url, keyId = '', proof, scope, api }: Subject,
  key: Key | undefined,
  { findings, possibleCauses }: Diagnosis,
): Promise<void> {
  if (!proof) return;
  // Read the token only once, because the service may accept each OIDC token only once.
  const given = 'secret' in proof ? proof : { subjectToken: await proof.subjectToken() };
  const sent: Proof = 'secret' in given ? given : { subjectToken: async () => given.subjectToken };
  const what = { url, keyId, proof: sent, scope };
  let answer: Answer;
  try {
    answer = await requestToken(what);
  } catch (error) {
    findings.push(problem((error as Error).message));
    return;
  }
  const { access_token: token } = answer.body;
  if (answer.status === 200 && typeof token === 'string') {
    findings.push(ok('The service exchanges the credentials for a token.'));
    await revoke(what, token).catch((error) => {
      if (!(error instanceof Failure)) throw error;
      findings.push(unknown(`The token of this test is not revoked. ${error.message}`));
    });
    return;
  }
  const { code = `HTTP ${answer.status}`, detail = '' } = rejectionOf(answer) ?? {};
  const isExplained = findings.some(({ state }) => state === 'problem');
  if (isExplained) {
    findings.push(unknown(`The exchange is rejected: ${code}.`));
    return;
  }
  const causes =
    'secret' in given
      ? causesOfSecret(code, key)
      : api && key
        ? await explainedCauses(api, key, given.subjectToken)
        : causesOfToken(given.subjectToken);
  if (causes.length === 1) findings.push(problem(causes[0] ?? ''));
  else {
    findings.push(unknown(`The exchange is rejected: ${code}. ${detail}`));
    possibleCauses.push(...causes);
  }
}

/**
 * Returns the possible reasons why the service rejects a well-formed secret. Returns a single reason if the key's data
 * is enough to determine it.
 */
function causesOfSecret(code: string, key: Key | undefined): string[] {
  if (code === 'invalid_scope')
    return ['The key lacks one of the requested scopes. Ask for fewer, or edit the key.'];
  if (code !== 'invalid_client') return [`The service answered ${code}. Try again later.`];
  if (key?.networks.length === 0) {
    const since = key.credentials.at(-1)?.createdAt;
    return [
      since === undefined
        ? 'The key has no secret. It accepts only the OIDC tokens of its trust rules.'
        : `The secret is wrong: it was rotated away, or it belongs to another stack. The newest one is from ${since}. Rotate the key, and store the new secret.`,
    ];
  }
  if (key) {
    return [
      `This machine is outside of the key's allowed IP ranges: ${key.networks.join(', ')}.`,
      'The secret was rotated away. Rotate the key, and store the new secret.',
    ];
  }
  return [
    'The secret was rotated away: store the new one.',
    'The key is disabled, expired, deleted, reported as leaked, or was not used for too long.',
    'The key, or its Deployment, was deleted or never existed in this stack: does the URL belong to another stack?',
    "This machine is outside of the key's allowed IP ranges.",
    'The key accepts only OIDC tokens.',
  ];
}

/** Returns the possible reasons why the service rejects an OIDC token for a key that cannot be read. */
function causesOfToken(token: string): string[] {
  const claims = claimsOf(token);
  if (!claims) return ['The OIDC token is not a JWT of three parts. Was it truncated?'];
  const now = Date.now() / 1000;
  if (typeof claims.exp === 'number' && claims.exp < now) {
    return [
      `The OIDC token expired at ${new Date(claims.exp * 1000).toISOString()}. Get a new one in the same job.`,
    ];
  }
  return [
    'No trust rule of the key matches the token: compare issuer, audience and claims.',
    'The token was used already, and the rule allows each token only once: get a new one.',
    'The signature is wrong, or the stack does not trust the issuer (setting trustedIssuers).',
    'The key is disabled, expired or deleted, or limited to other IP ranges.',
  ];
}

/**
 * Returns the reason why the service rejects an OIDC token for a key that can be read. The service's explanation and
 * its exchange use the same function to decide.
 */
async function explainedCauses(api: Api, key: Key, token: string): Promise<string[]> {
  if (!key.trust?.length) return ['The key has no trust rules. Add one, or use the secret of the key.'];
  const { deploymentId = '' } = parseKeyId(key.id) ?? {};
  const { data } = await api.client.POST('/deployments/{deploymentId}/api-keys/{keyId}/explain', {
    params: { path: { deploymentId, keyId: key.id } },
    body: { subject_token: token },
  });
  if (!data) return causesOfToken(token);
  if (!data.matches) {
    const rules = data.rules.map(
      ({ index, differences }) => `Rule ${index + 1}: ${differences.map(differenceText).join(' ')}`,
    );
    return [`The OIDC token matches no trust rule of the key. ${rules.join(' ')}`];
  }
  const isSingleUse = data.rules.some(({ matches, index }) => matches && key.trust?.[index]?.singleUse);
  const causes = [
    isSingleUse &&
      'The OIDC token was used already, and its rule allows each token only once. Get a new one.',
    key.networks.length > 0 &&
      `This machine is outside of the key's allowed IP ranges: ${key.networks.join(', ')}.`,
  ].filter((cause) => cause !== false);
  return causes.length > 0 ? causes : ['A rule of the key matches the OIDC token now. Try again.'];
}

function claimsOf(token: string): Record<string, unknown> | undefined {
  const parts = token.split('.');
  try {
    const claims = JSON.parse(Buffer.from(parts[1] ?? '', 'base64url').toString());
    return parts.length === 3 && typeof claims === 'object' ? claims : undefined;
  } catch {
    return undefined;
  }
}
