import type {
  APIGatewayRequestAuthorizerEvent,
  APIGatewayRequestAuthorizerEventV2,
  APIGatewayTokenAuthorizerEvent,
} from 'aws-lambda';
import { copiesOf } from './records.ts';

/** An event of an HTTP API (payload 2.0) in the format of AWS's sample: `GET /request` in stage `test`. */
export const httpEvent = copiesOf<APIGatewayRequestAuthorizerEventV2>({
  version: '2.0',
  type: 'REQUEST',
  routeArn: 'arn:aws:execute-api:us-east-1:123456789012:abcdef123/test/GET/request',
  identitySource: ['user1', '123'],
  routeKey: 'GET /request',
  rawPath: '/request',
  rawQueryString: 'parameter1=value1',
  cookies: ['cookie1', 'cookie2'],
  headers: { header1: 'value1', host: 'id.execute-api.us-east-1.amazonaws.com' },
  queryStringParameters: { parameter1: 'value1' },
  requestContext: {
    accountId: '123456789012',
    apiId: 'abcdef123',
    domainName: 'id.execute-api.us-east-1.amazonaws.com',
    domainPrefix: 'id',
    http: {
      method: 'GET',
      path: '/request',
      protocol: 'HTTP/1.1',
      sourceIp: '192.0.2.1',
      userAgent: 'agent',
    },
    requestId: 'Cz8YXjZPIAMEMXQ=',
    routeKey: 'GET /request',
    stage: 'test',
    time: '12/Mar/2020:19:03:58 +0000',
    timeEpoch: 1583348638390,
  },
  pathParameters: {},
  stageVariables: {},
});

/** An event for a REQUEST authorizer of a REST API, in the format of AWS's sample. */
export const restEvent = copiesOf<APIGatewayRequestAuthorizerEvent>({
  type: 'REQUEST',
  methodArn: 'arn:aws:execute-api:us-east-1:123456789012:abcdef123/test/GET/request',
  resource: '/request',
  path: '/request',
  httpMethod: 'GET',
  headers: { 'X-AMZ-Date': '20170718T062915Z', Accept: '*/*', 'X-Forwarded-Proto': 'https' },
  multiValueHeaders: { Accept: ['*/*'] },
  queryStringParameters: { QueryString1: 'queryValue1' },
  multiValueQueryStringParameters: { QueryString1: ['queryValue1'] },
  pathParameters: {},
  stageVariables: { StageVar1: 'stageValue1' },
  requestContext: {
    path: '/request',
    accountId: '123456789012',
    resourceId: '05c7jb',
    stage: 'test',
    requestId: 'bb5ff0d8-1f1c-4e33-8f2d-1cd2bd1b8c0d',
    identity: { sourceIp: '192.0.2.1', userAgent: 'agent' },
    resourcePath: '/request',
    httpMethod: 'GET',
    apiId: 'abcdef123',
  } as APIGatewayRequestAuthorizerEvent['requestContext'],
});

/** Returns an event for a TOKEN authorizer of a REST API. */
export function tokenEvent(authorizationToken: string): APIGatewayTokenAuthorizerEvent {
  return {
    type: 'TOKEN',
    authorizationToken,
    methodArn: 'arn:aws:execute-api:us-east-1:123456789012:abcdef123/test/GET/request',
  };
}
