import type { Command } from 'commander';
import { type ApiOptions, allOf, openApi, resultOf } from '../api.ts';
import { addApiOptions } from '../api-options.ts';
import { addCommand } from '../command.ts';
import { confirm } from '../confirm.ts';
import { UsageError } from '../failure.ts';
import { EXAMPLE_KEY, KEY_ARGUMENT, pathOf } from '../key-path.ts';
import { printTable } from '../table-text.ts';

/** The format of an access token's ID. An ID can begin with a hyphen. */
const TOKEN_ID = /^[A-Za-z0-9_-]{22}$/;

/** Adds `keys tokens`, which lists and revokes the active access tokens of a key. */
export function addAccessTokens(keys: Command): void {
  const tokens = addCommand(keys, 'tokens', {
    summary: 'List and revoke the active access tokens of a key',
    examples: [
      `keys tokens ${EXAMPLE_KEY}`,
      `keys tokens revoke ${EXAMPLE_KEY} Zm9vYmFyYmF6cXV4MTIzNA`,
      `keys tokens revoke-all ${EXAMPLE_KEY}`,
    ],
  });
  addList(tokens);
  addRevoke(tokens);
  addRevokeAll(tokens);
}

function addList(tokens: Command): void {
  const command = addCommand(
    tokens,
    'list',
    {
      summary: 'List the active access tokens of a key. This is the default',
      description:
        'Lists the active access tokens of a key, not sorted by time. The list shows the ID of each token, which is not a ' +
        'secret and cannot be used as a token. The list omits expired and revoked tokens.',
      examples: [`keys tokens ${EXAMPLE_KEY}`, `keys tokens list ${EXAMPLE_KEY} --json`],
    },
    { isDefault: true },
  );
  command.argument('<key>', KEY_ARGUMENT);
  addApiOptions(command).action(async (keyId: string, options: ApiOptions) => {
    const path = pathOf(keyId);
    const api = openApi(options);
    const items = await allOf((cursor) => {
      const params = { path, query: { limit: 100, ...(cursor && { cursor }) } };
      return resultOf(api, api.client.GET('/deployments/{deploymentId}/api-keys/{keyId}/tokens', { params }));
    });
    if (options.json) return console.log(JSON.stringify(items));
    const rows = items.map(({ id, issuedAt, lastUsedAt, lastUsedFrom, expiresAt, scope }) => [
      id,
      issuedAt,
      [lastUsedAt ?? 'never', lastUsedFrom?.address].filter(Boolean).join(' from '),
      expiresAt,
      scope ?? 'as the key',
    ]);
    printTable(['ID', 'ISSUED', 'LAST USED', 'EXPIRES', 'SCOPE'], rows, 'The key has no active tokens.');
  });
}

function addRevoke(tokens: Command): void {
  const command = addCommand(tokens, 'revoke', {
    summary: 'Revoke one access token of a key',
    description: 'Revokes one access token of a key. The key and its other tokens keep working.',
    examples: [`keys tokens revoke ${EXAMPLE_KEY} Zm9vYmFyYmF6cXV4MTIzNA`],
  });
  command
    .argument('<key>', KEY_ARGUMENT)
    .argument(
      '<token>',
      'ID of the token, as shown in the list: 22 characters. The ID is not the token itself.',
    )
    // Allow unknown options, because Commander reads an ID that begins with a hyphen as an unknown option.
    .allowUnknownOption();
  addApiOptions(command).action(async (keyId: string, accessTokenId: string, options: ApiOptions) => {
    const path = { ...pathOf(keyId), accessTokenId: readTokenId(accessTokenId) };
    const api = openApi(options);
    await resultOf(
      api,
      api.client.DELETE('/deployments/{deploymentId}/api-keys/{keyId}/tokens/{accessTokenId}', {
        params: { path },
      }),
    );
    const what = { id: accessTokenId, revoked: true };
    console.log(options.json ? JSON.stringify(what) : `Revoked the token ${accessTokenId}.`);
  });
}

/**
 * Checks the ID of a token. The error message does not repeat the ID, because the value may be a token.
 * @throws UsageError
 */
function readTokenId(text: string): string {
  if (TOKEN_ID.test(text)) return text;
  const isToken = text.startsWith('dkt_');
  throw new UsageError(
    isToken
      ? 'The argument is a token. Give its ID, which `keys tokens` lists. Revoke the token if somebody else could see it.'
      : 'The ID of a token has 22 characters: letters, digits, _ and -. `keys tokens` lists it.',
  );
}

function addRevokeAll(tokens: Command): void {
  const command = addCommand(tokens, 'revoke-all', {
    summary: "Revoke all access tokens of a key. The key's secret keeps working",
    examples: [`keys tokens revoke-all ${EXAMPLE_KEY}`, `keys tokens revoke-all ${EXAMPLE_KEY} --yes`],
  });
  command.argument('<key>', KEY_ARGUMENT);
  addApiOptions(command)
    .option('--yes', 'Do not ask.')
    .action(async (keyId: string, options: ApiOptions & { yes?: true }) => {
      const params = { path: pathOf(keyId) };
      const api = openApi(options);
      await confirm(
        'Everything that uses a token of this key is rejected until it exchanges the credentials again.',
        keyId,
        options.yes,
      );
      await resultOf(
        api,
        api.client.DELETE('/deployments/{deploymentId}/api-keys/{keyId}/tokens', { params }),
      );
      console.log(
        options.json ? JSON.stringify({ id: keyId, revoked: true }) : `Revoked all tokens of ${keyId}.`,
      );
    });
}
