import { whoami } from './routes/whoami.ts';
import { openCheckStore } from './runtime/check-store.ts';
import { readTokenConfig } from './runtime/config.ts';
import { checkReport } from './runtime/report.ts';

const { rules, ...config } = readTokenConfig();

/** GET /whoami */
export const handler = whoami({
  store: openCheckStore(config),
  clock: Date.now,
  rules,
  report: checkReport(),
});
