import { pageNumber, type TableQuery, tableParameters, tableQueryOf } from './table-query.ts';

type Parameters = Record<string, string | undefined>;

/** The view that a URL shows. Views that show a secret do not have their own URL. */
export type View =
  | { page: 'signed-in' | 'signed-out' | 'people' | 'unknown' }
  | { page: 'deployments'; search: string; number: number; isRegistering: boolean }
  | { page: 'keys'; deploymentId: string; table: TableQuery; dialog?: KeysDialog | undefined }
  | { page: 'key'; deploymentId: string; keyId: string; dialog?: OneKeyDialog | undefined }
  | { page: 'temporary-tokens'; deploymentId: string }
  | { page: 'events'; deploymentId: string; type: string; keyId: string }
  | { page: 'token'; deploymentId?: string | undefined };

/** A dialog that opens on top of the table of keys. */
type KeysDialog = { name: 'settings' | 'delete-deployment' } | KeyDialog;
export type KeyDialog = { name: 'add' } | { name: OneKeyDialog; keyId: string };

const ONE_KEY_DIALOGS = [
  'edit',
  'delete',
  'secret',
  'rotate',
  'leaked',
  'ci',
  'explain',
  'revoke-tokens',
  'disable',
] as const;
/** A dialog about one key, which opens on top of the table or the key's page. */
export type OneKeyDialog = (typeof ONE_KEY_DIALOGS)[number];

/**
 * Pattern of Deployment and key IDs. Neither contains a character that a URL must encode. Input fields use it in their
 * `pattern` attribute, where a hyphen in a character class must be escaped.
 */
export const DEPLOYMENT_ID = '[A-Za-z0-9][A-Za-z0-9_\\-]{0,63}';
/** What `DEPLOYMENT_ID` allows. */
export const DEPLOYMENT_ID_RULE =
  'Use letters, digits, hyphens and underscores, and begin with a letter or a digit';

/** Reports whether text looks like a Deployment ID or the beginning of one. */
export const isDeploymentId = (text: string): boolean => match(DEPLOYMENT_ID, text) !== undefined;

const KEY_ID = `dk_${DEPLOYMENT_ID}_[0-9A-Z]{26}`;

/**
 * Builds the path of a page or an API call. All IDs and other values in URLs must pass through this function.
 * @param segments fixed words and IDs, without slashes
 * @param query parameters; undefined values are omitted
 * @throws Error for a value that would change the path
 */
export function pathOf(segments: readonly string[], query: Parameters = {}): string {
  if (!segments.every((segment) => /^[\w-]{1,128}$/.test(segment)))
    throw new Error('not a path of the service');
  const given = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const search = given.length > 0 ? `?${new URLSearchParams(given)}` : '';
  return `/${segments.join('/')}${search}`;
}

const ROOT = '/console';
const ofDeployment = (deploymentId: string, rest: string[] = [], query?: Parameters) =>
  pathOf(['console', 'deployments', deploymentId, ...rest], query);

/** The parameters in a dialog's URL that describe the table behind it. */
const behind = (table: TableQuery | undefined): Parameters =>
  table ? { from: 'keys', ...tableParameters(table) } : {};

