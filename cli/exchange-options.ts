import { type Command, Option } from 'commander';
import { serviceUrl, urlOption } from './command.ts';
import { faultOfKeyId, readProof } from './credentials.ts';
import type { Exchange } from './exchange.ts';
import { UsageError } from './failure.ts';
import { readSignIns } from './sign-ins.ts';

/** The options of a command that exchanges credentials. */
export interface ExchangeOptions {
  readonly url?: string;
  readonly keyId?: string;
  readonly scope?: string;
  readonly oidcTokenFile?: string;
}

export const keyIdOption = () =>
  new Option('--key-id <id>', 'ID of the API key. It begins with dk_ and is not a secret.').env(
    'DEPLOYMENT_KEY_ID',
  );

export const oidcTokenFileOption = () =>
  new Option('--oidc-token-file <file>', 'File with the OIDC token of the CI, for a key with trust rules.');

/** Adds the options for an exchange to a command. */
export function addExchangeOptions(command: Command): Command {
  return command
    .addOption(urlOption())
    .addOption(keyIdOption())
    .option('--scope <scopes>', 'Scopes of the token, separated by spaces. Default: all scopes of the key.')
    .addOption(oidcTokenFileOption());
}

/** Returns the exchange that the options describe. @throws UsageError if something is missing or malformed */
export async function readExchange(options: ExchangeOptions): Promise<Exchange> {
  const url = serviceUrl(options.url, options.url === undefined ? readSignIns().current : undefined);
  const { keyId } = options;
  if (keyId === undefined) {
    throw new UsageError('The ID of the API key is missing. Use --key-id, or set DEPLOYMENT_KEY_ID.');
  }
  const fault = faultOfKeyId(keyId);
  if (fault) throw new UsageError(`--key-id (or DEPLOYMENT_KEY_ID) ${fault}`);
  const scope = options.scope?.split(/\s+/).filter(Boolean).join(' ');
  const proof = await readProof(keyId, options);
  return { url, keyId, proof, scope };
}
