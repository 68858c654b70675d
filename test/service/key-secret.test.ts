import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CloudFormationCustomResourceResponse } from 'aws-lambda';
import { afterAll, describe, expect, it } from 'vitest';
import { ACCOUNT } from '../../local/template.ts';
import { kept } from '../support/assembly.ts';
import { KEY_SECRET_ROLE_NAME, synthesiseKeySecret } from '../support/consumers.ts';
import { signedCall } from '../support/signed.ts';
import { runStack } from '../support/stack.ts';

const ROLE = `arn:aws:iam::${ACCOUNT}:role/${KEY_SECRET_ROLE_NAME}`;
const ID = 'etl';

/** The service, and a consumer's stack that stores a key for the Deployment etl in Secrets Manager. */
const withConsumer = kept('key-secret', async () => synthesiseKeySecret);
const stack = await runStack({ context: { platformPrincipals: ROLE }, synthesise: withConsumer });
const [secret] = stack.secrets;
if (!secret) throw new Error('The stack has no secret.');

/** The server that receives the custom resource's responses in place of CloudFormation. */
const answers: { type: string | undefined; text: string }[] = [];
const cloudFormation = createServer(async (incoming, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  answers.push({ type: incoming.headers['content-type'], text: Buffer.concat(chunks).toString() });
  response.end();
}).listen(0, '127.0.0.1');
await once(cloudFormation, 'listening');
afterAll(() => cloudFormation.close());
const ResponseURL = `http://127.0.0.1:${(cloudFormation.address() as AddressInfo).port}/answer?X-Amz-Signature=canary`;

const StackId = `arn:aws:cloudformation:us-east-1:${ACCOUNT}:stack/Consumer/5a3b`;
const WANTED = {
  ServiceToken: 'arn',
  PlatformUrl: stack.url,
  PlatformRegion: 'us-east-1',
  SecretArn: secret.arn,
  DeploymentId: ID,
  Name: 'ci',
  Scopes: ['code:deploy'],
};

/**
 * Sends a request to the custom resource as CloudFormation does.
 * @returns the response that the custom resource sent
 */
async function sendToResource(event: object): Promise<CloudFormationCustomResourceResponse> {
  const common = {
    ResponseURL,
    StackId,
    RequestId: randomUUID(),
    LogicalResourceId: 'Key',
    ResourceType: 'Custom::X',
  };
  const before = answers.length;
  await stack.invoke('deployment-key-secret', { ...common, ResourceProperties: WANTED, ...event });
  expect(answers.length).toBe(before + 1);
  return JSON.parse(answers.at(-1)?.text ?? '');
}
const create = (event: object = {}) => sendToResource({ RequestType: 'Create', ...event });
const update = (PhysicalResourceId: string, changes: object, old: object = {}) =>
  sendToResource({
    RequestType: 'Update',
    PhysicalResourceId,
    ResourceProperties: { ...WANTED, ...changes },
    OldResourceProperties: { ...WANTED, ...old },
  });
const remove = (PhysicalResourceId: string, event: object = {}) =>
  sendToResource({ RequestType: 'Delete', PhysicalResourceId, ...event });

/** Returns the current value of the secret in Secrets Manager. */
const current = (): { client_id: string; client_secret: string } =>
  JSON.parse(secret.versions.at(-1) ?? '{}');
/**
 * Exchanges a key's ID and secret for a token.
 * @returns the status: 200 or 401
 */
const exchanged = async ({ client_id, client_secret } = current()) => {
  const form = { grant_type: 'client_credentials' };
  return (await stack.call('POST', '/oauth/token', { basic: [client_id, client_secret], form })).status;
};
/** Returns the keys of the Deployment's current generation. Keys of an earlier generation may still await the purge. */
const keyIds = async (): Promise<string[]> => {
  const { json } = await stack.call('GET', `/deployments/${ID}/api-keys`, {
    token: await stack.signIn('admin'),
  });
  return json.items.map((key: { id: string }) => key.id);
};
const shown = async (keyId: string) =>
  stack.call('GET', `/deployments/${ID}/api-keys/${keyId}`, { token: await stack.signIn('admin') });