/** The path of each view. `viewOf` parses them. */
export const paths = {
  deployments: (search = '', number = 1) =>
    pathOf(['console'], { q: search || undefined, page: number > 1 ? String(number) : undefined }),
  register: () => pathOf(['console', 'register']),
  signedIn: () => `${ROOT}/signed-in`,
  signedOut: () => `${ROOT}/signed-out`,
  people: () => pathOf(['console', 'people']),
  keys: (deploymentId: string, table?: TableQuery) =>
    ofDeployment(deploymentId, [], table && tableParameters(table)),
  addKey: (deploymentId: string, table?: TableQuery) =>
    ofDeployment(deploymentId, ['add-key'], table && tableParameters(table)),
  settings: (deploymentId: string) => ofDeployment(deploymentId, ['settings']),
  deleteDeployment: (deploymentId: string) => ofDeployment(deploymentId, ['delete']),
  key: (deploymentId: string, keyId: string) => ofDeployment(deploymentId, ['keys', keyId]),
  /**
   * Returns the path of a dialog about one key.
   * @param table state of the table on top of which the dialog opens; if undefined, the dialog opens on the key's page
   */
  keyDialog: (deploymentId: string, keyId: string, dialog: OneKeyDialog, table?: TableQuery) =>
    ofDeployment(deploymentId, ['keys', keyId, dialog], behind(table)),
  temporaryTokens: (deploymentId: string) => ofDeployment(deploymentId, ['temporary-tokens']),
  events: (deploymentId: string, { type = '', keyId = '' } = {}) =>
    ofDeployment(deploymentId, ['events'], { type: type || undefined, key: keyId || undefined }),
  token: (deploymentId?: string) => pathOf(['token'], { deployment: deploymentId }),
};

const match = (pattern: string, path: string) => new RegExp(`^${pattern}$`).exec(path)?.slice(1);

/** The pages whose path does not contain an ID, by path. */
const FIXED: Record<string, (query: Record<string, string>) => View> = {
  [paths.deployments()]: (query) => deploymentsView(query, false),
  [paths.register()]: (query) => deploymentsView(query, true),
  [paths.signedIn()]: () => ({ page: 'signed-in' }),
  [paths.signedOut()]: () => ({ page: 'signed-out' }),
  [paths.people()]: () => ({ page: 'people' }),
  [paths.token()]: ({ deployment }) => tokenView(deployment || undefined),
};

/**
 * Returns the view of a path.
 * @param path without a trailing slash
 */
export function viewOf(path: string, query: Record<string, string> = {}): View {
  const fixed = Object.hasOwn(FIXED, path) ? FIXED[path] : undefined;
  if (fixed) return fixed(query);
  const [deploymentId, rest = ''] = match(`${ROOT}/deployments/(${DEPLOYMENT_ID})(/.*)?`, path) ?? [];
  if (!deploymentId) return { page: 'unknown' };
  return deploymentView(deploymentId, rest, query);
}

function deploymentView(deploymentId: string, rest: string, query: Record<string, string>): View {
  const keys = (dialog?: KeysDialog): View => ({
    page: 'keys',
    deploymentId,
    table: tableQueryOf(query),
    ...(dialog && { dialog }),
  });
  switch (rest) {
    case '':
      return keys();
    case '/add-key':
      return keys({ name: 'add' });
    case '/settings':
      return keys({ name: 'settings' });
    case '/delete':
      return keys({ name: 'delete-deployment' });
    case '/temporary-tokens':
      return { page: 'temporary-tokens', deploymentId };
    case '/events':
      return {
        page: 'events',
        deploymentId,
        type: query.type ?? '',
        keyId: match(KEY_ID, query.key ?? '') ? (query.key ?? '') : '',
      };
  }
  const [keyId, name] = match(`/keys/(${KEY_ID})(?:/(${ONE_KEY_DIALOGS.join('|')}))?`, rest) ?? [];
  if (!keyId) return { page: 'unknown' };
  const dialog = name as OneKeyDialog | undefined;
  if (dialog && query.from === 'keys') return keys({ name: dialog, keyId });
  return { page: 'key', deploymentId, keyId, ...(dialog && { dialog }) };
}

function deploymentsView({ q = '', page }: Record<string, string>, isRegistering: boolean): View {
  return { page: 'deployments', search: q.slice(0, 200), number: pageNumber(page), isRegistering };
}

/** A link can contain any text as an ID. */
function tokenView(deploymentId: string | undefined): View {
  const isMalformed = deploymentId !== undefined && !isDeploymentId(deploymentId);
  return isMalformed ? { page: 'unknown' } : { page: 'token', deploymentId };
}
