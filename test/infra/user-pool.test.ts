import { describe, expect, it } from 'vitest';
import { paths } from '../../functions/console/paths.ts';
import { COMMAND_LINE_CALLBACK } from '../../functions/domain/command-line.ts';
import * as ENV from '../../functions/runtime/env.ts';
import { idAt, type Json, resourceAt, templateOf, WITH_ISSUER } from '../support/template.ts';

const template = templateOf();
const pool = resourceAt(template, 'People/Default');
const client = resourceAt(template, 'People/Default/Console');
const at = (path: string) => ({
  'Fn::Join': ['', [{ 'Fn::GetAtt': [idAt(template, 'Api/Default'), 'ApiEndpoint'] }, path]],
});

describe('A stack without an external issuer creates a user pool', () => {
  it('the user pool does not allow people to sign up', () => {
    expect(pool.Properties.AdminCreateUserConfig).toStrictEqual({ AllowAdminCreateUserOnly: true });
  });

  it('people sign in to the user pool with an email address and a password of at least 12 characters', () => {
    expect(pool.Properties).toMatchObject({
      UsernameAttributes: ['email'],
      UsernameConfiguration: { CaseSensitive: false },
      Policies: { PasswordPolicy: { MinimumLength: 12, TemporaryPasswordValidityDays: 3 } },
      MfaConfiguration: 'OPTIONAL',
      EnabledMfas: ['SOFTWARE_TOKEN_MFA'],
    });
  });

  it("the user pool has an administrators' group, and the functions know its name", () => {
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

  it("the user pool's public client allows only the authorization code flow and redirects to the console", () => {
    expect(client.Properties).toMatchObject({
      GenerateSecret: false,
      AllowedOAuthFlowsUserPoolClient: true,
      AllowedOAuthFlows: ['code'],
      AllowedOAuthScopes: ['openid', 'email', 'profile'],
      // Cognito compares these URLs exactly. The console uses the same paths.
      CallbackURLs: [at(paths.signedIn()), COMMAND_LINE_CALLBACK],
      LogoutURLs: [at(paths.signedOut())],
      SupportedIdentityProviders: ['COGNITO'],
      PreventUserExistenceErrors: 'ENABLED',
    });
  });

  it("the user pool's client accepts a password only in calls that are signed with AWS credentials", () => {
    expect(client.Properties.ExplicitAuthFlows).toStrictEqual([
      'ALLOW_ADMIN_USER_PASSWORD_AUTH',
      'ALLOW_REFRESH_TOKEN_AUTH',
    ]);
  });

  it('the user pool has a sign-in domain that is unique to the stack', () => {
    const uuid = { 'Fn::Select': [2, { 'Fn::Split': ['/', { Ref: 'AWS::StackId' }] }] };
    expect(resourceAt(template, 'People/Default/Domain').Properties.Domain).toStrictEqual({
      'Fn::Join': ['', ['deployment-keys-', { 'Fn::Select': [4, { 'Fn::Split': ['-', uuid] }] }]],
    });
  });

  it("the console may connect to the user pool's domain to exchange codes for tokens", () => {
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

  it("the API accepts tokens only from the user pool's own client", () => {
    expect(resourceAt(template, 'Api/Default/People').Properties.JwtConfiguration).toStrictEqual({
      Issuer: { 'Fn::GetAtt': [pool.id, 'ProviderURL'] },
      Audience: [{ Ref: client.id }],
    });
  });

  it('the stack outputs the two commands that create the first administrator', () => {
    const { Outputs: outputs } = template.toJSON();
    const expectCommand = (name: string, action: string, options: string) =>
      expect(outputs[name].Value['Fn::Join'][1]).toStrictEqual([
        `aws cognito-idp ${action} --region `,
        { Ref: 'AWS::Region' },
        ' --user-pool-id ',
        { Ref: pool.id },
        ` --username you@example.com ${options}`,
      ]);
    const email = '--user-attributes Name=email,Value=you@example.com Name=email_verified,Value=true';
    expectCommand('FirstAdministrator1Create', 'admin-create-user', email);
    expectCommand('FirstAdministrator2Promote', 'admin-add-user-to-group', '--group-name administrators');
    expect(outputs.Issuer.Value).toStrictEqual({ 'Fn::GetAtt': [pool.id, 'ProviderURL'] });
    expect(outputs.ConsoleClientId.Value).toStrictEqual({ Ref: client.id });
  });

  it('the user pool is retained when the stack is deleted in production, but not in development', () => {
    const production: Json = resourceAt(templateOf({ stage: 'production' }), 'People/Default');
    expect(production.DeletionPolicy).toBe('Retain');
    expect(production.Properties.DeletionProtection).toBe('ACTIVE');
    expect(pool.DeletionPolicy).toBe('Delete');
    expect(pool.Properties.DeletionProtection).toBe('INACTIVE');
  });
});

describe("A user pool adds people's names to access tokens only if nameClaim is set", () => {
  const named = templateOf({ nameClaim: 'email' });

  it('without nameClaim, the user pool has no trigger and no explicit plan', () => {
    expect(pool.Properties).not.toHaveProperty('LambdaConfig');
    expect(pool.Properties).not.toHaveProperty('UserPoolTier');
    expect(JSON.stringify(template.toJSON())).not.toContain('AddName');
  });

  it('with nameClaim, the user pool has the Essentials plan and a trigger that can change access tokens', () => {
    expect(resourceAt(named, 'People/Default').Properties).toMatchObject({
      UserPoolTier: 'ESSENTIALS',
      LambdaConfig: {
        PreTokenGenerationConfig: {
          LambdaArn: { 'Fn::GetAtt': [idAt(named, 'AddName/Function'), 'Arn'] },
          LambdaVersion: 'V2_0',
        },
      },
    });
  });

  it("only the stack's own user pool can invoke the function that adds names", () => {
    const permissions = Object.values<Json>(named.findResources('AWS::Lambda::Permission'))
      .map(({ Properties }) => Properties)
      .filter(({ FunctionName }) => JSON.stringify(FunctionName).includes(idAt(named, 'AddName/Function')));
    expect(permissions).toStrictEqual([
      {
        Action: 'lambda:InvokeFunction',
        FunctionName: { 'Fn::GetAtt': [idAt(named, 'AddName/Function'), 'Arn'] },
        Principal: 'cognito-idp.amazonaws.com',
        SourceArn: { 'Fn::GetAtt': [idAt(named, 'People/Default'), 'Arn'] },
      },
    ]);
  });

  it('the function that adds names knows only the name of the claim, and has no access to the table', () => {
    const { Variables: variables } = resourceAt(named, 'AddName/Function').Properties.Environment;
    expect(variables).toMatchObject({ [ENV.nameClaim]: 'email' });
    expect(variables).not.toHaveProperty(ENV.tableName);
  });

  it('the functions behind routes for people read the claim that the trigger adds', () => {
    const { Variables: variables } = resourceAt(named, 'ManageKeys/Function').Properties.Environment;
    expect(variables).toMatchObject({ [ENV.nameClaim]: 'email' });
  });

  it('the alarms for routes for people include the function that adds names', () => {
    const alarms = JSON.stringify(named.findResources('AWS::CloudWatch::Alarm'));
    expect(alarms).toContain(idAt(named, 'AddName/Function'));
  });

  it.each(['sub', 'custom:boss', 'cognito:username', 'https://example.com/name'])(
    'synthesis rejects nameClaim %s without an issuer',
    (nameClaim) => {
      expect(() => templateOf({ nameClaim })).toThrow(
        'nameClaim must be the name of a claim, up to 128 printable characters without spaces; without issuer, email, ' +
          'name or preferred_username, for example -c nameClaim=name.',
      );
    },
  );
});

it('a stack with an external issuer does not create a user pool', () => {
  const types = Object.values<Json>(templateOf(WITH_ISSUER).toJSON().Resources).map(({ Type }) => Type);
  expect(types.filter((type) => type.startsWith('AWS::Cognito'))).toStrictEqual([]);
});
