import { describe, expect, it } from 'vitest';
import * as ENV from '../../functions/runtime/env.ts';
import { functionNames } from '../../infra/bundle.ts';
import { WARMED_UP } from '../../infra/bundles.ts';
import { ARN, idAt, type Json, resourceAt, SOURCE, templateOf, WITH_ISSUER } from '../support/template.ts';

/**
 * Functions that are not part of this stack. A construct deploys `deployment-key-secret` into other stacks, and only a
 * stack with its own user pool has `add-name-to-token`. See test/infra/deployment-key-secret.test.ts and
 * test/infra/user-pool.test.ts.
 */
const FOR_OTHERS = ['add-name-to-token', 'deployment-key-secret'];
const FILES = [
  'authorize',
  'console',
  'end-access',
  'introspect',
  'issue-token',
  'list-events',
  'manage-deployments',
  'manage-keys',
  'manage-people',
  'manage-temporary-tokens',
  'metadata',
  'publish-events',
  'purge',
  'reconcile',
  'reference',
  'report-leak',
  'revoke',
  'sweep-keys',
  'sync-deployments',
  'whoami',
];
const pascal = (file: string) =>
  file.replace(/(^|-)(.)/g, (_, _dash, letter: string) => letter.toUpperCase());

const context = {
  ...WITH_ISSUER,
  adminScope: 'deployments:admin',
  nameClaim: 'name',
  consoleClientId: 'console',
  maxTokenLifetime: 2_592_000,
  maxIdleDays: 90,
  maxKeyDays: 180,
  keysWithSecrets: false,
  deploymentsSource: SOURCE,
  platformPrincipals: [ARN.PRINCIPAL, 'arn:aws:iam::111122223333:user/ada'],
};
const template = templateOf(context);
const at = (file: string): Json => resourceAt(template, `${pascal(file)}/Function`);
const tableName = { Ref: idAt(template, 'Table/Default') };

