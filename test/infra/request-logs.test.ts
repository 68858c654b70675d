import { describe, expect, it } from 'vitest';
import { EVERYTHING, type Json, LOGGED, templateOf } from '../support/template.ts';

const behindCloudFront = (stage: string) => {
  const { domainName, certificateArn, webAclArn } = EVERYTHING;
  return templateOf({ stage, domainName, certificateArn, webAclArn }).toJSON();
};

const resourcesOf = (template: Json, type: RegExp): Json[] =>
  Object.values<Json>(template.Resources).filter(({ Type }) => type.test(Type));

describe('A stack behind CloudFront logs no secrets', () => {
  it.each(['development', 'production'])(
    '#50: a stack behind CloudFront logs no query strings or referrers in the %s stage',
    (stage) => {
      const template = behindCloudFront(stage);
      const [distribution, ...others] = resourcesOf(template, /^AWS::CloudFront::Distribution$/);
      expect(others).toStrictEqual([]);
      // The standard log of CloudFront cannot omit the query string.
      expect(distribution.Properties.DistributionConfig).not.toHaveProperty('Logging');
      expect(
        resourcesOf(
          template,
          /^AWS::(CloudFront::RealtimeLogConfig|Logs::Delivery|Logs::DeliverySource|WAFv2::LoggingConfiguration)$/,
        ),
      ).toStrictEqual([]);
      expect(JSON.stringify(distribution)).not.toContain('RealtimeLogConfigArn');
      const formats = resourcesOf(template, /^AWS::ApiGatewayV2::Stage$/).map(({ Properties }) =>
        Object.values(JSON.parse(Properties.AccessLogSettings.Format)).toSorted(),
      );
      expect(formats).toStrictEqual([LOGGED]);
    },
  );

  it.each([
    ['without a setting', {}],
    ['with every setting', { ...EVERYTHING, stage: 'development' }],
  ])(
    'the stack creates no log bucket in development, because cdk destroy cannot delete a bucket that has objects: %s',
    (_, context) => {
      expect(resourcesOf(templateOf(context).toJSON(), /^AWS::S3::/)).toStrictEqual([]);
    },
  );
});
