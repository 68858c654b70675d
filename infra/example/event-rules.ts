import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { FirehoseDeliveryStream, SnsTopic } from 'aws-cdk-lib/aws-events-targets';
import * as firehose from 'aws-cdk-lib/aws-kinesisfirehose';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';

export interface EventRulesProps {
  /** The service's stack output `EventBusName`. */
  readonly eventBusName: string;
}

/** Sends events that need action to a topic, and archives all events in a bucket with object lock. */
export class EventRules extends Construct {
  readonly topic: sns.Topic;
  readonly archive: s3.Bucket;

  constructor(scope: Construct, id: string, { eventBusName }: EventRulesProps) {
    super(scope, id);
    const eventBus = events.EventBus.fromEventBusName(this, 'Bus', eventBusName);
    const source = ['deployment-api-keys'];

    this.topic = new sns.Topic(this, 'Topic', { enforceSSL: true });
    new events.Rule(this, 'ToPeople', {
      eventBus,
      eventPattern: {
        source,
        detailType: ['api_key.leaked', 'api_key.expiring', 'token.leaked', 'temporary_token.leaked'],
      },
      targets: [new SnsTopic(this.topic)],
    });

    this.archive = new s3.Bucket(this, 'Archive', {
      encryption: s3.BucketEncryption.S3_MANAGED,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      objectLockDefaultRetention: s3.ObjectLockRetention.governance(Duration.days(365)),
      removalPolicy: RemovalPolicy.RETAIN,
    });
    // EventBridge cannot write to S3 itself.
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
