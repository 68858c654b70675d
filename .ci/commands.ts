import { writeFileSync } from 'node:fs';
import { describedCommands, PAGE } from './commands-text.ts';

// `npm run generate`: writes the CLI reference into docs/cli.md. A test fails if the reference is out of date.
writeFileSync(PAGE, describedCommands());
