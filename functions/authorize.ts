import { authorizer } from './routes/authorize.ts';
import { openCheckStore } from './runtime/check-store.ts';
import { readTokenConfig } from './runtime/config.ts';
import { checkReport } from './runtime/report.ts';

const { rules, ...config } = readTokenConfig();

/** The authorizer in front of other APIs. It checks a token and extends its expiry. */
export const handler = authorizer({
  store: openCheckStore(config),
  clock: Date.now,
  rules,
  report: checkReport(),
});
