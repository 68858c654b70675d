// Starts a function as Lambda's runtime does, and sends it one event at a time. Argument: the file that Lambda loads.
// Sends the parent the time from the start of the process to the end of init, and then the time of each call. Times are
// in milliseconds.
import { createRequire } from 'node:module';

const file = process.argv[2];
const { handler } = file.endsWith('.mjs') ? await import(file) : createRequire(file)(file);
process.send({ init: performance.now() });
if (process.argv[3] === 'load') process.disconnect();
process.stdout.write = () => true;
const context = { functionName: 'bench', awsRequestId: '', getRemainingTimeInMillis: () => 10_000 };
process.on('message', async (event) => {
  const begin = performance.now();
  const { isAuthorized, statusCode } = await handler(event, context);
  process.send({ took: performance.now() - begin, isGood: isAuthorized ?? statusCode === 200 });
});
process.on('disconnect', () => process.exit());