describe('All Lambda functions have the same basic configuration', () => {
  it('every file directly in functions/ becomes a Lambda function that the template names after the file', () => {
    expect(functionNames()).toStrictEqual([...FILES, ...FOR_OTHERS].sort());
    template.resourceCountIs('AWS::Lambda::Function', FILES.length);
    expect(FILES.map((file) => at(file).Type)).toStrictEqual(FILES.map(() => 'AWS::Lambda::Function'));
  });

  it.each(FILES)('%s runs on Node 24 and ARM from its own bundle', (file) => {
    expect(at(file).Properties).toMatchObject({
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
      Handler: WARMED_UP.includes(file) ? 'entry.handler' : 'index.handler',
      Code: { S3Key: expect.stringMatching(/^[0-9a-f]{64}\.zip$/) },
    });
  });

  it.each(FILES)('%s logs as JSON at level INFO and above, and Lambda itself logs only warnings', (file) => {
    expect(at(file).Properties.LoggingConfig).toStrictEqual({
      ApplicationLogLevel: 'INFO',
      LogFormat: 'JSON',
      LogGroup: expect.any(Object),
      SystemLogLevel: 'WARN',
    });
  });

  it('with platformLogs, Lambda logs the start, end and duration of each call', () => {
    const verbose = templateOf({ ...context, platformLogs: true });
    for (const file of FILES) {
      const { LoggingConfig } = resourceAt(verbose, `${pascal(file)}/Function`).Properties;
      expect(LoggingConfig).toMatchObject({ LogFormat: 'JSON', SystemLogLevel: 'INFO' });
    }
  });

  it.each([
    ['authorize', 256, 5],
    ['whoami', 256, 5],
    ['issue-token', 256, 10],
    ['introspect', 256, 10],
    ['revoke', 256, 10],
    ['metadata', 256, 5],
    ['reference', 256, 5],
    ['console', 256, 5],
    ['manage-deployments', 256, 10],
    ['manage-keys', 256, 10],
    ['manage-temporary-tokens', 256, 10],
    ['list-events', 256, 10],
    ['manage-people', 256, 10],
    ['end-access', 256, 300],
    ['report-leak', 256, 10],
    ['publish-events', 512, 30],
    ['sweep-keys', 512, 900],
    ['purge', 512, 60],
    ['reconcile', 512, 300],
    ['sync-deployments', 512, 60],
  ])('%s has %d MiB of memory and a timeout of %d seconds', (file, memory, timeout) => {
    expect(at(file).Properties).toMatchObject({ MemorySize: memory, Timeout: timeout });
  });

  it('the memory setting changes only the memory of the function groups that it names', () => {
    const given = templateOf({ ...context, memory: 'checks=1024,jobs=128' });
    const memoryOf = (file: string) => resourceAt(given, `${pascal(file)}/Function`).Properties.MemorySize;
    const files = {
      1024: ['authorize', 'whoami'],
      128: ['purge', 'reconcile', 'sweep-keys', 'publish-events', 'sync-deployments'],
    };
    for (const file of FILES) {
      const [changed] = Object.entries(files).find(([, names]) => names.includes(file)) ?? ['256'];
      expect(memoryOf(file), file).toBe(Number(changed));
    }
  });

  it.each(FILES)('%s logs to its own log group with a retention of one month', (file) => {
    const logs = resourceAt(template, `${pascal(file)}/Logs`);
    expect(at(file).Properties.LoggingConfig).toMatchObject({ LogGroup: { Ref: logs.id } });
    expect(logs.Properties).toStrictEqual({ RetentionInDays: 30 });
  });

  it("the Lambda functions' logs are kept after the stack is deleted in production, but not in development", () => {
    const policies = (stage: string) =>
      FILES.map(
        (file) =>
          resourceAt(templateOf({ stage, deploymentsSource: SOURCE }), `${pascal(file)}/Logs`).DeletionPolicy,
      );
    expect(new Set(policies('production'))).toStrictEqual(new Set(['RetainExceptOnCreate']));
    expect(new Set(policies('development'))).toStrictEqual(new Set(['Delete']));
  });

  const scopes = { [ENV.scopes]: 'code:deploy airflow:read airflow:write' };
  const issuer = { [ENV.issuer]: WITH_ISSUER.issuer };
  const queue = { [ENV.peopleQueueUrl]: { Ref: idAt(template, 'PeopleJob/Queue') } };
  const tokens = {
    ...issuer,
    [ENV.tokenLifetime]: '86400',
    [ENV.slideInterval]: '300',
    [ENV.maxTokenLifetime]: '2592000',
    [ENV.lastUsedFrom]: 'full',
    ...scopes,
  };
  const trust = { [ENV.trustedIssuers]: 'https://token.actions.githubusercontent.com https://gitlab.com' };
  const idle = { [ENV.maxIdleDays]: '90' };
  const policy = { [ENV.maxKeyDays]: '180', [ENV.keysWithSecrets]: 'false' };
  const sourced = { [ENV.deploymentsSource]: JSON.stringify(SOURCE) };
  const metrics = { [ENV.stackName]: 'deployment-api-keys-development' };
  const administrators = {
    ...issuer,
    [ENV.groupsClaim]: 'groups',
    [ENV.adminGroup]: 'platform-admins',
    [ENV.adminScope]: 'deployments:admin',
    [ENV.nameClaim]: 'name',
  };
  const people = {
    ...administrators,
    [ENV.platformPrincipals]: `${ARN.PRINCIPAL} arn:aws:iam::111122223333:user/ada`,
  };
  it.each([
    ['authorize', { ...tokens, ...metrics }],
    ['whoami', { ...tokens, ...metrics }],
    ['issue-token', { ...tokens, ...metrics, ...idle, ...trust }],
    ['introspect', { ...tokens, ...metrics, ...idle }],
    ['revoke', { ...metrics, ...idle }],
    ['sweep-keys', { ...metrics, ...idle, ...policy, ...trust }],
    ['reconcile', { ...metrics, ...sourced }],
    [
      'sync-deployments',
      {
        ...metrics,
        ...sourced,
        [ENV.refusedChangesQueueUrl]: { Ref: idAt(template, 'DeploymentsSource/Failures') },
      },
    ],
    ['list-events', { ...metrics, ...people }],
    ['manage-people', { ...metrics, ...people, ...queue }],
    ['end-access', { ...metrics, ...queue }],
    ['report-leak', { ...tokens, ...metrics }],
    ['manage-deployments', { ...metrics, ...people, ...sourced }],
    ['manage-keys', { ...metrics, ...people, ...tokens, ...idle, ...policy, ...trust }],
    ['manage-temporary-tokens', { ...metrics, ...people, ...scopes }],
    [
      'purge',
      { ...metrics, [ENV.continuationQueueUrl]: { Ref: idAt(template, 'PurgeSources/Continuations') } },
    ],
  ])('%s gets the table name and only those environment variables that it needs', (file, environment) => {
    expect(at(file).Properties.Environment.Variables).toStrictEqual({
      [ENV.tableName]: tableName,
      ...environment,
    });
  });

  it('the publish-events function gets the name of the event bus, but not of the table', () => {
    expect(at('publish-events').Properties.Environment.Variables).toStrictEqual({
      [ENV.eventBusName]: { Ref: idAt(template, 'EventBus/Default') },
    });
  });

  it('the function that serves the API reference gets no environment variables', () => {
    expect(at('reference').Properties.Environment).toBeUndefined();
  });

  it('the metadata function gets the names of the scopes and the trusted issuers, but not the name of the table', () => {
    expect(at('metadata').Properties.Environment.Variables).toStrictEqual({ ...scopes, ...trust });
  });

  it('the console function gets the settings that the console shows, but not the name of the table', () => {
    const configured = (context: Record<string, unknown>) =>
      resourceAt(templateOf(context), 'Console/Function').Properties.Environment.Variables;
    expect(configured(context)).toStrictEqual({
      [ENV.consoleClientId]: 'console',
      [ENV.consoleScopes]: 'openid profile email',
      ...administrators,
      ...scopes,
      ...policy,
      ...trust,
    });
    const elsewhere = {
      consoleScopes: 'openid,keys/use',
      consoleOrigins: 'https://a.example.com,https://b.example.com',
    };
    expect(configured({ ...context, ...elsewhere })).toMatchObject({
      [ENV.consoleScopes]: 'openid keys/use',
      [ENV.consoleOrigins]: 'https://a.example.com https://b.example.com',
    });
  });

  it('the stack has no console function if the issuer has no client for the console', () => {
    const paths = Object.values<Json>(templateOf(WITH_ISSUER).findResources('AWS::Lambda::Function')).map(
      (resource) => resource.Metadata['aws:cdk:path'],
    );
    expect(paths).toHaveLength(FILES.length - 2);
    expect(paths.join(' ')).not.toContain('Console');
  });

  it('the Lambda functions get no environment variables for settings that are not configured', () => {
    const namesIn = (context: Record<string, unknown>) =>
      Object.values<Json>(templateOf(context).findResources('AWS::Lambda::Function')).flatMap((resource) =>
        Object.keys(resource.Properties.Environment?.Variables ?? {}),
      );
    const byGroup = namesIn(WITH_ISSUER);
    expect(byGroup).not.toContain(ENV.maxTokenLifetime);
    expect(byGroup).not.toContain(ENV.adminScope);
    expect(byGroup).not.toContain(ENV.platformPrincipals);
    const { issuer, audience } = WITH_ISSUER;
    expect(namesIn({ issuer, audience, adminScope: 'admin' })).not.toContain(ENV.adminGroup);
  });

  it("only the purge and the job that ends people's access can invoke themselves recursively, because each message leaves less work", () => {
    expect(FILES.map((file) => [file, at(file).Properties.RecursiveLoop])).toStrictEqual([
      ['authorize', 'Terminate'],
      ['console', 'Terminate'],
      ['end-access', 'Allow'],
      ['introspect', 'Terminate'],
      ['issue-token', 'Terminate'],
      ['list-events', 'Terminate'],
      ['manage-deployments', 'Terminate'],
      ['manage-keys', 'Terminate'],
      ['manage-people', 'Terminate'],
      ['manage-temporary-tokens', 'Terminate'],
      ['metadata', 'Terminate'],
      ['publish-events', 'Terminate'],
      ['purge', 'Allow'],
      ['reconcile', 'Terminate'],
      ['reference', 'Terminate'],
      ['report-leak', 'Terminate'],
      ['revoke', 'Terminate'],
      ['sweep-keys', 'Terminate'],
      ['sync-deployments', 'Terminate'],
      ['whoami', 'Terminate'],
    ]);
  });
});
