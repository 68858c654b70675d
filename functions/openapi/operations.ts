import * as z from 'zod/mini';
import type { ZodOpenApiResponsesObject } from 'zod-openapi';
import { NAME, plainTextRule } from '../domain/allowed-characters.ts';
import { GITHUB } from '../domain/trust.ts';
import { TOKEN_EXCHANGE } from '../http/oauth.ts';
import { exchangeParameters, presentedParameters, tokenParameters } from '../http/parameters.ts';
import * as requests from '../http/schemas.ts';
import * as answers from './answers.ts';
import { EXAMPLE } from './answers.ts';
import { cacheable, empty, json, oauthError, problem } from './responses.ts';

/**
 * The kind of caller that a route allows. `client`: an authenticated key. `token`: the holder of a token. `person`: a
 * signed-in person. `platform`: an IAM principal that signed the call.
 */
export type CallerKind = 'anyone' | 'client' | 'token' | 'person' | 'platform';

// biome-ignore lint/suspicious/noExplicitAny: the schemas are of two kinds, zod's and zod/mini's, which zod-openapi takes both
type Schema = any;

/** The groups of routes in the document, in its order, each with a description. */
export const TAGS = {
  OAuth: 'For pipelines: get, introspect and revoke access tokens.',
  Checks: 'Check a token.',
  Deployments: 'For people and platforms.',
  'API keys': 'For people and platforms.',
  'Temporary tokens': 'For people.',
  Events: 'The history of Deployments.',
  People: 'For administrators.',
  Leaks: 'For anyone who finds a secret or token.',
  Reference: 'For clients and their developers.',
};

/** Description of one route, without the parts that all routes with the same kind of caller share. */
export interface Operation {
  readonly id: string;
  readonly tag: keyof typeof TAGS;
  readonly caller: CallerKind;
  readonly summary: string;
  readonly description?: string;
  readonly query?: Schema;
  /** Whether the route accepts an Idempotency-Key. @default false */
  readonly once?: boolean;
  readonly body?: {
    readonly schema: Schema;
    readonly examples: Readonly<Record<string, unknown>>;
    /** Accepted media types of the body. @default `application/json` */
    readonly types?: readonly string[];
    /** Whether the body is required. @default true */
    readonly required?: boolean;
  };
  readonly answers: ZodOpenApiResponsesObject;
}

/** Placeholder for a stack's scopes: the document describes the format of requests and is the same for every stack. */
const ANY_SCOPES: readonly string[] = [];
const FORM = 'application/x-www-form-urlencoded';
const CREATED_AT = '2027-01-15T08:00:00.000Z';
const LATER = '2027-01-16T08:00:00.000Z';

const deployment = { id: EXAMPLE.deploymentId, name: 'ETL', groups: ['data-eng'], createdAt: CREATED_AT };
const apiKey = {
  id: EXAMPLE.keyId,
  name: 'ci',
  description: null,
  scopes: EXAMPLE.scopes,
  enabled: true,
  status: 'active',
  activeDays: [],
  networks: [],
  credentials: [{ createdAt: CREATED_AT }],
  createdAt: CREATED_AT,
  createdBy: EXAMPLE.sub,
};
const event = {
  specversion: '1.0',
  id: '01EVENT00000000000000000ET',
  source: 'deployment-api-keys',
  type: 'api_key.rotated',
  subject: `deployments/${EXAMPLE.deploymentId}/api-keys/${EXAMPLE.keyId}`,
  time: CREATED_AT,
  datacontenttype: 'application/json',
  data: {
    deploymentId: EXAMPLE.deploymentId,
    generation: '01HFE000000000000000000000',
    actor: {
      principal: EXAMPLE.sub,
      type: 'person',
      address: '203.0.113.7',
      requestId: 'Cz8YXjZPIAMEMXQ=',
    },
    keyId: EXAMPLE.keyId,
    name: 'ci',
    retireOld: 'now',
  },
};
const trustRule = { issuer: GITHUB, claims: { repository_id: '4711', ref: 'refs/heads/main' } };
const temporaryToken = {
  id: EXAMPLE.temporaryTokenId,
  scope: EXAMPLE.scope,
  createdAt: CREATED_AT,
  createdBy: EXAMPLE.sub,
  expiresAt: LATER,
};

