import { describe, expect, it } from 'vitest';
import { bodyText, jsonBody, mediaType } from '../../functions/http/body.ts';

const problem = (status: number, code: string, message: string) =>
  expect.objectContaining({ status, code, message });
const tooLarge = problem(413, 'invalid_request', 'The body must be at most 65536 bytes.');
const notUtf8 = problem(400, 'invalid_request', 'The body must be UTF-8.');

describe('bodyText', () => {
  it('decodes a request body, whether it is plain text or base64', () => {
    expect(bodyText({ body: 'é', isBase64Encoded: false })).toBe('é');
    expect(bodyText({ body: 'w6k=', isBase64Encoded: true })).toBe('é');
    expect(bodyText({ isBase64Encoded: false })).toBe('');
  });

  it('accepts a request body of at most 64 KiB, counted in bytes', () => {
    expect(bodyText({ body: 'x'.repeat(65_536), isBase64Encoded: false })).toHaveLength(65_536);
    expect(bodyText({ body: 'é'.repeat(32_768), isBase64Encoded: false })).toHaveLength(32_768);
    expect(() => bodyText({ body: 'x'.repeat(65_537), isBase64Encoded: false })).toThrow(tooLarge);
    expect(() => bodyText({ body: 'é'.repeat(32_769), isBase64Encoded: false })).toThrow(tooLarge);
    const base64 = Buffer.alloc(65_537, 0xff).toString('base64');
    expect(() => bodyText({ body: base64, isBase64Encoded: true })).toThrow(tooLarge);
  });

  it('rejects a request body that is not UTF-8', () => {
    const thrown = () =>
      bodyText({ body: Buffer.from([0x7b, 0xff]).toString('base64'), isBase64Encoded: true });
    expect(thrown).toThrow(notUtf8);
    expect(thrown).toThrow(expect.objectContaining({ cause: expect.any(TypeError) }));
  });
});

it('mediaType returns the media type in lower case without parameters', () => {
  expect(mediaType({ 'content-type': 'Application/JSON ; charset=utf-8; x=y' })).toBe('application/json');
  expect(mediaType({ 'content-type': ' text/plain ' })).toBe('text/plain');
  expect(mediaType({})).toBe('');
});

describe('jsonBody', () => {
  const event = (body: string, type?: string) =>
    ({ body, isBase64Encoded: false, headers: { 'content-type': type } }) as never;

  it('accepts any JSON value as the request body', () => {
    expect(jsonBody(event('{"a":[1]}', 'application/json'))).toEqual({ a: [1] });
    expect(jsonBody(event('null', 'application/json; charset=utf-8'))).toBeNull();
  });

  it('returns 415 when the content type is not JSON, regardless of the body', () => {
    for (const type of [undefined, '', 'text/plain', 'application/jsonp'])
      expect(() => jsonBody(event('{}', type))).toThrow(
        problem(415, 'unsupported_media_type', 'Send the body as Content-Type: application/json.'),
      );
  });

  it('returns 400 for a body with invalid JSON without repeating the body', () => {
    expect(() => jsonBody(event('{"secret', 'application/json'))).toThrow(
      expect.objectContaining({
        status: 400,
        message: 'body must be JSON',
        errors: [{ field: 'body', rule: 'must be JSON' }],
        cause: undefined,
      }),
    );
  });

  it('returns 413 for a body that is too large before checking its content type', () => {
    expect(() => jsonBody(event('x'.repeat(65_537), 'text/plain'))).toThrow(tooLarge);
  });
});
