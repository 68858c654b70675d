import * as z from 'zod';
import { EVENT_SOURCE } from '../domain/cloud-event.ts';
import { DEPLOYMENT_ID, formatCredential, formatKeyId, TOKEN_ID, ULID } from '../domain/credentials.ts';
import { SHOWN_DAYS } from '../domain/last-use.ts';
import { MAX_NETWORKS } from '../domain/networks.ts';
import { MAX_SCOPE_LENGTH, MAX_SCOPES, SCOPE } from '../domain/scopes.ts';

/** The schemas of responses. The schemas of requests are in functions/http, where they also validate the requests. */

const KEY_ULID = '01KEY0000000000000000000ET';
const GRANT_ULID = '01TEMP000000000000000000AD';
/** A well-formed credential that is clearly an example. */
const random = '0'.repeat(43);
export const EXAMPLE = {
  deploymentId: 'etl',
  keyId: formatKeyId('etl', KEY_ULID),
  secret: formatCredential({ kind: 'secret', deploymentId: 'etl', ulid: KEY_ULID }, random),
  token: formatCredential({ kind: 'token', deploymentId: 'etl', ulid: KEY_ULID }, random),
  accessTokenId: 'K7gNU3sdo-OL0wNhqoVWhr',
  temporaryTokenId: GRANT_ULID,
  temporaryToken: formatCredential({ kind: 'temporary', deploymentId: 'etl', ulid: GRANT_ULID }, random),
  scopes: ['code:deploy', 'airflow:read'],
  scope: 'deployment:etl code:deploy airflow:read',
  sub: '2f1c9a36-ada',
  cursor: 'AAAAAAAAAAAAAAAAAAAAAGV0bA',
};

const time = z.iso.datetime().meta({ pattern: undefined, description: 'Time in RFC 3339 format, in UTC.' });
const personName = z
  .string()
  .meta({ description: 'The name in the access token, if the stack stores names (setting `nameClaim`).' });
const credential = (prefix: string) =>
  z.string().regex(new RegExp(`^${prefix}_${DEPLOYMENT_ID}_${ULID}_[0-9A-Za-z]{49}$`));

export const deploymentId = z
  .string()
  .regex(new RegExp(`^${DEPLOYMENT_ID}$`))
  .meta({
    id: 'DeploymentId',
    description: 'ID of a Deployment, chosen by the platform.',
    example: EXAMPLE.deploymentId,
  });

export const keyId = z
  .string()
  .regex(new RegExp(`^dk_${DEPLOYMENT_ID}_${ULID}$`))
  .meta({ id: 'KeyId', description: 'ID of an API key, and its OAuth `client_id`.', example: EXAMPLE.keyId });

export const temporaryTokenId = z
  .string()
  .regex(new RegExp(`^${ULID}$`))
  .meta({ id: 'TemporaryTokenId', example: EXAMPLE.temporaryTokenId });

export const accessTokenId = z.string().regex(TOKEN_ID).meta({
  id: 'AccessTokenId',
  description: 'The first 22 base64url characters of the SHA-256 hash of the access token.',
  example: EXAMPLE.accessTokenId,
});

const scopes = z
  .array(z.string().regex(SCOPE).max(MAX_SCOPE_LENGTH))
  .max(MAX_SCOPES)
  .meta({ id: 'Scopes', description: 'Scopes that the stack defines.' });

const scope = z.string().meta({
  id: 'Scope',
  description:
    'Scopes, separated by spaces (RFC 6749 §3.3). The first scope is always `deployment:` and the ID of the Deployment.',
  example: EXAMPLE.scope,
});

const expiresIn = z
  .int()
  .min(0)
  .meta({ description: 'Seconds until the token expires if it is not used.', example: 86_400 });

const nextCursor = z.string().optional().meta({
  description:
    'Send this value as `cursor` to get the next page. Absent on the last page. A page can be short or empty and still have a cursor.',
});

const page = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), nextCursor });

export const deployment = z
  .object({ id: deploymentId, name: z.string(), groups: z.array(z.string()), createdAt: time })
  .meta({ id: 'Deployment' });

export const deployments = page(deployment);

const keyStatus = z.enum(['active', 'leaked', 'disabled', 'expired', 'idle']).meta({
  description:
    '`active` if the key can be used; otherwise, why it cannot be used. A key stays `leaked` until it is rotated with `now`.',
});

