import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse, type ScalarTag } from 'yaml';
import { parseRequiredScopes } from '../../functions/domain/scopes.ts';
import { kept } from '../support/assembly.ts';
import { snippet, snippetsOf } from '../support/snippets.ts';
import { runStack } from '../support/stack.ts';
import { temporaryFolder } from '../support/temporary.ts';

const text = readFileSync(fileURLToPath(new URL('../../docs/authorizer.md', import.meta.url)), 'utf8');
const FUNCTION_ARN = 'arn:aws:lambda:eu-west-1:111122223333:function:keys-Authorize';
const REQUIRED = 'POST/deployments/:deploymentId/deploys=code:deploy';

describe('docs/authorizer.md explains how to attach the authorizer', () => {
  it.each(['CDK', 'SAM', 'Terraform', 'AWS CLI'])(
    'docs/authorizer.md turns off authorizer caching with %s, and explains why',
    (way) => {
      const section = text.split(/^### /m).find((part) => part.startsWith(`${way}\n`));
      expect(section?.replaceAll(/\s+/g, ' ')).toMatch(/sets the result cache to 0/);
    },
  );

  it('docs/guards.md disables the nginx cache', () => {
    expect(snippet('guards.md', 'nginx')).toContain('proxy_cache off;');
  });
});

it('the example value of requiredScopes in docs/authorizer.md is parsed as the documented scopes', () => {
  const [, example = ''] = /^```\n(POST.*)\n```$/m.exec(text) ?? [];
  expect(Object.fromEntries(parseRequiredScopes(example) ?? [])).toStrictEqual({
    'POST/deployments/:deploymentId/deploys': ['code:deploy'],
    'GET/jobs/:id': ['airflow:read', 'airflow:write'],
    'ANY/files/:path...': [],
  });
});

describe('The SAM template in docs/authorizer.md attaches the authorizer', () => {
  const tag = (name: string): ScalarTag => ({ tag: name, resolve: (value: string) => `${name} ${value}` });
  const { Resources, Parameters } = parse(snippet('authorizer.md', 'yaml'), {
    customTags: [tag('!Ref'), tag('!GetAtt'), tag('!Sub')],
  });
  const { HttpApi, RestApi } = Resources;
  const identity = { Headers: ['Authorization'], StageVariables: ['requiredScopes'], ReauthorizeEvery: 0 };

  it("the SAM template uses payload format 2.0 without caching for the HTTP API's authorizer", () => {
    const { Auth } = HttpApi.Properties;
    expect(Auth.Authorizers.DeploymentKeys).toStrictEqual({
      FunctionArn: '!Ref AuthorizerFunctionArn',
      FunctionInvokeRole: '!GetAtt AskTheAuthorizer.Arn',
      AuthorizerPayloadFormatVersion: '2.0',
      EnableSimpleResponses: true,
      Identity: identity,
    });
    expect(Parameters.AuthorizerFunctionArn.Default).toBe(FUNCTION_ARN);
    expect(Auth.DefaultAuthorizer).toBe('DeploymentKeys');
  });

  it('the SAM template turns off authorizer caching for the REST API, and creates only one stage', () => {
    const { Auth, OpenApiVersion } = RestApi.Properties;
    expect(Auth.Authorizers.DeploymentKeys).toStrictEqual({
      FunctionPayloadType: 'REQUEST',
      FunctionArn: '!Ref AuthorizerFunctionArn',
      FunctionInvokeRole: '!GetAtt AskTheAuthorizer.Arn',
      DisableFunctionDefaultPermissions: true,
      Identity: identity,
    });
    expect(Auth.DefaultAuthorizer).toBe('DeploymentKeys');
    expect(OpenApiVersion).toBe('3.0.1');
  });

  it('the SAM template gives API Gateway a role that can invoke only the authorizer', () => {
    const { AssumeRolePolicyDocument: trust, Policies } = Resources.AskTheAuthorizer.Properties;
    expect(trust.Statement).toStrictEqual([
      { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'apigateway.amazonaws.com' } },
    ]);
    expect(Policies[0].PolicyDocument.Statement).toStrictEqual([
      { Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource: '!Ref AuthorizerFunctionArn' },
    ]);
  });

  it.each([
    ['Http', HttpApi.Properties.StageVariables],
    ['Rest', RestApi.Properties.Variables],
  ])('the SAM template requires scopes for the route of the %s API', (event, { requiredScopes }) => {
    const { Method, Path } = Resources.Receive.Properties.Events[event].Properties;
    const route = `${Method}${Path.replaceAll(/\{(\w+)\}/g, ':$1')}`;
    expect([...(parseRequiredScopes(requiredScopes)?.keys() ?? [])]).toStrictEqual([route]);
  });
});

