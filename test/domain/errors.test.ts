import { expect, it } from 'vitest';
import {
  causeOf,
  conflict,
  invalidFields,
  notFound,
  ServiceError,
  unavailable,
} from '../../functions/domain/errors.ts';

const seen = ({ name, status, code, message, errors, headers, cause }: ServiceError) => ({
  name,
  status,
  code,
  message,
  errors,
  headers,
  cause,
});
const bare = { name: 'ServiceError', errors: undefined, headers: {}, cause: undefined };

it('an error that a client may see has status, code and a sentence', () => {
  expect(seen(new ServiceError(418, 'teapot', 'Short and stout.'))).toEqual({
    ...bare,
    status: 418,
    code: 'teapot',
    message: 'Short and stout.',
  });
});

it('fields that break rules are a 400 that names each', () => {
  const errors = [
    { field: 'name', rule: 'must be text' },
    { field: 'scopes[2]', rule: 'must be known' },
  ];
  expect(seen(invalidFields(errors))).toEqual({
    ...bare,
    status: 400,
    code: 'invalid_request',
    message: 'name must be text; scopes[2] must be known',
    errors,
  });
});

it('what is absent is a 404 that says of which kind', () => {
  expect(seen(notFound('API key'))).toEqual({
    ...bare,
    status: 404,
    code: 'not_found',
    message: 'No such API key.',
  });
});

it('a state that does not allow it is a 409', () => {
  expect(seen(conflict('Full.'))).toEqual({ ...bare, status: 409, code: 'conflict', message: 'Full.' });
});

it('a store that cannot answer is a 503 with Retry-After, and keeps the cause for the log', () => {
  const cause = new Error('throttled');
  expect(seen(unavailable(cause))).toEqual({
    ...bare,
    status: 503,
    code: 'temporarily_unavailable',
    message: 'The service is busy. Try again in a second.',
    headers: { 'Retry-After': '1' },
    cause,
  });
});

it('what went wrong is for the log: the cause of an error that clients see, or else the error itself', () => {
  expect(causeOf(unavailable(new Error('throttled')))).toBe('Error: throttled');
  expect(causeOf(conflict('Full.'))).toBe('ServiceError: Full.');
  expect(causeOf(Object.assign(new TypeError('x'), { cause: 'y' }))).toBe('TypeError: x');
  expect(causeOf('text')).toBe('text');
});
