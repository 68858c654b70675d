import { Duration, RemovalPolicy, SecretValue } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { ApiDestination, FirehoseDeliveryStream, SnsTopic } from 'aws-cdk-lib/aws-events-targets';
import * as firehose from 'aws-cdk-lib/aws-kinesisfirehose';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sns from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';

export interface EventRulesProps {
  /** The service stack's `EventBusName` output. */
  readonly eventBusName: string;
  /** Email addresses to notify. Each address must confirm its subscription. @default none */
  readonly mailTo?: readonly string[] | undefined;
  /**
   * Name of the secret in Secrets Manager that contains the URL of the chat's incoming webhook. The chat must accept
   * `{"text": "…"}`, as Slack, Mattermost and Google Chat do.
   * @default no chat
   */
  readonly chatWebhookSecret?: string | undefined;
}

// With `exactOptionalPropertyTypes`, an optional property of an interface cannot be undefined, but the CDK's own classes
// return undefined. These two classes always return a value.
class ChatWebhook extends events.ApiDestination {
  override get apiDestinationArnForPolicy(): string {
    return super.apiDestinationArnForPolicy ?? this.apiDestinationArn;
  }
}

class ArchiveBucket extends s3.Bucket {
  override get isWebsite(): boolean {
    return false;
  }
}

/**
 * Notifies people by email and chat about events that need action, and archives all events in a bucket with object
 * lock.
 *
 * @example
 * ```
 * new EventRules(this, 'Rules', { eventBusName: keys.eventBusName, mailTo: ['platform@example.com'], chatWebhookSecret: 'chat' });
 * ```
 */
export class EventRules extends Construct {
  readonly topic: sns.Topic;
  readonly archive: ArchiveBucket;

  constructor(
    scope: Construct,
    id: string,
    { eventBusName, mailTo = [], chatWebhookSecret }: EventRulesProps,
  ) {
    super(scope, id);
    const eventBus = events.EventBus.fromEventBusName(this, 'Bus', eventBusName);
    const source = ['deployment-api-keys'];

    this.topic = new sns.Topic(this, 'Topic', { enforceSSL: true });
    for (const address of mailTo) this.topic.addSubscription(new EmailSubscription(address));
    // Dead-letter queue; messages are kept for 14 days.
    const deadLetterQueue = new sqs.Queue(this, 'Undelivered', {
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    const targets = (message: string): events.IRuleTarget[] => [
      new SnsTopic(this.topic, { message: events.RuleTargetInput.fromText(message), deadLetterQueue }),
      ...(chat
        ? [
            new ApiDestination(chat, {
              event: events.RuleTargetInput.fromObject({ text: message }),
              deadLetterQueue,
            }),
          ]
        : []),
    ];
    const chat =
      chatWebhookSecret === undefined
        ? undefined
        : new ChatWebhook(this, 'Chat', {
            // The URL of the webhook is a dynamic reference, because it is a credential and must not appear in the
            // template.
            endpoint: SecretValue.secretsManager(chatWebhookSecret).unsafeUnwrap(),
            connection: new events.Connection(this, 'ChatConnection', {
              // EventBridge requires authorization for each connection, so set a header that an incoming webhook
              // ignores.
              authorization: events.Authorization.apiKey(
                'X-Sender',
                SecretValue.unsafePlainText('EventBridge'),
              ),
            }),
          });

    // EventBridge does not escape values that it inserts into text, so a message must not contain the name of a key.
    const detail = (name: string) => events.EventField.fromPath(`$.detail.data.${name}`);
    new events.Rule(this, 'ExpiringKeys', {
      eventBus,
      eventPattern: { source, detailType: ['api_key.expiring'] },
      targets: targets(
        `The API key ${detail('keyId')} of the Deployment ${detail('deploymentId')} expires at ${detail('expiresAt')}. ` +
          'Extend it or replace it in your pipeline before then.',
      ),
    });
    new events.Rule(this, 'RetiringSecrets', {
      eventBus,
      eventPattern: { source, detailType: ['api_key.secret_retiring'] },
      targets: targets(
        `The old secret of the API key ${detail('keyId')} of the Deployment ${detail('deploymentId')} is still in use and stops working at ${detail('retiresAt')}. ` +
          'Give the pipeline the new secret before then.',
      ),
    });
    new events.Rule(this, 'Leaks', {
      eventBus,
      eventPattern: { source, detailType: ['api_key.leaked', 'token.leaked', 'temporary_token.leaked'] },
      targets: targets(
        `${events.EventField.fromPath('$.detail-type')}: a credential of the Deployment ${detail('deploymentId')} was found in public. ` +
          `It no longer works. See ${events.EventField.fromPath('$.detail.subject')}.`,
      ),
    });

    this.archive = new ArchiveBucket(this, 'Archive', {
      encryption: s3.BucketEncryption.S3_MANAGED,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      objectLockDefaultRetention: s3.ObjectLockRetention.governance(Duration.days(365)),
      removalPolicy: RemovalPolicy.RETAIN,
    });
    // Firehose writes the archive, because EventBridge cannot write to S3 itself.
    const delivery = new firehose.DeliveryStream(this, 'Delivery', {
      destination: new firehose.S3Bucket(this.archive, {
        dataOutputPrefix: 'events/!{timestamp:yyyy/MM/dd}/',
        errorOutputPrefix: 'errors/!{firehose:error-output-type}/',
      }),
    });
    new events.Rule(this, 'ToArchive', {
      eventBus,
      eventPattern: { source },
      targets: [new FirehoseDeliveryStream(delivery)],
    });
  }
}