const ended = {
  sub: EXAMPLE.sub,
  endedAt: CREATED_AT,
  blocked: false,
  job: { keys: 'report', status: 'finished', found: 1, disabled: 0, finishedAt: CREATED_AT },
};
const badSub = problem(400, 'invalid_request', 'sub must be 1 to 255 printable ASCII characters', {
  errors: [{ field: 'sub', rule: 'must be 1 to 255 printable ASCII characters' }],
});

const noSuchDeployment = problem(404, 'not_found', 'No such Deployment.');
const badPage = problem(400, 'invalid_request', 'limit must be a whole number from 1 to 100', {
  errors: [{ field: 'limit', rule: 'must be a whole number from 1 to 100' }],
});
const badBody = problem(400, 'invalid_request', `name ${plainTextRule(...NAME)}`, {
  errors: [{ field: 'name', rule: plainTextRule(...NAME) }],
});
const badDeploymentId = problem(
  400,
  'invalid_request',
  'deploymentId must be 1 to 64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit',
);
const administratorsOnly = problem(403, 'forbidden', 'Only an administrator may do this.');

/** Routes outside /platform, by route key. */
const EVERYBODYS: Readonly<Record<string, Operation>> = {
  'POST /oauth/token': {
    id: 'issueToken',
    tag: 'OAuth',
    caller: 'client',
    summary: 'Exchange the ID and secret of a key for an access token',
    description:
      'RFC 6749 §4.4. JSON with the same fields is accepted as well. `audience`, `resource` and unknown parameters are ignored; the first two may be repeated. ' +
      'A key with `trust` exchanges a token of a trusted issuer instead of a secret (RFC 8693).',
    body: {
      schema: z.union([tokenParameters, exchangeParameters]),
      types: [FORM, 'application/json'],
      examples: {
        basic: { grant_type: 'client_credentials' },
        fewerScopes: { grant_type: 'client_credentials', scope: 'code:deploy' },
        post: {
          grant_type: 'client_credentials',
          client_id: EXAMPLE.keyId,
          client_secret: EXAMPLE.secret,
          audience: 'ignored',
        },
        exchange: {
          grant_type: TOKEN_EXCHANGE,
          client_id: EXAMPLE.keyId,
          subject_token: 'eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl',
          subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        },
      },
    },
    answers: {
      200: json(
        'An access token.',
        answers.token,
        { access_token: EXAMPLE.token, token_type: 'Bearer', expires_in: 86_400, scope: EXAMPLE.scope },
        { Pragma: 'no-cache' },
      ),
      400: oauthError('invalid_scope', 'scope is malformed, or requests a scope that the key does not have.'),
    },
  },
  'POST /oauth/introspect': {
    id: 'introspectToken',
    tag: 'OAuth',
    caller: 'client',
    summary: 'Get the status and scopes of a token',
    description:
      'RFC 7662. A key can introspect the tokens of its Deployment. Introspection does not extend the token.',
    body: { schema: presentedParameters, types: [FORM], examples: { token: { token: EXAMPLE.token } } },
    answers: {
      200: json('The token, or `{"active":false}`.', answers.introspection, {
        active: true,
        client_id: EXAMPLE.keyId,
        scope: EXAMPLE.scope,
        exp: 1_800_086_400,
        iat: 1_800_000_000,
        token_type: 'Bearer',
        sub: EXAMPLE.keyId,
        iss: 'https://keys.acme.test',
        deployment_id: EXAMPLE.deploymentId,
        last_used_at: 1_800_000_000,
        last_used_from: { address: '203.0.113.7', client: 'curl/8.5.0' },
      }),
      400: oauthError('invalid_request', 'token is missing.'),
    },
  },
  'POST /oauth/revoke': {
    id: 'revokeToken',
    tag: 'OAuth',
    caller: 'client',
    summary: 'Revoke an access token of the key',
    description:
      'RFC 7009. Revoking a token of another key returns the same response, and the token stays active. A key with trust rules ' +
      'has no secret: send only client_id and token. In that case, the call returns 401 unless the token belongs to the key.',
    body: { schema: presentedParameters, types: [FORM], examples: { token: { token: EXAMPLE.token } } },
    answers: {
      200: empty('The token is revoked if it belongs to this key.'),
      400: oauthError('invalid_request', 'token is missing.'),
    },
  },
  'GET /.well-known/oauth-authorization-server': {
    id: 'getMetadata',
    tag: 'OAuth',
    caller: 'anyone',
    summary: 'Get the metadata of the token service',
    description: 'RFC 8414. The issuer is the URL that the client used.',
    answers: {
      200: json('The metadata.', answers.metadata, {
        issuer: 'https://keys.acme.test',
        token_endpoint: 'https://keys.acme.test/oauth/token',
        token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
        grant_types_supported: ['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'],
        scopes_supported: ['code:deploy', 'airflow:read', 'airflow:write'],
        introspection_endpoint: 'https://keys.acme.test/oauth/introspect',
        introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
        revocation_endpoint: 'https://keys.acme.test/oauth/revoke',
        revocation_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
      }),
    },
  },
  'GET /openapi.json': {
    id: 'getOpenApi',
    tag: 'Reference',
    caller: 'anyone',
    summary: 'Get this OpenAPI document',
    answers: {
      200: cacheable('The OpenAPI document.', 'application/json', { openapi: '3.1.1' }),
    },
  },
  'GET /errors': {
    id: 'getErrors',
    tag: 'Reference',
    caller: 'anyone',
    summary: 'Get the page that explains every error code',
    answers: {
      200: cacheable(
        'A page with a section for each error code. The code is the fragment of the section.',
        'text/html',
        '<!doctype html>…',
      ),
    },
  },
  'GET /whoami': {
    id: 'whoAmI',
    tag: 'Checks',
    caller: 'token',
    summary: 'Check an access token as the authorizer does',
    description:
      'For proxies and middleware in front of an API. The query contains the requirements of the call. A call that returns 200 ' +
      'counts as a use of the token; other calls do not. An invalid token gets 401, regardless of the query.',
    query: answers.requirement,
    answers: {
      200: json(
        'The holder of the token.',
        answers.context,
        {
          principalId: EXAMPLE.keyId,
          principalType: 'api_key',
          deploymentId: EXAMPLE.deploymentId,
          scope: EXAMPLE.scope,
          issuedAt: CREATED_AT,
          expiresAt: LATER,
        },
        {
          'X-Deployment-Id': EXAMPLE.deploymentId,
          'X-Principal-Id': EXAMPLE.keyId,
          'X-Scope': EXAMPLE.scope,
        },
      ),
      400: json(
        'A parameter is unknown, empty or repeated, or the stack has no such scope.',
        answers.gatewayMessage,
        {
          message:
            'The query may contain scope and deployment, each once and not empty. Each scope must be one of the stack.',
        },
      ),
      403: json(
        'The token lacks a scope, or belongs to another Deployment.',
        answers.gatewayMessage,
        { message: 'Forbidden' },
        { 'WWW-Authenticate': 'Bearer error="insufficient_scope", scope="code:deploy"' },
      ),
    },
  },
  'GET /deployments': {
    id: 'listDeployments',
    tag: 'Deployments',
    caller: 'person',
    summary: 'List the Deployments that the caller can access',
    description:
      'Sorted by ID. With `prefix`, the list contains only Deployments whose ID starts with the prefix.',
    query: requests.deploymentsInput,
    answers: {
      200: json('A page of Deployments.', answers.deployments, {
        items: [deployment],
        nextCursor: EXAMPLE.cursor,
      }),
      400: badPage,
    },
  },
  'GET /deployments/{deploymentId}': {
    id: 'getDeployment',
    tag: 'Deployments',
    caller: 'person',
    summary: 'Get a Deployment',
    answers: {
      200: json('The Deployment.', answers.deployment, deployment),
      400: badDeploymentId,
      404: noSuchDeployment,
    },
  },
  'PUT /deployments/{deploymentId}': {
    id: 'putDeployment',
    tag: 'Deployments',
    caller: 'person',
    summary: 'Register or change a Deployment',
    description: 'Only for administrators. Absent fields keep their values.',
    body: { schema: requests.deploymentInput, examples: { register: { name: 'ETL', groups: ['data-eng'] } } },
    answers: {
      200: json('The Deployment was changed.', answers.deployment, deployment),
      201: json('The Deployment was registered.', answers.deployment, deployment),
      400: badBody,
      403: administratorsOnly,
      404: noSuchDeployment,
      409: problem(409, 'conflict', 'Other calls keep changing this Deployment. Try again.'),
    },
  },
  'DELETE /deployments/{deploymentId}': {
    id: 'deleteDeployment',
    tag: 'Deployments',
    caller: 'person',
    summary: 'Delete a Deployment with its keys and tokens',
    description:
      'Only for administrators. The Deployment’s keys and tokens stop working immediately. The service then deletes its data ' +
      'automatically.',
    answers: {
      204: empty('The Deployment was deleted.'),
      400: badDeploymentId,
      403: administratorsOnly,
      404: noSuchDeployment,
      409: problem(
        409,
        'conflict',
        'This Deployment comes from a table of the platform. Change or delete it there.',
      ),
    },
  },
  'POST /deployments/{deploymentId}/api-keys': {
    id: 'createApiKey',
    once: true,
    tag: 'API keys',
    caller: 'person',
    summary: 'Create an API key',
    description:
      'With the setting `maxKeyDays`, a key without `expiresAt` gets the latest allowed expiry. Returns 409 with the code ' +
      '`policy` for a later expiry, and for a key with a secret if the stack allows no keys with secrets.',
    body: {
      schema: requests.newKeyInput(ANY_SCOPES, 0, []),
      examples: {
        least: { name: 'ci' },
        all: {
          name: 'ci',
          description: 'GitHub Actions',
          scopes: EXAMPLE.scopes,
          expiresAt: '2030-01-31T12:00:00Z',
          networks: ['203.0.113.0/24', '2001:db8::/32'],
        },
        withoutSecret: { name: 'ci', trust: [trustRule] },
      },
    },
    answers: {
      201: json(
        'The key, with its secret.',
        answers.apiKeyWithSecret,
        { ...apiKey, secret: EXAMPLE.secret },
        { Location: `/deployments/${EXAMPLE.deploymentId}/api-keys/${EXAMPLE.keyId}` },
      ),
      400: badBody,
      404: noSuchDeployment,
      409: problem(409, 'conflict', 'A Deployment has at most 1000 keys. Delete one first.'),
    },
  },
  'GET /deployments/{deploymentId}/api-keys': {
    id: 'listApiKeys',
    tag: 'API keys',
    caller: 'person',
    summary: 'List the keys of a Deployment',
    description: 'Sorted by creation time, oldest first unless `order` is `newest`.',
    query: requests.keysInput,
    answers: {
      200: json('A page of API keys.', answers.apiKeys, {
        items: [
          {
            ...apiKey,
            lastUsedAt: LATER,
            activeDays: [LATER.slice(0, 10)],
            lastUsedFrom: { address: '203.0.113.7', client: 'curl/8.5.0' },
            networks: ['203.0.113.0/24'],
          },
        ],
      }),
      400: badPage,
      404: noSuchDeployment,
    },
  },
  'GET /deployments/{deploymentId}/api-keys/{keyId}': {
    id: 'getApiKey',
    tag: 'API keys',
    caller: 'person',
    summary: 'Get an API key',
    answers: {
      200: json('The key.', answers.apiKey, { ...apiKey, expiresAt: LATER }),
      400: badDeploymentId,
      404: problem(404, 'not_found', 'No such API key.'),
    },
  },
  'PATCH /deployments/{deploymentId}/api-keys/{keyId}': {
    id: 'editApiKey',
    tag: 'API keys',
    caller: 'person',
    summary: 'Edit an API key',
    description:
      'Absent fields keep their values; `null` clears a field. Changes to scopes and allowed IP ranges apply to existing ' +
      'tokens at their next check. Changes to trust rules apply to the next exchange. Tokens that were issued before the key was ' +
      'disabled or expired stay revoked. Setting `enabled` to true reactivates an idle key. A leaked key can be disabled, so ' +
      'that rotating it does not enable it. A leaked key can be enabled only after a rotation with `now`. With the setting ' +
      '`maxKeyDays`, `"expiresAt": null` sets the latest allowed expiry, and a later expiry returns 409 with the code `policy`.',
    body: {
      schema: requests.keyChangesInput(ANY_SCOPES, 0, []),
      examples: {
        disable: { enabled: false },
        narrow: { scopes: ['code:deploy'] },
        clear: { description: null, expiresAt: null },
        trust: { trust: [trustRule, { ...trustRule, claims: { repository_owner_id: '42' } }] },
      },
    },
    answers: {
      200: json('The key.', answers.apiKey, { ...apiKey, enabled: false, status: 'disabled' }),
      400: badBody,
      404: problem(404, 'not_found', 'No such API key.'),
      409: problem(409, 'conflict', 'Someone else is changing this key. Try again.'),
    },
  },
  'DELETE /deployments/{deploymentId}/api-keys/{keyId}': {
    id: 'deleteApiKey',
    tag: 'API keys',
    caller: 'person',
    summary: 'Delete an API key',
    description: 'The key and its tokens stop working immediately.',
    answers: {
      204: empty('The key was deleted.'),
      400: badDeploymentId,
      404: problem(404, 'not_found', 'No such API key.'),
    },
  },
  'POST /deployments/{deploymentId}/api-keys/{keyId}/rotate': {
    id: 'rotateApiKey',
    once: true,
    tag: 'API keys',
    caller: 'person',
    summary: 'Rotate the secret of an API key',
    description:
      '`retireOld` is the number of seconds for which the old secret keeps working; the default is 7 days. With ' +
      '`on_first_use`, meant for a key with a single user, the old secret works until the first use of the new secret, but at ' +
      'most for 7 days. With `now`, the old secret stops working immediately, and all existing tokens are rejected at their ' +
      'next check. A key never has more than two active secrets. If the key has two, the rotation removes the newer secret if ' +
      'it was never used, and otherwise the older secret.',
    body: {
      schema: requests.rotationInput,
      required: false,
      examples: {
        week: {},
        day: { retireOld: 86_400 },
        onFirstUse: { retireOld: 'on_first_use' },
        leaked: { retireOld: 'now' },
      },
    },
    answers: {
      200: json('The key, with its new secret.', answers.apiKeyWithSecret, {
        ...apiKey,
        credentials: [{ createdAt: CREATED_AT, retiresAt: LATER }, { createdAt: CREATED_AT }],
        secret: EXAMPLE.secret,
      }),
      400: badBody,
      404: problem(404, 'not_found', 'No such API key.'),
      409: problem(409, 'conflict', 'This key leaked. Rotate it with retireOld "now".'),
    },
  },
  'GET /deployments/{deploymentId}/api-keys/{keyId}/tokens': {
    id: 'listAccessTokens',
    tag: 'API keys',
    caller: 'person',
    summary: 'List the active access tokens of an API key',
    description:
      'The list is not sorted by time. It omits expired and revoked tokens, so a page can be short or empty and still have ' +
      '`nextCursor`. Listing a token does not count as a use.',
    query: requests.pageInput,
    answers: {
      200: json('A page of access tokens.', answers.accessTokens, {
        items: [
          {
            id: EXAMPLE.accessTokenId,
            issuedAt: CREATED_AT,
            expiresAt: LATER,
            scope: EXAMPLE.scope,
            lastUsedAt: CREATED_AT,
            lastUsedFrom: { address: '203.0.113.7', client: 'curl/8.5.0' },
          },
        ],
      }),
      400: badPage,
      404: problem(404, 'not_found', 'No such API key.'),
    },
  },
  'DELETE /deployments/{deploymentId}/api-keys/{keyId}/tokens': {
    id: 'revokeAccessTokens',
    tag: 'API keys',
    caller: 'person',
    summary: 'Revoke all access tokens of an API key',
    description:
      'All existing tokens are rejected at their next check. The secret and the trust rules keep working, so the key can get new ' +
      'tokens. Rotate the key with `now` if someone else may have its secret.',
    answers: {
      204: empty('The tokens were revoked.'),
      400: badDeploymentId,
      404: problem(404, 'not_found', 'No such API key.'),
    },
  },
  'DELETE /deployments/{deploymentId}/api-keys/{keyId}/tokens/{accessTokenId}': {
    id: 'revokeAccessToken',
    tag: 'API keys',
    caller: 'person',
    summary: 'Revoke an access token',
    description: 'The token is rejected at its next check. Other tokens of the key stay valid.',
    answers: {
      204: empty('The token was revoked.'),
      400: badDeploymentId,
      404: problem(404, 'not_found', 'No such access token.'),
    },
  },
  'POST /deployments/{deploymentId}/api-keys/{keyId}/explain': {
    id: 'explainSubjectToken',
    tag: 'API keys',
    caller: 'person',
    summary: "Explain why an API key accepts or rejects a CI's OIDC token",
    description:
      'Returns the decision of the exchange: the trust rule that matches, or the differences from each rule. The response ' +
      'contains only `iss`, `aud`, the times and the claims that the rules name, each truncated to 256 characters, and nothing ' +
      'from the token unless its signature is valid. The service neither stores nor logs the token, and a rule with `singleUse` ' +
      'still accepts it. The response does not say whether the token was used before, and does not consider the allowed IP ' +
      'ranges of the key. At most 10 calls a second.',
    body: {
      schema: requests.explainInput,
      examples: { token: { subject_token: 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2lnbmF0dXJl' } },
    },
    answers: {
      200: json('The decision about each rule.', answers.explanation, {
        status: 'active',
        matches: false,
        rules: [
          {
            index: 0,
            issuer: GITHUB,
            matches: false,
            differences: [
              {
                kind: 'claim',
                claim: 'ref',
                expected: 'refs/heads/main',
                actual: 'refs/heads/feature',
                detail: 'The claim ref is not exactly the expected text.',
              },
            ],
          },
        ],
      }),
      400: problem(400, 'invalid_request', 'subject_token must be a JWT of 1 to 16384 characters', {
        errors: [{ field: 'subject_token', rule: 'must be a JWT of 1 to 16384 characters' }],
      }),
      404: problem(404, 'not_found', 'No such API key.'),
      409: problem(
        409,
        'conflict',
        'This key has a secret and no trust rules, so it accepts no token of a CI.',
      ),
    },
  },
  'GET /deployments/{deploymentId}/events': {
    id: 'listEvents',
    tag: 'Events',
    caller: 'person',
    summary: 'List the events of a Deployment in the last 90 days, newest first',
    description:
      'Members see the events of the current generation. Administrators see the events of all generations, even after a deletion. ' +
      '`call.refused` counts the rejected calls of one caller in one hour, and is written after that hour. With `type` or ' +
      '`keyId`, a call reads at most 1 MB of events: a page can be short or empty and still have `nextCursor`.',
    query: requests.eventsInput,
    answers: {
      200: json('A page of events.', answers.events, { items: [event] }),
      400: badPage,
      404: noSuchDeployment,
    },
  },
  'POST /people/end-access': {
    id: 'endAccess',
    tag: 'People',
    caller: 'person',
    summary: "End a person's access",
    description:
      'Only for administrators. From then on, the service rejects the person’s temporary tokens in every Deployment and their ' +
      'earlier sign-ins. With `block`, it rejects every sign-in until access is restored. A job then reports the person’s keys, ' +
      'or disables them with `"keys": "disable"`. Repeating the call moves the end of access forward.',
    body: {
      schema: requests.endAccessInput,
      examples: { end: { sub: EXAMPLE.sub }, leaver: { sub: EXAMPLE.sub, keys: 'disable', block: true } },
    },
    answers: {
      202: json('Access is ended, and the job starts.', answers.person, ended),
      400: badSub,
      403: administratorsOnly,
      409: problem(409, 'conflict', "Other calls keep changing this person's access. Try again."),
    },
  },
  'POST /people/restore-access': {
    id: 'restoreAccess',
    tag: 'People',
    caller: 'person',
    summary: 'Accept new sign-ins of a blocked person again',
    description:
      'Only for administrators, who cannot restore their own access. Earlier sign-ins and temporary tokens stay rejected, and keys stay disabled.',
    body: { schema: requests.restoreAccessInput, examples: { restore: { sub: EXAMPLE.sub } } },
    answers: {
      200: json('The access of the person.', answers.person, ended),
      400: badSub,
      403: administratorsOnly,
      409: problem(409, 'conflict', 'You cannot restore your own access.'),
    },
  },
  'POST /people/find': {
    id: 'findPerson',
    tag: 'People',
    caller: 'person',
    summary: "Get a person's access, and the keys that the job found",
    description: 'Only for administrators. The request has a body so that the `sub` is in no URL.',
    body: { schema: requests.findPersonInput, examples: { find: { sub: EXAMPLE.sub } } },
    answers: {
      200: json('The access and the keys of the person.', answers.foundPerson, {
        ...ended,
        keys: [{ id: EXAMPLE.keyId, name: 'ci', reasons: ['created', 'secret'], disabled: false }],
      }),
      400: badSub,
      403: administratorsOnly,
      409: problem(
        409,
        'conflict',
        "The record of this person is malformed. End the person's access again first.",
      ),
    },
  },
  'GET /people': {
    id: 'listPeople',
    tag: 'People',
    caller: 'person',
    summary: 'List the people whose access was ended',
    description: 'Only for administrators.',
    query: requests.pageInput,
    answers: {
      200: json('A page of people.', answers.people, { items: [ended] }),
      400: badPage,
      403: administratorsOnly,
    },
  },
  'GET /people/events': {
    id: 'listPeopleEvents',
    tag: 'People',
    caller: 'person',
    summary: 'List the events about people in the last 90 days, newest first',
    description: 'Only for administrators.',
    query: requests.pageInput,
    answers: {
      200: json('A page of events.', answers.personEvents, {
        items: [
          {
            ...event,
            type: 'person.access_ended',
            subject: `people/${EXAMPLE.sub}`,
            data: { actor: event.data.actor, sub: EXAMPLE.sub, keys: 'report', blocked: false },
          },
        ],
      }),
      400: badPage,
      403: administratorsOnly,
    },
  },
  'POST /leaks': {
    id: 'reportLeak',
    tag: 'Leaks',
    caller: 'anyone',
    summary: 'Report a leaked secret or token',
    description:
      'Send the secret or token, or the text that contains it: quotes, white space, variable names, `Bearer` and whole lines ' +
      'around it do not matter. The text can have up to 32 KiB in UTF-8, with up to 20 different secrets and tokens; the service ' +
      'does not decode encoded text (base64, percent-encoding). A valid secret disables its key until the key is rotated with `now`. A valid token is revoked. ' +
      'Expired, revoked and unknown secrets and tokens change nothing. The response does not reveal which case applied. ' +
      'Repeating a report is harmless.',
    body: {
      schema: requests.leakInput,
      examples: {
        secret: { credential: EXAMPLE.secret },
        line: { credential: `Authorization: Bearer ${EXAMPLE.token} "POST /dags" 401` },
      },
    },
    answers: {
      202: empty('The service has handled every secret and token in the text.'),
      400: problem(
        400,
        'invalid_request',
        'credential must contain a secret (dks_…) or token (dkt_…, dkx_…), complete and not encoded',
        {
          errors: [
            {
              field: 'credential',
              rule: 'must contain a secret (dks_…) or token (dkt_…, dkx_…), complete and not encoded',
            },
          ],
        },
      ),
      413: problem(413, 'invalid_request', 'The body must be at most 65536 bytes.'),
      415: problem(415, 'unsupported_media_type', 'Send the body as Content-Type: application/json.'),
    },
  },
  'POST /deployments/{deploymentId}/temporary-tokens': {
    id: 'createTemporaryToken',
    once: true,
    tag: 'Temporary tokens',
    caller: 'person',
    summary: 'Create a temporary token',
    description: 'The token is valid for 24 hours. Use does not extend it.',
    body: {
      schema: requests.newTemporaryTokenInput(ANY_SCOPES),
      required: false,
      examples: { all: {}, fewerScopes: { scopes: ['airflow:read'] } },
    },
    answers: {
      201: json(
        'The token.',
        answers.newTemporaryToken,
        {
          id: EXAMPLE.temporaryTokenId,
          access_token: EXAMPLE.temporaryToken,
          token_type: 'Bearer',
          expires_in: 86_400,
          expiresAt: LATER,
          scope: EXAMPLE.scope,
        },
        { Location: `/deployments/${EXAMPLE.deploymentId}/temporary-tokens/${EXAMPLE.temporaryTokenId}` },
      ),
      400: problem(400, 'invalid_request', 'scopes must be an array of 1 to 16 scopes', {
        errors: [{ field: 'scopes', rule: 'must be an array of 1 to 16 scopes' }],
      }),
      404: noSuchDeployment,
    },
  },
  'GET /deployments/{deploymentId}/temporary-tokens': {
    id: 'listTemporaryTokens',
    tag: 'Temporary tokens',
    caller: 'person',
    summary: 'List temporary tokens',
    description: 'People see their own tokens. Administrators see all tokens of the Deployment.',
    query: requests.pageInput,
    answers: {
      200: json('A page of temporary tokens.', answers.temporaryTokens, { items: [temporaryToken] }),
      400: badPage,
      404: noSuchDeployment,
    },
  },
  'DELETE /deployments/{deploymentId}/temporary-tokens/{tokenId}': {
    id: 'revokeTemporaryToken',
    tag: 'Temporary tokens',
    caller: 'person',
    summary: 'Revoke a temporary token',
    answers: {
      204: empty('The token was revoked.'),
      400: badDeploymentId,
      404: problem(404, 'not_found', 'No such temporary token.'),
    },
  },
};

/** The only call for people that does not exist under /platform, because only a person can get a temporary token. */
const PERSONAL = 'POST /deployments/{deploymentId}/temporary-tokens';

/** The calls for people, in the form that IAM principals use under /platform. IAM principals are administrators. */
const PLATFORMS: Readonly<Record<string, Operation>> = Object.fromEntries(
  Object.entries(EVERYBODYS)
    .filter(([key, { caller }]) => caller === 'person' && key !== PERSONAL)
    .map(([key, operation]) => {
      // Omit the 403 for people who are not administrators, because IAM principals are administrators.
      const answers = Object.fromEntries(
        Object.entries(operation.answers).filter(([status]) => status !== '403'),
      );
      const id = `platform${operation.id.charAt(0).toUpperCase()}${operation.id.slice(1)}`;
      return [key.replace(' ', ' /platform'), { ...operation, id, answers, caller: 'platform' }];
    }),
);

/** Every route of the service, by API Gateway route key. */
export const OPERATIONS: Readonly<Record<string, Operation>> = { ...EVERYBODYS, ...PLATFORMS };