/** Returns the attributes of a Terraform block by name, exactly as written. Brackets and quotes must be balanced. */
function terraform(source: string): Map<string, Record<string, string>> {
  const blocks = new Map<string, Record<string, string>>();
  for (const [, kind, type, name, body = ''] of source.matchAll(
    /^(resource|variable|output) "(\w+)"(?: "(\w+)")? \{\n(.*?)^\}$/gms,
  )) {
    const open: string[] = [];
    for (const [at] of body.replaceAll(/"(?:[^"\\]|\\.)*"/g, '').matchAll(/[[\](){}]/g)) {
      if ('[({'.includes(at)) open.push(at);
      else expect(`${open.pop()}${at}`).toMatch(/^(\[\]|\(\)|\{\})$/);
    }
    expect(open).toStrictEqual([]);
    const attributes = [...body.matchAll(/^ {2}(\w+) += (.*)$/gm)].map(([, key, value]) => [key, value]);
    const key = kind === 'resource' ? `${type}.${name}` : `${kind === 'variable' ? 'var' : kind}.${type}`;
    blocks.set(key, Object.fromEntries(attributes));
  }
  return blocks;
}

describe('The Terraform module in docs/authorizer.md attaches the authorizer', () => {
  const source = snippet('authorizer.md', 'hcl');
  const blocks = terraform(source);
  /** What the authorizers of both kinds of API have in common. */
  const common = {
    name: '"deployment-keys"',
    authorizer_uri: `"arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/\${var.authorizer_function_arn}/invocations"`,
    authorizer_result_ttl_in_seconds: '0',
  };

  it("the Terraform module turns off authorizer caching and uses the role as the authorizer's credentials", () => {
    expect(blocks.get('aws_api_gateway_authorizer.deployment_keys')).toStrictEqual({
      ...common,
      rest_api_id: 'aws_api_gateway_rest_api.receiver.id',
      type: '"REQUEST"',
      identity_source: '"method.request.header.Authorization,stageVariables.requiredScopes"',
      authorizer_credentials: 'aws_iam_role.ask_the_authorizer.arn',
    });
    expect(blocks.get('var.authorizer_function_arn')?.default).toBe(`"${FUNCTION_ARN}"`);
  });

  it("the Terraform module uses payload format 2.0 without caching for the HTTP API's authorizer", () => {
    expect(blocks.get('aws_apigatewayv2_authorizer.deployment_keys')).toStrictEqual({
      ...common,
      api_id: 'aws_apigatewayv2_api.receiver.id',
      authorizer_type: '"REQUEST"',
      identity_sources: '["$request.header.Authorization", "$stageVariables.requiredScopes"]',
      authorizer_payload_format_version: '"2.0"',
      enable_simple_responses: 'true',
      authorizer_credentials_arn: 'aws_iam_role.ask_the_authorizer.arn',
    });
  });

  it('the Terraform module redeploys the REST API if the authorizer, a method or an integration changes', () => {
    const [, triggers = ''] = /redeployment = sha1\(jsonencode\(\[\n(.*?)\]\)\)/s.exec(source) ?? [];
    expect(triggers.match(/\w+\.\w+/g)).toStrictEqual([
      'aws_api_gateway_authorizer.deployment_keys',
      'aws_api_gateway_gateway_response.unauthorized',
      'aws_api_gateway_method.deploy',
      'aws_api_gateway_integration.deploy',
    ]);
    expect(blocks.get('aws_api_gateway_stage.production')?.deployment_id).toBe(
      'aws_api_gateway_deployment.receiver.id',
    );
    expect(blocks.get('aws_apigatewayv2_stage.default')?.auto_deploy).toBe('true');
  });

  it('the Terraform module gives API Gateway a role that can invoke only the authorizer', () => {
    expect(source).toContain(
      'Action = "sts:AssumeRole", Principal = { Service = "apigateway.amazonaws.com" }',
    );
    expect(source).toContain('Action = "lambda:InvokeFunction", Resource = var.authorizer_function_arn');
  });

  it('the Terraform module refers only to its own resources and to resources that docs/authorizer.md asks the reader to define', () => {
    const rest = ['rest_api.receiver', 'resource.deploys', 'integration.deploy'];
    const http = ['api.receiver', 'integration.deploy'];
    const others = [
      ...rest.map((it) => `aws_api_gateway_${it}`),
      ...http.map((it) => `aws_apigatewayv2_${it}`),
    ];
    const known = [...blocks.keys(), ...others];
    const references = [...source.matchAll(/\b(aws_\w+\.\w+|var\.\w+)/g)].map(([reference]) => reference);
    expect(references.filter((reference) => !known.includes(reference))).toStrictEqual([]);
  });

  it('the Terraform module sets the requiredScopes stage variable of both APIs to a valid value', () => {
    const values = Array.from(source.matchAll(/requiredScopes = "([^"]+)"/g), ([, value]) => value);
    expect(values).toStrictEqual([REQUIRED, REQUIRED]);
    expect(parseRequiredScopes(REQUIRED)).toBeDefined();
  });
});