/** Creates the Deployment etl without keys, and then a key through the custom resource. */
async function begin(): Promise<string> {
  const token = await stack.signIn('admin');
  await stack.call('DELETE', `/deployments/${ID}`, { token });
  await stack.register(ID);
  const { PhysicalResourceId } = await create();
  return PhysicalResourceId;
}

describe("DeploymentKeySecret stores a key's secret in Secrets Manager", () => {
  it('the secret of a DeploymentKeySecret contains all values that a pipeline needs', async () => {
    await stack.register(ID);
    const RequestId = randomUUID();
    const answer = await create({ RequestId });
    const { client_id, ...rest } = current();
    expect(answer).toStrictEqual({
      Status: 'SUCCESS',
      PhysicalResourceId: client_id,
      StackId,
      RequestId,
      LogicalResourceId: 'Key',
      Data: { SecretArn: secret.arn, KeyId: client_id },
    });
    // CloudFormation signed the URL for a request without a content type, so the response must not have one.
    expect(answers.at(-1)?.type ?? '').toBe('');
    expect(rest).toStrictEqual({ client_secret: expect.stringMatching(/^dks_etl_/) });
    expect(await exchanged()).toBe(200);
    expect((await shown(client_id)).json).toMatchObject({
      name: 'ci',
      scopes: ['code:deploy'],
      createdBy: ROLE,
      description: `CloudFormation: Key of ${StackId}`,
    });
  });

  it('DeploymentKeySecret creates only one key even if CloudFormation repeats the request', async () => {
    await begin();
    const RequestId = randomUUID();
    const [first, second, third] = [
      await create({ RequestId }),
      await create({ RequestId }),
      await create({ RequestId }),
    ];
    expect(second).toStrictEqual(first);
    expect(third).toStrictEqual(first);
    expect(await keyIds()).toHaveLength(2);
    expect(current().client_id).toBe(first.PhysicalResourceId);
    expect(await exchanged()).toBe(200);
  });

  it('an update of a DeploymentKeySecret without changes leaves the key unchanged', async () => {
    const id = await begin();
    const before = secret.versions.length;
    expect(await update(id, {})).toMatchObject({ Status: 'SUCCESS', PhysicalResourceId: id });
    expect(secret.versions).toHaveLength(before);
  });

  it("changing a DeploymentKeySecret's rotation gives the key a new secret and keeps the old one valid for the configured time", async () => {
    const id = await begin();
    const first = current();
    await exchanged(first);
    expect(await update(id, { Rotation: '2026-11' })).toMatchObject({ PhysicalResourceId: id });
    const second = current();
    expect(second.client_secret).not.toBe(first.client_secret);
    expect([await exchanged(first), await exchanged(second)]).toStrictEqual([200, 200]);
    await update(id, { Rotation: '2026-12', RetireOld: 'now' }, { Rotation: '2026-11' });
    expect([await exchanged(first), await exchanged(second), await exchanged()]).toStrictEqual([
      401, 401, 200,
    ]);
    await update(id, { Rotation: '2027-01', RetireOld: '3600' }, { Rotation: '2026-12', RetireOld: 'now' });
    const [old] = (await shown(id)).json.credentials;
    expect(Date.parse(old.retiresAt) - stack.clock.now()).toBeLessThanOrEqual(3_600_000);
  });

  it('if a rotation request of a DeploymentKeySecret is repeated, the key is rotated again, because the first response was lost', async () => {
    const id = await begin();
    const first = current();
    await exchanged(first);
    const request = {
      RequestType: 'Update',
      RequestId: randomUUID(),
      PhysicalResourceId: id,
      ResourceProperties: { ...WANTED, Rotation: '2026-11' },
      OldResourceProperties: WANTED,
    };
    await sendToResource(request);
    const lost = current();
    await sendToResource(request);
    expect(await exchanged()).toBe(200);
    expect(current().client_secret).not.toBe(lost.client_secret);
    expect(await exchanged(first)).toBe(200);
  });

  it('editing a DeploymentKeySecret changes the key in place and keeps its secret', async () => {
    const id = await begin();
    const before = secret.versions.length;
    const changes = {
      Name: 'cd',
      Scopes: ['airflow:read'],
      ExpiresAt: '2099-01-01T00:00:00Z',
      Networks: ['127.0.0.0/8'],
    };
    expect(await update(id, changes)).toMatchObject({ Status: 'SUCCESS', PhysicalResourceId: id });
    const edited = {
      name: 'cd',
      scopes: ['airflow:read'],
      expiresAt: '2099-01-01T00:00:00.000Z',
      networks: ['127.0.0.0/8'],
    };
    expect((await shown(id)).json).toMatchObject(edited);
    // In a rollback, CloudFormation reverts the changes of the name, scopes, expiry and IP ranges.
    await update(id, {}, changes);
    const { expiresAt, ...rest } = (await shown(id)).json;
    expect(rest).toMatchObject({ name: 'ci', scopes: ['code:deploy'], networks: [] });
    expect(expiresAt).toBeUndefined();
    expect(secret.versions).toHaveLength(before);
  });

  it('changing a DeploymentKeySecret whose key was deleted by hand creates the key again with a new ID', async () => {
    const id = await begin();
    await stack.call('DELETE', `/deployments/${ID}/api-keys/${id}`, { token: await stack.signIn('admin') });
    const answer = await update(id, { Rotation: '2026-11' });
    expect(answer.Status).toBe('SUCCESS');
    expect(answer.PhysicalResourceId).not.toBe(id);
    expect(await exchanged()).toBe(200);
    // CloudFormation then requests the deletion of the old key.
    expect(await remove(id)).toMatchObject({ Status: 'SUCCESS' });
    expect(await exchanged()).toBe(200);
  });

  it("moving a DeploymentKeySecret's key to another Deployment requires a different logical ID", async () => {
    const id = await begin();
    expect(await update(id, { DeploymentId: 'other' })).toMatchObject({
      Status: 'FAILED',
      PhysicalResourceId: id,
      Reason: 'DeploymentId cannot change. Give the resource another logical ID.',
    });
  });
});

