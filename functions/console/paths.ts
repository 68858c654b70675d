/** What the URL says is to be seen. Whatever is secret has no URL. */
export type View =
  | { page: 'signed-in' | 'signed-out' | 'deployments' | 'unknown' }
  | { page: 'keys'; deploymentId: string; dialog?: KeyDialog | undefined }
  | { page: 'temporary-tokens'; deploymentId: string }
  | { page: 'token'; deploymentId?: string | undefined };

export type KeyDialog = { name: 'add' } | { name: 'edit' | 'delete' | 'secret'; keyId: string };

const ROOT = '/console';

/** The path of each view: what `viewOf` reads. */
export const paths = {
  deployments: () => ROOT,
  signedIn: () => `${ROOT}/signed-in`,
  signedOut: () => `${ROOT}/signed-out`,
  keys: (deploymentId: string) => `${ROOT}/deployments/${deploymentId}`,
  addKey: (deploymentId: string) => `${ROOT}/deployments/${deploymentId}/add-key`,
  key: (deploymentId: string, keyId: string, dialog: 'edit' | 'delete' | 'secret') =>
    `${ROOT}/deployments/${deploymentId}/keys/${keyId}/${dialog}`,
  temporaryTokens: (deploymentId: string) => `${ROOT}/deployments/${deploymentId}/temporary-tokens`,
  token: (deploymentId?: string) => (deploymentId ? `/token?deployment=${deploymentId}` : '/token'),
};

const ID = '([A-Za-z0-9][A-Za-z0-9_-]*)';
const match = (pattern: string, path: string) => new RegExp(`^${pattern}$`).exec(path)?.slice(1);

/** @param path without a slash at its end */
export function viewOf(path: string, query: Record<string, string> = {}): View {
  if (path === paths.deployments()) return { page: 'deployments' };
  if (path === paths.signedIn()) return { page: 'signed-in' };
  if (path === paths.signedOut()) return { page: 'signed-out' };
  if (path === '/token') return { page: 'token', deploymentId: query.deployment };

  const [deploymentId, rest] = match(`${ROOT}/deployments/${ID}(/.*)?`, path) ?? [];
  if (!deploymentId) return { page: 'unknown' };
  if (rest === undefined) return { page: 'keys', deploymentId };
  if (rest === '/add-key') return { page: 'keys', deploymentId, dialog: { name: 'add' } };
  if (rest === '/temporary-tokens') return { page: 'temporary-tokens', deploymentId };
  const [keyId, name] = match(`/keys/${ID}/(edit|delete|secret)`, rest) ?? [];
  if (!keyId) return { page: 'unknown' };
  return { page: 'keys', deploymentId, dialog: { name: name as 'edit' | 'delete' | 'secret', keyId } };
}
