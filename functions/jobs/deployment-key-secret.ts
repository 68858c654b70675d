import type {
  CloudFormationCustomResourceEvent,
  CloudFormationCustomResourceResponse,
  CloudFormationCustomResourceUpdateEvent,
} from 'aws-lambda';
import * as z from 'zod/mini';
import { isDeploymentId, parseKeyId } from '../domain/credentials.ts';

/** Time reserved for the work after the last call (storing the secret and responding), in milliseconds. */
export const RESERVE = 60_000;

/** A call to the service's API under /platform. */
export interface PlatformCall {
  /** URL of the service, such as `https://keys.example.com`, without a trailing slash. */
  url: string;
  /** The AWS Region of the service, which is part of the signature. */
  region: string;
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Path of the call, including the query string. */
  path: string;
  /** Body, sent as JSON. Undefined means no body. */
  body?: object | undefined;
  idempotencyKey?: string | undefined;
}

interface Dependencies {
  /**
   * Sends a signed request, and retries it if a retry can help.
   * @returns the last response; its `body` is undefined if it is not JSON
   * @throws Error if there was no response
   */
  call: (call: PlatformCall) => Promise<{ status: number; body: unknown }>;
  /** Sets the current version of a secret. */
  putSecret: (secretArn: string, value: string) => Promise<void>;
}

/** The resource's properties in the template. CloudFormation converts numbers to strings. */
const properties = z.object({
  PlatformUrl: z.string().check(z.regex(/^(https:\/\/|http:\/\/127\.0\.0\.1:)[^/\s]+$/)),
  PlatformRegion: z.string().check(z.regex(/^[a-z0-9-]+$/)),
  SecretArn: z.string().check(z.regex(/^arn:[\w-]+:secretsmanager:/)),
  DeploymentId: z.string().check(z.refine(isDeploymentId)),
  Name: z.string(),
  Scopes: z.array(z.string()),
  ExpiresAt: z.optional(z.string()),
  Networks: z.optional(z.array(z.string())),
  /** Any string. Changing it rotates the secret. */
  Rotation: z.optional(z.string()),
  RetireOld: z.optional(z.string()),
});
type Properties = z.infer<typeof properties>;

/** The key fields that this resource uses. */
const key = z.object({
  id: z.string().check(z.refine((it) => parseKeyId(it) !== undefined)),
  description: z.nullable(z.string()),
  credentials: z.array(z.object({ createdAt: z.string() })),
  secret: z.optional(z.string()),
});
type Key = z.infer<typeof key>;
const page = z.object({ items: z.array(key), nextCursor: z.optional(z.string()) });

/** The physical ID to use if it is certain that no key was created. */
const NOT_CREATED = 'not-made';
/** The physical ID to use if it is unknown whether a key was created. */
const UNKNOWN = 'unknown';
/** Maximum number of attempts to store a secret if someone else rotates the key at the same time. */
const ATTEMPTS = 3;

/**
 * Handles a CloudFormation request for a key whose secret is stored in Secrets Manager: creates, edits, rotates or
 * deletes the key. The response contains the ARN of the secret and the key's ID, which is the physical ID. The secret
 * itself never appears in a response, log line or error.
 * @returns the response. Errors become a response with status FAILED and their message as the reason.
 * @example
 * ```
 * const response = await keySecret(event, { call: openPlatformApi(readAwsAccess(), deadline), putSecret: openSecrets() });
 * await respond(event.ResponseURL, response);
 * ```
 */
export async function keySecret(
  event: CloudFormationCustomResourceEvent,
  dependencies: Dependencies,
): Promise<CloudFormationCustomResourceResponse> {
  const { StackId, RequestId, LogicalResourceId } = event;
  const resource = new KeyOfStack(event, dependencies);
  const common = () => ({ PhysicalResourceId: resource.physicalId, StackId, RequestId, LogicalResourceId });
  try {
    if (event.RequestType === 'Delete') {
      await resource.delete();
      return { Status: 'SUCCESS', ...common() };
    }
    await (event.RequestType === 'Create' ? resource.create() : resource.update(event));
    const Data = { SecretArn: resource.wanted.SecretArn, KeyId: resource.physicalId };
    return { Status: 'SUCCESS', ...common(), Data };
  } catch (error) {
    return { Status: 'FAILED', ...common(), Reason: error instanceof Error ? error.message : 'unknown' };
  }
}

class KeyOfStack {
  /** The key's ID, set as soon as it is known, so that CloudFormation can delete the key after a failure. */
  physicalId: string;
  readonly #event: CloudFormationCustomResourceEvent;
  readonly #dependencies: Dependencies;

  constructor(event: CloudFormationCustomResourceEvent, dependencies: Dependencies) {
    this.physicalId = event.RequestType === 'Create' ? NOT_CREATED : event.PhysicalResourceId;
    this.#event = event;
    this.#dependencies = dependencies;
  }

