import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Template } from 'aws-cdk-lib/assertions';
import { STACK_ID, synthesise } from '../../infra/app.ts';

/** CDK context of a stack with an external issuer. */
export const WITH_ISSUER = {
  issuer: 'https://login.example.com/realms/staff',
  audience: 'deployment-keys',
  adminGroup: 'platform-admins',
};

/** ARNs of resources in an account, for settings that name them. */
export const ARN = {
  CERTIFICATE: 'arn:aws:acm:us-east-1:111122223333:certificate/0e3f1a2b-0000-4000-8000-000000000000',
  WEB_ACL: 'arn:aws:wafv2:us-east-1:111122223333:global/webacl/keys/0e3f1a2b-0000-4000-8000-000000000000',
  KEY: 'arn:aws:kms:eu-west-1:111122223333:key/0e3f1a2b-0000-4000-8000-000000000000',
  BOUNDARY: 'arn:aws:iam::111122223333:policy/boundary',
  PRINCIPAL: 'arn:aws:iam::111122223333:role/platform',
  TOPIC: 'arn:aws:sns:eu-west-1:111122223333:on-call',
};

/** The setting for a platform's table of Deployments, with every optional part. */
export const SOURCE = {
  table: 'arn:aws:dynamodb:eu-west-1:111122223333:table/platform',
  stream: 'arn:aws:dynamodb:eu-west-1:111122223333:table/platform/stream/2026-01-01T00:00:00.000',
  id: 'deploymentId',
  name: 'label',
  groups: 'teams',
  where: { type: 'deployment', version: [2, 3], archived: { exists: false } },
  deleted: { status: ['deleted', 'gone'] },
  encryptionKey: ARN.KEY,
};

/** CDK context that contains every setting. */
export const EVERYTHING = {
  ...WITH_ISSUER,
  stage: 'production',
  audience: 'deployment-keys,platform-cli',
  groupsClaim: 'teams',
  adminScope: 'deployments:admin',
  nameClaim: 'name',
  consoleClientId: 'console',
  console: 'true',
  consoleScopes: 'openid,email',
  consoleOrigins: 'https://oauth2.example.com',
  tokenLifetime: '3600',
  slideInterval: '60',
  maxTokenLifetime: '2592000',
  maxIdleDays: 90,
  maxKeyDays: 180,
  keysWithSecrets: 'false',
  trustedIssuers: 'https://gitlab.com',
  lastUsedFrom: 'truncated',
  scopes: 'code:deploy,dags:read',
  platformPrincipals: ARN.PRINCIPAL,
  consumerAccounts: '111122223333,444455556666',
  domainName: 'keys.example.com',
  certificateArn: ARN.CERTIFICATE,
  webAclArn: ARN.WEB_ACL,
  encryptionKey: ARN.KEY,
  capacity: 'minRead=100,maxRead=1000,minWrite=100,maxWrite=500,utilization=70',
  permissionsBoundary: ARN.BOUNDARY,
  authorizerConcurrency: 'reserved=200,provisioned=5',
  memory: 'checks=512,jobs=1024',
  accountConcurrency: '1000',
  oauthRateLimit: 'rate=500,burst=1000',
  leaksRateLimit: 'rate=20',
  defaultRateLimit: 'burst=1250',
  alarmTopic: ARN.TOPIC,
  logRetention: '90',
  tags: 'team=platform,cost-centre=4711',
  tracing: 'true',
  platformLogs: 'true',
  deploymentsSource: JSON.stringify(SOURCE),
};

/**
 * The sorted fields of the access log. None of these fields can contain a token, a secret or a sign-in code from the
 * caller.
 */
export const LOGGED = [
  '$context.authorizer.claims.sub',
  '$context.error.responseType',
  '$context.identity.sourceIp',
  '$context.identity.userArn',
  '$context.integrationLatency',
  '$context.requestId',
  '$context.requestTime',
  '$context.responseLatency',
  '$context.responseLength',
  '$context.routeKey',
  '$context.status',
];

// biome-ignore lint/suspicious/noExplicitAny: a template is JSON, and a test asserts what it finds there.
export type Json = any;

const templates = new Map<string, Template>();

/** Returns the template for a context. The template is created once per process. */
export function templateOf(context: Readonly<Record<string, unknown>> = {}): Template {
  const key = JSON.stringify(context);
  const made = templates.get(key) ?? synthesiseAside(context);
  templates.set(key, made);
  return made;
}

function synthesiseAside(context: Readonly<Record<string, unknown>>): Template {
  const outdir = mkdtempSync(join(tmpdir(), 'template-'));
  try {
    return Template.fromJSON(synthesise(context, outdir).getStackArtifact(STACK_ID).template);
  } finally {
    rmSync(outdir, { recursive: true });
  }
}

/** Returns the resource at a construct path. The path omits the stack's ID and the last part, `Resource`. */
export function resourceAt(template: Template, path: string): Json {
  const resources = Object.entries<Json>(template.toJSON().Resources);
  const found = resources.find(
    ([, resource]) => resource.Metadata?.['aws:cdk:path'] === `${STACK_ID}/Default/${path}/Resource`,
  );
  if (!found) throw new Error(`The template has nothing at ${path}.`);
  return { id: found[0], ...found[1] };
}

/** Returns the logical ID of the resource at a path. */
export const idAt = (template: Template, path: string): string => resourceAt(template, path).id;
