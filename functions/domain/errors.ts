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
 * The one error that a client may see. It carries its HTTP status, a code (RFC 6749 §5.2 for /oauth/*) and a
 * sentence without secrets; http/ renders it. Anything else that is thrown becomes a bare 500.
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

/** 400: the request's fields break rules; every one is named. */
export function invalidFields(errors: FieldError[]): ServiceError {
  const detail = errors.map(({ field, rule }) => `${field} ${rule}`).join('; ');
  return new ServiceError(400, 'invalid_request', detail, { errors });
}

/** 404: it is absent, or not for this person to see. The two must look the same. */
export function notFound(what: 'Deployment' | 'API key' | 'temporary token'): ServiceError {
  return new ServiceError(404, 'not_found', `No such ${what}.`);
}

/** 409: the state of the thing does not allow it. */
export function conflict(detail: string): ServiceError {
  return new ServiceError(409, 'conflict', detail);
}

/** 503: the store cannot answer now; nothing was granted. */
export function unavailable(cause: unknown): ServiceError {
  return new ServiceError(503, 'temporarily_unavailable', 'The service is busy. Try again in a second.', {
    headers: { 'Retry-After': '1' },
    cause,
  });
}

/** What went wrong, for the log: a ServiceError tells clients little, and has what it was in its cause. */
export function causeOf(error: unknown): string {
  return String(error instanceof ServiceError ? (error.cause ?? error) : error);
}
