/** What the URL says is to be seen. Whatever is secret has no URL. */
export type View =
  | { page: 'signed-in' | 'signed-out' | 'deployments' | 'unknown' }
  | { page: 'keys'; deploymentId: string; dialog?: KeyDialog | undefined }
  | { page: 'temporary-tokens' | 'events'; deploymentId: string }
  | { page: 'token'; deploymentId?: string | undefined };

export type KeyDialog = { name: 'add' } | { name: OneKeyDialog; keyId: string };

const ONE_KEY_DIALOGS = ['edit', 'delete', 'secret', 'rotate', 'leaked', 'ci'] as const;
/** A dialog about one key. */
export type OneKeyDialog = (typeof ONE_KEY_DIALOGS)[number];

const ROOT = '/console';

/** The path of each view: what `viewOf` reads. */
export const paths = {
  deployments: () => ROOT,
  signedIn: () => `${ROOT}/signed-in`,
  signedOut: () => `${ROOT}/signed-out`,
  keys: (deploymentId: string) => `${ROOT}/deployments/${deploymentId}`,
  addKey: (deploymentId: string) => `${ROOT}/deployments/${deploymentId}/add-key`,
  key: (deploymentId: string, keyId: string, dialog: OneKeyDialog) =>
    `${ROOT}/deployments/${deploymentId}/keys/${keyId}/${dialog}`,
  temporaryTokens: (deploymentId: string) => `${ROOT}/deployments/${deploymentId}/temporary-tokens`,
  events: (deploymentId: string) => `${ROOT}/deployments/${deploymentId}/events`,
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
  if (rest === '/events') return { page: 'events', deploymentId };
  const [keyId, name] = match(`/keys/${ID}/(${ONE_KEY_DIALOGS.join('|')})`, rest) ?? [];
  if (!keyId) return { page: 'unknown' };
  return { page: 'keys', deploymentId, dialog: { name: name as OneKeyDialog, keyId } };
}
