/** The view that a URL shows. Views with a secret have no URL of their own. */
export type View =
  | { page: 'signed-in' | 'signed-out' | 'deployments' | 'unknown' }
  | { page: 'keys'; deploymentId: string; dialog?: KeyDialog | undefined }
  | { page: 'temporary-tokens' | 'events'; deploymentId: string }
  | { page: 'token'; deploymentId?: string | undefined };

export type KeyDialog = { name: 'add' } | { name: OneKeyDialog; keyId: string };

const ONE_KEY_DIALOGS = ['edit', 'delete', 'secret', 'rotate', 'leaked', 'ci'] as const;
/** A dialog about one key. */
export type OneKeyDialog = (typeof ONE_KEY_DIALOGS)[number];

/** The form of Deployment and key IDs. Neither contains a character that a URL must encode. */
const DEPLOYMENT_ID = '[A-Za-z0-9][A-Za-z0-9_-]{0,63}';
const KEY_ID = `dk_${DEPLOYMENT_ID}_[0-9A-Z]{26}`;

/**
 * Builds the path of a page or of an API call. IDs and other values get into URLs only through this function.
 * @param segments fixed words and IDs, without slashes
 * @param query parameters; undefined ones are left out
 * @throws Error for text that would lead to another path
 */
export function pathOf(segments: readonly string[], query: Record<string, string | undefined> = {}): string {
  if (!segments.every((segment) => /^[\w-]{1,128}$/.test(segment)))
    throw new Error('not a path of the service');
  const given = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const search = given.length > 0 ? `?${new URLSearchParams(given)}` : '';
  return `/${segments.join('/')}${search}`;
}

const ROOT = '/console';
const ofDeployment = (deploymentId: string, ...rest: string[]) =>
  pathOf(['console', 'deployments', deploymentId, ...rest]);

/** The path of each view. `viewOf` parses them. */
export const paths = {
  deployments: () => ROOT,
  signedIn: () => `${ROOT}/signed-in`,
  signedOut: () => `${ROOT}/signed-out`,
  keys: (deploymentId: string) => ofDeployment(deploymentId),
  addKey: (deploymentId: string) => ofDeployment(deploymentId, 'add-key'),
  key: (deploymentId: string, keyId: string, dialog: OneKeyDialog) =>
    ofDeployment(deploymentId, 'keys', keyId, dialog),
  temporaryTokens: (deploymentId: string) => ofDeployment(deploymentId, 'temporary-tokens'),
  events: (deploymentId: string) => ofDeployment(deploymentId, 'events'),
  token: (deploymentId?: string) => pathOf(['token'], { deployment: deploymentId }),
};

const match = (pattern: string, path: string) => new RegExp(`^${pattern}$`).exec(path)?.slice(1);

/**
 * Returns the view of a path.
 * @param path without a trailing slash
 */
export function viewOf(path: string, query: Record<string, string> = {}): View {
  if (path === paths.deployments()) return { page: 'deployments' };
  if (path === paths.signedIn()) return { page: 'signed-in' };
  if (path === paths.signedOut()) return { page: 'signed-out' };
  if (path === paths.token()) return tokenView(query.deployment || undefined);

  const [deploymentId, rest] = match(`${ROOT}/deployments/(${DEPLOYMENT_ID})(/.*)?`, path) ?? [];
  if (!deploymentId) return { page: 'unknown' };
  if (rest === undefined) return { page: 'keys', deploymentId };
  if (rest === '/add-key') return { page: 'keys', deploymentId, dialog: { name: 'add' } };
  if (rest === '/temporary-tokens') return { page: 'temporary-tokens', deploymentId };
  if (rest === '/events') return { page: 'events', deploymentId };
  const [keyId, name] = match(`/keys/(${KEY_ID})/(${ONE_KEY_DIALOGS.join('|')})`, rest) ?? [];
  if (!keyId) return { page: 'unknown' };
  return { page: 'keys', deploymentId, dialog: { name: name as OneKeyDialog, keyId } };
}

/** The ID in a link can be any text. */
function tokenView(deploymentId: string | undefined): View {
  const isMalformed = deploymentId !== undefined && !match(DEPLOYMENT_ID, deploymentId);
  return isMalformed ? { page: 'unknown' } : { page: 'token', deploymentId };
}
