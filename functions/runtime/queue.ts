import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';

/** A queue to put JSON on. Its client is made once, at start, and kept over calls. */
export function openQueue(queueUrl: string): (message: object) => Promise<void> {
  const client = new SQSClient({
    requestHandler: { connectionTimeout: 2000, requestTimeout: 2000, throwOnRequestTimeout: true },
  });
  return async (message) => {
    await client.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: JSON.stringify(message) }));
  };
}
