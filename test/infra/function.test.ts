import { describe, expect, it } from 'vitest';
import * as ENV from '../../functions/runtime/env.ts';
import { functionNames } from '../../infra/bundle.ts';
import { ARN, idAt, type Json, resourceAt, SOURCE, templateOf, WITH_ISSUER } from '../support/template.ts';

/** Deployed by a construct into other stacks, not by the service. See test/infra/deployment-key-secret.test.ts. */
const FOR_OTHERS = ['deployment-key-secret'];
const FILES = [
  'authorize',
  'console',
  'introspect',
  'issue-token',
  'list-events',
  'manage-deployments',
  'manage-keys',
  'manage-temporary-tokens',
  'metadata',
  'publish-events',
  'purge',
  'reconcile',
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
  consoleClientId: 'console',
  maxTokenLifetime: 2_592_000,
  maxIdleDays: 90,
  deploymentsSource: SOURCE,
  platformPrincipals: [ARN.PRINCIPAL, 'arn:aws:iam::111122223333:user/ada'],
};
const template = templateOf(context);
const at = (file: string): Json => resourceAt(template, `${pascal(file)}/Function`);
const tableName = { Ref: idAt(template, 'Table/Default') };

describe('the Lambda functions', () => {
  it('the Lambda functions are the files directly in functions/, each found in the template under its own name', () => {
    expect(functionNames()).toStrictEqual([...FILES, ...FOR_OTHERS].sort());
    template.resourceCountIs('AWS::Lambda::Function', FILES.length);
    expect(FILES.map((file) => at(file).Type)).toStrictEqual(FILES.map(() => 'AWS::Lambda::Function'));
  });

  it.each(FILES)('%s runs on Node 24 and ARM from its own bundle', (file) => {
    expect(at(file).Properties).toMatchObject({
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
      Handler: 'index.handler',
      Code: { S3Key: expect.stringMatching(/^[0-9a-f]{64}\.zip$/) },
    });
  });

  it.each([
    ['authorize', 256, 5],
    ['whoami', 256, 5],
    ['issue-token', 256, 10],
    ['introspect', 256, 10],
    ['revoke', 256, 10],
    ['metadata', 256, 5],
    ['console', 256, 5],
    ['manage-deployments', 256, 10],
    ['manage-keys', 256, 10],
    ['manage-temporary-tokens', 256, 10],
    ['list-events', 256, 10],
    ['report-leak', 256, 10],
    ['publish-events', 256, 30],
    ['sweep-keys', 256, 900],
    ['purge', 512, 60],
    ['reconcile', 512, 300],
    ['sync-deployments', 256, 60],
  ])('%s has %d MiB of memory and a time limit of %d seconds', (file, memory, timeout) => {
    expect(at(file).Properties).toMatchObject({ MemorySize: memory, Timeout: timeout });
  });

  it.each(FILES)('%s logs to its own log group with a retention of one month', (file) => {
    const logs = resourceAt(template, `${pascal(file)}/Logs`);
    expect(at(file).Properties.LoggingConfig).toStrictEqual({ LogGroup: { Ref: logs.id } });
    expect(logs.Properties).toStrictEqual({ RetentionInDays: 30 });
  });

  it('the Lambda functions keep their logs after the stack is deleted in production, but not in development', () => {
    const policies = (stage: string) =>
      FILES.map(
        (file) =>
          resourceAt(templateOf({ stage, deploymentsSource: SOURCE }), `${pascal(file)}/Logs`).DeletionPolicy,
      );
    expect(new Set(policies('production'))).toStrictEqual(new Set(['Retain']));
    expect(new Set(policies('development'))).toStrictEqual(new Set(['Delete']));
  });

  const scopes = { [ENV.scopes]: 'code:deploy airflow:read airflow:write' };
  const tokens = {
    [ENV.tokenLifetime]: '86400',
    [ENV.slideInterval]: '300',
    [ENV.maxTokenLifetime]: '2592000',
    [ENV.lastUsedFrom]: 'full',
    ...scopes,
  };
  const trust = { [ENV.trustedIssuers]: 'https://token.actions.githubusercontent.com https://gitlab.com' };
  const idle = { [ENV.maxIdleDays]: '90' };
  const sourced = { [ENV.deploymentsSource]: JSON.stringify(SOURCE) };
  const metrics = { [ENV.stackName]: 'deployment-api-keys-development' };
  const people = {
    [ENV.groupsClaim]: 'groups',
    [ENV.adminGroup]: 'platform-admins',
    [ENV.adminScope]: 'deployments:admin',
    [ENV.platformPrincipals]: `${ARN.PRINCIPAL} arn:aws:iam::111122223333:user/ada`,
  };
  it.each([
    ['authorize', { ...tokens, ...metrics }],
    ['whoami', { ...tokens, ...metrics }],
    ['issue-token', { ...tokens, ...metrics, ...idle, ...trust }],
    ['introspect', { ...tokens, ...metrics, ...idle }],
    ['revoke', { ...metrics, ...idle }],
    ['sweep-keys', { ...metrics, ...idle }],
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
    ['report-leak', { ...tokens, ...metrics }],
    ['manage-deployments', { ...metrics, ...people, ...sourced }],
    ['manage-keys', { ...metrics, ...people, ...scopes, ...idle, ...trust }],
    ['manage-temporary-tokens', { ...metrics, ...people, ...scopes }],
    [
      'purge',
      { ...metrics, [ENV.continuationQueueUrl]: { Ref: idAt(template, 'PurgeSources/Continuations') } },
    ],
  ])('%s gets the table name and only the variables that it needs', (file, environment) => {
    expect(at(file).Properties.Environment.Variables).toStrictEqual({
      [ENV.tableName]: tableName,
      ...environment,
    });
  });

  it('publish-events gets the event bus, and no table', () => {
    expect(at('publish-events').Properties.Environment.Variables).toStrictEqual({
      [ENV.eventBusName]: { Ref: idAt(template, 'EventBus/Default') },
    });
  });

  it('metadata gets the scopes and the trusted issuers, and no table', () => {
    expect(at('metadata').Properties.Environment.Variables).toStrictEqual({ ...scopes, ...trust });
  });

  it('console gets the sign-in issuer, its client and the trusted issuers, and no table', () => {
    const told = (context: Record<string, unknown>) =>
      resourceAt(templateOf(context), 'Console/Function').Properties.Environment.Variables;
    expect(told(context)).toStrictEqual({
      [ENV.issuer]: WITH_ISSUER.issuer,
      [ENV.consoleClientId]: 'console',
      [ENV.consoleScopes]: 'openid profile email',
      ...scopes,
      ...trust,
    });
    const elsewhere = {
      consoleScopes: 'openid,keys/use',
      consoleOrigins: 'https://a.example.com,https://b.example.com',
    };
    expect(told({ ...context, ...elsewhere })).toMatchObject({
      [ENV.consoleScopes]: 'openid keys/use',
      [ENV.consoleOrigins]: 'https://a.example.com https://b.example.com',
    });
  });

  it('the Lambda functions include no console when the issuer has no client for it', () => {
    const paths = Object.values<Json>(templateOf(WITH_ISSUER).findResources('AWS::Lambda::Function')).map(
      (resource) => resource.Metadata['aws:cdk:path'],
    );
    expect(paths).toHaveLength(FILES.length - 2);
    expect(paths.join(' ')).not.toContain('Console');
  });

  it('the Lambda functions get no variables for settings that are not configured', () => {
    const namesIn = (context: Record<string, unknown>) =>
      Object.values<Json>(templateOf(context).findResources('AWS::Lambda::Function')).flatMap((resource) =>
        Object.keys(resource.Properties.Environment.Variables),
      );
    const byGroup = namesIn(WITH_ISSUER);
    expect(byGroup).not.toContain(ENV.maxTokenLifetime);
    expect(byGroup).not.toContain(ENV.adminScope);
    expect(byGroup).not.toContain(ENV.platformPrincipals);
    const { issuer, audience } = WITH_ISSUER;
    expect(namesIn({ issuer, audience, adminScope: 'admin' })).not.toContain(ENV.adminGroup);
  });

  it('may not invoke themselves recursively, except the purge, whose every message leaves less to delete', () => {
    expect(FILES.map((file) => [file, at(file).Properties.RecursiveLoop])).toStrictEqual([
      ['authorize', 'Terminate'],
      ['console', 'Terminate'],
      ['introspect', 'Terminate'],
      ['issue-token', 'Terminate'],
      ['list-events', 'Terminate'],
      ['manage-deployments', 'Terminate'],
      ['manage-keys', 'Terminate'],
      ['manage-temporary-tokens', 'Terminate'],
      ['metadata', 'Terminate'],
      ['publish-events', 'Terminate'],
      ['purge', 'Allow'],
      ['reconcile', 'Terminate'],
      ['report-leak', 'Terminate'],
      ['revoke', 'Terminate'],
      ['sweep-keys', 'Terminate'],
      ['sync-deployments', 'Terminate'],
      ['whoami', 'Terminate'],
    ]);
  });
});
