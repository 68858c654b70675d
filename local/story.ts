import { manageWith } from '../cli/api.ts';
import { verifyStack } from '../cli/verification.ts';
import { printRows, printStep } from '../cli/verification-text.ts';
import { readOptions, UsageError } from './options.ts';
import { Progress, paint } from './terminal.ts';

const HELP = `Plays the life of a key: registers a Deployment, creates a key, exchanges it for a token, uses and revokes the token.
Then deletes the Deployment, shows that the token and the key are rejected, and waits for the purge.

Usage: npm run story -- [options]

Options:
      --url <url>        Play it against a deployed stack. Default: a local stack of its own, on free ports
      --token <token>    An administrator's OIDC access token, for --url. STORY_TOKEN keeps it off the command line.
  -h, --help             Show this help.

With a sign-in, use the command deployment-api-keys verify-stack, which does the same.
Registers a Deployment under a new ID, deletes it also after a failure, and leaves only its events behind. With --url, it also
prints rows for docs/verified.md. The exit code is 1 if a response differs from the expected one.`;

/**
 * Runs the story, which consists of the steps of the `verify-stack` command.
 *
 * @returns the steps with their results
 */
const play = (url: string, token: string) =>
  verifyStack({
    url,
    manage: manageWith(url, token),
    options: '',
    onStep: printStep,
    onFinding: () => {},
    onLeft: (sentence) => console.log(sentence),
  });

async function run(): Promise<void> {
  const values = readOptions('npm run story', {
    url: { type: 'string' },
    token: { type: 'string', default: process.env.STORY_TOKEN },
    help: { type: 'boolean', short: 'h', default: false },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  if (values.url !== undefined) {
    if (!values.token)
      throw new UsageError(
        '--token is missing. Give an access token of an administrator, or set STORY_TOKEN.',
      );
    const url = values.url.replace(/\/+$/, '');
    printRows(url, await play(url, values.token));
    return;
  }
  const progress = new Progress(process.stdout);
  progress.line(paint(process.stdout, 'bold', 'Starting a local stack'));
  progress.step('Loading the emulator');
  const { startLocalStack } = await import('./local-stack.ts');
  const stack = await startLocalStack({ onStep: (label) => progress.step(label) }).catch((error) => {
    progress.fail();
    throw error;
  });
  try {
    progress.done();
    progress.line();
    await play(stack.url, await stack.signIn('admin'));
  } finally {
    await stack.stop();
  }
}

try {
  await run();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
