import { CONTEXTS } from './contexts.ts';
import type { Call, CreatedKey, Reply, TestStack } from './stack.ts';

/** One secret or token of each kind, with the key and the Deployment to which it belongs. */
export interface Canaries {
  deploymentId: string;
  key: CreatedKey;
  /** The known secrets and tokens (canaries) by kind. Each may occur only in the response that issued it. */
  canaries: { secret: string; token: string; revoked: string; temporary: string; person: string };
}

/** Creates canaries, which are known secrets and tokens, for an existing Deployment. */
export async function createCanaries(stack: TestStack, deploymentId: string): Promise<Canaries> {
  const key = await stack.createKey(deploymentId);
  const token = await stack.exchangeForToken(key);
  const revoked = await stack.exchangeForToken(key);
  const path = `/deployments/${deploymentId}/temporary-tokens`;
  const temporary: string = (await stack.callAs('member', 'POST', path, { json: {} })).json.access_token;
  const person = await stack.signIn('admin');
  return { deploymentId, key, canaries: { secret: key.secret, token, revoked, temporary, person } };
}

/**
 * Sends each known secret through every call, in every place where a caller might put it correctly or by mistake.
 *
 * @returns all responses
 */
export async function sendEverywhere(stack: TestStack, made: Canaries): Promise<Reply[]> {
  const { deploymentId: id, key, canaries } = made;
  const { token, temporary, revoked, person } = canaries;
  const replies: Reply[] = [];
  const send = async (method: string, path: string, options: Call = {}) => {
    replies.push(await stack.call(method, path, options));
  };
  const keys = `/deployments/${id}/api-keys`;
  const basic = [key.id, key.secret] as const;
  // These calls use the secrets correctly.
  await send('GET', '/whoami', { token });
  await send('GET', '/whoami', { token: temporary });
  await send('POST', '/oauth/introspect', { basic, form: { token } });
  await send('POST', '/oauth/introspect', { basic, form: { token: temporary } });
  await send('POST', '/oauth/revoke', { basic, form: { token: revoked } });
  for (const path of [
    '/deployments',
    `/deployments/${id}`,
    keys,
    `${keys}/${key.id}`,
    `/deployments/${id}/temporary-tokens`,
    `/deployments/${id}/events`,
  ]) {
    await send('GET', path, { token: person });
  }
  // These calls send each secret in every wrong place.
  for (const canary of Object.values(canaries)) {
    const grant = { grant_type: 'client_credentials' };
    await send('GET', '/whoami', { token: canary.slice(0, -1) });
    await send('GET', '/whoami', { token: `${canary}x` });
    await send('GET', '/whoami', { headers: { authorization: canary } });
    await send('GET', '/whoami', { headers: { authorization: `Bearer ${canary}, Bearer ${canary}` } });
    await send('GET', `/whoami?access_token=${canary}`);
    await send('GET', `/whoami?${canary}=1&scope=${canary}`, { token });
    await send('GET', `/whoami/${canary}`);
    await send('GET', `/.well-known/oauth-authorization-server?${canary}=1`);
    await send('GET', `/console/deployments/${canary}?${canary}=1`);
    await send('GET', `/console/assets/${canary}.js`);
    await send('POST', '/oauth/token', { basic: [canary, canary], form: grant });
    await send('POST', '/oauth/token', { basic: [key.id, canary], form: { grant_type: 'password' } });
    await send('POST', '/oauth/token', { headers: { authorization: `Basic ${canary}` }, form: grant });
    await send('POST', '/oauth/token', {
      form: { grant_type: canary, client_id: canary, client_secret: canary },
    });
    await send('POST', '/oauth/token', {
      form: {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        client_id: key.id,
        subject_token: canary,
        subject_token_type: canary,
      },
    });
    await send('POST', '/oauth/token', { basic, form: { ...grant, scope: canary } });
    await send('POST', '/oauth/token', { basic, form: `${canary}=1&${canary}=2&grant_type=x` });
    await send('POST', `/oauth/token?client_secret=${canary}`, { form: grant });
    await send('POST', '/oauth/token', {
      headers: { 'content-type': 'application/json' },
      body: `{"${canary}`,
    });
    await send('POST', '/oauth/token', { json: { ...grant, [canary]: [canary] } });
    await send('POST', '/oauth/token', { headers: { 'content-type': canary.slice(0, 60) }, body: canary });
    await send('POST', '/oauth/introspect', { basic: [canary, canary], form: { token: canary } });
    await send('POST', '/oauth/introspect', { basic, form: { token: canary, token_type_hint: canary } });
    await send('POST', '/oauth/revoke', { basic, form: { token: `${canary} ` } });
    await send('POST', keys, {
      token: person,
      headers: { 'content-type': 'application/json' },
      body: `{"name":${canary}}`,
    });
    await send('POST', keys, { token: person, json: { name: 'x', scopes: [canary] } });
    await send('POST', keys, { token: person, json: { name: 'x', expiresAt: canary } });
    await send('POST', keys, { token: person, json: { name: 'x', networks: [canary] } });
    await send('POST', keys, {
      token: person,
      json: { name: 'x', trust: [{ issuer: canary, claims: { [canary]: 1 }, [canary]: 1 }] },
    });
    await send('POST', keys, {
      token: person,
      json: { name: 'x' },
      headers: { 'idempotency-key': `${canary},`, [canary.slice(0, 100)]: 'x', 'x-custom': canary },
    });
    await send('PUT', `/deployments/${id}`, { token: person, json: { groups: canary } });
    await send('PUT', `/deployments/${id}`, { token: person, json: canary });
    await send('PATCH', `${keys}/${key.id}`, { token: person, json: { [canary]: canary } });
    await send('POST', `${keys}/${key.id}/rotate`, { token: person, json: { retireOld: canary } });
    await send('POST', `${keys}/${key.id}/rotate`, { token: person, json: { [canary]: 1 } });
    await send('POST', `/deployments/${id}/temporary-tokens`, { token: person, json: { [canary]: 1 } });
    await send('GET', `${keys}?cursor=${canary}`, { token: person });
    await send('GET', `${keys}?limit=${canary}`, { token: person });
    await send('GET', `${keys}?${canary}=1`, { token: person });
    await send('GET', keys, { token: canary });
    await send('POST', '/leaks', { json: { [canary]: canary } });
    await send('POST', '/leaks', { json: { credential: mistypedIn(canary) } });
    await send('POST', '/leaks', { json: [canary] });
    await send('POST', '/people/find', { token: person, json: { sub: canary, [canary]: canary } });
    // The secret part by itself, and the encoded secret, are each sent as a field name or a parameter name.
    for (const name of [coreOf(canary), Buffer.from(canary).toString('base64'), encodeURIComponent(canary)]) {
      await send('POST', keys, { token: person, json: { name: 'x', [name]: 1 } });
      await send('GET', `${keys}?${encodeURIComponent(name)}=1`, { token: person });
      await send('POST', '/leaks', { json: { [name]: 1 } });
    }
    if (canary !== person) {
      // A secret in a path is too long for a Deployment ID, or does not have a key ID's format.
      await send('GET', `/deployments/${canary}/api-keys`, { token: person });
      await send('GET', `/deployments/${canary.slice(0, 64)}/api-keys`, { token: person });
      await send('GET', `${keys}/${canary}`, { token: person });
      await send('DELETE', `/deployments/${id}/temporary-tokens/${canary}`, { token: person });
    }
  }
  for (const [, put] of CONTEXTS) {
    const name = put(key.secret);
    await send('POST', '/leaks', { json: { [name]: 1 } });
    await send('POST', keys, { token: person, json: { name: 'x', [name]: 1 } });
  }
  // The calls that revoke the secrets come last.
  await send('POST', '/leaks', { json: { credential: `${token} ${temporary} ${revoked}` } });
  await send('POST', '/leaks', { json: { credential: `client_secret=${key.secret}` } });
  await stack.exchange(key);
  await stack.callAs('admin', 'DELETE', `${keys}/${key.id}`);
  await stack.callAs('admin', 'DELETE', `/deployments/${id}`);
  return replies;
}

