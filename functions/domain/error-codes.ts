/** Help for a person who looks up an error code. */
export interface ErrorHelp {
  /** The meaning of the error, as a full sentence. */
  meaning: string;
  /** The causes of the error, as full sentences. */
  causes: string;
  /** How to fix the error, as full sentences. */
  remedy: string;
}

/**
 * All error codes: `code` in responses to management calls, and `error` in responses from `/oauth/*`. The page
 * `/errors` and docs/errors.md are generated from this list.
 */
export const ERROR_CODES = {
  conflict: {
    meaning: 'The current state of the resource does not allow the operation.',
    causes:
      'The Deployment has reached its limit of keys, another call changed the same resource at the same time, a followed table owns the Deployment, the key has no trust rules to explain, or the stored item is malformed. The detail names the cause.',
    remedy: 'Read the detail. Get the resource again and repeat the call if its new state allows it.',
  },
  forbidden: {
    meaning: 'The caller is known, but is not allowed to do this.',
    causes:
      'Only administrators are allowed to do this, or the IAM principal that signed the call is not one of the platformPrincipals.',
    remedy:
      'Ask an administrator to make the change. For a role, ask the team that runs the service to add the role to platformPrincipals.',
  },
  idempotency_key_reused: {
    meaning: 'This Idempotency-Key was already used with a different body.',
    causes: 'A script uses the same Idempotency-Key for different calls, or changed the body before a retry.',
    remedy: 'Use a new Idempotency-Key for a new call. To retry an earlier call, send the unchanged body.',
  },
  invalid_client: {
    meaning: 'The ID and the secret do not belong to a usable key.',
    causes:
      'The secret is wrong, was rotated away or belongs to another ID; or the key is deleted, disabled, expired, idle or reported as leaked; or the call came from an address that the key does not allow. The response is the same for all of these causes.',
    remedy: 'Look at the key in the console or in the API: its status and its events show the cause.',
  },
  invalid_request: {
    meaning: 'The request is malformed.',
    causes:
      'A parameter or field is missing, unknown, repeated or invalid, the body is too large or not JSON, or a subject token is not accepted for the key. The detail, and errors of management calls, name the field and its rule.',
    remedy: 'Correct the field. A retry without a change returns the same error.',
  },
  invalid_scope: {
    meaning: 'The requested scope is malformed, or the key does not have it.',
    causes: 'The scope is misspelled, was removed from the key or the stack, or belongs to another key.',
    remedy:
      'Request scopes of the key, separated by single spaces, or omit scope to get all scopes of the key.',
  },
  invalid_token: {
    meaning: 'The call does not accept this bearer token.',
    causes:
      'The bearer token is an ID token instead of an access token, the sign-in has expired, or its sub is invalid.',
    remedy: "Sign in again and send an access token from the stack's issuer.",
  },
  not_found: {
    meaning: 'The resource does not exist, or the caller has no access to it.',
    causes:
      'The ID is misspelled, the resource was deleted, or the caller is not in any group of the Deployment.',
    remedy: 'Check the ID. Ask an administrator whether your group belongs to the Deployment.',
  },
  policy: {
    meaning: 'The key policy of the stack does not allow this request.',
    causes: 'The stack limits the lifetime of keys, or forbids new keys with a secret.',
    remedy:
      'Create a key with trust rules instead of a secret, or a key that expires earlier. The detail says which rule applies.',
  },
  server_error: {
    meaning: 'The service failed. Nothing was granted.',
    causes:
      'There is a fault in the service or its configuration. The log of the service contains the cause.',
    remedy: 'Try again later. Give the request ID of the response to the team that runs the service.',
  },
  temporarily_unavailable: {
    meaning: 'The service is temporarily unable to respond. Nothing was granted.',
    causes:
      'DynamoDB or a trusted issuer is slow, throttles calls or cannot be reached, or many calls change the same resource.',
    remedy: 'Wait for the number of seconds in Retry-After, then repeat the call.',
  },
  unsupported_grant_type: {
    meaning: 'The token endpoint does not support this grant_type.',
    causes: 'The client is configured for another kind of sign-in, such as authorization_code or password.',
    remedy: 'Use client_credentials, or token exchange with the OIDC token of your CI.',
  },
  unsupported_media_type: {
    meaning: 'The body has a content type that this call does not accept.',
    causes: 'The header Content-Type is missing, or does not match the type of the body.',
    remedy: 'Send JSON as application/json. The endpoints below /oauth also accept a form-encoded body.',
  },
} as const satisfies Record<string, ErrorHelp>;

export type ErrorCode = keyof typeof ERROR_CODES;
