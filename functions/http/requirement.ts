/** The requirements that a caller of GET /whoami has for a token, in addition to its validity. */
export interface Requirement {
  /** Scopes that the token must have. All of them are required. */
  scopes: readonly string[];
  /** The Deployment to which the token must belong; undefined for any Deployment. */
  deploymentId: string | undefined;
}

/**
 * Parses the query of GET /whoami strictly, so that a misspelled requirement is not ignored.
 * @param rawQueryString the query string as sent, because API Gateway joins repeated parameters
 * @param known the scopes that the stack defines
 * @returns undefined if a parameter is unknown, empty or repeated, or a scope is unknown
 */
export function parseRequirement(rawQueryString: string, known: readonly string[]): Requirement | undefined {
  const query = new URLSearchParams(rawQueryString);
  const names = [...query.keys()];
  const isValid = (name: string) => name === 'scope' || name === 'deployment';
  if (!names.every(isValid) || new Set(names).size < names.length) return undefined;
  const [scope, deploymentId] = [query.get('scope'), query.get('deployment')];
  const scopes = scope?.split(' ') ?? [];
  if (deploymentId === '' || !scopes.every((one) => known.includes(one))) return undefined;
  return { scopes, deploymentId: deploymentId ?? undefined };
}
