import { type ConsoleFiles, consolePage } from './routes/console.ts';
import { readConsoleConfig } from './runtime/config.ts';

/** The page's files as JSON. The bundler replaces this name. */
declare const CONSOLE_FILES: string;

/** The console: one page and its files. */
export const handler = consolePage(JSON.parse(CONSOLE_FILES) as ConsoleFiles, readConsoleConfig());
