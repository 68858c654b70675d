import { describe, expect, it } from 'vitest';
import { EVERYTHING, type Json, templateOf } from '../support/template.ts';

const behindCloudFront = (stage: string) => {
  const { domainName, certificateArn, webAclArn } = EVERYTHING;
  return templateOf({ stage, domainName, certificateArn, webAclArn }).toJSON();
};

const resourcesOf = (template: Json, type: RegExp): Json[] =>
  Object.values<Json>(template.Resources).filter(({ Type }) => type.test(Type));

/** What the access log may hold: nothing that a caller can put a token or a sign-in code into. */
const LOGGED = [
  '$context.authorizer.claims.sub',
  '$context.error.responseType',
  '$context.identity.sourceIp',
  '$context.identity.userArn',
  '$context.integrationLatency',
  '$context.requestId',
  '$context.requestTime',
  '$context.responseLatency',
  '$context.responseLength',
  '$context.routeKey',
  '$context.status',
];

describe('behind CloudFront', () => {
  it.each(['development', 'production'])(
    '#50: the %s stage creates no log that holds query strings or referrers',
    (stage) => {
      const template = behindCloudFront(stage);
      const [distribution, ...others] = resourcesOf(template, /^AWS::CloudFront::Distribution$/);
      expect(others).toStrictEqual([]);
      // CloudFront's standard log has neither choice of fields nor a way to leave the query string out.
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
    'cdk destroy finds no bucket in development, which it could only delete while empty: %s',
    (_, context) => {
      expect(resourcesOf(templateOf(context).toJSON(), /^AWS::S3::/)).toStrictEqual([]);
    },
  );
});