const origin = (call: string) =>
  z
    .object({ address: z.string().optional(), client: z.string().optional() })
    .optional()
    .meta({
      description: `Address and client of ${call}. The stack records both, a truncated address, or nothing.`,
    });

const claimRule = z.union([z.string(), z.object({ prefix: z.string() })]);

const apiKeyFields = {
  id: keyId,
  name: z.string(),
  description: z.string().nullable(),
  scopes,
  enabled: z.boolean(),
  status: keyStatus,
  malformed: z
    .literal(true)
    .optional()
    .meta({
      description:
        'The key’s item in the table is malformed. The key gets no new tokens. While it is `active`, its existing tokens may be valid. ' +
        'Until someone repairs the item, the key can only be disabled or deleted.',
    }),
  leakedAt: time
    .optional()
    .meta({ description: 'When the key was reported as leaked. Absent after a rotation with `now`.' }),
  createdAt: time,
  createdBy: z.string().meta({ description: '`sub` of the person, or the ARN of the IAM role or user.' }),
  createdByName: personName.optional(),
  expiresAt: time.optional(),
  lastUsedAt: time.optional(),
  lastUsedFrom: origin('the last use'),
  activeDays: z.array(z.iso.date()).max(SHOWN_DAYS).meta({
    description:
      'Dates (UTC) of the last 90 days on which a use was recorded, oldest first. A use within `slideInterval` after the last recorded use may count for the day of that use.',
  }),
  networks: z
    .array(z.string())
    .max(MAX_NETWORKS)
    .meta({ description: 'Allowed IP ranges (CIDR). An empty array allows any address.' }),
  trust: z
    .array(
      z.object({
        issuer: z.url(),
        audience: z.string().optional(),
        claims: z.record(z.string(), claimRule),
        singleUse: z.boolean().optional(),
      }),
    )
    .optional()
    .meta({
      description: 'Which tokens the key accepts instead of a secret. A key with trust rules has no secret.',
    }),
  unboundTrust: z
    .array(z.object({ index: z.int(), detail: z.string(), ignored: z.boolean() }))
    .optional()
    .meta({
      description:
        'Rules of an earlier version that bind no tenant, by their index in `trust`. An `ignored` rule matches no token; ' +
        'any other rule keeps matching until it is edited.',
    }),
  broadTrust: z
    .array(z.object({ index: z.int(), detail: z.string() }))
    .optional()
    .meta({
      description:
        'Rules that accept tokens from every branch of their tenant: the index of each rule in `trust`, and which claims would limit it. Absent if ' +
        'there are none.',
    }),
  policyViolations: z
    .array(z.enum(['no_expiry', 'expiry_too_late', 'secret']))
    .optional()
    .meta({
      description:
        'How a key that is older than the stack’s key policy violates the policy. The key keeps working. Absent if the key violates no rule.',
    }),
  credentials: z
    .array(
      z.object({
        createdAt: time,
        retiresAt: time.optional().meta({ description: 'When the service starts to reject this secret.' }),
        retiresOnFirstUse: z
          .boolean()
          .optional()
          .meta({ description: 'Whether the first use of the newer secret retires this secret.' }),
        lastUsedAt: time.optional(),
      }),
    )
    .max(2)
    .meta({ description: 'The active secrets, oldest first, without their values.' }),
};

export const apiKey = z.object(apiKeyFields).meta({ id: 'ApiKey' });

export const apiKeyWithSecret = z
  .object({
    ...apiKeyFields,
    secret: credential('dks').optional().meta({
      description:
        'The `client_secret`. Only this response contains it. Absent in the response to a retry, and for a key with `trust`.',
    }),
  })
  .meta({ id: 'ApiKeyWithSecret' });

export const apiKeys = page(apiKey);

