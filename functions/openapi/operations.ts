import * as z from 'zod/mini';
import type { ZodOpenApiResponsesObject } from 'zod-openapi';
import { plainTextRule } from '../domain/text.ts';
import { GITHUB } from '../domain/trust.ts';
import { TOKEN_EXCHANGE } from '../http/oauth.ts';
import { exchangeParameters, presentedParameters, tokenParameters } from '../http/parameters.ts';
import {
  deploymentInput,
  keyChangesInput,
  leakInput,
  newKeyInput,
  newTemporaryTokenInput,
  pageInput,
  rotationInput,
} from '../http/schemas.ts';
import * as answers from './answers.ts';
import { EXAMPLE } from './answers.ts';
import { empty, json, oauthError, problem } from './responses.ts';

/**
 * Who may call. `client`: an authenticated key. `token`: the holder of a token. `person`: a signed-in person.
 * `platform`: an IAM principal that signed the call.
 */
export type Caller = 'anyone' | 'client' | 'token' | 'person' | 'platform';

// biome-ignore lint/suspicious/noExplicitAny: the schemas are of two kinds, zod's and zod/mini's, which zod-openapi takes both
type Schema = any;

/** One route, without what all routes with the same caller have in common. */
export interface Operation {
  readonly id: string;
  readonly tag: 'OAuth' | 'Checks' | 'Deployments' | 'API keys' | 'Temporary tokens' | 'Events' | 'Leaks';
  readonly caller: Caller;
  readonly summary: string;
  readonly description?: string;
  readonly query?: Schema;
  /** Takes an Idempotency-Key. @default false */
  readonly once?: boolean;
  readonly body?: {
    readonly schema: Schema;
    readonly examples: Readonly<Record<string, unknown>>;
    /** @default `application/json` */
    readonly types?: readonly string[];
    /** @default true */
    readonly required?: boolean;
  };
  readonly answers: ZodOpenApiResponsesObject;
}

/** Used instead of a stack's scopes: the document describes the form of requests and is the same for every stack. */
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

const noSuchDeployment = problem(404, 'not_found', 'No such Deployment.');
const badPage = problem(400, 'invalid_request', 'limit must be a whole number from 1 to 100', {
  errors: [{ field: 'limit', rule: 'must be a whole number from 1 to 100' }],
});
const badBody = problem(400, 'invalid_request', `name ${plainTextRule(1, 100)}`, {
  errors: [{ field: 'name', rule: plainTextRule(1, 100) }],
});
const badDeploymentId = problem(
  400,
  'invalid_request',
  'deploymentId must be 1 to 64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit',
);
const administratorsOnly = problem(403, 'forbidden', 'Only an administrator may do this.');

