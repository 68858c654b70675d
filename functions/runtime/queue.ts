import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';

/** Returns a function that sends JSON to a queue. The client is created once and reused across invocations. */
export function openQueue(queueUrl: string): (message: object) => Promise<void> {
  const client = new SQSClient({
    requestHandler: { connectionTimeout: 2000, requestTimeout: 2000, throwOnRequestTimeout: true },
  });
  return async (message) => {
    await client.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: JSON.stringify(message) }));
  };
}
