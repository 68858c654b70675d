import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse, type ScalarTag } from 'yaml';
import { parseRequiredScopes } from '../../functions/domain/required-scopes.ts';
import type { CallRefusal } from '../../functions/routes/authorize.ts';
import { snippet } from '../support/snippets.ts';

const text = readFileSync(fileURLToPath(new URL('../../docs/authorizer.md', import.meta.url)), 'utf8');
const FUNCTION_ARN = 'arn:aws:lambda:eu-west-1:111122223333:function:keys-Authorize';
const REQUIRED = 'POST/deployments/:deploymentId/deploys=code:deploy';

describe('docs/authorizer.md: attaching the authorizer', () => {
  it.each(['CDK', 'SAM', 'Terraform', 'AWS CLI'])(
    'sets the result cache to 0 with %s, and explains why',
    (way) => {
      const section = text.split(/^### /m).find((part) => part.startsWith(`${way}\n`));
      expect(section?.replaceAll(/\s+/g, ' ')).toMatch(/sets the result cache to 0/);
    },
  );

  it('disables the cache of nginx', () => {
    expect(snippet('authorizer.md', 'nginx')).toContain('proxy_cache off;');
  });
});

it('docs/authorizer.md: the example of requiredScopes parses to the documented scopes', () => {
  const [, example = ''] = /^```\n(POST.*)\n```$/m.exec(text) ?? [];
  expect(Object.fromEntries(parseRequiredScopes(example) ?? [])).toStrictEqual({
    'POST/deployments/:deploymentId/deploys': ['code:deploy'],
    'GET/jobs/:id': ['airflow:read', 'airflow:write'],
    'ANY/files/:path...': [],
  });
});

it('docs/authorizer.md: the table lists every reason for a denial', () => {
  const reasons: Record<CallRefusal, true> = {
    malformed: true,
    unknown: true,
    expired: true,
    revoked: true,
    disabled: true,
    network: true,
    deployment: true,
    scope: true,
    request: true,
    configuration: true,
    path: true,
  };
  const rows = text.split('\n').filter((line) => /^\| 40[013]/.test(line));
  for (const reason of Object.keys(reasons)) expect(rows.join('\n')).toContain(`\`${reason}\``);
});

describe('docs/authorizer.md: the SAM template', () => {
  const tag = (name: string): ScalarTag => ({ tag: name, resolve: (value: string) => `${name} ${value}` });
  const { Resources, Parameters } = parse(snippet('authorizer.md', 'yaml'), {
    customTags: [tag('!Ref'), tag('!GetAtt')],
  });
  const { DeploymentKeys } = Resources.Api.Properties.Auth.Authorizers;

  it('caches no result and uses payload format 2.0 with simple responses', () => {
    expect(DeploymentKeys).toStrictEqual({
      FunctionArn: '!Ref AuthorizerFunctionArn',
      FunctionInvokeRole: '!GetAtt AskTheAuthorizer.Arn',
      AuthorizerPayloadFormatVersion: '2.0',
      EnableSimpleResponses: true,
      Identity: { Headers: ['Authorization'], StageVariables: ['requiredScopes'], ReauthorizeEvery: 0 },
    });
    expect(Parameters.AuthorizerFunctionArn.Default).toBe(FUNCTION_ARN);
    expect(Resources.Api.Properties.Auth.DefaultAuthorizer).toBe('DeploymentKeys');
  });

  it('gives API Gateway a role that can invoke only the authorizer', () => {
    const { AssumeRolePolicyDocument: trust, Policies } = Resources.AskTheAuthorizer.Properties;
    expect(trust.Statement).toStrictEqual([
      { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'apigateway.amazonaws.com' } },
    ]);
    expect(Policies[0].PolicyDocument.Statement).toStrictEqual([
      { Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource: '!Ref AuthorizerFunctionArn' },
    ]);
  });

  it('requires scopes for its route', () => {
    const { requiredScopes } = Resources.Api.Properties.StageVariables;
    const { Method, Path } = Resources.Receive.Properties.Events.Deploy.Properties;
    const route = `${Method}${Path.replaceAll(/\{(\w+)\}/g, ':$1')}`;
    expect([...(parseRequiredScopes(requiredScopes)?.keys() ?? [])]).toStrictEqual([route]);
  });
});

/** Attributes of a Terraform block as written, by name. Brackets and quotes must close. */
function terraform(source: string): Map<string, Record<string, string>> {
  const blocks = new Map<string, Record<string, string>>();
  for (const [, kind, type, name, body = ''] of source.matchAll(
    /^(resource|variable) "(\w+)"(?: "(\w+)")? \{\n(.*?)^\}$/gms,
  )) {
    const open: string[] = [];
    for (const [at] of body.replaceAll(/"(?:[^"\\]|\\.)*"/g, '').matchAll(/[[\](){}]/g)) {
      if ('[({'.includes(at)) open.push(at);
      else expect(`${open.pop()}${at}`).toMatch(/^(\[\]|\(\)|\{\})$/);
    }
    expect(open).toStrictEqual([]);
    const attributes = [...body.matchAll(/^ {2}(\w+) += (.*)$/gm)].map(([, key, value]) => [key, value]);
    blocks.set(kind === 'variable' ? `var.${type}` : `${type}.${name}`, Object.fromEntries(attributes));
  }
  return blocks;
}

