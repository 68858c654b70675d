import { authorizer } from './handlers/authorizer.ts';
import { readTokenConfig } from './runtime/config.ts';
import { writeLine } from './runtime/line.ts';
import { checkReport } from './runtime/report.ts';
import { openTable } from './runtime/table.ts';
import { checkStore } from './table/check.ts';
import { CHECK_PATIENCE } from './table/client.ts';

const { rules, ...config } = readTokenConfig();
const table = openTable(config, CHECK_PATIENCE, {
  error: (message, fields) => writeLine('ERROR', message, fields),
});

/** The authorizer in front of other APIs: check a token, slide it. */
export const handler = authorizer({
  store: checkStore(table),
  clock: Date.now,
  rules,
  report: checkReport(),
});
