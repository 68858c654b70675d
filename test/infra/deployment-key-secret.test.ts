import { App, CfnOutput, Fn, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { DeploymentKeySecret, type DeploymentKeySecretProps } from '../../infra/deployment-key-secret.ts';
import { DeploymentKeys } from '../../infra/deployment-keys.ts';
import { applyRulePacks } from '../../infra/rule-packs.ts';
import { ARN, type Json } from '../support/template.ts';

const PLATFORM_ARN = 'arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5/$default';
const PROPS: DeploymentKeySecretProps = {
  platformUrl: 'https://keys.example.com',
  platformArn: PLATFORM_ARN,
  roleName: 'etl-key-secret',
  deploymentId: 'etl',
  keyName: 'reports',
  scopes: ['airflow:read'],
};

function synthesise(props: Partial<DeploymentKeySecretProps> = {}, app = new App()): Template {
  const stack = new Stack(app, 'Reports');
  const { secret, keyId, roleArn } = new DeploymentKeySecret(stack, 'Key', { ...PROPS, ...props });
  new CfnOutput(stack, 'Secret', { value: secret.secretArn });
  new CfnOutput(stack, 'KeyId', { value: keyId });
  new CfnOutput(stack, 'RoleArn', { value: roleArn });
  return Template.fromStack(stack);
}
const template = synthesise();
/** Returns the only resource of one type, with its logical ID. */
function the(type: string, of = template): Json {
  const [[id, resource] = [], ...others] = Object.entries<Json>(of.findResources(type));
  expect(others).toStrictEqual([]);
  return { id, ...resource };
}
/**
 * Returns the role's policy whose logical ID contains the given string: `Reach` for calls to the service, `Default` for
 * the log.
 */
const policyOf = (of: Template, name: string): Json => {
  const [found] = Object.entries<Json>(of.findResources('AWS::IAM::Policy')).filter(([id]) =>
    id.includes(name),
  );
  return { id: found?.[0], ...found?.[1] };
};
const secretId = the('AWS::SecretsManager::Secret').id;
const keyOf = (of: Template) => the('Custom::DeploymentKeySecret', of);

describe('DeploymentKeySecret stores an API key in Secrets Manager', () => {
  it("DeploymentKeySecret creates an empty secret, and a custom resource with the secret's ARN and the key's properties", () => {
    expect(the('AWS::SecretsManager::Secret').Properties).toStrictEqual({
      Description: 'ID and secret of the API key reports of the Deployment etl',
    });
    expect(keyOf(template).Properties).toStrictEqual({
      ServiceToken: { 'Fn::GetAtt': [the('AWS::Lambda::Function').id, 'Arn'] },
      ServiceTimeout: '1200',
      PlatformUrl: 'https://keys.example.com',
      PlatformRegion: 'eu-west-1',
      SecretArn: { Ref: secretId },
      DeploymentId: 'etl',
      Name: 'reports',
      Scopes: ['airflow:read'],
    });
  });

  it('DeploymentKeySecret passes every property to its custom resource', () => {
    const wishes = {
      expiresAt: '2030-01-31T12:00:00Z',
      networks: ['203.0.113.0/24'],
      rotation: '2026-11',
      retireOld: 3600,
      secretName: 'reports/etl',
      encryptionKey: ARN.KEY,
      logRetention: 90,
    };
    const wished = synthesise(wishes);
    expect(keyOf(wished).Properties).toMatchObject({
      ExpiresAt: wishes.expiresAt,
      Networks: wishes.networks,
      Rotation: wishes.rotation,
      RetireOld: '3600',
    });
    expect(the('AWS::SecretsManager::Secret', wished).Properties).toMatchObject({
      Name: 'reports/etl',
      KmsKeyId: ARN.KEY,
    });
    expect(policyOf(wished, 'Reach').Properties.PolicyDocument.Statement[2]).toStrictEqual({
      Effect: 'Allow',
      Action: ['kms:GenerateDataKey', 'kms:Decrypt'],
      Resource: ARN.KEY,
      Condition: {
        StringEquals: {
          'kms:ViaService': {
            'Fn::Join': ['', ['secretsmanager.', { Ref: 'AWS::Region' }, '.', { Ref: 'AWS::URLSuffix' }]],
          },
        },
      },
    });
    expect(the('AWS::Logs::LogGroup', wished).Properties).toStrictEqual({ RetentionInDays: 90 });
  });

  it('resources that read the ARN of a DeploymentKeySecret wait until the key exists', () => {
    const attribute = (name: string) => ({ 'Fn::GetAtt': [keyOf(template).id, name] });
    const { Outputs } = template.toJSON();
    expect(Outputs.Secret.Value).toStrictEqual(attribute('SecretArn'));
    expect(Outputs.KeyId.Value).toStrictEqual(attribute('KeyId'));
    expect(Outputs.RoleArn.Value).toStrictEqual({ 'Fn::GetAtt': [the('AWS::IAM::Role').id, 'Arn'] });
  });

  it('DeploymentKeySecret creates a role with the given name that manages the keys of one Deployment and writes one secret', () => {
    expect(the('AWS::IAM::Role').Properties.RoleName).toBe('etl-key-secret');
    const keys = 'platform/deployments/etl/api-keys';
    const [logs, reach] = [policyOf(template, 'Default'), policyOf(template, 'Reach')];
    const calls = [
      `GET/${keys}`,
      `POST/${keys}`,
      `GET/${keys}/*`,
      `PATCH/${keys}/*`,
      `DELETE/${keys}/*`,
      `POST/${keys}/*/rotate`,
    ];
    const role = [{ Ref: the('AWS::IAM::Role').id }];
    expect([logs.Properties.Roles, reach.Properties.Roles]).toStrictEqual([role, role]);
    expect(logs.Properties.PolicyDocument.Statement).toStrictEqual([
      {
        Effect: 'Allow',
        Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        Resource: { 'Fn::GetAtt': [the('AWS::Logs::LogGroup').id, 'Arn'] },
      },
    ]);
    expect(reach.Properties.PolicyDocument.Statement).toStrictEqual([
      {
        Effect: 'Allow',
        Action: 'execute-api:Invoke',
        Resource: calls.map((call) => `${PLATFORM_ARN}/${call}`),
      },
      { Effect: 'Allow', Action: 'secretsmanager:PutSecretValue', Resource: { Ref: secretId } },
    ]);
  });

  it('DeploymentKeySecret creates new resources if its Deployment changes, so that a rollback finds the old resources unchanged', () => {
    const other = synthesise({ deploymentId: 'etl2' });
    expect(the('AWS::SecretsManager::Secret', other).id).not.toBe(secretId);
    expect(keyOf(other).id).not.toBe(keyOf(template).id);
    // The role must still be able to delete the old key, so CloudFormation deletes the role's policy only after the
    // key.
    expect(policyOf(other, 'Reach').id).not.toBe(policyOf(template, 'Reach').id);
    expect(keyOf(template).DependsOn).toStrictEqual([policyOf(template, 'Reach').id]);
    const rotated = synthesise({ rotation: '2026-11', keyName: 'other' });
    expect(keyOf(rotated).id).toBe(keyOf(template).id);
  });

  it('DeploymentKeySecret works with a secret whose ARN, and therefore its Region, is known only at deployment', () => {
    const platformArn = Fn.importValue('PlatformArn');
    const region = keyOf(synthesise({ platformArn })).Properties.PlatformRegion['Fn::Select'];
    expect(region).toStrictEqual([3, { 'Fn::Split': [':', expect.anything()] }]);
  });

  it.each([
    ['deploymentId', '*'],
    ['deploymentId', 'etl/../other'],
    ['deploymentId', ''],
    ['deploymentId', Fn.importValue('deployment')],
    ['roleName', 'a/b'],
    ['roleName', ''],
    ['scopes', []],
  ])('DeploymentKeySecret rejects an invalid %s, %j, with the rule and an example', (name, value) => {
    expect(() => synthesise({ [name]: value })).toThrow(new RegExp(`^${name} must .*for example`));
  });

  it('synthesis fails for a DeploymentKeySecret if the service in the app sets keysWithSecrets to false', () => {
    const synthesised = (keysWithSecrets: boolean) => {
      const app = new App({ context: { 'aws:cdk:bundling-stacks': [] } });
      new DeploymentKeys(new Stack(app, 'Service'), 'Keys', { keysWithSecrets });
      new DeploymentKeySecret(new Stack(app, 'Reports'), 'Key', PROPS);
      return () => app.synth();
    };
    expect(synthesised(false)).toThrow(
      'keysWithSecrets must be true, because Reports/Key creates a key with a secret.',
    );
    expect(synthesised(true)).not.toThrow();
  });

  it('DeploymentKeySecret passes both rule packs, AwsSolutions and Serverless', () => {
    const app = new App();
    applyRulePacks(app);
    synthesise({}, app);
    expect(() => app.synth()).not.toThrow();
  });
});
