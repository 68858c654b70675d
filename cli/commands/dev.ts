import type { Command } from 'commander';
import { addCommand } from '../command.ts';
import { addStackTrace } from './stack-trace.ts';

/** Adds `dev`, with the commands for developers of this project. These commands work only in a clone. */
export function addDev(program: Command): void {
  program.commandsGroup('For developers of this project:');
  const dev = addCommand(program, 'dev', {
    summary: 'Commands for developers of this project, in a clone',
    examples: ['dev stack-trace authorize --at 1:20874'],
  });
  addStackTrace(dev);
}
