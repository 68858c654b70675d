import { entryOf } from './domain/trust.ts';
import { type ConsoleFiles, consolePage } from './routes/console.ts';
import { readConsoleConfig } from './runtime/config.ts';

/** The page's files as JSON. The bundler replaces this identifier with that JSON. */
declare const CONSOLE_FILES: string;

const { trustedIssuers, ...config } = readConsoleConfig();

/** Serves the console: a single page and its files. */
export const handler = consolePage(JSON.parse(CONSOLE_FILES) as ConsoleFiles, {
  ...config,
  trustedIssuers: trustedIssuers.map(entryOf).map(({ hasInlineKeys, ...issuer }) => issuer),
});
