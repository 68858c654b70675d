import type { EventType, ServiceEvent } from '../functions/domain/events.ts';

type Value = ServiceEvent['data'][string];

/** A field of an event's `data`. */
export interface EventField {
  /** The meaning of the field in Markdown, without a full stop at the end. */
  readonly meaning: string;
  readonly example: Value;
  /**
   * The condition under which an event has the field, worded to follow "only"; undefined if every event of the type has
   * the field.
   */
  readonly only?: string;
}

/** Help for a person who looks up a type of event. */
export interface EventHelp {
  /** What happened, as full sentences in Markdown. Links are relative to docs/. */
  readonly when: string;
  /** The fields of `data`, in addition to `deploymentId`, `generation` and `actor`. */
  readonly fields: Readonly<Record<string, EventField>>;
  /** Who can list the event. Members are the people in a group of the Deployment. */
  readonly visibleTo: 'members and administrators' | 'administrators';
}

const field = (meaning: string, example: Value, only?: string): EventField => ({
  meaning,
  example,
  ...(only !== undefined && { only }),
});

const READABLE = 'if the item of the key is not [malformed](keys.md#malformed-keys)';
const keyId = field('the ID of the key', 'dk_etl_01JP0000000000000000000000');
const name = field('the name of the key', 'ci');
const KEY = { keyId, name };
const scopes = field('the scopes of the key', ['code:deploy', 'airflow:read']);
const anyName = { ...name, only: READABLE };
const anyScopes = { ...scopes, only: READABLE };
const changed = field('the names of the changed fields', ['enabled']);
const secretCreatedAt = field('when the secret was created', '2029-12-01T12:00:00.500Z');
const issuer = field('the issuer with which the person signs in', 'https://login.example.com/realms/staff');
const sub = field('the `sub` of the person', '2f1c9a36-ada');
const keys = field('`report` or `disable`: what the job does with the keys of the person', 'disable');
const temporaryTokenId = field('the ID of the temporary token', '01JQ0000000000000000000000');
const grantScopes = field(
  'the scopes of the token',
  ['airflow:read'],
  'if the token was limited to some scopes',
);
const groups = field('the groups of the Deployment', ['data-eng']);
const deploymentName = field('the name of the Deployment', 'Nightly ETL');
const CHANGED = 'if it changed';
const ONE_CALLER = 'in an event about one caller';

const MEMBERS = 'members and administrators' as const;
const ADMINISTRATORS = 'administrators' as const;

