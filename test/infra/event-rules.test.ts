import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { EventRules } from '../../infra/example/event-rules.ts';

const stack = new Stack(new App(), 'Consumer');
new EventRules(stack, 'Rules', { eventBusName: 'keys' });
const template = Template.fromStack(stack);

describe('the example rules on the event bus', () => {
  it('the example rules on the event bus notify people of leaks and expiring keys through SNS', () => {
    template.hasResourceProperties('AWS::Events::Rule', {
      EventBusName: 'keys',
      EventPattern: {
        source: ['deployment-api-keys'],
        'detail-type': ['api_key.leaked', 'api_key.expiring', 'token.leaked', 'temporary_token.leaked'],
      },
    });
    expect(Object.keys(template.findResources('AWS::SNS::Topic'))).toHaveLength(1);
  });

  it('the example rules on the event bus archive every event in S3, where nobody can change it', () => {
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: { source: ['deployment-api-keys'] },
    });
    template.hasResourceProperties('AWS::S3::Bucket', {
      ObjectLockEnabled: true,
      ObjectLockConfiguration: { Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 365 } } },
    });
    expect(Object.keys(template.findResources('AWS::KinesisFirehose::DeliveryStream'))).toHaveLength(1);
  });
});
