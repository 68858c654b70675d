import type { Command } from 'commander';
import { type ApiOptions, openApi, resultOf } from '../api.ts';
import { addApiOptions, collect } from '../api-options.ts';
import { addCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import { openSecretOutput, type SecretOptions, secretFileOption, showOption } from '../secret-output.ts';
import { readDeploymentId } from './deployments.ts';

/** Adds `temporary-token`, which gets a token that acts as the signed-in person. */
export function addTemporaryToken(program: Command): void {
  const command = addCommand(program, 'temporary-token', {
    summary: 'Get a token that acts as you for 24 hours',
    description:
      'Gets a temporary token for a Deployment. The token acts as you and expires 24 hours after it was issued, regardless of ' +
      'its use. The command writes the token to a file, or to standard output if that is a pipe; in a terminal, --show prints it.',
    examples: [
      'temporary-token etl --secret-file token.txt',
      '$ TOKEN=$(deployment-api-keys temporary-token etl --scope airflow:read)',
    ],
  });
  command.argument('<deployment>', 'ID of the Deployment.');
  addApiOptions(command)
    .option(
      '--scope <scope>',
      'Scope of the token. Can be given more than once. Default: all scopes.',
      collect,
    )
    .addOption(secretFileOption())
    .addOption(showOption())
    .action(async (deployment: string, options: ApiOptions & SecretOptions & { scope?: string[] }) => {
      const params = {
        path: { deploymentId: readDeploymentId(deployment) },
        header: { 'Idempotency-Key': crypto.randomUUID() },
      };
      const body = options.scope ? { scopes: options.scope } : {};
      const api = openApi(options);
      const output = openSecretOutput(options);
      const { access_token: token, ...more } = await resultOf(
        api,
        api.client.POST('/deployments/{deploymentId}/temporary-tokens', { params, body }),
      ).catch((error) => {
        output.cancel();
        throw error;
      });
      output.write(token);
      if (token === undefined)
        throw new Failure('The token was lost with a response. Run the command again.');
      if (options.json) {
        console.log(JSON.stringify(output.isStandardOutput ? { access_token: token, ...more } : more));
        return;
      }
      console.error(`The token expires at ${more.expiresAt}. Its scope is: ${more.scope}.`);
      if (output.isStandardOutput) console.log(token);
    });
}
