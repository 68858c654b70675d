/** One field of a request that broke a rule. */
export interface FieldError {
  /** Path of the field, such as `scopes[2]`. */
  field: string;
  /** The rule, to read after the field's name: `must be 1 to 100 characters`. */
  rule: string;
}

interface Details {
  errors?: FieldError[];
  headers?: Record<string, string>;
  cause?: unknown;
}

/**
 * The only error whose details a client sees. It has an HTTP status, a code (RFC 6749 §5.2 for /oauth/*) and a sentence
 * without secrets; http/ renders it. Any other error becomes a 500 without details.
 */
export class ServiceError extends Error {
  readonly status: number;
  readonly code: string;
  readonly errors: FieldError[] | undefined;
  readonly headers: Record<string, string>;

  constructor(status: number, code: string, detail: string, { errors, headers, cause }: Details = {}) {
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

/** Returns a 404. Absent resources and those that the caller may not see must look the same. */
export function notFound(what: 'Deployment' | 'API key' | 'temporary token'): ServiceError {
  return new ServiceError(404, 'not_found', `No such ${what}.`);
}

/** Returns a 409: the current state of the resource does not allow the operation. */
export function conflict(detail: string): ServiceError {
  return new ServiceError(409, 'conflict', detail);
}

/** Returns a 503: the store cannot answer now, and nothing was granted. */
export function unavailable(cause: unknown): ServiceError {
  return new ServiceError(503, 'temporarily_unavailable', 'The service is busy. Try again in a second.', {
    headers: { 'Retry-After': '1' },
    cause,
  });
}

/** Returns the cause of an error, for the log: what a ServiceError hides from clients, or the error itself. */
export function causeOf(error: unknown): string {
  return String(error instanceof ServiceError ? (error.cause ?? error) : error);
}