describe('The AWS CLI commands in docs/authorizer.md attach the authorizer', () => {
  const ROLE_ARN = 'arn:aws:iam::444455556666:role/ask-the-authorizer';
  const URI = `arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/${FUNCTION_ARN}/invocations`;
  /**
   * A stand-in for `aws` that records each command's arguments on one line, and returns the value that --query selects.
   */
  const STAND_IN = `#!/usr/bin/env node
const args = process.argv.slice(2);
require('node:fs').appendFileSync(process.env.CALLS, JSON.stringify(args) + '\\n');
console.log({
  'get-parameter': '${FUNCTION_ARN}',
  'create-role': '${ROLE_ARN}',
  'create-authorizer': 'auth1',
  'get-apis': 'api1',
  'get-routes': 'route1',
  'get-stage': process.env.AUTO_DEPLOYS,
  'get-rest-apis': 'rest1',
  'get-resources': 'resource1',
}[args[1]] ?? '{}');
`;

  /** Runs all commands of the page, and returns the calls of `aws`. */
  function run(autoDeploys: 'True' | 'False'): string[][] {
    const folder = temporaryFolder('cli');
    writeFileSync(join(folder, 'aws'), STAND_IN);
    chmodSync(join(folder, 'aws'), 0o755);
    const script = [
      'prove_guard() { aws prove-guard "$1"; }',
      ...snippetsOf('authorizer.md', 'sh', 'AWS CLI'),
    ];
    execFileSync('sh', ['-c', script.join('\n')], {
      env: {
        PATH: `${folder}${delimiter}${process.env.PATH}`,
        CALLS: join(folder, 'calls'),
        AUTO_DEPLOYS: autoDeploys,
        AWS_REGION: 'eu-west-1',
        DEPLOYMENT: 'etl',
      },
    });
    const calls = readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');
    return calls.map((line) => JSON.parse(line));
  }
  const calls = run('True');
  const callsOfManualStage = run('False');
  const commandsOf = (made: string[][]) => made.map(([service, command]) => `${service} ${command}`);
  /** Returns a command's options by name, with multiple values separated by spaces. */
  const optionsOf = (service: string, command: string): Record<string, string> => {
    const args = calls.find(([of, name]) => of === service && name === command)?.slice(2) ?? [];
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

  it('the commands in docs/authorizer.md create a role that can invoke only the authorizer function', () => {
    expect(commandsOf(calls).slice(0, 3)).toStrictEqual([
      'ssm get-parameter',
      'iam create-role',
      'iam put-role-policy',
    ]);
    const trust = optionsOf('iam', 'create-role')['--assume-role-policy-document'] ?? '';
    expect(JSON.parse(trust).Statement).toStrictEqual([
      { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'apigateway.amazonaws.com' } },
    ]);
    const policy = optionsOf('iam', 'put-role-policy')['--policy-document'] ?? '';
    expect(JSON.parse(policy).Statement).toStrictEqual([
      { Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource: FUNCTION_ARN },
    ]);
  });

  it('the commands in docs/authorizer.md attach an uncached authorizer to the HTTP API and test it', () => {
    expect(commandsOf(calls).slice(3, 10)).toStrictEqual([
      'apigatewayv2 get-apis',
      'apigatewayv2 get-routes',
      'apigatewayv2 create-authorizer',
      'apigatewayv2 update-stage',
      'apigatewayv2 update-route',
      'apigatewayv2 get-stage',
      'prove-guard https://api1.execute-api.eu-west-1.amazonaws.com/deployments/etl/deploys',
    ]);
    expect(optionsOf('apigatewayv2', 'create-authorizer')).toStrictEqual({
      '--api-id': 'api1',
      '--name': 'deployment-keys',
      '--authorizer-type': 'REQUEST',
      '--identity-source': '$request.header.Authorization $stageVariables.requiredScopes',
      '--authorizer-payload-format-version': '2.0',
      '--enable-simple-responses': '',
      '--authorizer-uri': URI,
      '--authorizer-credentials-arn': ROLE_ARN,
      '--authorizer-result-ttl-in-seconds': '0',
      '--query': 'AuthorizerId',
      '--output': 'text',
    });
    expect(optionsOf('apigatewayv2', 'update-stage')).toMatchObject({
      '--stage-name': '$default',
      '--stage-variables': `requiredScopes=${REQUIRED}`,
    });
    expect(optionsOf('apigatewayv2', 'update-route')).toMatchObject({
      '--route-id': 'route1',
      '--authorizer-id': 'auth1',
    });
  });

  it('the commands in docs/authorizer.md deploy the HTTP API if its stage does not deploy automatically', () => {
    expect(commandsOf(calls)).not.toContain('apigatewayv2 create-deployment');
    expect(commandsOf(callsOfManualStage)).toContain('apigatewayv2 create-deployment');
  });

  it('the commands in docs/authorizer.md attach an uncached authorizer to the REST API, deploy the API and test it', () => {
    expect(commandsOf(calls).slice(10)).toStrictEqual([
      'apigateway get-rest-apis',
      'apigateway get-resources',
      'apigateway create-authorizer',
      'apigateway put-gateway-response',
      'apigateway update-stage',
      'apigateway update-method',
      'apigateway create-deployment',
      'prove-guard https://rest1.execute-api.eu-west-1.amazonaws.com/production/deployments/etl/deploys',
    ]);
    expect(optionsOf('apigateway', 'create-authorizer')).toStrictEqual({
      '--rest-api-id': 'rest1',
      '--name': 'deployment-keys',
      '--type': 'REQUEST',
      '--identity-source': 'method.request.header.Authorization,stageVariables.requiredScopes',
      '--authorizer-uri': URI,
      '--authorizer-credentials': ROLE_ARN,
      '--authorizer-result-ttl-in-seconds': '0',
      '--query': 'id',
      '--output': 'text',
    });
    const patches = (command: string) =>
      JSON.parse(optionsOf('apigateway', command)['--patch-operations'] ?? '');
    expect(patches('update-stage')).toStrictEqual([
      { op: 'replace', path: '/variables/requiredScopes', value: REQUIRED },
    ]);
    expect(patches('update-method')).toStrictEqual([
      { op: 'replace', path: '/authorizationType', value: 'CUSTOM' },
      { op: 'replace', path: '/authorizerId', value: 'auth1' },
    ]);
  });
});

