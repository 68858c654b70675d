import { App, Stack, Tags } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { describe, expect, it } from 'vitest';
import * as ENV from '../../functions/runtime/env.ts';
import { DeploymentKeys } from '../../infra/deployment-keys.ts';
import {
  ARN,
  EVERYTHING,
  idAt,
  type Json,
  resourceAt,
  templateOf,
  WITH_ISSUER,
} from '../support/template.ts';

const plain = templateOf(WITH_ISSUER);
const full = templateOf(EVERYTHING);
const ofType = (template: Template, type: string): Json[] => Object.values(template.findResources(type));
const variablesOf = (template: Template, name: string): Json =>
  resourceAt(template, `${name}/Function`).Properties.Environment.Variables;

describe('The settings of the stack take effect', () => {
  it("domainName becomes the API's only address and its issuer, and turns off the default endpoint", () => {
    const { domainName, certificateArn } = EVERYTHING;
    const named = templateOf({ ...WITH_ISSUER, domainName, certificateArn });
    expect(resourceAt(named, 'Api/Default').Properties.DisableExecuteApiEndpoint).toBe(true);
    expect(resourceAt(named, 'Api/Domain').Properties).toMatchObject({
      DomainName: domainName,
      DomainNameConfigurations: [{ CertificateArn: certificateArn, EndpointType: 'REGIONAL' }],
    });
    expect(ofType(named, 'AWS::ApiGatewayV2::ApiMapping')).toHaveLength(1);
    expect(variablesOf(named, 'Metadata')[ENV.publicUrl]).toBe('https://keys.example.com');
    expect(variablesOf(named, 'Introspect')[ENV.publicUrl]).toBe('https://keys.example.com');
    expect(named.toJSON().Outputs).toMatchObject({
      ApiUrl: { Value: 'https://keys.example.com' },
      DomainTarget: { Value: { 'Fn::GetAtt': [idAt(named, 'Api/Domain'), 'RegionalDomainName'] } },
    });
  });

  it('without domainName, the issuer is the URL of the request, and the stack has no domain output', () => {
    expect(variablesOf(plain, 'Metadata')).not.toHaveProperty(ENV.publicUrl);
    expect(plain.toJSON().Outputs).not.toHaveProperty('DomainTarget');
    expect(ofType(plain, 'AWS::CloudFront::Distribution')).toStrictEqual([]);
  });

  it('webAclArn puts a CloudFront distribution with this web ACL and without caching in front of the API', () => {
    const { DistributionConfig: distribution } = resourceAt(full, 'Api/Front/Default').Properties;
    expect(distribution).toMatchObject({
      Aliases: ['keys.example.com'],
      WebACLId: ARN.WEB_ACL,
      ViewerCertificate: { AcmCertificateArn: ARN.CERTIFICATE, MinimumProtocolVersion: 'TLSv1.2_2021' },
      DefaultCacheBehavior: {
        // These are the IDs of AWS's managed policies CachingDisabled and AllViewerExceptHostHeader.
        CachePolicyId: '4135ea2d-6df8-44a3-9df3-4b5a84be39ad',
        OriginRequestPolicyId: 'b689b0a8-53d0-40ab-baf2-68738e2966ac',
        ViewerProtocolPolicy: 'https-only',
      },
    });
    expect(resourceAt(full, 'Api/Default').Properties).not.toHaveProperty('DisableExecuteApiEndpoint');
    expect(variablesOf(full, 'Metadata')[ENV.publicUrl]).toBe('https://keys.example.com');
    expect(full.toJSON().Outputs.DomainTarget.Value).toStrictEqual({
      'Fn::GetAtt': [idAt(full, 'Api/Front/Default'), 'DomainName'],
    });
  });

  it('encryptionKey encrypts the table, and roles that use the table can use the key only through DynamoDB', () => {
    const { Properties: table } = resourceAt(full, 'Table/Default');
    expect(table.Replicas[0].SSESpecification).toStrictEqual({ KMSMasterKeyId: ARN.KEY });
    const statementsOf = (name: string): Json[] =>
      ofType(full, 'AWS::IAM::Policy')
        .filter(({ Metadata }) => Metadata['aws:cdk:path'].includes(`/${name}/Role/`))
        .flatMap(({ Properties }) => Properties.PolicyDocument.Statement);
    const ofKey = statementsOf('Authorize').filter(({ Resource }) => Resource === ARN.KEY);
    expect(ofKey).toStrictEqual([
      {
        Action: ['Decrypt', 'DescribeKey', 'Encrypt', 'GenerateDataKey', 'ReEncryptFrom', 'ReEncryptTo'].map(
          (action) => `kms:${action}`,
        ),
        Effect: 'Allow',
        Resource: ARN.KEY,
        Condition: {
          StringEquals: {
            'kms:ViaService': {
              'Fn::Join': ['', ['dynamodb.', { Ref: 'AWS::Region' }, '.', { Ref: 'AWS::URLSuffix' }]],
            },
          },
        },
      },
    ]);
    expect(JSON.stringify(statementsOf('Metadata'))).not.toContain('kms:');
    expect(JSON.stringify(plain.toJSON())).not.toContain('kms:');
  });

  it('permissionsBoundary applies to every role; without the setting, no role has a boundary', () => {
    const boundaries = (template: Template) =>
      ofType(template, 'AWS::IAM::Role').map((role) => role.Properties.PermissionsBoundary);
    expect(new Set(boundaries(full))).toStrictEqual(new Set([ARN.BOUNDARY]));
    expect(new Set(boundaries(plain))).toStrictEqual(new Set([undefined]));
  });

  it('authorizerConcurrency reserves concurrency only for the authorizer, and keeps execution environments warm', () => {
    const concurrencies = ofType(full, 'AWS::Lambda::Function').map(
      (resource) => resource.Properties.ReservedConcurrentExecutions,
    );
    expect(concurrencies.filter(Boolean)).toStrictEqual([200]);
    expect(resourceAt(full, 'Authorize/Function').Properties.ReservedConcurrentExecutions).toBe(200);
    const alias = resourceAt(full, 'SharedAuthorizer/Warm');
    expect(alias.Properties).toMatchObject({
      Name: 'warm',
      ProvisionedConcurrencyConfig: { ProvisionedConcurrentExecutions: 5 },
    });
    expect(full.toJSON().Outputs.AuthorizerFunctionArn.Value).toStrictEqual({ Ref: alias.id });
    expect(resourceAt(full, 'SharedAuthorizer/Parameter').Properties.Value).toStrictEqual({ Ref: alias.id });
  });

  it('accounts in consumerAccounts can invoke only the authorizer', () => {
    const invoked = (template: Template) =>
      ofType(template, 'AWS::Lambda::Permission')
        .map((permission) => permission.Properties)
        .filter(({ Principal }) => /^\d{12}$/.test(Principal))
        .map(({ Principal, FunctionName }) => [Principal, FunctionName]);
    const alias = { Ref: idAt(full, 'SharedAuthorizer/Warm') };
    expect(invoked(full)).toStrictEqual([
      ['111122223333', alias],
      ['444455556666', alias],
    ]);
    expect(invoked(plain)).toStrictEqual([]);
  });

  it('every alarm notifies alarmTopic', () => {
    const actions = (template: Template) =>
      ofType(template, 'AWS::CloudWatch::Alarm').map((alarm) => alarm.Properties.AlarmActions);
    expect(actions(full).length).toBeGreaterThan(0);
    expect(new Set(actions(full).map(String))).toStrictEqual(new Set([ARN.TOPIC]));
    expect(new Set(actions(plain))).toStrictEqual(new Set([undefined]));
  });

  it('logRetention applies to every log group', () => {
    const days = ofType(full, 'AWS::Logs::LogGroup').map((group) => group.Properties.RetentionInDays);
    expect(new Set(days)).toStrictEqual(new Set([90]));
  });

  it('the tracing setting enables tracing for every function; without the setting, no function has tracing', () => {
    const modes = (template: Template) =>
      ofType(template, 'AWS::Lambda::Function').map((resource) => resource.Properties.TracingConfig?.Mode);
    expect(new Set(modes(full))).toStrictEqual(new Set(['Active']));
    expect(new Set(modes(plain))).toStrictEqual(new Set([undefined]));
  });

  it('the tags setting adds tags to the table, functions, roles and log groups', () => {
    const { Properties: table } = resourceAt(full, 'Table/Default');
    const expected = [
      { Key: 'cost-centre', Value: '4711' },
      { Key: 'team', Value: 'platform' },
    ];
    expect(table.Replicas[0].Tags).toStrictEqual(expected);
    for (const type of [
      'AWS::Lambda::Function',
      'AWS::IAM::Role',
      'AWS::Logs::LogGroup',
      'AWS::SQS::Queue',
    ]) {
      for (const resource of ofType(full, type)) expect(resource.Properties.Tags).toStrictEqual(expected);
    }
  });
});

