import type { ErrorCode } from './error-codes.ts';

/** A request field that violates a rule. */
export interface FieldError {
  /** Path of the field, such as `scopes[2]`. */
  field: string;
  /** The rule, worded to follow the field's name: `must be 1 to 100 characters`. */
  rule: string;
}

interface Details {
  errors?: FieldError[];
  headers?: Record<string, string>;
  /** The cause of the problem, which only the log contains: an error, or the reason why a credential was rejected. */
  cause?: unknown;
}

/**
 * The only kind of error whose details a client sees. It has an HTTP status, a code (from RFC 6749 §5.2 for /oauth/*)
 * and a message without secrets. The modules in http/ turn it into a response. Any other error becomes a 500 without
 * details.
 */
export class ServiceError extends Error {
  declare readonly status: number;
  declare readonly code: ErrorCode;
  declare readonly errors: FieldError[] | undefined;
  declare readonly headers: Record<string, string>;

  constructor(status: number, code: ErrorCode, detail: string, { errors, headers, cause }: Details = {}) {
    super(detail, { cause });
    this.name = 'ServiceError';
    this.status = status;
    this.code = code;
    this.errors = errors;
    this.headers = headers ?? {};
  }
}

/** Returns a 400 that names every invalid field. */
export function invalidFields(errors: FieldError[]): ServiceError {
  const detail = errors.map(({ field, rule }) => `${field} ${rule}`).join('; ');
  return new ServiceError(400, 'invalid_request', detail, { errors });
}

/** Returns a 404. Absent resources and resources that the caller is not allowed to see must look the same. */
export function notFound(what: 'Deployment' | 'API key' | 'access token' | 'temporary token'): ServiceError {
  return new ServiceError(404, 'not_found', `No such ${what}.`);
}

/** Returns a 401 with a Bearer challenge (RFC 6750 §3). */
export function notSignedIn(detail: string): ServiceError {
  return new ServiceError(401, 'invalid_token', detail, {
    headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
  });
}

/** Returns the 401 for a person whose access was ended after they signed in. */
export function accessEnded(): ServiceError {
  return notSignedIn('Your access was ended. Sign in again, or ask an administrator.');
}

/** Returns a 409: the current state of the resource does not allow the operation. */
export function conflict(detail: string): ServiceError {
  return new ServiceError(409, 'conflict', detail);
}

/** Returns a 503: the store is currently unavailable, and the service has not allowed or issued anything. */
export function unavailable(cause: unknown): ServiceError {
  return new ServiceError(503, 'temporarily_unavailable', 'The service is busy. Try again in a second.', {
    headers: { 'Retry-After': '1' },
    cause,
  });
}

/**
 * Returns the cause of an error, for the log: the cause that a ServiceError hides from clients, or the error itself.
 */
export function causeOf(error: unknown): string {
  return String(error instanceof ServiceError ? (error.cause ?? error) : error);
}
