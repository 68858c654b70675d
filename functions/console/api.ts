import { pathOf } from './paths.ts';
import type {
  ApiKey,
  Deployment,
  FieldFault,
  IssuedToken,
  KeyChanges,
  KeyInput,
  NewKey,
  RetireOld,
  ServiceEvent,
  TemporaryToken,
} from './resources.ts';
import type { Session } from './session.ts';

interface Page<T> {
  items: T[];
  nextCursor?: string;
}

/** An error with a message that people understand. */
export class ApiError extends Error {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** The invalid fields, such as `trust[0].claims.ref`, and the rule that each breaks. */
  readonly fields: readonly FieldFault[];

  constructor(status: number, message: string, fields: readonly FieldFault[] = []) {
    super(message);
    this.status = status;
    this.fields = fields;
  }
}

/** Calls the service's API as the signed-in person. */
export class Api {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  deployments = (cursor?: string) => this.#get<Page<Deployment>>(['deployments'], cursor);
  deployment = (id: string) => this.#get<Deployment>(['deployments', id]);

  keys = (deploymentId: string, cursor?: string) =>
    this.#get<Page<ApiKey>>(['deployments', deploymentId, 'api-keys'], cursor);

  key = (deploymentId: string, keyId: string) =>
    this.#get<ApiKey>(['deployments', deploymentId, 'api-keys', keyId]);

  addKey = (deploymentId: string, key: KeyInput, attempt: string) =>
    this.#call<NewKey>('POST', ['deployments', deploymentId, 'api-keys'], { body: key, attempt });

  editKey = (deploymentId: string, keyId: string, changes: KeyChanges) =>
    this.#call<ApiKey>('PATCH', ['deployments', deploymentId, 'api-keys', keyId], { body: changes });

  rotateKey = (deploymentId: string, keyId: string, retireOld: RetireOld, attempt: string) =>
    this.#call<NewKey>('POST', ['deployments', deploymentId, 'api-keys', keyId, 'rotate'], {
      body: { retireOld },
      attempt,
    });

  deleteKey = (deploymentId: string, keyId: string) =>
    this.#call<void>('DELETE', ['deployments', deploymentId, 'api-keys', keyId]);

  events = (deploymentId: string, cursor?: string) =>
    this.#get<Page<ServiceEvent>>(['deployments', deploymentId, 'events'], cursor);

  temporaryTokens = (deploymentId: string, cursor?: string) =>
    this.#get<Page<TemporaryToken>>(['deployments', deploymentId, 'temporary-tokens'], cursor);

  issueToken = (deploymentId: string, scopes: string[], attempt: string) =>
    this.#call<IssuedToken>('POST', ['deployments', deploymentId, 'temporary-tokens'], {
      body: { scopes },
      attempt,
    });

  revokeToken = (deploymentId: string, id: string) =>
    this.#call<void>('DELETE', ['deployments', deploymentId, 'temporary-tokens', id]);

  #get<T>(segments: string[], cursor?: string): Promise<T> {
    return this.#call<T>('GET', segments, { query: { cursor } });
  }

  /**
   * Calls the API, and renews the sign-in once if the API answers 401.
   * @param attempt Idempotency-Key, so that a retry of the same call creates nothing twice
   * @throws ApiError
   */
  async #call<T>(
    method: string,
    segments: readonly string[],
    {
      query,
      body,
      attempt,
    }: { query?: Record<string, string | undefined>; body?: object; attempt?: string } = {},
  ): Promise<T> {
    const path = pathOf(segments, query);
    let token: string | undefined;
    const send = async () => {
      token = await this.#session.accessToken();
      return fetch(path, {
        method,
        // No cookie authorizes anything here.
        credentials: 'omit',
        cache: 'no-store',
        headers: {
          ...(token && { Authorization: `Bearer ${token}` }),
          ...(body && { 'Content-Type': 'application/json' }),
          ...(attempt && { 'Idempotency-Key': attempt }),
        },
        ...(body && { body: JSON.stringify(body) }),
      });
    };
    let response: Response;
    try {
      response = await send();
      if (response.status === 401 && (await this.#session.renew(token))) response = await send();
    } catch {
      throw new ApiError(0, 'The service cannot be reached. Check your connection and try again.');
    }
    if (response.status === 401) this.#session.end();
    if (!response.ok) throw await errorOf(response);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }
}

const WORDS: Record<number, string> = {
  401: 'Your session has expired. Sign in again.',
  404: 'Not found, or you don’t have access.',
  429: 'Too many requests. Wait a moment and try again.',
  503: 'The service is busy. Try again in a moment.',
};

async function errorOf(response: Response): Promise<ApiError> {
  const { detail, errors = [] } = await response.json().catch(() => ({}));
  const message = WORDS[response.status] ?? detail ?? 'Something went wrong. Try again in a moment.';
  return new ApiError(response.status, message, errors);
}
