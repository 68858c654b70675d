import { createProgram } from './program.ts';
import { runProgram } from './run.ts';

// The CLI that the package ships.
await runProgram(createProgram());
