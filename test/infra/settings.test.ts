import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Duration, Lazy, Stack } from 'aws-cdk-lib';
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager';
import { UserPool } from 'aws-cdk-lib/aws-cognito';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Alias, Key } from 'aws-cdk-lib/aws-kms';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Topic } from 'aws-cdk-lib/aws-sns';
import fc from 'fast-check';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { describedIn, PAGE, PROPS, propsText } from '../../.ci/settings-text.ts';
import type { DeletionLimit, DeploymentsSource } from '../../functions/domain/deployments-source.ts';
import type { IssuerEntry } from '../../functions/domain/trust.ts';
import { ConfigError, describedSettings, type RateLimit, readSettings } from '../../infra/settings.ts';
import type { TrustedIssuerInput } from '../../infra/trusted-issuers.ts';
import { ARN, EVERYTHING } from '../support/template.ts';

const JWK = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });
const ISSUER = 'https://login.example.com/realms/staff';
const { CERTIFICATE, WEB_ACL, KEY, BOUNDARY, PRINCIPAL, TOPIC } = ARN;

const manyTags = Object.fromEntries(Array.from({ length: 41 }, (_, at) => [`tag${at}`, 'x']));

function messageOf(context: Record<string, unknown>): string {
  try {
    readSettings(context);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('It was accepted.');
}

describe('readSettings validates the settings', () => {
  it('without settings, the stack is a development stack with its own user pool and tokens that are valid for 24 hours', () => {
    expect(readSettings({})).toStrictEqual({
      stage: 'development',
      tokenLifetime: 86_400,
      slideInterval: 300,
      trustedIssuers: ['https://token.actions.githubusercontent.com', 'https://gitlab.com'],
      lastUsedFrom: 'full',
      scopes: ['code:deploy', 'airflow:read', 'airflow:write'],
      console: true,
      keysWithSecrets: true,
      signIn: undefined,
      domain: undefined,
      logRetention: 30,
      tags: {},
      memory: { checks: 256, tokens: 256, people: 256, jobs: 512 },
      tracing: false,
      platformLogs: false,
      oauthRateLimit: { rate: 100, burst: 200 },
      leaksRateLimit: { rate: 10, burst: 20 },
      defaultRateLimit: { rate: 5000, burst: 2500 },
    });
  });

  it('nobody is an administrator unless the settings name a group or scope for administrators', () => {
    expect(readSettings({ issuer: ISSUER, audience: 'keys' }).signIn).toStrictEqual({
      issuer: ISSUER,
      audience: ['keys'],
      groupsClaim: 'groups',
      adminGroup: undefined,
      adminScope: undefined,
      consoleClientId: undefined,
      consoleScopes: undefined,
      consoleOrigins: undefined,
    });
  });

  it('readSettings accepts every setting as a string, as passed with -c', () => {
    expect(
      readSettings({
        stage: 'production',
        issuer: ISSUER,
        audience: 'keys,cli',
        groupsClaim: 'https://example.com/groups',
        adminGroup: 'platform admins',
        adminScope: 'deployments:admin',
        nameClaim: 'name',
        consoleClientId: 'console',
        consoleScopes: 'openid,keys/use',
        consoleOrigins: 'https://token.example.com https://login.example.com:8443',
        tokenLifetime: '3',
        slideInterval: '0',
        maxTokenLifetime: '2592000',
        maxIdleDays: '90',
        maxKeyDays: '180',
        keysWithSecrets: 'false',
        trustedIssuers: 'none',
        lastUsedFrom: 'truncated',
        scopes: 'code:deploy,dags',
        console: 'false',
        domainName: 'keys.example.com',
        certificateArn: CERTIFICATE,
        webAclArn: WEB_ACL,
        encryptionKey: KEY,
        capacity: 'minRead=1,maxRead=2,minWrite=25,maxWrite=25',
        permissionsBoundary: BOUNDARY,
        authorizerConcurrency: 'reserved=200,provisioned=5',
        memory: 'checks=512',
        accountConcurrency: '1000',
        oauthRateLimit: 'rate=500,burst=1000',
        leaksRateLimit: 'rate=20',
        defaultRateLimit: 'burst=1250',
        alarmTopic: TOPIC,
        logRetention: '90',
        platformPrincipals: `${PRINCIPAL},arn:aws:iam::111122223333:user/ops/ada`,
        consumerAccounts: '111122223333 444455556666',
        tags: 'team=platform,cost-centre=4711',
        tracing: 'true',
        platformLogs: 'true',
      }),
    ).toStrictEqual({
      stage: 'production',
      signIn: {
        issuer: ISSUER,
        audience: ['keys', 'cli'],
        groupsClaim: 'https://example.com/groups',
        adminGroup: 'platform admins',
        adminScope: 'deployments:admin',
        consoleClientId: 'console',
        consoleScopes: ['openid', 'keys/use'],
        consoleOrigins: ['https://token.example.com', 'https://login.example.com:8443'],
      },
      nameClaim: 'name',
      tokenLifetime: 3,
      slideInterval: 0,
      maxTokenLifetime: 2_592_000,
      maxIdleDays: 90,
      maxKeyDays: 180,
      keysWithSecrets: false,
      trustedIssuers: [],
      lastUsedFrom: 'truncated',
      scopes: ['code:deploy', 'dags'],
      console: false,
      domain: { domainName: 'keys.example.com', certificateArn: CERTIFICATE, webAclArn: WEB_ACL },
      encryptionKey: KEY,
      capacity: { minRead: 1, maxRead: 2, minWrite: 25, maxWrite: 25, utilization: 60 },
      permissionsBoundary: BOUNDARY,
      authorizerConcurrency: { reserved: 200, provisioned: 5 },
      memory: { checks: 512, tokens: 256, people: 256, jobs: 512 },
      accountConcurrency: 1000,
      oauthRateLimit: { rate: 500, burst: 1000 },
      leaksRateLimit: { rate: 20, burst: 20 },
      defaultRateLimit: { rate: 5000, burst: 1250 },
      alarmTopic: TOPIC,
      logRetention: 90,
      platformPrincipals: [PRINCIPAL, 'arn:aws:iam::111122223333:user/ops/ada'],
      consumerAccounts: ['111122223333', '444455556666'],
      tags: { team: 'platform', 'cost-centre': '4711' },
      tracing: true,
      platformLogs: true,
    });
  });

  it('readSettings accepts settings as numbers and lists, as in cdk.json', () => {
    const unchanged = {
      tokenLifetime: 60,
      slideInterval: 5,
      maxTokenLifetime: 60,
      scopes: ['dags:read'],
      authorizerConcurrency: { reserved: 200 },
      logRetention: 90,
      tracing: true,
    };
    const config = readSettings({
      issuer: ISSUER,
      audience: ['keys', 'cli'],
      ...unchanged,
      tags: { 'cost-centre': 4711 },
    });
    expect(config).toMatchObject({
      ...unchanged,
      tags: { 'cost-centre': '4711' },
    });
    expect(config.signIn?.audience).toStrictEqual(['keys', 'cli']);
  });

  it.each([
    'https://login.example.com',
    'https://login.example.com/',
    'http://127.0.0.1:9000',
    'http://localhost:9000/oidc',
    'http://[::1]:9000',
  ])('readSettings accepts %s as an issuer and keeps the text unchanged', (issuer) => {
    expect(readSettings({ issuer, audience: 'keys' }).signIn?.issuer).toBe(issuer);
  });

  it.each([
    'http://login.example.com',
    'http://127.0.0.1.example.com',
    'http://localhost.example.com',
    'https://user:secret@login.example.com',
    'https://login.example.com?tenant=1',
    'https://login.example.com#x',
    'https://login.example.com/a b',
    'ftp://127.0.0.1',
    'login.example.com',
    '',
    7,
  ])('readSettings rejects %j as an issuer', (issuer) => {
    expect(messageOf({ issuer, audience: 'keys' })).toBe(
      'issuer must be an https URL without query, fragment or credentials (http only for a loopback host), ' +
        `for example -c issuer=${ISSUER}.`,
    );
  });

  it.each([
    ['stage', ['prod', 'Production', '', true], 'development or production, for example -c stage=production'],
    [
      'audience',
      ['', ' ', 'a,a', [], [7], ['a b'], 'x'.repeat(257), Array.from({ length: 51 }, (_, at) => `a${at}`)],
      '1 to 50 different words of up to 256 printable characters, between commas, ' +
        'for example -c audience=deployment-keys,platform-cli',
    ],
    [
      'groupsClaim',
      ['', 'my groups', 7, 'x'.repeat(129)],
      'the name of a claim, up to 128 printable characters without spaces, for example -c groupsClaim=groups',
    ],
    [
      'adminGroup',
      ['', ' ', ' admins', 'admins ', 'a\nb', 'x'.repeat(129), ['admins']],
      'the name of a group, up to 128 characters, without control characters and outer spaces, ' +
        'for example -c adminGroup=platform-admins',
    ],
    [
      'nameClaim',
      ['', 'a b', 'x'.repeat(129)],
      'the name of a claim, up to 128 printable characters without spaces; without issuer, email, name or ' +
        'preferred_username, for example -c nameClaim=name',
    ],
    [
      'adminScope',
      ['', 'two scopes', 'quo"te', 'back\\slash', 'x'.repeat(129)],
      'one OAuth scope of up to 128 characters, for example -c adminScope=deployments:admin',
    ],
    [
      'consoleClientId',
      ['', 'a b', 7],
      'an OAuth client ID of up to 256 printable characters without spaces, ' +
        'for example -c consoleClientId=deployment-keys-console',
    ],
    [
      'consoleScopes',
      ['', 'email', 'openid,quo"te', 'openid,openid', 7],
      '1 to 20 different OAuth scopes, between commas, openid among them, ' +
        'for example -c consoleScopes=openid,email,deployment-keys/use',
    ],
    [
      'consoleOrigins',
      [
        '',
        'http://a.example.com',
        'https://a.example.com/',
        'https://*.example.com',
        'https://a; script-src *',
      ],
      '1 to 10 different https origins in lower case, without a path, between commas, ' +
        'for example -c consoleOrigins=https://oauth2.example.com',
    ],
    [
      'tokenLifetime',
      ['0', '-1', '1.5', '1e3', '24h', '', '31536001', 0, 1.5, true, null],
      'whole seconds from 1 to 31536000, for example -c tokenLifetime=86400',
    ],
    [
      'slideInterval',
      ['-1', '86401', 'off', 0.5],
      'whole seconds from 0 to 86400, for example -c slideInterval=300',
    ],
    [
      'maxTokenLifetime',
      ['86399', '315360001', 'off', 0],
      'whole seconds from tokenLifetime to 315360000, for example -c maxTokenLifetime=2592000',
    ],
    [
      'scopes',
      [
        '',
        [],
        'Code',
        '1code',
        'code:',
        'a,a',
        'a_b',
        'deployment',
        'deployment:x',
        'x'.repeat(65),
        Array.from({ length: 17 }, (_, at) => `a${at}`),
      ],
      '1 to 16 different scopes of up to 64 characters, lower-case words joined by colons, between commas, ' +
        'none with deployment as its first word and none of them any, for example -c scopes=code:deploy,airflow:read',
    ],
    ['console', ['no', '', 0], 'true or false, for example -c console=false'],
    [
      'memory',
      ['checks=127', 'jobs=10241', 'checks', 'other=256', '', { checks: 1.5 }],
      'checks=N, tokens=N, people=N, jobs=N or several between commas, N from 128 to 10240, for example -c memory=checks=512,jobs=1024',
    ],
    [
      'capacity',
      [
        '',
        'onDemand',
        'minRead=1,maxRead=1,minWrite=25',
        'minRead=2,maxRead=1,minWrite=25,maxWrite=25',
        'minRead=1,maxRead=1,minWrite=26,maxWrite=25',
        'minRead=1,maxRead=1,minWrite=24,maxWrite=25',
        'minRead=1,maxRead=40001,minWrite=25,maxWrite=25',
        { minRead: 1, maxRead: 1, minWrite: 25, maxWrite: 25, utilization: 91 },
      ],
      'minRead=N, maxRead=N, minWrite=N, maxWrite=N between commas, N from 1 to 40000 (writes from 25), no minimum above its ' +
        'maximum, and optionally utilization=N, N from 20 to 90, for example -c ' +
        'capacity=minRead=100,maxRead=1000,minWrite=100,maxWrite=500',
    ],
    ['tracing', ['yes', 1], 'true or false, for example -c tracing=true'],
    ['platformLogs', ['yes', 1], 'true or false, for example -c platformLogs=true'],
    [
      'domainName',
      [
        '',
        'keys',
        'https://keys.example.com',
        'Keys.example.com',
        'keys.example.com.',
        '-a.example.com',
        '10.0.0.1',
      ],
      'a domain name in lower case, and come with certificateArn, for example -c domainName=keys.example.com',
    ],
    [
      'certificateArn',
      ['', KEY, 'arn:aws:acm:eu-west-1:1:certificate/a'],
      'the ARN of an ACM certificate, come with domainName, and be of us-east-1 where webAclArn is set, ' +
        'for example -c certificateArn=arn:aws:acm:us-east-1:111122223333:certificate/0e3f1a2b-0000-4000-8000-000000000000',
    ],
    [
      'webAclArn',
      ['', WEB_ACL.replace('global', 'regional'), WEB_ACL.replace('us-east-1', 'eu-west-1')],
      'the ARN of a web ACL for CloudFront, and come with domainName, ' +
        'for example -c webAclArn=arn:aws:wafv2:us-east-1:111122223333:global/webacl/keys/0e3f1a2b-0000-4000-8000-000000000000',
    ],
    [
      'encryptionKey',
      ['', KEY.replace('key/', 'alias/'), 'alias/mine'],
      'the ARN of a KMS key, not of an alias, ' +
        'for example -c encryptionKey=arn:aws:kms:eu-west-1:111122223333:key/0e3f1a2b-0000-4000-8000-000000000000',
    ],
    [
      'platformPrincipals',
      [
        '',
        '*',
        [],
        'platform',
        '111122223333',
        'arn:aws:iam::111122223333:root',
        'arn:aws:iam::111122223333:role/*',
        'arn:aws:iam::*:role/platform',
        'arn:aws:sts::111122223333:assumed-role/platform/session',
        `arn:aws:iam::111122223333:role/${'a/'.repeat(112)}c`,
        [PRINCIPAL, PRINCIPAL],
        Array.from({ length: 21 }, (_, at) => `${PRINCIPAL}${at}`),
      ],
      '1 to 20 different ARNs of IAM roles or users of up to 255 characters, between commas, ' +
        'for example -c platformPrincipals=arn:aws:iam::111122223333:role/platform',
    ],
    [
      'permissionsBoundary',
      ['', 'boundary', BOUNDARY.replace('policy', 'role')],
      'the ARN of an IAM policy, for example -c permissionsBoundary=arn:aws:iam::111122223333:policy/boundary',
    ],
    [
      'authorizerConcurrency',
      [
        '',
        '200',
        'reserved=0',
        'reserved=5,provisioned=6',
        'warm=1',
        {},
        { reserved: 1.5 },
        'reserved=1,reserved=2',
      ],
      'reserved=N, provisioned=N or both between commas, N from 1 to 10000, provisioned no more than reserved, ' +
        'for example -c authorizerConcurrency=reserved=200,provisioned=5',
    ],
    [
      'accountConcurrency',
      ['', '9', '1e3', 0, 1_000_001, true],
      'a whole number from 10 to 1000000, for example -c accountConcurrency=50',
    ],
    ...(
      [
        ['oauthRateLimit', 'rate=500,burst=1000'],
        ['leaksRateLimit', 'rate=20,burst=40'],
        ['defaultRateLimit', 'rate=2500,burst=1250'],
      ] as const
    ).map(([name, example]): [string, unknown[], string] => [
      name,
      [
        '',
        '100',
        'rate=0',
        'rate=1.5',
        'burst=0',
        'rate=100001',
        'rate=1,rate=2',
        'limit=1',
        { rate: -1 },
        { rate: 1, bursts: 2 },
        5,
      ],
      `rate=N, burst=N or both between commas, N from 1 to 100000, for example -c ${name}=${example}`,
    ]),
    [
      'alarmTopic',
      ['', 'on-call', `${TOPIC}.fifo`],
      'the ARN of an SNS topic that is not FIFO, for example -c alarmTopic=arn:aws:sns:eu-west-1:111122223333:on-call',
    ],
    [
      'logRetention',
      ['', '31', 0, -1, '9999', 'forever'],
      'days that CloudWatch Logs knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, ' +
        '2192, 2557, 2922, 3288, 3653, for example -c logRetention=90',
    ],
    [
      'tags',
      ['', 'team', 'aws:team=x', 'a=1,a=2', 'team=<x>', { team: true }, manyTags],
      'at most 40 tags as name=value between commas, letters, digits, spaces and _.:/=+-@ in them, ' +
        'for example -c tags=team=platform,cost-centre=4711',
    ],
  ])(
    "the error for an invalid %s contains the setting's name, its rule and an example",
    (name, values, rule) => {
      for (const value of values) {
        expect(messageOf({ issuer: ISSUER, audience: 'keys', [name]: value })).toBe(
          `${name} must be ${rule}.`,
        );
      }
    },
  );

  it.each([
    ['domainName', { domainName: 'keys.example.com' }],
    ['certificateArn', { certificateArn: CERTIFICATE }],
    ['webAclArn', { webAclArn: WEB_ACL }],
    [
      'certificateArn',
      {
        domainName: 'keys.example.com',
        certificateArn: CERTIFICATE.replace('us-east-1', 'eu-west-1'),
        webAclArn: WEB_ACL,
      },
    ],
  ])('readSettings rejects %s if a setting that it requires is missing: %j', (name, context) => {
    expect(messageOf(context)).toMatch(new RegExp(`^${name} must be .*come with`));
  });

  it('readSettings accepts properties of the construct whose values become known only at deployment', () => {
    const stack = new Stack();
    const topic = new Topic(stack, 'Topic').topicArn;
    const key = new Key(stack, 'Key').keyArn;
    const issuer = new UserPool(stack, 'Pool').userPoolProviderUrl;
    const lambda = new ServicePrincipal('lambda.amazonaws.com');
    const platformPrincipals = [new Role(stack, 'Role', { assumedBy: lambda }).roleArn];
    const settings = { issuer, audience: 'keys', alarmTopic: topic, encryptionKey: key, platformPrincipals };
    const config = readSettings(settings);
    expect(config.signIn?.issuer).toBe(issuer);
    expect(config).toMatchObject({ alarmTopic: topic, encryptionKey: key, platformPrincipals });
  });

  it('readSettings accepts the CDK types of durations, log retention, keys, topics and certificates', () => {
    const stack = new Stack();
    expect(
      readSettings({
        tokenLifetime: Duration.hours(12),
        slideInterval: Duration.seconds(0),
        maxTokenLifetime: Duration.days(30),
        maxIdleDays: Duration.hours(48),
        maxKeyDays: Duration.days(90),
        logRetention: RetentionDays.THREE_MONTHS,
        encryptionKey: Key.fromKeyArn(stack, 'Key', KEY),
        alarmTopic: Topic.fromTopicArn(stack, 'Topic', TOPIC),
        domainName: 'keys.example.com',
        certificateArn: Certificate.fromCertificateArn(stack, 'Certificate', CERTIFICATE),
      }),
    ).toMatchObject({
      tokenLifetime: 43_200,
      slideInterval: 0,
      maxTokenLifetime: 2_592_000,
      maxIdleDays: 2,
      maxKeyDays: 90,
      logRetention: 90,
      encryptionKey: KEY,
      alarmTopic: TOPIC,
      domain: { domainName: 'keys.example.com', certificateArn: CERTIFICATE },
    });
  });

  it.each([
    ['tokenLifetime', Duration.millis(1500)],
    ['tokenLifetime', Duration.seconds(0)],
    ['tokenLifetime', Duration.seconds(Lazy.number({ produce: () => 60 }))],
    ['maxKeyDays', Duration.hours(36)],
    ['logRetention', RetentionDays.INFINITE],
    ['encryptionKey', Alias.fromAliasName(new Stack(), 'Alias', 'alias/keys')],
    ['encryptionKey', Topic.fromTopicArn(new Stack(), 'Topic', TOPIC)],
    ['alarmTopic', Topic.fromTopicArn(new Stack(), 'Topic', `${TOPIC}.fifo`)],
    ['alarmTopic', new Topic(new Stack(), 'Topic', { fifo: true })],
    ['certificateArn', {}],
  ])('readSettings rejects a CDK object that breaks the rule of %s', (name, value) => {
    const { rule } = describedSettings().find((setting) => setting.name === name) as { rule: string };
    expect(messageOf({ [name]: value })).toContain(`${name} must be ${rule}, for example -c ${name}=`);
  });

  it('readSettings requires an audience if an issuer is configured', () => {
    expect(messageOf({ issuer: ISSUER })).toBe(
      'audience must be 1 to 50 different words of up to 256 printable characters, between commas, ' +
        'for example -c audience=deployment-keys,platform-cli.',
    );
  });

  it('readSettings rejects settings of an issuer if no issuer is configured', () => {
    expect(messageOf({ adminGroup: 'admins', audience: 'keys' })).toBe(
      `audience, adminGroup must come with issuer, for example -c issuer=${ISSUER}.`,
    );
  });

  it('the error for an unknown setting suggests the most similar setting and lists all settings', () => {
    const all = describedSettings().map(({ name }) => name);
    expect(messageOf({ tokenLifetme: '3' })).toBe(
      `tokenLifetme is not a setting. Did you mean tokenLifetime? The settings are ${all.join(', ')}, ` +
        'for example -c stage=production.',
    );
  });

  it('the error for a misspelled setting suggests the intended setting', () => {
    const names = describedSettings().map(({ name }) => name);
    const mistyped = fc.constantFrom(...names).chain((name) =>
      fc.nat(name.length - 1).map((at) => ({
        name,
        given: [
          name.slice(0, at) + name.slice(at + 1),
          `${name.slice(0, at)}z${name.slice(at)}`,
          `${name.slice(0, at)}z${name.slice(at + 1)}`,
          name.toLowerCase(),
        ].filter((text) => !names.includes(text as never)),
      })),
    );
    fc.assert(
      fc.property(mistyped, ({ name, given }) => {
        for (const text of given) expect(messageOf({ [text]: 'x' })).toContain(`Did you mean ${name}?`);
      }),
    );
  });

  it('the error for an unknown setting suggests nothing if no setting is similar', () => {
    expect(messageOf({ retries: 3 })).toMatch(/^retries is not a setting\. The settings are stage, /);
  });

  it("an error about a setting never contains the setting's value, because it could be a password", () => {
    expect(messageOf({ issuer: 'https://user:canary@login.example.com' })).not.toContain('canary');
  });

  it('readSettings reports all errors in the settings at once, one per line', () => {
    expect(messageOf({ stage: 'test', slideInterval: 'x' })).toBe(
      'stage must be development or production, for example -c stage=production.\n' +
        'slideInterval must be whole seconds from 0 to 86400, for example -c slideInterval=300.',
    );
  });

  it("readSettings ignores the CDK's own context keys", () => {
    expect(readSettings({ '@aws-cdk/core:checkSecretUsage': true, 'cli-telemetry': false }).stage).toBe(
      'development',
    );
  });
});

describe('The settings are documented', () => {
  it('docs/settings.md and the properties of DeploymentKeys are up to date (npm run generate updates them)', () => {
    expect(readFileSync(PAGE, 'utf8')).toBe(describedIn(PAGE));
    expect(readFileSync(PROPS, 'utf8')).toBe(propsText());
  });

  it.each(describedSettings())(
    'the setting $name has a description and a valid example, and a test of the template uses the setting',
    ({ name, example }) => {
      const value = example.replace(/^'(.*)'$/, '$1');
      const others = { ...EVERYTHING, trustedIssuers: 'none' };
      expect(() => readSettings({ ...others, [name]: value })).not.toThrow();
      expect(EVERYTHING).toHaveProperty(name);
    },
  );
});

describe('Settings with fields accept every field of their interfaces, and no others', () => {
  it('deploymentsSource accepts every field of DeploymentsSource', () => {
    const source: Required<DeploymentsSource> & { deletions: Required<DeletionLimit> } = {
      table: 'arn:aws:dynamodb:eu-west-1:111122223333:table/platform',
      stream: 'arn:aws:dynamodb:eu-west-1:111122223333:table/platform/stream/2026-01-01T00:00:00.000',
      id: 'deploymentId',
      name: 'label',
      groups: 'teams',
      where: { type: 'deployment' },
      deleted: { status: ['deleted', 'gone'], live: { exists: false } },
      deletions: { perHour: 5, share: 0.1 },
      encryptionKey: KEY,
    };
    const read = readSettings({ deploymentsSource: source }).deploymentsSource;
    expect(read).toStrictEqual(source);
    expectTypeOf<keyof NonNullable<typeof read>>().toEqualTypeOf<keyof DeploymentsSource>();
    expectTypeOf<keyof NonNullable<NonNullable<typeof read>['deletions']>>().toEqualTypeOf<
      keyof DeletionLimit
    >();
  });

  it('trustedIssuers accepts every field of TrustedIssuerInput', () => {
    const issuer: Required<TrustedIssuerInput> = {
      issuer: 'https://ci.example.com',
      preset: 'gitlab',
      jwks: { keys: [{ kty: 'EC', crv: 'P-256', x: JWK.x, y: JWK.y }] },
      bind: ['project_id'],
      audience: 'https://keys.example.com',
    };
    expect(readSettings({ trustedIssuers: [issuer] }).trustedIssuers).toStrictEqual([issuer]);
    expectTypeOf<Exclude<keyof TrustedIssuerInput, 'jwks'>>().toEqualTypeOf<
      Exclude<keyof IssuerEntry, 'hasInlineKeys'>
    >();
  });

  it('defaultRateLimit accepts every field of RateLimit', () => {
    const limit: Required<RateLimit> = { rate: 7, burst: 8 };
    const read = readSettings({ defaultRateLimit: limit }).defaultRateLimit;
    expect(read).toStrictEqual(limit);
    expectTypeOf<keyof typeof read>().toEqualTypeOf<keyof RateLimit>();
  });
});
