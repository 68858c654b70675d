import type { Command } from 'commander';
import { paint, printable } from '../../local/terminal.ts';
import { type ApiOptions, openApi } from '../api.ts';
import { addApiOptions } from '../api-options.ts';
import { addCommand } from '../command.ts';
import { UsageError } from '../failure.ts';
import { readServiceUrl } from '../service-url.ts';
import type { SeenStep } from '../verification.ts';

interface Options extends ApiOptions {
  readonly json?: true;
  readonly api?: string;
  readonly requiredScope?: string;
}

/** Adds `verify-stack`, which tests a key's whole life cycle on a deployed stack. */
export function addVerifyStack(program: Command): void {
  const command = addCommand(program, 'verify-stack', {
    summary: 'Play the life of a key on a deployed stack, with a throwaway Deployment',
    description:
      'Registers a throwaway Deployment, creates a key, exchanges it for a token, uses and revokes the token, deletes the Deployment, shows ' +
      'that the token and the key are rejected, and waits for the purge. The command also deletes the Deployment after a failure or an ' +
      'interruption, or prints the command that does so. Only the events of that Deployment remain. The command sends each request once. With --api, it also sends GET requests to an API behind the authorizer, and shows that it is guarded. You ' +
      'must be an administrator, or use --sigv4. It ends with rows for docs/verified.md. The exit code is 1 if a response differs ' +
      'from the expected one.',
    examples: [
      'verify-stack --url https://keys.example.com',
      'verify-stack --url https://keys.example.com --sigv4 --region eu-west-1 --json',
      'verify-stack --url https://keys.example.com --api https://api.example.com/dags --required-scope airflow:read',
      "verify-stack --url https://keys.example.com --api 'https://api.example.com/deployments/{deploymentId}/dags'",
    ],
  });
  addApiOptions(command)
    .option(
      '--api <url>',
      'URL of a resource of an API behind the authorizer. It is called with GET. {deploymentId} in it stands for the throwaway Deployment.',
    )
    .option('--required-scope <scope>', 'Scope that this API requires.')
    .action(async (options: Options) => {
      const guarded = guardedApi(options);
      const { verifyStack } = await import('../verification.ts');
      const { printRows, printStep } = await import('../verification-text.ts');
      const api = openApi(options);
      const isText = options.json === undefined;
      const seen: SeenStep[] = [];
      try {
        await verifyStack({
          url: api.url,
          manage: api.manage,
          options: deletionOptions(options),
          api: guarded,
          onStep: (step) => {
            seen.push(step);
            if (isText) printStep(step);
          },
          onFinding: ({ state, text }) => {
            const mark = state === 'ok' ? paint(process.stdout, 'green', '✓') : '?';
            const line = `${state === 'problem' ? '✗' : mark} ${printable(text)}`;
            if (isText) console.log(line);
            else if (state === 'problem') console.error(line);
          },
          onLeft: (sentence) => console.error(sentence),
        });
        if (isText) printRows(api.url, seen);
      } finally {
        if (!isText) console.log(JSON.stringify(seen));
      }
    });
}

/** Returns the options that `deployments delete` needs to call the same stack in the same way, apart from --url. */
const deletionOptions = ({ sigv4, region }: Options): string =>
  `${sigv4 ? ' --sigv4' : ''}${region === undefined ? '' : ` --region ${region}`}`;

/** Returns the API behind the authorizer. @throws UsageError */
function guardedApi({ api, requiredScope }: Options) {
  if (api === undefined) {
    if (requiredScope !== undefined) throw new UsageError('--required-scope needs --api.');
    return undefined;
  }
  if (!URL.canParse(api)) throw new UsageError('--api is not a URL.');
  readServiceUrl(new URL(api).origin, '--api');
  return { url: api, requiredScope };
}
