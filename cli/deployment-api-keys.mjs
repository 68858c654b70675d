#!/usr/bin/env node
// The package's command. A clone has the TypeScript sources instead of the compiled command.
import { existsSync } from 'node:fs';

const source = new URL('./main.ts', import.meta.url);
await import(existsSync(source) ? source.href : '../dist/cli/packaged.js');
