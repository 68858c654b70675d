import { describe, expect, it } from 'vitest';
import { ConfigError, readConfig } from '../../infra/config.ts';

const ISSUER = 'https://login.example.com/realms/staff';

function refusalOf(context: Record<string, unknown>): string {
  try {
    readConfig(context);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('It was accepted.');
}

describe('configuration', () => {
  it('without a word of context is a development stack with a user pool of its own and access for 24 hours', () => {
    expect(readConfig({})).toStrictEqual({
      stage: 'development',
      tokenLifetime: 86_400,
      slideInterval: 300,
      scopes: ['code:deploy', 'airflow:read', 'airflow:write'],
    });
  });

  it('with an issuer and an audience makes nobody an administrator unless it is told whom', () => {
    expect(readConfig({ issuer: ISSUER, audience: 'keys' }).signIn).toStrictEqual({
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

  it('reads every value as the string that -c passes', () => {
    expect(
      readConfig({
        stage: 'production',
        issuer: ISSUER,
        audience: 'keys,cli',
        groupsClaim: 'https://example.com/groups',
        adminGroup: 'platform admins',
        adminScope: 'deployments:admin',
        consoleClientId: 'console',
        consoleScopes: 'openid,keys/use',
        consoleOrigins: 'https://token.example.com https://login.example.com:8443',
        tokenLifetime: '3',
        slideInterval: '0',
        maxTokenLifetime: '2592000',
        scopes: 'code:deploy,dags',
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
      tokenLifetime: 3,
      slideInterval: 0,
      maxTokenLifetime: 2_592_000,
      scopes: ['code:deploy', 'dags'],
    });
  });

  it('reads numbers and lists as cdk.json has them', () => {
    const config = readConfig({
      issuer: ISSUER,
      audience: ['keys', 'cli'],
      tokenLifetime: 60,
      slideInterval: 5,
      maxTokenLifetime: 60,
      scopes: ['dags:read'],
    });
    expect(config).toMatchObject({
      tokenLifetime: 60,
      slideInterval: 5,
      maxTokenLifetime: 60,
      scopes: ['dags:read'],
    });
    expect(config.signIn?.audience).toStrictEqual(['keys', 'cli']);
  });

  it.each([
    'https://login.example.com',
    'https://login.example.com/',
    'http://127.0.0.1:9000',
    'http://localhost:9000/oidc',
    'http://[::1]:9000',
  ])('takes %s as an issuer, to the letter', (issuer) => {
    expect(readConfig({ issuer, audience: 'keys' }).signIn?.issuer).toBe(issuer);
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
  ])('refuses %j as an issuer', (issuer) => {
    expect(refusalOf({ issuer, audience: 'keys' })).toBe(
      'issuer must be an https URL without query, fragment or credentials (http for a loopback host alone), ' +
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
  ])('refuses a wrong %s, naming it, its rule and an example', (name, values, rule) => {
    for (const value of values) {
      expect(refusalOf({ issuer: ISSUER, audience: 'keys', [name]: value })).toBe(`${name} must be ${rule}.`);
    }
  });

  it('asks for the audience that belongs to an issuer', () => {
    expect(refusalOf({ issuer: ISSUER })).toBe(
      'audience must be 1 to 50 different words of up to 256 printable characters, between commas, ' +
        'for example -c audience=deployment-keys,platform-cli.',
    );
  });

  it('refuses what belongs to an issuer where there is none', () => {
    expect(refusalOf({ adminGroup: 'admins', audience: 'keys' })).toBe(
      `audience, adminGroup must come with issuer, for example -c issuer=${ISSUER}.`,
    );
  });

  it('refuses a key that it does not know, and names those it knows', () => {
    expect(refusalOf({ tokenLifetme: '3' })).toBe(
      'tokenLifetme is unknown: the settings are stage, issuer, audience, groupsClaim, adminGroup, adminScope, consoleClientId, ' +
        'consoleScopes, consoleOrigins, tokenLifetime, slideInterval, maxTokenLifetime, scopes, consumerAccounts, for example -c stage=production.',
    );
  });

  it('does not repeat a value, which may hold a password', () => {
    expect(refusalOf({ issuer: 'https://user:canary@login.example.com' })).not.toContain('canary');
  });

  it('says all that is wrong at once, a line each', () => {
    expect(refusalOf({ stage: 'test', slideInterval: 'x' })).toBe(
      'stage must be development or production, for example -c stage=production.\n' +
        'slideInterval must be whole seconds from 0 to 86400, for example -c slideInterval=300.',
    );
  });

  it('leaves alone what the CDK keeps in its context', () => {
    expect(readConfig({ '@aws-cdk/core:checkSecretUsage': true, 'cli-telemetry': false }).stage).toBe(
      'development',
    );
  });
});
