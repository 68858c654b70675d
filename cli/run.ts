import type { Command } from 'commander';
import { report } from './command.ts';

/** Runs the command that this process's arguments specify, and sets the exit code. */
export async function runProgram(program: Command): Promise<void> {
  // A reader such as `head` may close the pipe early.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
  try {
    await program.parseAsync();
  } catch (error) {
    process.exitCode = report(error);
  }
}