/** Returns the credential with a wrong check character, so that a leak report ignores it. */
const mistypedIn = (canary: string) => `x "${canary.slice(0, -1)}-"`;

/** Returns the secret part of a credential: its random part, or the signature of a JWT. */
function coreOf(canary: string): string {
  return canary.startsWith('eyJ') ? (canary.split('.')[2] ?? '') : canary.slice(-49, -6);
}

/** Returns every form in which a credential might occur in text. */
function formsOf(canary: string): Record<string, string> {
  const core = coreOf(canary);
  const bytes = [...Buffer.from(core)];
  const hex = bytes.map((byte) => byte.toString(16));
  // The characters at both ends of the base64 text depend on the neighbouring bytes.
  const base64 = (shift: number) =>
    Buffer.from(`${'x'.repeat(shift)}${core}`)
      .toString('base64')
      .slice(4, -4);
  return {
    'in clear': core,
    'in lower case': core.toLowerCase(),
    'in upper case': core.toUpperCase(),
    'without its end': core.slice(0, 30),
    'without its beginning': core.slice(-30),
    'in base64': base64(0),
    'in base64, shifted by one byte': base64(1),
    'in base64, shifted by two bytes': base64(2),
    'in hexadecimal': hex.join(''),
    'in upper-case hexadecimal': hex.join('').toUpperCase(),
    'as a Buffer is inspected': hex.join(' '),
    'percent-encoded': hex.map((digits) => `%${digits}`).join(''),
    'percent-encoded in upper case': hex.map((digits) => `%${digits.toUpperCase()}`).join(''),
    'as Unicode escapes': hex.map((digits) => `\\u00${digits}`).join(''),
    'as hexadecimal escapes': hex.map((digits) => `\\x${digits}`).join(''),
    'as a list of bytes': bytes.join(','),
    'as an inspected list of bytes': bytes.join(', '),
  };
}

/**
 * Lists the known secrets that occur in a text in any form. Returns an empty list if the text contains none of them.
 */
export function tracesOf(canaries: Readonly<Record<string, string>>, text: string): string[] {
  return Object.entries(canaries).flatMap(([name, canary]) =>
    Object.entries(formsOf(canary)).flatMap(([form, it]) => {
      const at = text.indexOf(it);
      return at < 0 ? [] : [`${name} ${form} after ${JSON.stringify(text.slice(Math.max(0, at - 300), at))}`];
    }),
  );
}
