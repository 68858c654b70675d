import type { Command } from 'commander';
import { report } from './command.ts';
import { Failure } from './failure.ts';

/** The variables of the CLI, and those of AWS that the CLI itself reads. */
const VARIABLES = /^(DEPLOYMENT_KEYS?_\w+|MIGRATE_TOKEN|AWS_REGION|AWS_DEFAULT_REGION)$/;

/** Runs the command in the process's arguments, and sets the exit code. */
export async function runProgram(program: Command): Promise<void> {
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
    // A reader such as `head` may close the pipe early. A command that has to clean up first listens for SIGPIPE.
    if (code === 'EPIPE' && process.emit('SIGPIPE')) return;
    if (code !== 'EPIPE') process.exitCode = report(new Failure(`Cannot write standard output (${code}).`));
    process.exit();
  });
  // A CI sets the variable of a missing secret to an empty string.
  for (const [name, value] of Object.entries(process.env)) {
    if (value === '' && VARIABLES.test(name)) delete process.env[name];
  }
  try {
    await program.parseAsync();
  } catch (error) {
    process.exitCode = report(error);
  }
}
