import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { afterEach, describe, expect, it } from 'vitest';
import { EventRules } from '../../infra/example/event-rules.ts';
import { inputsOf } from '../support/event-rule.ts';
import { runStack } from '../support/stack.ts';
import type { Json } from '../support/template.ts';

function templateWith(props: object): Template {
  const stack = new Stack(new App(), 'Consumer');
  new EventRules(stack, 'Rules', { eventBusName: 'keys', ...props });
  return Template.fromStack(stack);
}
const template = templateWith({ mailTo: ['platform@example.com'], chatWebhookSecret: 'chat-webhook' });
const propertiesOf = (type: string, of = template): Json[] =>
  Object.values<Json>(of.findResources(type)).map(({ Properties }) => Properties);
const rules = Object.values<Json>(template.findResources('AWS::Events::Rule'));

describe('The example event rules forward events to mail, chat and an archive', () => {
  it('the example event rules send mail to each address through an SNS topic', () => {
    expect(propertiesOf('AWS::SNS::Subscription')).toMatchObject([
      { Protocol: 'email', Endpoint: 'platform@example.com' },
    ]);
  });

  it("the example event rules read the chat's URL from Secrets Manager, so that no template contains the URL", () => {
    expect(propertiesOf('AWS::Events::ApiDestination')).toMatchObject([
      { HttpMethod: 'POST', InvocationEndpoint: '{{resolve:secretsmanager:chat-webhook:SecretString:::}}' },
    ]);
  });

  it('the example event rules keep messages that could not be delivered', () => {
    const ofPeople = rules
      .flatMap(({ Properties }) => Properties.Targets)
      .filter((target) => target.InputTransformer);
    expect(ofPeople).toHaveLength(6);
    for (const { DeadLetterConfig } of ofPeople) expect(DeadLetterConfig.Arn).toBeDefined();
  });

  it('the example event rules work without a chat channel or an email address', () => {
    const plain = templateWith({});
    const types = ['AWS::Events::ApiDestination', 'AWS::SNS::Subscription', 'AWS::SNS::Topic'];
    expect(types.map((type) => propertiesOf(type, plain).length)).toEqual([0, 0, 1]);
  });

  it('the example event rules archive every event in S3, where nobody can change it', () => {
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

describe('The example event rules write readable messages', async () => {
  const stack = await runStack();
  await stack.register('etl');
  afterEach(() => stack.clock.release());

  /** Returns the inputs that the rules' targets get for events of one type on the service's bus. */
  const messages = (type: string) =>
    stack.buses
      .flatMap(({ entries }) => entries)
      .filter(({ DetailType }) => DetailType === type)
      .flatMap((entry) => inputsOf(rules, entry as never));
  /** Returns what mail and chat get for events of one type. */
  const mailAndChat = (type: string) => messages(type).map(({ input }) => JSON.parse(input));

  it('a message about a key that expires soon names the key, its Deployment and the time, as text for mail and as JSON for chat', async () => {
    const expiresAt = new Date(stack.clock.now() + 3 * 86_400_000).toISOString();
    const token = await stack.signIn('admin');
    const { json: key } = await stack.call('POST', '/deployments/etl/api-keys', {
      token,
      json: { name: 'a "quoted" <name>', expiresAt },
    });
    await stack.schedules.find(({ name }) => name.includes('KeySweep'))?.fire();
    await expect.poll(() => messages('api_key.expiring').length).toBe(2);
    const text =
      `The API key ${key.id} of the Deployment etl expires at ${expiresAt}. ` +
      'Extend it or replace it in your pipeline before then.';
    expect(mailAndChat('api_key.expiring')).toStrictEqual([text, { text }]);
  });

  it('a message about an old secret that is still in use names the key, its Deployment and the time when it stops working', async () => {
    const key = await stack.createKey('etl');
    const token = await stack.signIn('admin');
    const path = `/deployments/etl/api-keys/${key.id}`;
    await stack.call('POST', `${path}/rotate`, { token, json: { retireOld: 3600 } });
    const { json } = await stack.call('GET', path, { token });
    stack.clock.advance(1);
    await stack.exchange(key);
    await expect.poll(() => messages('api_key.secret_retiring').length).toBe(2);
    const text =
      `The old secret of the API key ${key.id} of the Deployment etl is still in use and stops working at ${json.credentials[0].retiresAt}. ` +
      'Give the pipeline the new secret before then.';
    expect(mailAndChat('api_key.secret_retiring')).toStrictEqual([text, { text }]);
  });

  it('a message about a leaked secret names the Deployment and the key, but not the secret', async () => {
    const key = await stack.createKey('etl');
    await stack.call('POST', '/leaks', { json: { credential: key.secret } });
    await expect.poll(() => messages('api_key.leaked').length).toBe(2);
    for (const { input } of messages('api_key.leaked')) {
      expect(input).toContain(
        'api_key.leaked: a credential of the Deployment etl was found in public. It no longer works. ' +
          `See deployments/etl/api-keys/${key.id}.`,
      );
      expect(input).not.toContain(key.secret);
    }
  });
});
