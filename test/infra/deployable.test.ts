import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { isPublicHost } from '../../infra/deployable.ts';
import { DeploymentKeys } from '../../infra/deployment-keys.ts';
import { ConfigError } from '../../infra/settings.ts';
import { DeploymentKeysStack } from '../../infra/stack.ts';
import { ARN, type Json, resourceAt, SOURCE, templateOf, WITH_ISSUER } from '../support/template.ts';

const PLACE = { account: '111122223333', region: 'eu-west-1' };

/** Returns the error that stops the synthesis, or undefined if the synthesis succeeds. */
function errorOf(settings: object, env?: { account: string; region: string }) {
  try {
    new DeploymentKeysStack(new App(), 'Keys', { settings, ...(env && { env }) });
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
}

describe('Synthesis rejects issuers that AWS cannot reach', () => {
  it.each([
    'https://localhost/realms/staff',
    'http://127.0.0.1:9000',
    'https://10.1.2.3/realms/staff',
    'https://[fd00::1]/realms/staff',
    'https://login/realms/staff',
    'https://login.corp/realms/staff',
    'https://login.platform.internal/realms/staff',
    'https://login.local./realms/staff',
  ])("synthesis rejects %s as the issuer for people's sign-in", (issuer) => {
    expect(errorOf({ ...WITH_ISSUER, issuer })).toBe(
      "issuer must have a public host name, because API Gateway fetches the issuer's configuration from the internet, " +
        'for example -c issuer=https://login.example.com/realms/staff.',
    );
  });

  it('synthesis rejects a trusted issuer with a private host name', () => {
    const trustedIssuers = ['https://gitlab.com', 'https://kubernetes.default.svc.cluster.local'];
    expect(errorOf({ ...WITH_ISSUER, trustedIssuers })).toBe(
      "trustedIssuers must have a public host name, because a function fetches each issuer's keys from the internet, " +
        'for example -c trustedIssuers=https://token.actions.githubusercontent.com.',
    );
  });

  it('the emulator accepts an issuer on the local machine', () => {
    const issuer = 'http://127.0.0.1:9000';
    expect(() => templateOf({ ...WITH_ISSUER, issuer, trustedIssuers: issuer })).not.toThrow();
  });

  it.each([
    ['login.example.com', true],
    ['internal.example.com', true],
    ['8.8.8.8', true],
    ['[2606:4700::1111]', true],
    ['172.15.0.1', true],
    ['172.31.255.255', false],
    ['169.254.169.254', false],
    ['100.64.0.1', false],
    ['[::1]', false],
    ['[fe80::1]', false],
    ['[::ffff:10.0.0.1]', false],
    ['router.home.arpa', false],
    ['intranet', false],
  ])('isPublicHost returns the correct result for %s: %s', (host, expected) => {
    expect(isPublicHost(host)).toBe(expected);
  });
});

describe('Synthesis checks the Regions and accounts of resources that settings refer to', () => {
  const other = (arn: string) => arn.replace('eu-west-1', 'eu-central-1');
  const table = { ...SOURCE, table: other(SOURCE.table), stream: other(SOURCE.stream) };

  it.each([
    ['alarmTopic', { alarmTopic: other(ARN.TOPIC) }, ARN.TOPIC],
    ['encryptionKey', { encryptionKey: other(ARN.KEY) }, ARN.KEY],
    ['certificateArn', { domainName: 'keys.example.com', certificateArn: ARN.CERTIFICATE }, undefined],
    ['deploymentsSource', { deploymentsSource: table }, undefined],
  ])("synthesis rejects %s in a Region other than the stack's", (name, settings, example) => {
    const message = errorOf({ ...WITH_ISSUER, ...settings }, PLACE);
    expect(message).toMatch(`${name} must be in the stack's own Region, eu-west-1, for example -c ${name}=`);
    if (example !== undefined) expect(message).toContain(example);
    expect(errorOf({ ...WITH_ISSUER, ...settings })).toBeUndefined();
  });

  it("synthesis accepts a CloudFront distribution's certificate from us-east-1", () => {
    const domain = {
      domainName: 'keys.example.com',
      certificateArn: ARN.CERTIFICATE,
      webAclArn: ARN.WEB_ACL,
    };
    expect(errorOf({ ...WITH_ISSUER, ...domain }, PLACE)).toBeUndefined();
  });

  it.each([
    ['permissionsBoundary', { permissionsBoundary: ARN.BOUNDARY }],
    ['platformPrincipals', { platformPrincipals: ARN.PRINCIPAL }],
    ['certificateArn', { domainName: 'keys.example.com', certificateArn: ARN.CERTIFICATE }],
    [
      'webAclArn',
      {
        domainName: 'keys.example.com',
        certificateArn: ARN.CERTIFICATE.replace('111122223333', '444455556666'),
        webAclArn: ARN.WEB_ACL,
      },
    ],
  ])("synthesis rejects %s from an account other than the stack's", (name, settings) => {
    const env = { account: '444455556666', region: 'us-east-1' };
    expect(errorOf({ ...WITH_ISSUER, ...settings }, env)).toMatch(
      new RegExp(`^${name} must be of the stack's own account, for example -c ${name}=.*:444455556666:`),
    );
  });

  it('synthesis accepts an AWS managed policy as the permissions boundary', () => {
    const permissionsBoundary = 'arn:aws:iam::aws:policy/PowerUserAccess';
    expect(errorOf({ ...WITH_ISSUER, permissionsBoundary }, PLACE)).toBeUndefined();
  });
});

describe('Synthesis checks accountConcurrency against the reserved concurrency', () => {
  it.each([
    ['10', 'reserved=5', false],
    ['1000', 'reserved=901', false],
    ['1000', 'reserved=900', true],
    ['110', 'provisioned=11', false],
    ['110', 'provisioned=10', true],
  ])(
    'with an account concurrency of %s, the result for authorizerConcurrency %s is: %s',
    (accountConcurrency, authorizerConcurrency, isAccepted) => {
      expect(errorOf({ ...WITH_ISSUER, accountConcurrency, authorizerConcurrency })).toBe(
        isAccepted
          ? undefined
          : `authorizerConcurrency must leave at least 100 of accountConcurrency, which is ${accountConcurrency}, ` +
              'to the other functions of the account. Ask for a higher quota, or leave authorizerConcurrency out.',
      );
    },
  );

  it.each([
    [undefined, 10],
    ['1000', 10],
    ['200', 10],
    ['50', 2],
    ['10', 1],
  ])(
    'with an account concurrency of %s, the purge processes %d batches of each stream shard in parallel',
    (accountConcurrency, factor) => {
      const { Properties } = resourceAt(
        templateOf({ ...WITH_ISSUER, accountConcurrency }),
        'Purge/Function/Stream',
      );
      expect(Properties.ParallelizationFactor).toBe(factor);
    },
  );
});

describe("The authorizer function's policy stays within Lambda's size limit", () => {
  it("the authorizer function's policy fits into 20 KB with the maximum number of consumerAccounts and the longest names", () => {
    const consumerAccounts = Array.from({ length: 50 }, (_, at) => String(100_000_000_000 + at));
    const stack = new Stack(new App(), 'Keys');
    new DeploymentKeys(stack, 'Service', { ...WITH_ISSUER, consumerAccounts });
    const permissions = Object.values<Json>(
      Template.fromStack(stack).findResources('AWS::Lambda::Permission'),
    ).filter(({ Properties }) => /^\d{12}$/.test(Properties.Principal));
    const statements = permissions.map(({ Properties: { Action, Principal } }) => ({
      Sid: 'x'.repeat(100),
      Effect: 'Allow',
      Principal: { AWS: `arn:aws-us-gov:iam::${Principal}:root` },
      Action,
      Resource: `arn:aws-us-gov:lambda:us-gov-west-1:111122223333:function:${'x'.repeat(64)}:warm`,
    }));
    expect(statements).toHaveLength(50);
    const policy = { Version: '2012-10-17', Id: 'default', Statement: statements };
    expect(JSON.stringify(policy).length).toBeLessThan(20_480);
  });
});

describe("A function's environment variables stay within Lambda's size limit", () => {
  it('synthesis reports which setting makes the environment variables larger than Lambda allows', () => {
    const platformPrincipals = Array.from(
      { length: 20 },
      (_, at) => `arn:aws:iam::111122223333:role/${'teams/'.repeat(30)}${at}`,
    );
    expect(errorOf({ ...WITH_ISSUER, platformPrincipals })).toMatch(
      /^platformPrincipals must be shorter: the settings of the function manage-deployments would have \d+ bytes, and Lambda has room for 3584, for example -c platformPrincipals=arn:aws:iam::111122223333:role\/platform\.$/,
    );
    const where = { type: Array.from({ length: 20 }, (_, at) => `${at}`.padEnd(256, 'x')) };
    expect(errorOf({ ...WITH_ISSUER, deploymentsSource: { ...SOURCE, where } })).toMatch(
      /^deploymentsSource must be shorter: /,
    );
  });

  it("every function's environment variables leave enough room for resource names", () => {
    const longest = { stackName: 'k'.repeat(128), env: PLACE };
    const stack = new Stack(new App(), 'Keys', longest);
    const settings = { ...WITH_ISSUER, deploymentsSource: SOURCE };
    new DeploymentKeys(stack, 'Service', settings);
    const withNames = Object.values<Json>(Template.fromStack(stack).findResources('AWS::Lambda::Function'));
    const url = `https://sqs.ap-southeast-1.amazonaws.com/111122223333/${'q'.repeat(80)}`;
    for (const { Properties } of withNames) {
      const resources = Object.entries<Json>(Properties.Environment?.Variables ?? {}).filter(
        ([name, value]) => typeof value === 'object' || name === 'STACK_NAME',
      );
      const deployed = resources.map(([name, value]) => [name, typeof value === 'object' ? url : value]);
      expect(JSON.stringify(Object.fromEntries(deployed)).length).toBeLessThan(512);
    }
  });
});