/** The help for all types of events. docs/events.md is generated from this list. */
export const EVENT_HELP: Readonly<Record<EventType, EventHelp>> = {
  'deployment.registered': {
    when: 'Someone registered the Deployment, or its row appeared in the [followed table](deployments-source.md).',
    fields: { name: deploymentName, groups },
    visibleTo: MEMBERS,
  },
  'deployment.edited': {
    when: 'Someone changed the name or the groups of the Deployment. The fields contain the new values.',
    fields: { name: { ...deploymentName, only: CHANGED }, groups: { ...groups, only: CHANGED } },
    visibleTo: MEMBERS,
  },
  'deployment.deleted': {
    when: 'Someone deleted the Deployment, or its row was deleted. The Deployment’s keys and tokens are rejected from then on.',
    fields: {},
    visibleTo: ADMINISTRATORS,
  },
  'deployment.purged': {
    when: 'The service has permanently deleted the keys and tokens of a deleted Deployment.',
    fields: { deleted: field('the number of deleted items', 17) },
    visibleTo: ADMINISTRATORS,
  },
  'deployment.restored': {
    when: '[`npm run restore`](runbook.md#restore-the-table) restored the Deployment from a backup. All earlier tokens are revoked.',
    fields: {
      restoredTo: field('the time to which the Deployment was restored', '2029-12-31T12:00:00.000Z'),
      keys: field('the number of restored keys', 3),
    },
    visibleTo: MEMBERS,
  },
  'api_key.created': {
    when: 'Someone created a key.',
    fields: { ...KEY, scopes },
    visibleTo: MEMBERS,
  },
  'api_key.edited': {
    when: 'Someone edited a key without enabling or disabling it.',
    fields: { ...KEY, scopes, changed: { ...changed, example: ['networks'] } },
    visibleTo: MEMBERS,
  },
  'api_key.rotated': {
    when: 'Someone [rotated](keys.md#rotate-a-secret-without-downtime) the secret of a key.',
    fields: {
      ...KEY,
      scopes,
      retireOld: field('seconds until the old secret is rejected, `on_first_use` or `now`', 'now'),
    },
    visibleTo: MEMBERS,
  },
  'api_key.secret_retired': {
    when: 'The first use of a new secret retired the old one, because of `"retireOld": "on_first_use"`.',
    fields: {
      ...KEY,
      secretCreatedAt: { ...secretCreatedAt, meaning: 'when the new secret was created' },
    },
    visibleTo: MEMBERS,
  },
  'api_key.secret_retiring': {
    when:
      'A pipeline used an old secret in the 24 hours before the secret stops working. The actor contains as much of the ' +
      'pipeline’s address as the `lastUsedFrom` setting allows.',
    fields: {
      ...KEY,
      secretCreatedAt: { ...secretCreatedAt, meaning: 'when the old secret was created' },
      retiresAt: field('when the old secret stops working', '2030-01-02T12:00:00.500Z'),
    },
    visibleTo: MEMBERS,
  },
  'api_key.disabled': {
    when: 'Someone disabled a key, or the service disabled it because [the access of its user was ended](people.md).',
    fields: {
      keyId,
      name: anyName,
      scopes: { ...anyScopes, only: `if a call disabled the key, and ${READABLE}` },
      changed,
      sub: { ...sub, only: 'if the access of this person was ended' },
    },
    visibleTo: MEMBERS,
  },
  'api_key.enabled': {
    when: 'Someone enabled a disabled key, or reactivated an idle one.',
    fields: { ...KEY, scopes, changed },
    visibleTo: MEMBERS,
  },
  'api_key.deleted': {
    when: 'Someone deleted a key.',
    fields: { keyId, name: anyName, scopes: anyScopes },
    visibleTo: MEMBERS,
  },
  'api_key.leaked': {
    when: 'Someone [reported](leaked.md) an active secret of the key as leaked. The key is disabled.',
    fields: { keyId, name: anyName },
    visibleTo: MEMBERS,
  },
  'api_key.expiring': {
    when: 'A key expires within 7 days. The daily check of all keys reports each expiry once.',
    fields: { ...KEY, expiresAt: field('when the key expires', '2030-01-08T12:00:00.000Z') },
    visibleTo: MEMBERS,
  },
  'api_key.expired': {
    when: 'A key has expired, as the daily check found.',
    fields: { ...KEY, expiresAt: field('when the key expired', '2030-01-01T12:00:00.000Z') },
    visibleTo: MEMBERS,
  },
  'api_key.idle': {
    when: 'A key has not been used for `maxIdleDays`, as the daily check found, and is rejected.',
    fields: {
      ...KEY,
      lastActiveAt: field('when the key was last used or activated', '2029-10-01T12:00:00.500Z'),
    },
    visibleTo: MEMBERS,
  },
  'api_key.trust_unbound': {
    when: 'A key has trust rules of an earlier version that bind [no tenant](keys.md#a-pipeline-without-a-secret).',
    fields: {
      ...KEY,
      ignoredRules: field('the number of these rules that match nothing', 1),
      acceptedRules: field('the number of these rules that still match tokens', 0),
    },
    visibleTo: MEMBERS,
  },
  'api_key.policy_violated': {
    when:
      'A key violates the [key policy](keys.md#key-policy), as the daily check found, because the key is older than the policy. ' +
      'It keeps working.',
    fields: { ...KEY, violations: field('`no_expiry`, `expiry_too_late` or `secret`', ['no_expiry']) },
    visibleTo: MEMBERS,
  },
  'api_key.tokens_revoked': {
    when: 'Someone revoked all access tokens of a key, or an operator revoked some with [`end-tokens`](cli.md#end-tokens).',
    fields: {
      keyId,
      name: { ...anyName, only: `if a call revoked the tokens, and ${READABLE}` },
      tokens: field('the number of revoked tokens', 12, 'if `end-tokens` revoked them'),
    },
    visibleTo: MEMBERS,
  },
  'call.refused': {
    when:
      'Calls of one caller about the Deployment got a 4xx response. There is one event for each caller and hour, written ' +
      'within an hour after that hour ([why](decisions/rejected-calls.md)). `call`, `status`, `code`, `lastAt` and the actor’s ' +
      '`address` and `requestId` describe the last of these calls. From the eleventh caller on, one event from the `sweep` ' +
      'counts all further callers.',
    fields: {
      call: field('the method and the route', 'DELETE /deployments/{deploymentId}', ONE_CALLER),
      status: field('the HTTP status', 403, ONE_CALLER),
      code: field('the [code of the error](errors.md)', 'forbidden', ONE_CALLER),
      lastAt: field('when the last call was made', '2030-01-01T11:59:00.500Z', ONE_CALLER),
      count: field('the number of calls', 3),
      callers: field('the number of callers', 5, 'in the event about all further callers'),
    },
    visibleTo: MEMBERS,
  },
  'token.revoked': {
    when: 'Someone revoked one access token of a key.',
    fields: {
      keyId,
      name: anyName,
      tokenId: field('the ID of the token in [the listing](keys.md#active-tokens)', 'q1Xk2jKq0y3o8k0b3m3WZQ'),
    },
    visibleTo: MEMBERS,
  },
  'token.leaked': {
    when: 'Someone reported a valid access token as leaked. The token is revoked.',
    fields: { keyId },
    visibleTo: MEMBERS,
  },
  'temporary_token.leaked': {
    when: 'Someone reported a valid temporary token as leaked. The token is revoked.',
    fields: { temporaryTokenId, sub },
    visibleTo: MEMBERS,
  },
  'temporary_token.issued': {
    when: 'A person got a temporary token.',
    fields: { temporaryTokenId, sub, scopes: grantScopes },
    visibleTo: MEMBERS,
  },
  'temporary_token.revoked': {
    when: 'Someone revoked a temporary token.',
    fields: {
      temporaryTokenId,
      sub: { ...sub, only: 'if the item of the token can be read' },
      scopes: grantScopes,
    },
    visibleTo: MEMBERS,
  },
  'person.access_ended': {
    when: 'An administrator [ended the access](people.md) of a person.',
    fields: {
      issuer,
      sub,
      keys,
      blocked: field('whether the service also rejects new sign-ins of the person', true),
    },
    visibleTo: ADMINISTRATORS,
  },
  'person.access_restored': {
    when: 'An administrator allowed new sign-ins of a person again.',
    fields: { issuer, sub },
    visibleTo: ADMINISTRATORS,
  },
  'person.keys_found': {
    when: 'The job that looks for the keys of a person whose access was ended has finished.',
    fields: {
      issuer,
      sub,
      keys,
      found: field('the number of keys that the job found', 2),
      disabled: field('the number of keys that the job disabled', 2),
    },
    visibleTo: ADMINISTRATORS,
  },
  'person.erased': {
    when: 'An operator [erased a person](data.md#erase-a-persons-data).',
    fields: {
      subHash: field(
        'the SHA-256 hash of the `sub`, so that the event does not name the person',
        'K7gNU3sdo-OL0wNhqoVWhr3g6s1xYv72ol_pe_Unols',
      ),
    },
    visibleTo: ADMINISTRATORS,
  },
};