export const explanation = z
  .object({
    status: keyStatus,
    matches: z.boolean().meta({ description: 'Whether at least one rule matches.' }),
    rules: z.array(
      z.object({
        index: z.int().meta({ description: 'Position of the rule in the key’s `trust`, starting at 0.' }),
        issuer: z.url(),
        matches: z.boolean(),
        differences: z
          .array(
            z.object({
              kind: z.enum(['signature', 'time', 'issuer', 'audience', 'tenant', 'claim']).meta({
                description:
                  '`tenant`: a rule of an earlier version that binds no tenant, and so matches nothing.',
              }),
              claim: z.string().optional(),
              expected: claimRule.optional(),
              actual: z.string().max(256).optional().meta({
                description:
                  'Absent if the token does not have the claim, or its signature is invalid. A list, an object or null is shown as JSON.',
              }),
              detail: z.string().meta({ description: 'A description of the difference, for people.' }),
            }),
          )
          .meta({ description: 'How the token differs from the rule. Empty if the rule matches.' }),
      }),
    ),
  })
  .meta({ id: 'Explanation' });

const event = z
  .object({
    specversion: z.literal('1.0'),
    id: z
      .string()
      .regex(new RegExp(`^${ULID}$`))
      .meta({ description: 'The ID of the event, which is the same in every delivery.' }),
    source: z.literal(EVENT_SOURCE),
    type: z.string(),
    subject: z.string(),
    time,
    datacontenttype: z.literal('application/json'),
    data: z.looseObject({
      deploymentId,
      generation: z
        .string()
        .meta({ description: 'The generation of the Deployment; empty if the Deployment did not exist.' }),
      actor: z.object({
        principal: z.string().meta({
          description: '`sub` of the person, ARN of the IAM principal, name of the job, or `anonymous`.',
        }),
        name: personName.optional(),
        type: z.enum(['person', 'iam', 'system', 'anonymous']),
        address: z.string(),
        requestId: z.string(),
      }),
    }),
  })
  .meta({ id: 'Event', description: 'CloudEvents 1.0, in the same form as on the event bus.' });

export const events = page(event);

export const personEvents = page(
  event.extend({
    data: z.looseObject({
      sub: z.string(),
      actor: z.object({
        principal: z.string(),
        name: personName.optional(),
        type: z.enum(['person', 'iam', 'system', 'anonymous']),
        address: z.string(),
        requestId: z.string(),
      }),
    }),
  }),
);

const personFields = {
  sub: z.string(),
  endedAt: time.optional().meta({
    description:
      'The service rejects temporary tokens that were issued, and sign-ins that were made, at or before this time. Absent if access was never ended.',
  }),
  blocked: z.boolean().meta({ description: 'Whether the service rejects every sign-in of the person.' }),
  job: z
    .object({
      keys: z.enum(['report', 'disable']),
      status: z.enum(['running', 'finished']),
      found: z.int(),
      disabled: z.int(),
      finishedAt: time.optional(),
    })
    .optional()
    .meta({ description: 'The job that finds the keys of the person.' }),
};

export const person = z.object(personFields).meta({ id: 'Person' });

export const people = page(person);

export const foundPerson = z
  .object({
    ...personFields,
    keys: z.array(
      z.object({
        id: keyId,
        name: z.string(),
        reasons: z.array(z.enum(['created', 'secret', 'trust'])).meta({
          description:
            'The person created the key, received an active secret of the key, or last set its trust rules.',
        }),
        disabled: z.boolean().meta({ description: 'Whether the job disabled the key.' }),
      }),
    ),
    nextCursor,
  })
  .meta({ id: 'FoundPerson' });

const temporaryToken = z
  .object({
    id: temporaryTokenId,
    scope,
    createdAt: time,
    createdBy: z.string(),
    createdByName: personName.optional(),
    expiresAt: time,
  })
  .meta({ id: 'TemporaryToken' });

export const newTemporaryToken = z
  .object({
    id: temporaryTokenId,
    access_token: credential('dkx')
      .optional()
      .meta({ description: 'The temporary token. Absent in the response to a retry.' }),
    token_type: z.literal('Bearer'),
    expires_in: expiresIn,
    expiresAt: time,
    scope,
  })
  .meta({ id: 'NewTemporaryToken' });

export const temporaryTokens = page(temporaryToken);

const accessToken = z
  .object({
    id: accessTokenId,
    issuedAt: time,
    expiresAt: time.meta({ description: 'When the token expires if it is not used.' }),
    scope: scope.optional().meta({
      description: 'The scopes of the token. Absent if the token has all scopes of its key.',
    }),
    lastUsedAt: time.optional().meta({
      description: 'The use that last extended the token. Absent before the first extension.',
    }),
    lastUsedFrom: origin('the last use'),
  })
  .meta({ id: 'AccessToken' });

