import type { Answer } from '../http/answer.ts';
import { TOKEN_EXCHANGE } from '../http/oauth.ts';

const CLIENT_AUTHENTICATION = ['client_secret_basic', 'client_secret_post'];

/**
 * GET /.well-known/oauth-authorization-server (RFC 8414). Omits `response_types_supported`, because the service has no
 * authorization endpoint, and §3.2 forbids empty arrays.
 * @param scopes scopes that the stack defines
 * @param exchanges whether keys can trust issuers, so that the token endpoint supports the grant type of RFC 8693
 */
export function metadata(issuer: string, scopes: readonly string[], exchanges: boolean): Answer {
  return {
    status: 200,
    body: {
      issuer,
      token_endpoint: `${issuer}/oauth/token`,
      token_endpoint_auth_methods_supported: CLIENT_AUTHENTICATION,
      grant_types_supported: ['client_credentials', ...(exchanges ? [TOKEN_EXCHANGE] : [])],
      scopes_supported: scopes,
      introspection_endpoint: `${issuer}/oauth/introspect`,
      introspection_endpoint_auth_methods_supported: CLIENT_AUTHENTICATION,
      revocation_endpoint: `${issuer}/oauth/revoke`,
      revocation_endpoint_auth_methods_supported: CLIENT_AUTHENTICATION,
    },
  };
}
