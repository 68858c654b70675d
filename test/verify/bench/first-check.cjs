// Loads a bundle, makes one check and ends: what a cold start does. Arguments: the bundle and the event.
const { handler } = require(process.argv[2]);
handler(JSON.parse(process.argv[3]), { awsRequestId: '', getRemainingTimeInMillis: () => 1000 }).then(
  ({ isAuthorized }) => process.exit(isAuthorized ? 0 : 1),
);
