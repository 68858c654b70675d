import type { KeyRejection } from './check.ts';

/**
 * Why a client was rejected. Only the log contains the reason: every rejected client gets the same response, after the
 * same operations.
 */
export type ClientRejection =
  /** The request has no credentials, or its Authorization header uses a scheme other than Basic. */
  | 'no_credentials'
  /** The client ID does not have the format of a key ID. */
  | 'malformed_id'
  /** The secret does not have the format of a secret, or its check characters are wrong: it was mistyped or cut off. */
  | 'malformed_secret'
  /** The secret is well-formed, but names a key other than the client ID. */
  | 'other_key'
  /**
   * The Deployment was deleted or never existed, or its item is malformed. A malformed item also has its own log line.
   */
  | 'unknown_deployment'
  /**
   * The key was deleted or never existed in this Deployment, or its item is malformed. A malformed item also has its
   * own log line.
   */
  | 'unknown_key'
  /** The secret is well-formed and names this key, but the key never had this secret or no longer stores its hash. */
  | 'wrong_secret'
  /** The secret belonged to this key, but a rotation has replaced it. */
  | 'retired_secret'
  /** An active secret of the key was reported as leaked, and the key has not been rotated since. */
  | 'leaked'
  | KeyRejection
  /** A client without a secret tried to revoke something other than its own access token. */
  | 'unknown_token'
  /** The client presented only an access token, but its key has a secret. */
  | 'no_secret'
  | SubjectRejection;

/** Why a subject token was rejected, other than because of its key. */
type SubjectRejection =
  /** The subject token is not a JWT in the required form. */
  | 'malformed_subject_token'
  /** The subject token's issuer is not in the `trustedIssuers` setting. */
  | 'untrusted_issuer'
  /** The subject token's signature, issuer or times are not valid. */
  | 'invalid_subject_token'
  /** No trust rule of the key names the subject token's issuer. */
  | 'no_rule_for_issuer'
  /** No trust rule for the issuer accepts the subject token's audience. */
  | 'audience'
  /** No trust rule for the token's issuer and audience matches its claims. */
  | 'claims'
  /** The rule accepts each subject token only once, and this token was used before. */
  | 'used_subject_token';
