import type {
  CloudFormationCustomResourceEvent,
  CloudFormationCustomResourceResponse,
  CloudFormationCustomResourceUpdateEvent,
} from 'aws-lambda';
import * as z from 'zod/mini';
import { isDeploymentId, parseKeyId } from '../domain/identifiers.ts';

/** One call of the service under /platform. */
export interface PlatformCall {
  /** `https://keys.example.com`, without a slash at its end. */
  url: string;
  /** Of the service: a signature names it. */
  region: string;
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** With its query. */
  path: string;
  /** JSON; left out for none. */
  body?: object | undefined;
  idempotencyKey?: string | undefined;
}

interface Dependencies {
  /**
   * Makes a signed call, and makes it again where that can help.
   * @returns the last answer; `body` is undefined where it is no JSON
   * @throws Error when there was none
   */
  call: (call: PlatformCall) => Promise<{ status: number; body: unknown }>;
  /** Makes a text the current version of a secret. */
  putSecret: (secretArn: string, value: string) => Promise<void>;
}

/** What the template says. CloudFormation makes a string of every number. */
const properties = z.object({
  PlatformUrl: z.string().check(z.regex(/^(https:\/\/|http:\/\/127\.0\.0\.1:)[^/\s]+$/)),
  PlatformRegion: z.string().check(z.regex(/^[a-z0-9-]+$/)),
  SecretArn: z.string().check(z.regex(/^arn:[\w-]+:secretsmanager:/)),
  DeploymentId: z.string().check(z.refine(isDeploymentId)),
  Name: z.string(),
  Scopes: z.array(z.string()),
  ExpiresAt: z.optional(z.string()),
  Networks: z.optional(z.array(z.string())),
  /** Any text: another one than before asks for another secret. */
  Rotation: z.optional(z.string()),
  RetireOld: z.optional(z.string()),
});
type Properties = z.infer<typeof properties>;

/** What is read of a key. */
const key = z.object({
  id: z.string().check(z.refine((it) => parseKeyId(it) !== undefined)),
  description: z.nullable(z.string()),
  credentials: z.array(z.object({ createdAt: z.string() })),
  secret: z.optional(z.string()),
});
type Key = z.infer<typeof key>;
const page = z.object({ items: z.array(key), nextCursor: z.optional(z.string()) });

/** Physical IDs where there is no key: it is known that none was made; or it is not. */
const NOT_MADE = 'not-made';
const UNKNOWN = 'unknown';
/** How often to begin anew where somebody else rotated the key while its secret was being written. */
const ATTEMPTS = 3;