describe('Deleting a stack also deletes the key of its DeploymentKeySecret', () => {
  it("deleting a DeploymentKeySecret's stack revokes the key immediately, and deleting it again succeeds", async () => {
    const id = await begin();
    const deleted = { Status: 'SUCCESS', PhysicalResourceId: id };
    expect(await remove(id)).toMatchObject(deleted);
    expect(await exchanged()).toBe(401);
    expect(await remove(id)).toMatchObject(deleted);
    await stack.call('DELETE', `/deployments/${ID}`, { token: await stack.signIn('admin') });
    expect(await remove(id)).toMatchObject(deleted);
    expect(await remove('Consumer-Key-1ABCDEF')).toMatchObject({ Status: 'SUCCESS' });
  });

  it("deleting a DeploymentKeySecret deletes only its own key, even if CloudFormation never received the key's ID", async () => {
    await begin();
    const own = current();
    const byHand = await stack.createKey(ID);
    const ofAnother = await create({ LogicalResourceId: 'Other' });
    expect(await remove('Consumer-Key-1ABCDEF')).toMatchObject({ Status: 'SUCCESS' });
    expect(await exchanged(own)).toBe(401);
    expect(await keyIds()).toEqual([byHand.id, ofAnother.PhysicalResourceId]);
  });

  it("deleting a DeploymentKeySecret's stack succeeds if the creation was rejected and created nothing", async () => {
    await begin();
    const before = await keyIds();
    const ResourceProperties = { ...WANTED, Scopes: ['no-such-scope'] };
    const refused = await create({ ResourceProperties });
    expect(refused).toMatchObject({
      Status: 'FAILED',
      PhysicalResourceId: 'not-made',
      Reason: `${stack.url} answered 400 for etl: scopes[0] must be one of code:deploy, airflow:read, airflow:write`,
    });
    expect(await remove('not-made', { ResourceProperties })).toMatchObject({ Status: 'SUCCESS' });
    expect(await create({ ResourceProperties: { ...WANTED, Scopes: [] } })).toMatchObject({
      Status: 'FAILED',
      PhysicalResourceId: 'not-made',
      Reason: `${stack.url} answered 400 for etl: scopes must be an array of 1 to 16 scopes`,
    });
    expect(await keyIds()).toStrictEqual(before);
  });
});

