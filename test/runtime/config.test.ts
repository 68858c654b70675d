import { describe, expect, it } from 'vitest';
import {
  readAwsAccess,
  readJobConfig,
  readManagementConfig,
  readPurgeConfig,
  readScopes,
  readTokenConfig,
} from '../../functions/runtime/config.ts';

const whole = {
  ISSUER: 'https://login.test',
  TABLE_NAME: 'keys',
  TOKEN_LIFETIME_SECONDS: '86400',
  SLIDE_INTERVAL_SECONDS: '300',
  SCOPES: 'code:deploy airflow:read',
  LAST_USED_FROM: 'full',
};

describe('Functions read their configuration from environment variables', () => {
  it('reads every configuration variable, and leaves out optional ones that are not set', () => {
    expect(readTokenConfig(whole)).toEqual({
      tableName: 'keys',
      issuer: 'https://login.test',
      rules: {
        tokenLifetime: 86400,
        slideInterval: 300,
        maxTokenLifetime: undefined,
        scopes: ['code:deploy', 'airflow:read'],
        lastUsedFrom: 'full',
      },
    });
    expect(readManagementConfig({ ...whole, GROUPS_CLAIM: 'groups', ADMIN_GROUP: 'admins' })).toEqual({
      tableName: 'keys',
      callers: {
        people: {
          issuer: 'https://login.test',
          groupsClaim: 'groups',
          adminGroup: 'admins',
          adminScope: undefined,
        },
        platformPrincipals: [],
      },
    });
    expect(readScopes(whole)).toEqual(['code:deploy', 'airflow:read']);
  });

  it('names every configuration variable that is missing or invalid, but does not repeat its value', () => {
    expect(() =>
      readTokenConfig({ TOKEN_LIFETIME_SECONDS: '0', SLIDE_INTERVAL_SECONDS: '-1', SCOPES: 'A' }),
    ).toThrow(
      new Error(
        'The function is not configured: TABLE_NAME must be set; ISSUER must be set; ' +
          'TOKEN_LIFETIME_SECONDS must be whole seconds, at least 1; ' +
          'SLIDE_INTERVAL_SECONDS must be whole seconds, at least 0; ' +
          'SCOPES must be scopes with one space between; LAST_USED_FROM must be full, truncated or off.',
      ),
    );
    expect(() => readPurgeConfig({ TABLE_NAME: 'keys' })).toThrow(
      new Error('The function is not configured: CONTINUATION_QUEUE_URL must be set.'),
    );
  });

  it('reads the write units per second of a job, which must be a positive number', () => {
    const read = (units?: string) => readJobConfig({ TABLE_NAME: 'keys', WRITE_UNITS_PER_SECOND: units });
    expect(read()).toStrictEqual({ tableName: 'keys', writeUnits: undefined });
    expect(read('1.04')).toStrictEqual({ tableName: 'keys', writeUnits: 1.04 });
    for (const units of ['0', '0.00', '-1', '1e3', 'Infinity', 'x', '1.']) {
      expect(() => read(units), units).toThrow(
        new Error(
          'The function is not configured: ' +
            'WRITE_UNITS_PER_SECOND must be a number of write units per second, or be left out.',
        ),
      );
    }
  });

  it('treats an empty session token or endpoint as missing, as the AWS SDK does', () => {
    const given = { AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'secret' };
    const access = { region: 'eu-west-1', accessKeyId: 'AKIA', secretAccessKey: 'secret' };
    for (const empty of [undefined, '']) {
      const env = { ...given, AWS_SESSION_TOKEN: empty, AWS_ENDPOINT_URL_DYNAMODB: empty };
      expect(readAwsAccess(env)).toStrictEqual({ ...access, sessionToken: undefined, endpoint: undefined });
    }
    const env = { ...given, AWS_SESSION_TOKEN: 'token', AWS_ENDPOINT_URL_DYNAMODB: 'http://127.0.0.1:8000' };
    expect(readAwsAccess(env)).toStrictEqual({
      ...access,
      sessionToken: 'token',
      endpoint: 'http://127.0.0.1:8000',
    });
    expect(() => readAwsAccess({ ...given, AWS_SECRET_ACCESS_KEY: '' })).toThrow(
      new Error('The function is not configured: AWS_SECRET_ACCESS_KEY must be set.'),
    );
  });

  it('rejects an optional configuration variable if it is set but invalid', () => {
    expect(() => readTokenConfig({ ...whole, MAX_TOKEN_LIFETIME_SECONDS: '1e3' })).toThrow(
      'MAX_TOKEN_LIFETIME_SECONDS must be whole seconds, at least 1, or be left out',
    );
    const managed = { ...whole, GROUPS_CLAIM: 'groups' };
    for (const wrong of ['', '*', 'arn:aws:iam::111122223333:role/a,arn:aws:iam::111122223333:role/*']) {
      expect(() => readManagementConfig({ ...managed, PLATFORM_PRINCIPALS: wrong })).toThrow(
        'PLATFORM_PRINCIPALS must be ARNs of IAM roles and users with one space between, or be left out',
      );
    }
  });
});
