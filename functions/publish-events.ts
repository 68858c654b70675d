import type { DynamoDBStreamEvent } from 'aws-lambda';
import { publishFromStream } from './jobs/publish-events.ts';
import { openBus } from './runtime/bus.ts';
import { readBusName } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';

const logger = newLogger('publish-events');
const send = openBus(readBusName());

/** Lambda handler that sends each new event to the bus. The table's stream invokes it. */
export const handler = ({ Records }: DynamoDBStreamEvent) =>
  publishFromStream(Records, { send, log: (message, fields) => logger.error(message, fields) });
