import type { Command } from 'commander';
import { paint, printable } from '../../local/terminal.ts';
import { type ApiOptions, openApi, resultOf } from '../api.ts';
import { addApiOptions } from '../api-options.ts';
import { addCommand } from '../command.ts';
import { OIDC_VARIABLE, readOidcToken } from '../credentials.ts';
import { oidcTokenFileOption } from '../exchange-options.ts';
import { differenceText, type Explanation } from '../explanation.ts';
import { EXIT } from '../failure.ts';
import { EXAMPLE_KEY, KEY_ARGUMENT, pathOf } from '../key-path.ts';

type Options = ApiOptions & { oidcTokenFile?: string };

/** Adds `keys explain`, which explains why a key accepts or rejects a CI's OIDC token. */
export function addExplain(keys: Command): void {
  const command = addCommand(keys, 'explain', {
    summary: 'Explain which trust rule of a key matches an OIDC token, and what differs',
    description:
      "Explains which trust rule of a key matches a CI's OIDC token, and why the other rules do not match. The command " +
      `reads the token from standard input, from ${OIDC_VARIABLE} or from a file, never from an option. The command does not use up the ` +
      'token. The exit code is 1 if no rule matches, or if the key cannot be used.',
    examples: [
      `$ printenv CI_TOKEN | deployment-api-keys keys explain ${EXAMPLE_KEY}`,
      `keys explain ${EXAMPLE_KEY} --oidc-token-file token.txt`,
    ],
  });
  command.argument('<key>', KEY_ARGUMENT).addOption(oidcTokenFileOption());
  addApiOptions(command).action(async (keyId: string, options: Options) => {
    const params = { path: pathOf(keyId) };
    const api = openApi(options);
    const body = { subject_token: await readOidcToken(options) };
    const explanation = await resultOf(
      api,
      api.client.POST('/deployments/{deploymentId}/api-keys/{keyId}/explain', { params, body }),
    );
    if (options.json) console.log(JSON.stringify(explanation));
    else print(explanation);
    if (!explanation.matches || explanation.status !== 'active') process.exitCode = EXIT.failed;
  });
}

function print({ status, rules }: Explanation): void {
  for (const { index, issuer, matches, differences } of rules) {
    const mark = matches ? paint(process.stdout, 'green', '✓') : paint(process.stdout, 'red', '✗');
    const verdict = matches ? 'matches' : 'does not match';
    console.log(`${mark} Rule ${index + 1}, ${printable(issuer)}, ${verdict}.`);
    for (const difference of differences) console.log(`  - ${printable(differenceText(difference))}`);
  }
  if (status !== 'active') console.log(`The key cannot be used: it is ${status}.`);
}