/**
 * The life of a key whose secret goes straight into Secrets Manager: makes, edits, rotates and deletes it, as
 * CloudFormation asks. The answer holds the ARN of the secret and the ID of the key, which is the physical ID; the
 * secret itself is in no answer, log line or error.
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
  /** The key's ID as soon as it is known, so that whatever fails after that leaves a name by which to delete it. */
  physicalId: string;
  readonly #event: CloudFormationCustomResourceEvent;
  readonly #dependencies: Dependencies;

  constructor(event: CloudFormationCustomResourceEvent, dependencies: Dependencies) {
    this.physicalId = event.RequestType === 'Create' ? NOT_MADE : event.PhysicalResourceId;
    this.#event = event;
    this.#dependencies = dependencies;
  }

  /** @throws Error for properties that break a rule */
  get wanted(): Properties {
    const { data, error } = properties.safeParse(this.#event.ResourceProperties);
    if (data) return data;
    throw new Error(`${String(error.issues[0]?.path[0])} is not what it must be.`);
  }

  /** Makes the key. A retry of the same request finds the key of the first, whose secret is lost: it is rotated. */
  async create(): Promise<void> {
    const { Name: name, Scopes: scopes, ExpiresAt: expiresAt, Networks: networks } = this.wanted;
    const body = { name, scopes, expiresAt, networks, description: this.#mark() };
    const isFirst = this.#event.RequestType === 'Create';
    if (isFirst) this.physicalId = UNKNOWN;
    const { status, body: answer } = await this.#call('POST', '', body, this.#event.RequestId);
    if (isFirst && status >= 400 && status < 500) this.physicalId = NOT_MADE;
    const made = this.#parse(key, answer, status, 201);
    this.physicalId = made.id;
    await this.#store(made.secret === undefined ? await this.#rotate('now') : made);
  }

  /** Edits the key, and rotates it where that is asked for. One that is gone is made anew, under another ID. */
  async update({ OldResourceProperties }: CloudFormationCustomResourceUpdateEvent): Promise<void> {
    const { wanted } = this;
    const { data: before } = properties.safeParse(OldResourceProperties);
    if (before && before.DeploymentId !== wanted.DeploymentId) {
      throw new Error('DeploymentId cannot change: give the resource another logical ID.');
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
   * Deletes the key. Where CloudFormation was never told its ID, it sends one of its own: then the key is the one that
   * says that it is of this resource.
   */
  async delete(): Promise<void> {
    const isWrong = properties.safeParse(this.#event.ResourceProperties).data === undefined;
    // With properties like these nothing was ever made.
    if (isWrong || this.physicalId === NOT_MADE) return;
    const ids = parseKeyId(this.physicalId) ? [this.physicalId] : await this.#marked();
    for (const id of ids) {
      const { status, body } = await this.#call('DELETE', `/${id}`);
      if (status !== 404) this.#parse(z.unknown(), body, status, 204);
    }
  }

  /** What says whose the key is: to people, and to a deletion that does not know its ID. */
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

  /** A new secret for the key. A retry of the same request learns none, and so rotates once more. */
  async #rotate(retireOld: unknown, idempotencyKey?: string): Promise<Key> {
    const path = `/${this.physicalId}/rotate`;
    const { status, body } = await this.#call('POST', path, { retireOld }, idempotencyKey);
    const rotated = this.#parse(key, body, status, 200);
    if (rotated.secret !== undefined) return rotated;
    if (idempotencyKey === undefined) throw new Error('The service gave no secret.');
    return this.#rotate(retireOld);
  }

  /**
   * Writes the secret, and makes sure that it was still the newest when it was written: Lambda may run one request
   * twice at once.
   */
  async #store(made: Key): Promise<void> {
    const newest = ({ credentials }: Key) => credentials.at(-1)?.createdAt;
    for (let attempt = 1, latest = made; attempt <= ATTEMPTS; attempt++) {
      const value = JSON.stringify({ client_id: latest.id, client_secret: latest.secret });
      await this.#dependencies.putSecret(this.wanted.SecretArn, value);
      const { status, body } = await this.#call('GET', `/${this.physicalId}`);
      if (newest(this.#parse(key, body, status, 200)) === newest(latest)) return;
      latest = await this.#rotate('now');
    }
    throw new Error('Somebody else rotates this key at the same time.');
  }

  #call(method: PlatformCall['method'], path: string, body?: object, idempotencyKey?: string) {
    const { PlatformUrl: url, PlatformRegion: region, DeploymentId: id } = this.wanted;
    const keys = `/platform/deployments/${id}/api-keys`;
    return this.#dependencies.call({ url, region, method, path: `${keys}${path}`, body, idempotencyKey });
  }

  /** @throws Error for another status than the one expected, in the service's words; or for another form */
  #parse<T>(schema: z.ZodMiniType<T>, body: unknown, status: number, expected: number): T {
    const { detail, message } = Object(body) as { detail?: unknown; message?: unknown };
    if (status !== expected) {
      const { DeploymentId, PlatformUrl } = this.wanted;
      throw new Error(`${PlatformUrl} answered ${status} for ${DeploymentId}: ${detail ?? message ?? ''}`);
    }
    const parsed = schema.safeParse(body);
    // Its message could quote what it found.
    if (!parsed.success) throw new Error('The service answered in a form that is not known.');
    return parsed.data;
  }
}

/** As the service has it; undefined for what it does unless told otherwise. */
function retirement(text: string | undefined): string | number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : text;
}
