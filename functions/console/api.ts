import { pathOf } from './paths.ts';
import type {
  AccessJob,
  AccessToken,
  ApiKey,
  Deployment,
  DeploymentChanges,
  Explanation,
  FieldFault,
  FoundPerson,
  IssuedToken,
  KeyChanges,
  KeyInput,
  NewKey,
  PersonAccess,
  RetireOld,
  ServiceEvent,
  TemporaryToken,
} from './resources.ts';
import type { Session } from './session.ts';

interface Page<T> {
  items: T[];
  nextCursor?: string;
}

/** An error response of the API: RFC 9457, or a body of the gateway, which has none of these fields. */
interface Problem {
  detail?: string;
  errors?: FieldFault[];
}

/** An error with a human-readable message. */
export class ApiError extends Error {
  /** HTTP status; 0 if there was no response. */
  readonly status: number;
  /** The invalid fields, such as `trust[0].claims.ref`, each with the rule that it violates. */
  readonly fields: readonly FieldFault[];

  constructor(status: number, message: string, fields: readonly FieldFault[] = []) {
    super(message);
    this.status = status;
    this.fields = fields;
  }
}

/** Client that calls the service's API as the signed-in person. */
export class Api {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Lists Deployments. @param prefix prefix that the IDs must have */
  deployments = (cursor?: string, prefix?: string) =>
    this.#call<Page<Deployment>>('GET', ['deployments'], { query: { prefix, cursor } });

  deployment = (id: string) => this.#get<Deployment>(['deployments', id]);

  /** Registers a Deployment, or changes the given fields of an existing Deployment. */
  putDeployment = (id: string, changes: DeploymentChanges) =>
    this.#call<Deployment>('PUT', ['deployments', id], { body: changes });

  deleteDeployment = (id: string) => this.#call<void>('DELETE', ['deployments', id]);

  /** The keys of a Deployment, newest first. */
  keys = (deploymentId: string, cursor?: string) =>
    this.#call<Page<ApiKey>>('GET', ['deployments', deploymentId, 'api-keys'], {
      query: { order: 'newest', cursor },
    });

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

  /**
   * Lists the active access tokens of a key, in no particular order. A page can be empty without being the last one.
   */
  accessTokens = (deploymentId: string, keyId: string, cursor?: string) =>
    this.#call<Page<AccessToken>>('GET', ['deployments', deploymentId, 'api-keys', keyId, 'tokens'], {
      query: { limit: '25', cursor },
    });

  revokeAccessToken = (deploymentId: string, keyId: string, id: string) =>
    this.#call<void>('DELETE', ['deployments', deploymentId, 'api-keys', keyId, 'tokens', id]);

  revokeAllAccessTokens = (deploymentId: string, keyId: string) =>
    this.#call<void>('DELETE', ['deployments', deploymentId, 'api-keys', keyId, 'tokens']);

  /**
   * Explains which of a key's trust rules match a CI token. The service neither stores nor logs the token.
   * @param token the CI's token, which is sent only in the body
   */
  explain = (deploymentId: string, keyId: string, token: string) =>
    this.#call<Explanation>('POST', ['deployments', deploymentId, 'api-keys', keyId, 'explain'], {
      body: { subject_token: token },
    });

  /**
   * Lists the events of a Deployment.
   * @param keyId limits the result to events about this key; undefined means all events of the Deployment
   */
  events = (deploymentId: string, cursor?: string, keyId?: string) =>
    this.#call<Page<ServiceEvent>>('GET', ['deployments', deploymentId, 'events'], {
      query: { keyId, cursor },
    });

  temporaryTokens = (deploymentId: string, cursor?: string) =>
    this.#get<Page<TemporaryToken>>(['deployments', deploymentId, 'temporary-tokens'], cursor);

  issueToken = (deploymentId: string, scopes: string[], attempt: string) =>
    this.#call<IssuedToken>('POST', ['deployments', deploymentId, 'temporary-tokens'], {
      body: { scopes },
      attempt,
    });

  revokeToken = (deploymentId: string, id: string) =>
    this.#call<void>('DELETE', ['deployments', deploymentId, 'temporary-tokens', id]);

  /** Lists the people whose access was ended. Only administrators can use the calls about people. */
  people = (cursor?: string) => this.#get<Page<PersonAccess>>(['people'], cursor);

  peopleEvents = (cursor?: string) => this.#get<Page<ServiceEvent>>(['people', 'events'], cursor);

  /**
   * Gets a person's access and the keys that the job found.
   * @param sub the person's `sub`, which is sent only in the body, because other systems might log URLs
   */
  findPerson = (sub: string, cursor?: string) =>
    this.#call<FoundPerson>('POST', ['people', 'find'], { body: { sub, ...(cursor && { cursor }) } });

  endAccess = (sub: string, { keys, block }: { keys: AccessJob['keys']; block: boolean }) =>
    this.#call<PersonAccess>('POST', ['people', 'end-access'], { body: { sub, keys, block } });

  restoreAccess = (sub: string) =>
    this.#call<PersonAccess>('POST', ['people', 'restore-access'], { body: { sub } });

  #get<T>(segments: string[], cursor?: string): Promise<T> {
    return this.#call<T>('GET', segments, { query: { cursor } });
  }

  /**
   * Calls the API. If the API returns 401, renews the sign-in and repeats the call once.
   * @param attempt Idempotency-Key, so that a retry of the same call does not create anything twice
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
        // The page sends no cookies, because the API ignores them.
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
    if (response.ok) return (response.status === 204 ? undefined : await response.json()) as T;
    const { detail, errors }: Problem = await response.json().catch(() => ({}));
    // A 401 from API Gateway, for an expired token, has no detail. A 401 from the service says why it rejects a valid
    // token.
    if (response.status === 401) this.#session.end(detail);
    const message = WORDS[response.status] ?? detail ?? 'Something went wrong. Try again in a moment.';
    throw new ApiError(response.status, message, errors);
  }
}

const WORDS: Record<number, string> = {
  401: 'Your session has expired. Sign in again.',
  404: 'Not found, or you don’t have access.',
  429: 'Too many requests. Wait a moment and try again.',
  503: 'The service is busy. Try again in a moment.',
};