export const accessTokens = page(accessToken);

export const token = z
  .object({
    access_token: credential('dkt'),
    token_type: z.literal('Bearer'),
    expires_in: expiresIn,
    scope,
    issued_token_type: z
      .literal('urn:ietf:params:oauth:token-type:access_token')
      .optional()
      .meta({ description: 'Present only in the response to a token exchange (RFC 8693 §2.2.1).' }),
  })
  .meta({
    id: 'Token',
    description:
      'Response to an exchange (RFC 6749 §5.1). Each use extends the token to 24 hours from that use.',
  });

export const introspection = z
  .union([
    z.strictObject({ active: z.literal(false) }),
    z.object({
      active: z.literal(true),
      client_id: keyId
        .optional()
        .meta({ description: 'ID of the key. Absent for a temporary token, which no client requested.' }),
      scope,
      exp: z.int().meta({ description: 'Epoch seconds: when the token expires if it is not used.' }),
      iat: z.int().meta({ description: 'Epoch seconds: when the token was issued.' }),
      token_type: z.literal('Bearer'),
      sub: z.string().meta({ description: 'ID of the key, or `sub` of the person.' }),
      iss: z.url(),
      deployment_id: deploymentId,
      last_used_at: z.int().optional().meta({
        description:
          'Epoch seconds of the use that last extended the token. Absent before the first extension, and for a temporary token.',
      }),
      issued_from: origin('the exchange that issued the token'),
      last_used_from: origin('the last use'),
    }),
  ])
  .meta({ id: 'Introspection', description: 'Response to an introspection (RFC 7662 §2.2).' });

const authenticationMethods = z.array(z.enum(['client_secret_basic', 'client_secret_post']));

export const metadata = z
  .object({
    issuer: z.url(),
    token_endpoint: z.url(),
    token_endpoint_auth_methods_supported: authenticationMethods,
    grant_types_supported: z.array(z.string()),
    scopes_supported: scopes,
    introspection_endpoint: z.url(),
    introspection_endpoint_auth_methods_supported: authenticationMethods,
    revocation_endpoint: z.url(),
    revocation_endpoint_auth_methods_supported: authenticationMethods,
  })
  .meta({ id: 'Metadata', description: 'Metadata of the token service (RFC 8414 §2).' });

/** Query parameters of GET /whoami. */
export const requirement = z.object({
  scope: z.string().optional().meta({
    description:
      'The scopes that the token must have, separated by spaces. The stack must define each scope.',
    example: 'code:deploy airflow:read',
  }),
  deployment: z
    .string()
    .optional()
    .meta({ description: 'ID of the Deployment that the token must belong to.', example: 'etl' }),
});

export const context = z
  .object({
    principalId: z.string().meta({ description: 'ID of the key, or `sub` of the person.' }),
    principalType: z.enum(['api_key', 'person']),
    deploymentId,
    scope,
    issuedAt: time,
    expiresAt: time,
  })
  .meta({
    id: 'Context',
    description: 'The information about the caller that the authorizer passes to an API.',
  });

export const problem = z
  .object({
    type: z.string().meta({
      description: 'Relative reference to the explanation of the code: `/errors#<code>` of the stack.',
    }),
    title: z.string(),
    status: z.int(),
    code: z.string().meta({ description: 'The machine-readable error code. New codes may be added.' }),
    detail: z.string().meta({ description: 'A description of the error, for people.' }),
    errors: z
      .array(z.object({ field: z.string(), rule: z.string() }))
      .optional()
      .meta({ description: 'The fields that break a rule.' }),
  })
  .meta({ id: 'Problem', description: 'Problem details of an error (RFC 9457).' });

export const oauthError = z
  .object({
    error: z.string().meta({ description: 'The error code, for programs.' }),
    error_description: z.string().meta({ description: 'A description of the error, for people.' }),
  })
  .meta({ id: 'OAuthError', description: 'Error response of a call to `/oauth/*` (RFC 6749 §5.2).' });

export const gatewayMessage = z
  .object({ message: z.string() })
  .meta({ id: 'GatewayMessage', description: 'Error response of API Gateway itself, or of `/whoami`.' });
