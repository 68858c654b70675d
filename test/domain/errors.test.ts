import { expect, it } from 'vitest';
import {
  accessEnded,
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

it('ServiceError has a status, a code and a message for the client', () => {
  expect(seen(new ServiceError(409, 'conflict', 'Short and stout.'))).toEqual({
    ...bare,
    status: 409,
    code: 'conflict',
    message: 'Short and stout.',
  });
});

it('invalidFields creates a 400 error that names each invalid field', () => {
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

it('notFound creates a 404 error that names the kind of resource', () => {
  expect(seen(notFound('API key'))).toEqual({
    ...bare,
    status: 404,
    code: 'not_found',
    message: 'No such API key.',
  });
});

it('accessEnded creates a 401 error with a Bearer challenge', () => {
  expect(seen(accessEnded())).toEqual({
    ...bare,
    status: 401,
    code: 'invalid_token',
    message: 'Your access was ended. Sign in again, or ask an administrator.',
    headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
  });
});

it('conflict creates a 409 error', () => {
  expect(seen(conflict('Full.'))).toEqual({ ...bare, status: 409, code: 'conflict', message: 'Full.' });
});

it('unavailable creates a 503 error with Retry-After, and keeps the cause for the log', () => {
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

it('causeOf returns the cause of an error, or the error itself if it has no cause', () => {
  expect(causeOf(unavailable(new Error('throttled')))).toBe('Error: throttled');
  expect(causeOf(conflict('Full.'))).toBe('ServiceError: Full.');
  expect(causeOf(Object.assign(new TypeError('x'), { cause: 'y' }))).toBe('TypeError: x');
  expect(causeOf('text')).toBe('text');
});
