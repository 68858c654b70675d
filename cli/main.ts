import { addDev } from './commands/dev.ts';
import { createProgram } from './program.ts';
import { runProgram } from './run.ts';

// The CLI in a clone, which also includes the commands for developers.
const program = createProgram();
addDev(program);
await runProgram(program);
