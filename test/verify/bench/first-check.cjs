// Loads a bundle, makes one check and exits, to measure a cold start. Arguments: the bundle and the event.
const { handler } = require(process.argv[2]);
handler(JSON.parse(process.argv[3]), { awsRequestId: '', getRemainingTimeInMillis: () => 1000 }).then(
  ({ isAuthorized }) => process.exit(isAuthorized ? 0 : 1),
);