describe('The function prove_guard in docs/authorizer.md detects whether an API is protected', async () => {
  const stack = await runStack({
    synthesise: kept('consumers', async () => (await import('../support/consumers.ts')).synthesiseConsumers),
  });
  await stack.register('etl');
  const key = await stack.createKey('etl');

  /** Runs prove_guard on the API at the given URL. */
  function prove(url: string | undefined): Promise<{ code: number; output: string }> {
    const script = [...snippetsOf('authorizer.md', 'sh', 'Attach the authorizer'), 'prove_guard "$API"'];
    const env = {
      PATH: process.env.PATH,
      API: `${url}/deployments/etl/deploys`,
      KEYS_URL: stack.url,
      KEY_ID: key.id,
      KEY_SECRET: key.secret,
    };
    return new Promise((resolve) =>
      execFile('sh', ['-euc', script.join('\n')], { env }, (error, output) =>
        resolve({ code: error ? Number(error.code) : 0, output }),
      ),
    );
  }

  it.each(['Rest', 'Http'])('prove_guard succeeds on the protected %s API', async (api) => {
    expect(await prove(stack.urls[`${api}/Resource`])).toStrictEqual({
      code: 0,
      output: 'no token: 401, wrong scope: 403, right scope: 202\n',
    });
  });

  it.each([
    ['without a guard', 200, 200],
    ['whose guard checks no scope', 401, 202],
    ['whose guard denies every call', 401, 403],
  ])('prove_guard fails on an API %s', async (_, withoutToken, withToken) => {
    const api = createServer(({ headers }, response) =>
      response.writeHead(headers.authorization ? withToken : withoutToken).end(),
    ).listen(0, '127.0.0.1');
    await once(api, 'listening');
    onTestFinished(() => void api.close());
    const { port } = api.address() as AddressInfo;
    expect(await prove(`http://127.0.0.1:${port}`)).toStrictEqual({
      code: 1,
      output: `no token: ${withoutToken}, wrong scope: ${withToken}, right scope: ${withToken}\n`,
    });
  });
});

const hasTerraform = spawnSync('terraform', ['version']).status === 0;
it.runIf(hasTerraform)('terraform fmt leaves the Terraform module in docs/authorizer.md unchanged', () => {
  const source = snippet('authorizer.md', 'hcl');
  // Terraform fails if a configuration file is specified but does not exist.
  const env = { ...process.env, TF_CLI_CONFIG_FILE: '/dev/null' };
  expect(execFileSync('terraform', ['fmt', '-'], { input: source, env, encoding: 'utf8' })).toBe(source);
});
