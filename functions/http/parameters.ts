import * as z from 'zod/mini';
import { ServiceError } from '../domain/errors.ts';
import { invalidRequest, TOKEN_EXCHANGE } from './oauth.ts';

/**
 * Client authentication in the body: client_secret_post (RFC 6749 §2.3.1). The client's credentials have already been
 * checked.
 */
const clientParameters = { client_id: z.optional(z.string()), client_secret: z.optional(z.string()) };

/**
 * Parameters that the service ignores. A form can repeat them, and JSON can contain them as a list. Pipelines that were
 * written for an older service send an audience.
 */
const ignored = z.optional(z.union([z.string(), z.array(z.string())]));
const ignoredParameters = { audience: ignored, resource: ignored };

/** POST /oauth/token. */
export const tokenParameters = z.object({
  ...clientParameters,
  grant_type: z.literal('client_credentials'),
  scope: z.optional(z.string()),
  /** Parameters that the service ignores, and that a request can repeat (RFC 8693 §2.1, RFC 8707 §2). */
  ...ignoredParameters,
});

/** RFC 8693 §3. */
export const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token';

/** Parameters of POST /oauth/token when the client presents a token from a trusted issuer (RFC 8693 §2.1). */
export const exchangeParameters = z.object({
  client_id: z.string(),
  grant_type: z.literal(TOKEN_EXCHANGE),
  subject_token: z.string(),
  subject_token_type: z.enum([
    'urn:ietf:params:oauth:token-type:jwt',
    'urn:ietf:params:oauth:token-type:id_token',
  ]),
  requested_token_type: z.optional(z.literal(ACCESS_TOKEN_TYPE)),
  scope: z.optional(z.string()),
  ...ignoredParameters,
});

/**
 * Parameters of POST /oauth/introspect (RFC 7662 §2.1) and /oauth/revoke (RFC 7009 §2.1). The service ignores the hint,
 * because it can be wrong.
 */
export const presentedParameters = z.object({
  ...clientParameters,
  token: z.string(),
  token_type_hint: z.optional(z.string()),
});

/**
 * Returns the parameters that the endpoint uses. Ignores all other parameters (RFC 6749 §3.2).
 * @throws ServiceError 400 unsupported_grant_type or invalid_request
 */
export function parseParameters<T>(schema: z.ZodMiniType<T>, parameters: ReadonlyMap<string, string>): T {
  const result = z.safeParse(schema, Object.fromEntries(parameters));
  if (result.success) return result.data;
  const name = String(result.error.issues[0]?.path[0]);
  const isUnsupported = name === 'grant_type' && parameters.has(name);
  if (isUnsupported)
    throw new ServiceError(400, 'unsupported_grant_type', 'This grant_type is not supported.');
  throw invalidRequest(
    parameters.has(name) ? `${name} is not one that is supported.` : `${name} is missing.`,
  );
}