  /**
   * Returns the validated properties.
   * @throws Error if a property is invalid
   */
  get wanted(): Properties {
    const { data, error } = properties.safeParse(this.#event.ResourceProperties);
    if (data) return data;
    throw new Error(`${String(error.issues[0]?.path[0])} is missing or invalid.`);
  }

  /**
   * Creates the key. A retry of the same request finds the key that the first attempt created, and rotates it, because
   * that key's secret is lost.
   */
  async create(): Promise<void> {
    const { Name: name, Scopes: scopes, ExpiresAt: expiresAt, Networks: networks } = this.wanted;
    const body = { name, scopes, expiresAt, networks, description: this.#mark() };
    const isFirst = this.#event.RequestType === 'Create';
    if (isFirst) this.physicalId = UNKNOWN;
    const { status, body: answer } = await this.#call('POST', '', body, this.#event.RequestId);
    if (isFirst && status >= 400 && status < 500) this.physicalId = NOT_CREATED;
    const created = this.#parse(key, answer, status, 201);
    this.physicalId = created.id;
    await this.#store(created.secret === undefined ? await this.#rotate('now') : created);
  }

  /** Edits the key, and rotates it if requested. If the key no longer exists, creates it again with a different ID. */
  async update({ OldResourceProperties }: CloudFormationCustomResourceUpdateEvent): Promise<void> {
    const { wanted } = this;
    const { data: before } = properties.safeParse(OldResourceProperties);
    if (before && before.DeploymentId !== wanted.DeploymentId) {
      throw new Error('DeploymentId cannot change. Give the resource another logical ID.');
    }
    const isOther = (name: keyof Properties) =>
      JSON.stringify(before?.[name]) !== JSON.stringify(wanted[name]);
    const changes = {
      ...(isOther('Name') && { name: wanted.Name }),
      ...(isOther('Scopes') && { scopes: wanted.Scopes }),
      ...(isOther('ExpiresAt') && { expiresAt: wanted.ExpiresAt ?? null }),
      ...(isOther('Networks') && { networks: wanted.Networks ?? [] }),
    };
    const found =
      Object.keys(changes).length > 0
        ? await this.#call('PATCH', `/${this.physicalId}`, changes)
        : await this.#call('GET', `/${this.physicalId}`);
    if (found.status === 404) return this.create();
    this.#parse(key, found.body, found.status, 200);
    if (!isOther('Rotation') && !isOther('SecretArn')) return;
    await this.#store(await this.#rotate(retirement(wanted.RetireOld), this.#event.RequestId));
  }

  /**
   * Deletes the key. If CloudFormation never received the key's ID, it sends a physical ID that it generated itself.
   * This function then finds the key by its description.
   */
  async delete(): Promise<void> {
    const isWrong = properties.safeParse(this.#event.ResourceProperties).data === undefined;
    // If the properties are invalid, no key was ever created.
    if (isWrong || this.physicalId === NOT_CREATED) return;
    const ids = parseKeyId(this.physicalId) ? [this.physicalId] : await this.#marked();
    for (const id of ids) {
      const { status, body } = await this.#call('DELETE', `/${id}`);
      if (status !== 404) this.#parse(z.unknown(), body, status, 204);
    }
  }

  /**
   * Returns the key's description. It shows people which resource the key belongs to, and lets a deletion find the key.
   */
  #mark(): string {
    return `CloudFormation: ${this.#event.LogicalResourceId} of ${this.#event.StackId}`;
  }

  async #marked(): Promise<string[]> {
    const ids: string[] = [];
    let cursor: string | undefined = '';
    while (cursor !== undefined) {
      const query: string = cursor && `&cursor=${cursor}`;
      const { status, body } = await this.#call('GET', `?limit=100${query}`);
      if (status === 404) return [];
      const { items, nextCursor }: z.infer<typeof page> = this.#parse(page, body, status, 200);
      ids.push(...items.filter(({ description }) => description === this.#mark()).map(({ id }) => id));
      cursor = nextCursor;
    }
    return ids;
  }

  /**
   * Generates a new secret for the key. A retry of the same request does not get this secret, so it rotates the key
   * once more.
   */
  async #rotate(retireOld: unknown, idempotencyKey?: string): Promise<Key> {
    const path = `/${this.physicalId}/rotate`;
    const { status, body } = await this.#call('POST', path, { retireOld }, idempotencyKey);
    const rotated = this.#parse(key, body, status, 200);
    if (rotated.secret !== undefined) return rotated;
    if (idempotencyKey === undefined) throw new Error('The service returned no secret.');
    return this.#rotate(retireOld);
  }

  /**
   * Stores the secret, and then checks that it is still the key's newest secret, because Lambda can process the same
   * request twice at the same time.
   */
  async #store(created: Key): Promise<void> {
    const newest = ({ credentials }: Key) => credentials.at(-1)?.createdAt;
    for (let attempt = 1, latest = created; attempt <= ATTEMPTS; attempt++) {
      const value = JSON.stringify({ client_id: latest.id, client_secret: latest.secret });
      await this.#dependencies.putSecret(this.wanted.SecretArn, value);
      const { status, body } = await this.#call('GET', `/${this.physicalId}`);
      if (newest(this.#parse(key, body, status, 200)) === newest(latest)) return;
      latest = await this.#rotate('now');
    }
    throw new Error('Someone else is rotating this key at the same time. Try again.');
  }

  #call(method: PlatformCall['method'], path: string, body?: object, idempotencyKey?: string) {
    const { PlatformUrl: url, PlatformRegion: region, DeploymentId: id } = this.wanted;
    const keys = `/platform/deployments/${id}/api-keys`;
    return this.#dependencies.call({ url, region, method, path: `${keys}${path}`, body, idempotencyKey });
  }

  /**
   * Parses the service's response.
   * @throws Error with the service's message if the status is not the expected status, or if the response is malformed
   */
  #parse<T>(schema: z.ZodMiniType<T>, body: unknown, status: number, expected: number): T {
    const { detail, message } = Object(body) as { detail?: unknown; message?: unknown };
    if (status !== expected) {
      const { DeploymentId, PlatformUrl } = this.wanted;
      throw new Error(`${PlatformUrl} answered ${status} for ${DeploymentId}: ${detail ?? message ?? ''}`);
    }
    const parsed = schema.safeParse(body);
    // Discards the parser's message, because the message could quote the secret.
    if (!parsed.success) throw new Error('The service returned a malformed answer.');
    return parsed.data;
  }
}

/** Converts RetireOld to the API's format. Undefined requests the API's default. */
function retirement(text: string | undefined): string | number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : text;
}