describe('docs/authorizer.md: the Terraform module', () => {
  const source = snippet('authorizer.md', 'hcl');
  const blocks = terraform(source);

  it("caches no result and uses the role as the authorizer's credentials", () => {
    expect(blocks.get('aws_api_gateway_authorizer.deployment_keys')).toStrictEqual({
      name: '"deployment-keys"',
      rest_api_id: 'aws_api_gateway_rest_api.receiver.id',
      type: '"REQUEST"',
      identity_source: '"method.request.header.Authorization,stageVariables.requiredScopes"',
      authorizer_uri: `"arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/\${var.authorizer_function_arn}/invocations"`,
      authorizer_credentials: 'aws_iam_role.ask_the_authorizer.arn',
      authorizer_result_ttl_in_seconds: '0',
    });
    expect(blocks.get('var.authorizer_function_arn')?.default).toBe(`"${FUNCTION_ARN}"`);
  });

  it('gives API Gateway a role that can invoke only the authorizer', () => {
    expect(source).toContain(
      'Action = "sts:AssumeRole", Principal = { Service = "apigateway.amazonaws.com" }',
    );
    expect(source).toContain('Action = "lambda:InvokeFunction", Resource = var.authorizer_function_arn');
  });

  it('refers only to its own resources and the documented ones of the reader', () => {
    const others = ['rest_api.receiver', 'deployment.receiver', 'resource.deploys'].map(
      (it) => `aws_api_gateway_${it}`,
    );
    const known = [...blocks.keys(), ...others];
    const references = [...source.matchAll(/\b(aws_\w+\.\w+|var\.\w+)/g)].map(([reference]) => reference);
    expect(references.filter((reference) => !known.includes(reference))).toStrictEqual([]);
  });

  it('sets the stage variable requiredScopes to a value that parses', () => {
    const [, value = ''] = /requiredScopes = "([^"]+)"/.exec(source) ?? [];
    expect(value).toBe(REQUIRED);
    expect(parseRequiredScopes(value)).toBeDefined();
  });
});

describe('docs/authorizer.md: the AWS CLI commands', () => {
  /** Writes down its arguments, one command a line, and responds as --query asks. */
  const STAND_IN = `#!/usr/bin/env node
const args = process.argv.slice(2);
require('node:fs').appendFileSync(process.env.CALLS, JSON.stringify(args) + '\\n');
console.log({ 'create-role': 'arn:aws:iam::444455556666:role/ask-the-authorizer', 'create-authorizer': 'auth1' }[args[1]] ?? '{}');
`;
  const folder = mkdtempSync(join(tmpdir(), 'cli-'));
  writeFileSync(join(folder, 'aws'), STAND_IN);
  chmodSync(join(folder, 'aws'), 0o755);
  execFileSync('sh', ['-c', snippet('authorizer.md', 'sh')], {
    env: {
      PATH: `${folder}${delimiter}${process.env.PATH}`,
      CALLS: join(folder, 'calls'),
      FUNCTION_ARN,
      API_ID: 'api1',
      ROUTE_ID: 'route1',
      AWS_REGION: 'eu-west-1',
    },
  });
  const calls: string[][] = readFileSync(join(folder, 'calls'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  rmSync(folder, { recursive: true });
  /** The options of a command by name, with several values separated by spaces. */
  const optionsOf = (command: string): Record<string, string> => {
    const args = calls.find(([, name]) => name === command)?.slice(2) ?? [];
    const options: Record<string, string[]> = {};
    let name = '';
    for (const arg of args) {
      if (arg.startsWith('--')) {
        name = arg;
        options[name] = [];
      } else {
        options[name]?.push(arg);
      }
    }
    return Object.fromEntries(Object.entries(options).map(([option, values]) => [option, values.join(' ')]));
  };

  it('create a role that can invoke only the authorizer, and attach an authorizer without a cache', () => {
    expect(calls.map(([service, command]) => `${service} ${command}`)).toStrictEqual([
      'iam create-role',
      'iam put-role-policy',
      'apigatewayv2 create-authorizer',
      'apigatewayv2 update-stage',
      'apigatewayv2 update-route',
    ]);
    expect(
      JSON.parse(optionsOf('create-role')['--assume-role-policy-document'] ?? '').Statement,
    ).toStrictEqual([
      { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'apigateway.amazonaws.com' } },
    ]);
    expect(JSON.parse(optionsOf('put-role-policy')['--policy-document'] ?? '').Statement).toStrictEqual([
      { Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource: FUNCTION_ARN },
    ]);
    expect(optionsOf('create-authorizer')).toStrictEqual({
      '--api-id': 'api1',
      '--name': 'deployment-keys',
      '--authorizer-type': 'REQUEST',
      '--identity-source': '$request.header.Authorization $stageVariables.requiredScopes',
      '--authorizer-payload-format-version': '2.0',
      '--enable-simple-responses': '',
      '--authorizer-uri': `arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/${FUNCTION_ARN}/invocations`,
      '--authorizer-credentials-arn': 'arn:aws:iam::444455556666:role/ask-the-authorizer',
      '--authorizer-result-ttl-in-seconds': '0',
      '--query': 'AuthorizerId',
      '--output': 'text',
    });
    expect(optionsOf('update-stage')).toMatchObject({
      '--stage-name': '$default',
      '--stage-variables': `requiredScopes=${REQUIRED}`,
    });
    expect(optionsOf('update-route')).toMatchObject({ '--route-id': 'route1', '--authorizer-id': 'auth1' });
  });
});
