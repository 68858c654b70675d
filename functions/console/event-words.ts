import type { ServiceEvent } from './resources.ts';
import { dayOf, duration } from './words.ts';

/** The action that a rejected call attempted, by route. */
const CALLS = new Map(
  Object.entries({
    'GET /deployments/{deploymentId}': 'read the Deployment',
    'PUT /deployments/{deploymentId}': 'register or change the Deployment',
    'DELETE /deployments/{deploymentId}': 'delete the Deployment',
    'GET /deployments/{deploymentId}/events': 'read the events',
    'POST /deployments/{deploymentId}/api-keys': 'create an API key',
    'GET /deployments/{deploymentId}/api-keys': 'list the API keys',
    'GET /deployments/{deploymentId}/api-keys/{keyId}': 'read an API key',
    'PATCH /deployments/{deploymentId}/api-keys/{keyId}': 'edit an API key',
    'DELETE /deployments/{deploymentId}/api-keys/{keyId}': 'delete an API key',
    'POST /deployments/{deploymentId}/api-keys/{keyId}/rotate': 'rotate an API key',
    'GET /deployments/{deploymentId}/api-keys/{keyId}/tokens': 'list the access tokens of an API key',
    'DELETE /deployments/{deploymentId}/api-keys/{keyId}/tokens': 'revoke all access tokens of an API key',
    'DELETE /deployments/{deploymentId}/api-keys/{keyId}/tokens/{accessTokenId}': 'revoke an access token',
    'POST /deployments/{deploymentId}/api-keys/{keyId}/explain': 'explain a token of a CI',
    'POST /deployments/{deploymentId}/temporary-tokens': 'get a temporary token',
    'GET /deployments/{deploymentId}/temporary-tokens': 'list the temporary tokens',
    'DELETE /deployments/{deploymentId}/temporary-tokens/{tokenId}': 'revoke a temporary token',
  }),
);

const FIELDS = new Map([
  ['expiresAt', 'expiry'],
  ['trust', 'trust rules'],
]);

/** Describes an event in a sentence without a full stop. Returns an unknown event type unchanged. */
export function eventWords({ type, data }: ServiceEvent): string {
  const key = `API key “${data.name ?? data.keyId}”`;
  switch (type) {
    case 'deployment.registered':
      return 'Deployment registered';
    case 'deployment.edited':
      return 'Deployment changed';
    case 'deployment.deleted':
      return 'Deployment deleted';
    case 'deployment.purged':
      return `Data of the deleted Deployment permanently deleted: ${data.deleted} items`;
    case 'deployment.restored':
      return 'Deployment restored from a backup; all earlier tokens revoked';
    case 'api_key.created':
      return `${key} created`;
    case 'api_key.edited':
      return `${key} edited${changedWords(data.changed)}`;
    case 'api_key.rotated':
      return `${key} rotated; ${retirementWords(data.retireOld)}`;
    case 'api_key.secret_retired':
      return `${key}: the first use of its new secret retired the old one`;
    case 'api_key.secret_retiring':
      return `${key}: its old secret is still in use and stops working on ${dayOf(String(data.retiresAt))}`;
    case 'api_key.disabled':
      return `${key} disabled`;
    case 'api_key.enabled':
      return `${key} enabled`;
    case 'api_key.deleted':
      return `${key} deleted`;
    case 'api_key.leaked':
      return `${key} reported as leaked, and disabled`;
    case 'api_key.expiring':
      return `${key} expires on ${dayOf(String(data.expiresAt))}`;
    case 'api_key.expired':
      return `${key} has expired`;
    case 'api_key.idle':
      return `${key} is idle: unused since ${dayOf(String(data.lastActiveAt))}`;
    case 'api_key.trust_unbound':
      return `${key} has trust rules that bind no tenant${Number(data.ignoredRules) > 0 ? ' and match nothing' : ''}`;
    case 'api_key.policy_violated':
      return `${key} violates the key policy`;
    case 'api_key.tokens_revoked':
      return `${data.tokens === undefined ? 'All' : data.tokens} access tokens of ${key} revoked`;
    case 'token.revoked':
      return `Access token of ${key} revoked`;
    case 'token.leaked':
      return 'Access token reported as leaked, and revoked';
    case 'temporary_token.leaked':
      return 'Temporary token reported as leaked, and revoked';
    case 'temporary_token.issued':
      return 'Temporary token issued';
    case 'temporary_token.revoked':
      return 'Temporary token revoked';
    case 'person.access_ended':
      return `Access of ${data.sub} ended${data.blocked ? ', and new sign-ins blocked' : ''}`;
    case 'person.access_restored':
      return `Access of ${data.sub} restored`;
    case 'person.keys_found':
      return `Search for the API keys of ${data.sub} finished: ${data.found} found, ${data.disabled} disabled`;
    case 'person.erased':
      return 'Person erased';
    case 'call.refused':
      return rejectedWords(data);
    default:
      return type;
  }
}

/**
 * Describes one caller's rejected calls. Without a `call`, describes the calls of all callers that have no event of
 * their own.
 */
function rejectedWords({ call, status, count, callers }: ServiceEvent['data']): string {
  if (call === undefined) return `Rejected ${count} calls by ${callers} other callers`;
  const last = `${callWords(String(call))} (${status})`;
  // Events written by earlier versions do not have a count, and each represents one call.
  return Number(count ?? 1) === 1
    ? `Rejected a call to ${last}`
    : `Rejected ${count} calls; the last one was to ${last}`;
}

/**
 * Describes a route.
 * @param call a route with or without /platform
 */
const callWords = (call: string) => CALLS.get(call.replace(' /platform/', ' /')) ?? call;

function changedWords(changed: unknown): string {
  if (!Array.isArray(changed) || changed.length === 0) return '';
  return `: ${changed.map((field) => FIELDS.get(field) ?? field).join(', ')}`;
}

function retirementWords(retireOld: unknown): string {
  if (retireOld === 'on_first_use') return 'the old secret stays valid until the new one is used';
  if (retireOld === 'now') return 'the old secret and all earlier tokens revoked immediately';
  return retireOld === 0
    ? 'the old secret revoked immediately'
    : `the old secret stays valid for ${duration(Number(retireOld))}`;
}

const JOBS = new Map([
  ['exchange', 'the first use of a new secret'],
  ['end-access', 'the end of a person’s access'],
  ['purge', 'the purge of a deleted Deployment'],
  ['restore', 'a restore from a backup'],
  ['source', 'a change of the followed table'],
  ['sweep', 'the check of keys and rejected calls'],
]);

/**
 * Describes who caused an event. Returns the `sub` of a person or the ARN of an IAM principal separately, because a
 * person can have any `sub`, even a `sub` that looks like the name of a job.
 */
export function actorWords({ principal, type }: Pick<ServiceEvent['data']['actor'], 'principal' | 'type'>): {
  words: string;
  principal?: string;
} {
  if (type === 'system') return { words: `by the service: ${JOBS.get(principal) ?? principal}` };
  if (type === 'anonymous') return { words: 'by an anonymous caller' };
  return { words: type === 'iam' ? 'by IAM principal' : 'by user', principal };
}
