import type { APIGatewayProxyEventV2 } from 'aws-lambda';

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/;

/**
 * Returns the service's issuer URL. It is the URL that the client called, because clients compare the issuer with that
 * URL (RFC 8414 §3.3). API Gateway reports the domain for which it served the request. No header can change this
 * domain, and API Gateway serves it only over https.
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