/** The routes outside /platform, by route key. */
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
      'RFC 7009. A token of another key gets the same answer and stays active. A key with trust rules has no secret: send only ' +
      'client_id and token. Returns 401 unless the token belongs to that key.',
    body: { schema: presentedParameters, types: [FORM], examples: { token: { token: EXAMPLE.token } } },
    answers: {
      200: empty('If the token belongs to this key, it is revoked.'),
      400: oauthError('invalid_request', 'token is missing.'),
    },
  },
  'GET /.well-known/oauth-authorization-server': {
    id: 'getMetadata',
    tag: 'OAuth',
    caller: 'anyone',
    summary: 'Metadata of the token service',
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
  'GET /whoami': {
    id: 'whoAmI',
    tag: 'Checks',
    caller: 'token',
    summary: 'Check an access token as the authorizer does',
    description:
      'The call is a use. With a valid token, any query parameter gets 400, and the call is not a use. For the `auth_request` of ' +
      'nginx, or ForwardAuth of Traefik.',
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
      400: json('The token is valid, but the call has a query parameter.', answers.gatewayMessage, {
        message: 'This call has no query parameters.',
      }),
    },
  },
  'GET /deployments': {
    id: 'listDeployments',
    tag: 'Deployments',
    caller: 'person',
    summary: 'List the Deployments that the caller may see',
    query: pageInput,
    answers: {
      200: json('A page.', answers.deployments, { items: [deployment], nextCursor: EXAMPLE.cursor }),
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
    body: { schema: deploymentInput, examples: { register: { name: 'ETL', groups: ['data-eng'] } } },
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
      'Only for administrators. Its keys and tokens stop working immediately. The service then deletes its data automatically.',
    answers: {
      204: empty('Deleted.'),
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
    body: {
      schema: newKeyInput(ANY_SCOPES, 0),
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
    query: pageInput,
    answers: {
      200: json('A page.', answers.apiKeys, {
        items: [
          {
            ...apiKey,
            lastUsedAt: LATER,
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
      'that rotating it does not enable it. It can be enabled only after a rotation with `now`.',
    body: {
      schema: keyChangesInput(ANY_SCOPES, 0),
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
      204: empty('Deleted.'),
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
      '`on_first_use`, meant for a key with a single user, it works until the first use of the new secret, but at most for 7 ' +
      'days. With `now`, it stops working immediately, and all existing tokens are rejected at their next check. A key ' +
      'never has more than two active secrets. If it has two, the rotation drops the newer one if that was never used, and ' +
      'otherwise the older one.',
    body: {
      schema: rotationInput,
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
  'GET /deployments/{deploymentId}/events': {
    id: 'listEvents',
    tag: 'Events',
    caller: 'person',
    summary: 'List the events of a Deployment in the last 90 days, newest first',
    description:
      'Members see the events of the current generation. Administrators see those of all generations, even after a deletion. ' +
      '`call.refused` counts the rejected calls of one caller in one hour, and is written after that hour.',
    query: pageInput,
    answers: {
      200: json('A page.', answers.events, { items: [event] }),
      400: badPage,
      404: noSuchDeployment,
    },
  },
  'POST /leaks': {
    id: 'reportLeak',
    tag: 'Leaks',
    caller: 'anyone',
    summary: 'Report a leaked secret or token',
    description:
      'Send the secret or token, or the text that contains it: quotes, white space, variable names, `Bearer` and whole lines ' +
      'around it do not matter. Up to 32 KiB in UTF-8, with up to 20 different secrets and tokens; encoded text (base64, ' +
      'percent) is not decoded. A valid secret disables its key until the key is rotated with `now`. A valid token is revoked. ' +
      'Expired, revoked and unknown ones change nothing. The answer does not reveal which it was. Repeating a report is harmless.',
    body: {
      schema: leakInput,
      examples: {
        secret: { credential: EXAMPLE.secret },
        line: { credential: `Authorization: Bearer ${EXAMPLE.token} "POST /dags" 401` },
      },
    },
    answers: {
      202: empty('Every secret and token in the text has been handled.'),
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
    description: 'The token is valid for 24 hours. Using it does not extend it.',
    body: {
      schema: newTemporaryTokenInput(ANY_SCOPES),
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
    query: pageInput,
    answers: {
      200: json('A page.', answers.temporaryTokens, { items: [temporaryToken] }),
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

/** The only call of people that is missing under /platform, because only a person can get a temporary token. */
const PERSONAL = 'POST /deployments/{deploymentId}/temporary-tokens';

/** The calls of people, as available to IAM principals under /platform. IAM principals are administrators. */
const PLATFORMS: Readonly<Record<string, Operation>> = Object.fromEntries(
  Object.entries(EVERYBODYS)
    .filter(([key, { caller }]) => caller === 'person' && key !== PERSONAL)
    .map(([key, operation]) => {
      // An administrator never gets a 403.
      const answers = Object.fromEntries(
        Object.entries(operation.answers).filter(([status]) => status !== '403'),
      );
      const id = `platform${operation.id.charAt(0).toUpperCase()}${operation.id.slice(1)}`;
      return [key.replace(' ', ' /platform'), { ...operation, id, answers, caller: 'platform' }];
    }),
);

/** Every route of the service, by its route key in API Gateway. */
export const OPERATIONS: Readonly<Record<string, Operation>> = { ...EVERYBODYS, ...PLATFORMS };