describe("DeploymentKeySecret's role can manage only the keys of one Deployment", () => {
  const role = stack.credentialOfFunction('deployment-key-secret');
  const as = (method: string, path: string, json?: object) =>
    signedCall(stack, role, method, `/platform${path}`, { json });

  it("DeploymentKeySecret's role can manage the keys of its Deployment, where the service treats it as an administrator", async () => {
    const id = await begin();
    const keys = `/deployments/${ID}/api-keys`;
    for (const [method, path, json] of [
      ['GET', keys],
      ['POST', keys, { name: 'more' }],
      ['GET', `${keys}/${id}`],
      ['PATCH', `${keys}/${id}`, { name: 'other' }],
      ['POST', `${keys}/${id}/rotate`, {}],
      ['DELETE', `${keys}/${id}`],
    ] as const) {
      expect((await as(method, path, json)).status, `${method} ${path}`).toBeLessThan(300);
    }
  });

  it("the IAM policy of DeploymentKeySecret's role allows no calls except those for its Deployment's keys", async () => {
    const id = await begin();
    await stack.register('etl2');
    const foreign = await stack.createKey('etl2');
    for (const [method, path, json] of [
      ['GET', '/deployments'],
      ['GET', `/deployments/${ID}`],
      ['PUT', `/deployments/${ID}`, {}],
      ['DELETE', `/deployments/${ID}`],
      ['GET', `/deployments/${ID}/events`],
      ['GET', `/deployments/${ID}/temporary-tokens`],
      ['PUT', '/deployments/new', {}],
      ['GET', '/deployments/etl2/api-keys'],
      ['POST', '/deployments/etl2/api-keys', { name: 'mine' }],
      ['GET', `/deployments/etl2/api-keys/${foreign.id}`],
      ['POST', `/deployments/etl2/api-keys/${foreign.id}/rotate`, {}],
      ['DELETE', `/deployments/etl2/api-keys/${foreign.id}`],
    ] as const) {
      const reply = await as(method, path, json);
      expect([reply.status, reply.text], `${method} ${path}`).toStrictEqual([403, '{"message":"Forbidden"}']);
    }
    // The function finds only keys that belong to the Deployment in the path.
    expect(await as('DELETE', `/deployments/${ID}/api-keys/${foreign.id}`)).toMatchObject({ status: 404 });
    // A path with dot segments does not match any route.
    for (const dots of ['../..', '%2e%2e/%2e%2e', '..%2F..']) {
      const { hostname, port } = new URL(stack.url);
      const path = `/platform/deployments/${ID}/api-keys/${dots}/etl2/api-keys`;
      const [response] = await once(request({ hostname, port, path }).end(), 'response');
      expect(response.statusCode, dots).toBe(404);
    }
    expect((await as('GET', `/deployments/${ID}/api-keys/${id}`)).status).toBe(200);
  });
});

it('the secret of a DeploymentKeySecret occurs in no response, log line or table item', async () => {
  const secrets = secret.versions.map((version) => JSON.parse(version).client_secret);
  expect(secrets.length).toBeGreaterThan(10);
  const everything = [
    stack.logs.text(),
    JSON.stringify(answers),
    JSON.stringify(await stack.partition(`DEPLOYMENT#${ID}`)),
    JSON.stringify(await stack.partition(`EVENTS#${ID}`)),
  ].join();
  expect(everything.includes('CloudFormation request')).toBe(true);
  for (const text of [...secrets, 'dks_', 'X-Amz-Signature'])
    expect(everything.includes(text), text.slice(0, 4)).toBe(false);
});
