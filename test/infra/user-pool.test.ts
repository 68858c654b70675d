import { describe, expect, it } from 'vitest';
import { paths } from '../../functions/console/paths.ts';
import * as ENV from '../../functions/runtime/env.ts';
import { idAt, type Json, resourceAt, templateOf, WITH_ISSUER } from '../support/template.ts';

const template = templateOf();
const pool = resourceAt(template, 'People/Default');
const client = resourceAt(template, 'People/Default/Console');
const at = (path: string) => ({
  'Fn::Join': ['', [{ 'Fn::GetAtt': [idAt(template, 'Api/Default'), 'ApiEndpoint'] }, path]],
});

describe('without an issuer the stack makes a user pool', () => {
  it('in which nobody signs up', () => {
    expect(pool.Properties.AdminCreateUserConfig).toStrictEqual({ AllowAdminCreateUserOnly: true });
  });

  it('where people sign in by e-mail address and a password of 12 characters, and may add a second factor', () => {
    expect(pool.Properties).toMatchObject({
      UsernameAttributes: ['email'],
      UsernameConfiguration: { CaseSensitive: false },
      Policies: { PasswordPolicy: { MinimumLength: 12, TemporaryPasswordValidityDays: 3 } },
      MfaConfiguration: 'OPTIONAL',
      EnabledMfas: ['SOFTWARE_TOKEN_MFA'],
    });
  });

  it('with a group of administrators, by which the functions know them', () => {
    expect(resourceAt(template, 'People/Default/Administrators').Properties).toStrictEqual({
      GroupName: 'administrators',
      UserPoolId: { Ref: pool.id },
    });
    for (const name of ['ManageDeployments', 'ManageKeys']) {
      const { Variables: variables } = resourceAt(template, `${name}/Function`).Properties.Environment;
      expect(variables).toMatchObject({
        [ENV.groupsClaim]: 'cognito:groups',
        [ENV.adminGroup]: 'administrators',
      });
      expect(variables).not.toHaveProperty(ENV.adminScope);
    }
  });

  it('with a public client that signs people in by code alone and returns them to the console', () => {
    expect(client.Properties).toMatchObject({
      GenerateSecret: false,
      AllowedOAuthFlowsUserPoolClient: true,
      AllowedOAuthFlows: ['code'],
      AllowedOAuthScopes: ['openid', 'email', 'profile'],
      // Cognito compares them to the letter: these are the paths that the console names.
      CallbackURLs: [at(paths.signedIn())],
      LogoutURLs: [at(paths.signedOut())],
      SupportedIdentityProviders: ['COGNITO'],
      PreventUserExistenceErrors: 'ENABLED',
    });
  });

  it('whose client takes a password only from the holder of AWS credentials', () => {
    expect(client.Properties.ExplicitAuthFlows).toStrictEqual([
      'ALLOW_ADMIN_USER_PASSWORD_AUTH',
      'ALLOW_REFRESH_TOKEN_AUTH',
    ]);
  });

  it('with a sign-in page whose name no other stack has', () => {
    const uuid = { 'Fn::Select': [2, { 'Fn::Split': ['/', { Ref: 'AWS::StackId' }] }] };
    expect(resourceAt(template, 'People/Default/Domain').Properties.Domain).toStrictEqual({
      'Fn::Join': ['', ['deployment-keys-', { 'Fn::Select': [4, { 'Fn::Split': ['-', uuid] }] }]],
    });
  });

  it('whose domain the console may talk to, since that swaps codes for tokens', () => {
    const variables = resourceAt(template, 'Console/Function').Properties.Environment.Variables;
    expect(variables[ENV.issuer]).toStrictEqual({ 'Fn::GetAtt': [pool.id, 'ProviderURL'] });
    expect(variables[ENV.consoleClientId]).toStrictEqual({ Ref: client.id });
    expect(variables[ENV.consoleOrigins]).toStrictEqual({
      'Fn::Join': [
        '',
        [
          'https://',
          { Ref: idAt(template, 'People/Default/Domain') },
          '.auth.',
          { Ref: 'AWS::Region' },
          '.amazoncognito.com',
        ],
      ],
    });
  });

  it('whose tokens the API accepts from that client alone', () => {
    expect(resourceAt(template, 'Api/Default/People').Properties.JwtConfiguration).toStrictEqual({
      Issuer: { 'Fn::GetAtt': [pool.id, 'ProviderURL'] },
      Audience: [{ Ref: client.id }],
    });
  });

  it('and prints the two commands that make the first administrator', () => {
    const region = { Ref: 'AWS::Region' };
    const { Outputs: outputs } = template.toJSON();
    expect(outputs.FirstAdministrator1Create.Value['Fn::Join'][1]).toStrictEqual([
      'aws cognito-idp admin-create-user --region ',
      region,
      ' --user-pool-id ',
      { Ref: pool.id },
      ' --username you@example.com --user-attributes Name=email,Value=you@example.com Name=email_verified,Value=true',
    ]);
    expect(outputs.FirstAdministrator2Promote.Value['Fn::Join'][1]).toStrictEqual([
      'aws cognito-idp admin-add-user-to-group --region ',
      region,
      ' --user-pool-id ',
      { Ref: pool.id },
      ' --username you@example.com --group-name administrators',
    ]);
    expect(outputs.Issuer.Value).toStrictEqual({ 'Fn::GetAtt': [pool.id, 'ProviderURL'] });
    expect(outputs.ConsoleClientId.Value).toStrictEqual({ Ref: client.id });
  });

  it('that keeps its people in production and not in development', () => {
    const production: Json = resourceAt(templateOf({ stage: 'production' }), 'People/Default');
    expect(production.DeletionPolicy).toBe('Retain');
    expect(production.Properties.DeletionProtection).toBe('ACTIVE');
    expect(pool.DeletionPolicy).toBe('Delete');
    expect(pool.Properties.DeletionProtection).toBe('INACTIVE');
  });
});

describe('with an issuer', () => {
  it('the stack makes no user pool', () => {
    const types = Object.values<Json>(templateOf(WITH_ISSUER).toJSON().Resources).map(({ Type }) => Type);
    expect(types.filter((type) => type.startsWith('AWS::Cognito'))).toStrictEqual([]);
  });
});
