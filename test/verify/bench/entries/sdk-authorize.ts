import { authorizer } from '../../../../functions/routes/authorize.ts';
import { readTokenConfig } from '../../../../functions/runtime/config.ts';
import { checkReport } from '../../../../functions/runtime/report.ts';
import { checkStore } from '../../../../functions/table/check.ts';
import { tableClient } from '../../../../functions/table/client.ts';
import { CHECK_PATIENCE } from '../../../../functions/table/faults.ts';

const { rules, tableName } = readTokenConfig();

/** functions/authorize.ts on the AWS SDK. */
export const handler = authorizer({
  store: checkStore({ client: tableClient(CHECK_PATIENCE), tableName, onMalformed: () => {} }),
  clock: Date.now,
  rules,
  report: checkReport(),
});
