import { Command } from 'commander';
import { paint, withoutSecrets } from '../local/terminal.ts';
import manifest from '../package.json' with { type: 'json' };
import { NAME, withTexts } from './command.ts';
import { addBackfill } from './commands/backfill.ts';
import { addCost } from './commands/cost.ts';
import { addDeployments } from './commands/deployments.ts';
import { addDoctor } from './commands/doctor.ts';
import { addEndTokens } from './commands/end-tokens.ts';
import { addErasePerson } from './commands/erase-person.ts';
import { addEvents } from './commands/events.ts';
import { addExec } from './commands/exec.ts';
import { addKeys } from './commands/keys.ts';
import { addMigrate } from './commands/migrate.ts';
import { addPeople } from './commands/people.ts';
import { addRestore } from './commands/restore.ts';
import { addSignIn } from './commands/sign-in.ts';
import { addTemporaryToken } from './commands/temporary-token.ts';
import { addToken } from './commands/token.ts';
import { addVerifyStack } from './commands/verify-stack.ts';

/** Creates the tree of all commands. A command loads large packages only when it runs. */
export function createProgram(): Command {
  const program = new Command(NAME)
    .description(
      'Access tokens for pipelines, and the Deployments and API keys behind them.\n\n' +
        'Environment: NO_COLOR and FORCE_COLOR turn colours off or on; a terminal has colours by default.\n' +
        'Exit codes: 0 success, 1 failed, 2 wrong usage, 3 not signed in or rejected, 4 not found, 5 service unavailable, 6 not finished, run it again.',
    )
    .version(manifest.version, '-V, --version', 'Print the version.')
    .helpCommand('help [command]', 'Show the help of a command.')
    .enablePositionalOptions()
    .exitOverride()
    .configureHelp({
      sortSubcommands: false,
      styleTitle: (text) => paint(process.stdout, 'bold', text),
    })
    .configureOutput({
      outputError: (text, write) =>
        write(withoutSecrets(text).replace(/^error:/, () => paint(process.stderr, 'red', 'error:'))),
    });
  withTexts(program, ['token --url https://keys.example.com --key-id dk_etl_01JP0000000000000000000000']);
  program.commandsGroup('For pipelines:');
  addToken(program);
  addExec(program);
  addDoctor(program);
  program.commandsGroup('For people and platforms:');
  addSignIn(program);
  addDeployments(program);
  addKeys(program);
  addTemporaryToken(program);
  addEvents(program);
  addPeople(program);
  program.commandsGroup('For operators:');
  addVerifyStack(program);
  addCost(program);
  addMigrate(program);
  addEndTokens(program);
  addErasePerson(program);
  addBackfill(program);
  addRestore(program);
  return program;
}
