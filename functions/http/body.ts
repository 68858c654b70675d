import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { invalidFields, ServiceError } from '../domain/errors.ts';

/** Maximum size of a body, in bytes. API Gateway itself accepts up to 10 MB. */
export const MAX_BODY = 64 * 1024;

/**
 * Returns the body as text, after checking its size.
 * @throws ServiceError 413 if the body is larger than 64 KiB; 400 if it is not UTF-8
 */
export function bodyText({
  body = '',
  isBase64Encoded,
}: Pick<APIGatewayProxyEventV2, 'body' | 'isBase64Encoded'>): string {
  const bytes = Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8');
  if (bytes.length > MAX_BODY) {
    throw new ServiceError(413, 'invalid_request', `The body must be at most ${MAX_BODY} bytes.`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ServiceError(400, 'invalid_request', 'The body must be UTF-8.', { cause });
  }
}

/** Returns the media type in lower case, without parameters. */
export function mediaType(headers: APIGatewayProxyEventV2['headers']): string {
  return (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/**
 * Returns the body parsed as JSON, but not validated.
 * @throws ServiceError 415 for a media type other than JSON; 413 and 400 as in bodyText; 400 if the body is not JSON
 */
export function jsonBody(event: APIGatewayProxyEventV2): unknown {
  const text = bodyText(event);
  if (mediaType(event.headers) !== 'application/json') {
    throw new ServiceError(415, 'unsupported_media_type', 'Send the body as Content-Type: application/json.');
  }
  try {
    return JSON.parse(text);
  } catch {
    // Discards the error from JSON.parse, because its message quotes the body, which can contain a secret.
    throw invalidFields([{ field: 'body', rule: 'must be JSON' }]);
  }
}
