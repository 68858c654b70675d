import type { APIGatewayProxyEventV2 } from 'aws-lambda';

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/;

/**
 * The issuer is the URL used (RFC 8414 §3.3): a client compares it with the one it began from. The domain is the
 * one that API Gateway served the request for, which no header can change; it speaks https and nothing else.
 * @param publicUrl what clients use, where something stands in front of API Gateway
 */
export function issuerOf(
  { headers, requestContext: { domainName } }: Pick<APIGatewayProxyEventV2, 'headers' | 'requestContext'>,
  publicUrl: string | undefined,
): string {
  if (publicUrl !== undefined) return publicUrl;
  const isLocal = LOOPBACK.test(domainName) && headers['x-forwarded-proto'] === 'http';
  return `${isLocal ? 'http' : 'https'}://${domainName}`;
}
