import type { Command } from 'commander';
import { addCommand, jsonOption } from '../command.ts';
import { addExchangeOptions, type ExchangeOptions, readExchange } from '../exchange-options.ts';

/** Adds `token`, which exchanges credentials for an access token and prints it. */
export function addToken(program: Command): void {
  const command = addCommand(program, 'token', {
    summary: 'Exchange credentials for an access token and print it',
    description:
      'Exchanges the ID and secret of an API key for an access token, and prints only the token on standard output. The ' +
      'command reads the secret from DEPLOYMENT_KEY_SECRET, or from standard input if that is a pipe or a file. A key with ' +
      "trust rules needs no secret: put your CI's OIDC token into DEPLOYMENT_KEY_OIDC_TOKEN.",
    examples: [
      'token --url https://keys.example.com --key-id dk_etl_01JP0000000000000000000000',
      `$ TOKEN=$(deployment-api-keys token --url https://keys.example.com --key-id dk_etl_01JP0000000000000000000000 --scope code:deploy)`,
      '$ deployment-api-keys token --url https://keys.example.com --key-id dk_etl_01JP0000000000000000000000 --json < /run/secrets/deployment-key',
    ],
  });
  addExchangeOptions(command)
    .addOption(jsonOption())
    .action(async (options: ExchangeOptions & { json?: true }) => {
      const { exchange } = await import('../exchange.ts');
      const { token, expiresAt, scope } = await exchange(await readExchange(options));
      console.log(options.json ? JSON.stringify({ token, expiresAt, scope }) : token);
    });
}
