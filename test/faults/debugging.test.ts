import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, expect, it } from 'vitest';
import { functionNames } from '../../infra/bundle.ts';
import { bundlesDirectory } from '../../infra/bundles.ts';
import { ACCOUNT, type CfnTemplate } from '../../local/template.ts';
import { kept } from '../support/assembly.ts';
import { createCanaries, sendEverywhere, tracesOf } from '../support/canaries.ts';
import { KEY_SECRET_ROLE_NAME, synthesiseKeySecret } from '../support/consumers.ts';
import { faultyEngine } from '../support/faulty-engine.ts';
import { runStack } from '../support/stack.ts';

/** Every environment variable that makes Node.js or a bundled library write additional logs. */
const SWITCHES: Record<string, string> = {
  AWS_LAMBDA_LOG_LEVEL: 'TRACE',
  DEBUG: '*',
  LOG_LEVEL: 'TRACE',
  NODE_DEBUG: 'fetch,http,http2,net,tls,undici',
  POWERTOOLS_DEV: 'true',
  POWERTOOLS_LOGGER_LOG_EVENT: 'true',
  POWERTOOLS_LOGGER_SAMPLE_RATE: '1',
  POWERTOOLS_LOG_LEVEL: 'TRACE',
};

const ROLE = `arn:aws:iam::${ACCOUNT}:role/${KEY_SECRET_ROLE_NAME}`;
const PLATFORM_TABLE = `arn:aws:dynamodb:us-east-1:${ACCOUNT}:table/platform-${randomUUID()}`;
/** The service and a consumer's stack with a DeploymentKeySecret, which together contain every function. */
const withConsumer = kept('key-secret', async () => synthesiseKeySecret);

const engine = await faultyEngine();
const stack = await runStack({
  synthesise: withConsumer,
  context: {
    platformPrincipals: ROLE,
    deploymentsSource: {
      table: PLATFORM_TABLE,
      stream: `${PLATFORM_TABLE}/stream/2026-01-01T00:00:00.000`,
      id: 'deploymentId',
      where: { type: 'deployment' },
      deleted: { status: 'deleted' },
    },
  },
  alterTemplate: ({ Resources }: CfnTemplate) => {
    for (const { Type, Properties } of Object.values(Resources)) {
      if (Type !== 'AWS::Lambda::Function' || !Properties) continue;
      const { Variables } = (Properties.Environment ?? {}) as { Variables?: object };
      Properties.Environment = { Variables: { ...Variables, ...SWITCHES } };
    }
  },
});

const answers: string[] = [];
const cloudFormation = createServer(async (incoming, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  answers.push(Buffer.concat(chunks).toString());
  response.end();
}).listen(0, '127.0.0.1');
await once(cloudFormation, 'listening');
afterAll(() => cloudFormation.close());

/**
 * Sends a request to the custom resource as CloudFormation does.
 * @returns the response that the custom resource sent
 */
async function askForSecret(RequestType: string, PhysicalResourceId?: string, more: object = {}) {
  const { port } = cloudFormation.address() as AddressInfo;
  const event = {
    RequestType,
    PhysicalResourceId,
    ResponseURL: `http://127.0.0.1:${port}/`,
    StackId: `arn:aws:cloudformation:us-east-1:${ACCOUNT}:stack/Consumer/5a3b`,
    RequestId: randomUUID(),
    LogicalResourceId: 'Key',
    ResourceType: 'Custom::X',
    ResourceProperties: {
      ServiceToken: 'arn',
      PlatformUrl: stack.url,
      PlatformRegion: 'us-east-1',
      SecretArn: stack.secrets[0]?.arn,
      DeploymentId: 'etl',
      Name: 'ci',
      Scopes: ['code:deploy'],
      ...more,
    },
  };
  await stack.invoke('deployment-key-secret', event);
  return JSON.parse(answers.at(-1) ?? '');
}

/** Calls a REST API's authorizer with each string, once as the token and once in another header. */
async function authorize(texts: string[]) {
  const methodArn = `arn:aws:execute-api:us-east-1:${ACCOUNT}:api/prod/GET/dags`;
  for (const authorizationToken of texts.flatMap((text) => [`Bearer ${text}`, text, `Bearer ${text}\n`])) {
    await stack.invoke('authorize', { type: 'TOKEN', authorizationToken, methodArn }).catch(() => {});
  }
  await stack.invoke('authorize', { type: 'TOKEN', authorizationToken: texts.join() }).catch(() => {});
}

it('#52: the tested debugging switches include every switch in the bundled libraries', () => {
  const named = functionNames().flatMap(
    (name) =>
      readFileSync(join(bundlesDirectory, name, 'index.js'), 'utf8').match(
        /\b[A-Z_]*(?:LOG_|_LOG\b|LOGGER_|DEBUG|_DEV\b|SAMPLE|VERBOSE)[A-Z_]*\b/g,
      ) ?? [],
  );
  const { NODE_DEBUG: _, ...ofLibraries } = SWITCHES;
  expect([...new Set(named)].sort()).toEqual(Object.keys(ofLibraries));
});

it('#52: no function logs a secret in any form, even with every debugging switch on', {
  timeout: 300_000,
}, async () => {
  const scheduled = { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} };
  const platform = stack.tables.find(({ name }) => name.startsWith('platform-'));
  const row = (status: string) =>
    platform?.client.send(
      new PutCommand({
        TableName: platform.name,
        Item: { deploymentId: 'followed', type: 'deployment', status },
      }),
    );

  await stack.register('etl');
  await askForSecret('Create');
  const { client_id: keyId, client_secret: stored } = JSON.parse(stack.secrets[0]?.versions.at(-1) ?? '{}');
  await askForSecret('Update', keyId, { Rotation: stored, [stored]: stored });
  const { client_secret: rotated } = JSON.parse(stack.secrets[0]?.versions.at(-1) ?? '{}');
  await askForSecret('Create', undefined, { DeploymentId: 'absent', Scopes: [rotated] });
  await askForSecret('Delete', keyId);

  const made = await createCanaries(stack, 'etl');
  const canaries = { ...made.canaries, stored, rotated };
  await row('active');
  await stack.waitForDelivery(60_000);
  await row('deleted');

  engine.fault = { status: 400, name: 'AccessDeniedException' };
  const failed = await sendEverywhere(stack, made);
  await authorize(Object.values(canaries));
  expect(failed.filter(({ status }) => status >= 500).length).toBeGreaterThan(50);
  engine.fault = undefined;
  await authorize(Object.values(canaries));
  const sent = await sendEverywhere(stack, made);
  expect(sent.filter(({ status }) => status < 300).length).toBeGreaterThan(10);
  await stack.waitForDelivery(60_000);
  for (const name of ['sweep-keys', 'reconcile', 'purge', 'end-access']) await stack.invoke(name, scheduled);

  for (const name of functionNames()) {
    const written = stack.logs.text(name);
    // These functions make no calls to AWS, so their debugging switches log nothing. Only Cognito invokes the function
    // that adds names, and this stack has no user pool.
    if (!['add-name-to-token', 'console', 'metadata', 'reference'].includes(name))
      expect(written, `${name} has run`).toMatch(/^\w+ \d+: /m);
    expect(tracesOf(canaries, written), name).toEqual([]);
  }
  const replies = [...failed, ...sent].map(({ text, headers }) => `${text} ${JSON.stringify(headers)}`);
  expect(tracesOf(canaries, [...replies, ...answers].join('\n'))).toEqual([]);
});
