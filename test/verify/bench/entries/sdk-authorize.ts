import { authorizer } from '../../../../functions/routes/authorize.ts';
import { readTokenConfig } from '../../../../functions/runtime/config.ts';
import { checkReport } from '../../../../functions/runtime/report.ts';
import { checkStore } from '../../../../functions/table/checks.ts';
import { CHECK_RETRIES } from '../../../../functions/table/retried-calls.ts';
import { sdkTransport } from '../../../../functions/table/sdk-transport.ts';

const { rules, tableName } = readTokenConfig();

/** The same as functions/authorize.ts, but with the AWS SDK as the DynamoDB client. */
export const handler = authorizer({
  store: checkStore(
    { port: sdkTransport(), tableName, retryPolicy: CHECK_RETRIES, onMalformed: () => {} },
    'https://login.test',
  ),
  clock: Date.now,
  rules,
  report: checkReport(),
});