describe('The DeploymentKeys construct works in any stack', () => {
  const inStack = (stack: Stack, props: ConstructorParameters<typeof DeploymentKeys>[2]) => {
    const keys = new DeploymentKeys(stack, 'Keys', props);
    return { keys, template: Template.fromStack(stack) };
  };

  it('DeploymentKeys can be added to any stack without settings, and adds no outputs to the stack', () => {
    const stack = new Stack(new App(), 'Theirs');
    Tags.of(stack).add('owner', 'them');
    const { keys, template } = inStack(stack, {});
    expect(template.toJSON().Outputs).toBeUndefined();
    expect(stack.resolve(keys.tableName)).toStrictEqual({ Ref: expect.stringMatching(/^KeysTable/) });
    expect(keys.firstAdministrator).toHaveLength(2);
  });

  it('DeploymentKeys uses a key and a topic of another stack through CloudFormation exports', () => {
    const app = new App();
    const other = new Stack(app, 'Other');
    const stack = new Stack(app, 'Theirs');
    const { template } = inStack(stack, {
      encryptionKey: new Key(other, 'Key'),
      alarmTopic: new Topic(other, 'Topic'),
    });
    const exports = Object.values<Json>(Template.fromStack(other).toJSON().Outputs).map(
      ({ Export }) => Export.Name,
    );
    expect(exports).toStrictEqual([
      expect.stringMatching(/^Other:ExportsOutputFnGetAttKey\w+Arn\w+$/),
      expect.stringMatching(/^Other:ExportsOutputRefTopic\w+$/),
    ]);
    const [key, topic] = exports.map((name) => ({ 'Fn::ImportValue': name }));
    const [table] = ofType(template, 'AWS::DynamoDB::GlobalTable');
    expect(table.Properties.Replicas[0].SSESpecification).toStrictEqual({ KMSMasterKeyId: key });
    for (const alarm of ofType(template, 'AWS::CloudWatch::Alarm')) {
      expect(alarm.Properties.AlarmActions).toStrictEqual([topic]);
    }
  });

  it('DeploymentKeys rejects an invalid property with the same message as an invalid context value', () => {
    expect(() => new DeploymentKeys(new Stack(), 'Keys', { tokenLifetime: 0 })).toThrow(
      'tokenLifetime must be whole seconds from 1 to 31536000, for example -c tokenLifetime=86400.',
    );
    const misspelt = { tokenLifetme: 60 } as object;
    expect(() => new DeploymentKeys(new Stack(), 'Keys', misspelt)).toThrow(
      'tokenLifetme is not a setting. Did you mean tokenLifetime? ',
    );
  });
});
