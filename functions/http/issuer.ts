import type { APIGatewayProxyEventV2 } from 'aws-lambda';

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/;

/**
 * Returns the issuer: the URL that the client used, because clients compare the two (RFC 8414 §3.3). Its domain is the
 * one that API Gateway served the request for, which no header can change and which supports only https.
 * @param publicUrl the URL that clients use, if another service is in front of API Gateway
 */
export function issuerOf(
  { headers, requestContext: { domainName } }: Pick<APIGatewayProxyEventV2, 'headers' | 'requestContext'>,
  publicUrl: string | undefined,
): string {
  if (publicUrl !== undefined) return publicUrl;
  const isLocal = LOOPBACK.test(domainName) && headers['x-forwarded-proto'] === 'http';
  return `${isLocal ? 'http' : 'https'}://${domainName}`;
}
