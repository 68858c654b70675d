import type { Assembly, CfnResource } from '../../local/template.ts';

type Json = Record<string, unknown>;

const TABLE = 'Table';
const API = 'Api';

const arnOf = (logicalId: string) => ({ 'Fn::GetAtt': [logicalId, 'Arn'] });
const ref = (logicalId: string) => ({ Ref: logicalId });

/** Returns a statement that allows actions on a resource of the fixture, which is its table by default. */
export const allow = (actions: string[], resource: unknown = arnOf(TABLE)) => ({
  Effect: 'Allow',
  Action: actions,
  Resource: resource,
});

export { arnOf, ref };

/** Options of a function in a test template. */
export interface FixtureFunction {
  /** Timeout in seconds. */
  readonly timeout?: number;
  readonly environment?: Json;
  readonly statements?: readonly object[];
  /** AWS services that may invoke the function. */
  readonly invokableBy?: readonly string[];
  readonly logFormat?: 'JSON' | 'Text';
}

/**
 * Returns a small template for tests of the local runner: a table with a stream, functions with inline code, and
 * resources that a test adds.
 */
export class Fixture {
  readonly resources: Record<string, CfnResource> = {
    [TABLE]: {
      Type: 'AWS::DynamoDB::GlobalTable',
      Properties: {
        KeySchema: [
          { AttributeName: 'pk', KeyType: 'HASH' },
          { AttributeName: 'sk', KeyType: 'RANGE' },
        ],
        AttributeDefinitions: [
          { AttributeName: 'pk', AttributeType: 'S' },
          { AttributeName: 'sk', AttributeType: 'S' },
        ],
        StreamSpecification: { StreamViewType: 'NEW_AND_OLD_IMAGES' },
        TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
      },
    },
    [API]: { Type: 'AWS::ApiGatewayV2::Api', Properties: { ProtocolType: 'HTTP' } },
    Stage: {
      Type: 'AWS::ApiGatewayV2::Stage',
      Properties: { ApiId: ref(API), StageName: '$default' },
    },
  };

  add(logicalId: string, type: string, properties: Json): this {
    this.resources[logicalId] = {
      Type: type,
      Properties: properties,
      Metadata: { 'aws:cdk:path': `Fixture/${logicalId}/Resource` },
    };
    return this;
  }

  /**
   * Adds a function to the template. In a real stack, the function's file name would be the logical ID in kebab-case.
   * @param source CommonJS source
   */
  function(logicalId: string, source: string, options: FixtureFunction = {}): this {
    const {
      timeout = 5,
      environment = {},
      statements = [],
      invokableBy = ['apigateway.amazonaws.com'],
      logFormat = 'Text',
    } = options;
    for (const [index, service] of invokableBy.entries()) {
      this.add(`${logicalId}Permission${index}`, 'AWS::Lambda::Permission', {
        FunctionName: arnOf(logicalId),
        Principal: service,
      });
    }
    this.add(`${logicalId}Role`, 'AWS::IAM::Role', {
      Policies: [{ PolicyDocument: { Statement: statements } }],
    });
    return this.add(logicalId, 'AWS::Lambda::Function', {
      Code: { ZipFile: source },
      Handler: 'index.handler',
      Role: arnOf(`${logicalId}Role`),
      Timeout: timeout,
      LoggingConfig: { LogFormat: logFormat },
      Environment: { Variables: { TABLE_NAME: ref(TABLE), ...environment } },
    });
  }

  /** Adds a route. @param key route key, such as `GET /things/{id}` */
  route(key: string, functionId: string, authorizer: Json = {}): this {
    const id = `Route${Object.keys(this.resources).length}`;
    this.add(`${id}Integration`, 'AWS::ApiGatewayV2::Integration', {
      ApiId: ref(API),
      IntegrationType: 'AWS_PROXY',
      IntegrationUri: arnOf(functionId),
      PayloadFormatVersion: '2.0',
    });
    return this.add(id, 'AWS::ApiGatewayV2::Route', {
      ApiId: ref(API),
      RouteKey: key,
      Target: { 'Fn::Join': ['', ['integrations/', ref(`${id}Integration`)]] },
      ...authorizer,
    });
  }

  /**
   * Adds an event source mapping of the table's stream. The function's role must allow reading the stream: see
   * `readsStream`.
   */
  stream(functionId: string, properties: Json = {}): this {
    return this.add(`${functionId}Stream`, 'AWS::Lambda::EventSourceMapping', {
      FunctionName: ref(functionId),
      EventSourceArn: { 'Fn::GetAtt': [TABLE, 'StreamArn'] },
      StartingPosition: 'TRIM_HORIZON',
      ...properties,
    });
  }

  /** The template as a value for a local stack's option `synthesise`. */
  get synthesise(): () => Assembly {
    return () => ({
      directory: '/nowhere',
      stacks: [{ stackName: 'fixture', template: { Resources: this.resources } }],
    });
  }
}

/** Permissions that a role needs so that its function can read the table's stream. */
export const readsStream = allow(
  ['DescribeStream', 'GetRecords', 'GetShardIterator', 'ListStreams'].map((action) => `dynamodb:${action}`),
  { 'Fn::GetAtt': [TABLE, 'StreamArn'] },
);

/**
 * Source of the function `call(target, input)`, which calls DynamoDB or SQS using only modules that Lambda provides.
 */
export const CALLS_AWS = `
const call = async (target, input) => {
  const service = target.startsWith('AmazonSQS') ? 'sqs' : 'dynamodb';
  const response = await fetch(process.env['AWS_ENDPOINT_URL_' + service.toUpperCase()], {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': target,
      'x-amz-date': '20260101T000000Z',
      authorization: 'AWS4-HMAC-SHA256 Credential=' + process.env.AWS_ACCESS_KEY_ID +
        '/20260101/us-east-1/' + service + '/aws4_request, SignedHeaders=host, Signature=0',
    },
    body: JSON.stringify(input),
  });
  return { status: response.status, body: await response.json() };
};`;
