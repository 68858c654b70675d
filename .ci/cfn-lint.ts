import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { synthesise } from '../infra/app.ts';
import { DeploymentKeySecret } from '../infra/deployment-key-secret.ts';
import { EventRules } from '../infra/example/event-rules.ts';
import { synthesiseConsumers } from '../test/support/consumers.ts';
import { ARN, EVERYTHING, SOURCE, WITH_ISSUER } from '../test/support/template.ts';

/** A finding from cfn-lint. */
export interface Finding {
  readonly Rule: { readonly Id: string };
  readonly Message: string;
  readonly Filename: string;
  readonly Location: { readonly Path: readonly (string | number)[] | null };
}

/**
 * Accepted findings. Each entry names the rule, part of the finding's text, and the reason for accepting it. The text
 * consists of the path in the template and the message.
 */
export const EXCEPTIONS: readonly { rule: string; text: RegExp; reason: string }[] = [
  {
    rule: 'E3002',
    text: /Resources\/\w*Dashboard\w*\/.*'Tags' was unexpected/,
    reason: 'CloudFormation has tags for dashboards, but the schema in cfn-lint 1.51 does not.',
  },
  {
    rule: 'E1022',
    text: /'Fn::GetStackOutput'/,
    reason: 'cfn-lint 1.51 does not know this function, with which the CDK refers to another stack.',
  },
  {
    rule: 'W7001',
    text: /'awscdkawskinesisfirehoseCidrBlocks' is defined but not used/,
    reason:
      'The CDK adds this mapping to every stack with a Firehose stream; only destinations in a VPC use it.',
  },
  {
    rule: 'W3005',
    text: /already enforced by a '(GetAtt|Ref)'/,
    reason:
      "The CDK lists a function's role in DependsOn, to wait for the role's policies as well. That is harmless.",
  },
];

/** Returns the findings that are not accepted, as human-readable lines. */
export function unexplained(findings: readonly Finding[]): string[] {
  return findings.flatMap(({ Rule, Message, Filename, Location }) => {
    const text = `${Location.Path?.join('/')}: ${Message}`;
    const isAccepted = EXCEPTIONS.some(
      (exception) => exception.rule === Rule.Id && exception.text.test(text),
    );
    return isAccepted ? [] : [`${Filename}: ${Rule.Id} ${text}`];
  });
}

/** Settings that change which resources a template has. */
const CONTEXTS: Readonly<Record<string, Record<string, unknown>>> = {
  development: {},
  production: { stage: 'production' },
  issuer: WITH_ISSUER,
  everything: EVERYTHING,
  domain: { ...WITH_ISSUER, domainName: 'keys.example.com', certificateArn: ARN.CERTIFICATE },
  platform: { platformPrincipals: ARN.PRINCIPAL, tracing: true, console: false },
  source: { deploymentsSource: SOURCE },
  key: { encryptionKey: ARN.KEY },
};

/**
 * Writes one template of each kind into a folder: the service, the example, APIs that use the service, and a key
 * secret.
 */
export function writeTemplates(folder: string): string[] {
  const files: string[] = [];
  const write = (name: string, template: unknown) => {
    files.push(join(folder, `${name}.json`));
    writeFileSync(files.at(-1) as string, JSON.stringify(template));
  };
  for (const [name, context] of Object.entries(CONTEXTS)) {
    const outdir = join(folder, `${name}.out`);
    for (const stack of synthesise(context, outdir).stacks) write(`${name}-${stack.id}`, stack.template);
  }
  for (const stack of synthesiseConsumers(WITH_ISSUER, join(folder, 'consumers.out')).stacks) {
    write(`consumers-${stack.id}`, stack.template);
  }
  const app = new App({ outdir: join(folder, 'other.out'), analyticsReporting: false });
  new DeploymentKeySecret(new Stack(app, 'Secret'), 'Secret', {
    platformUrl: 'https://keys.example.com',
    platformArn: 'arn:aws:execute-api:eu-west-1:111122223333:abc/$default',
    roleName: 'etl-key-secret',
    deploymentId: 'etl',
    keyName: 'ci',
    scopes: ['code:deploy'],
  });
  new EventRules(new Stack(app, 'Rules'), 'Rules', { eventBusName: 'keys' });
  for (const stack of app.synth().stacks) write(stack.id, stack.template);
  return files;
}

/** Lints files. @returns undefined if cfn-lint is not installed */
export function lint(files: readonly string[]): Finding[] | undefined {
  const options = { encoding: 'utf8', maxBuffer: 2 ** 28 } as const;
  const { error, stdout, stderr } = spawnSync('cfn-lint', ['--format', 'json', '--', ...files], options);
  if (error && 'code' in error && error.code === 'ENOENT') return undefined;
  if (error) throw error;
  try {
    return JSON.parse(stdout);
  } catch {
    throw new Error(`cfn-lint failed: ${stderr}`);
  }
}

if (import.meta.main) {
  process.env.CDK_VALIDATION = 'false';
  const folder = mkdtempSync(join(tmpdir(), 'cfn-lint-'));
  try {
    const files = writeTemplates(folder);
    const findings = lint(files);
    const lines = findings && unexplained(findings);
    if (lines === undefined)
      console.log('cfn-lint is not installed, so nothing was linted. Run pip install cfn-lint.');
    else if (lines.length === 0)
      console.log(`cfn-lint: ${files.length} templates, no findings without an explanation.`);
    else {
      console.error(lines.join('\n'));
      process.exitCode = 1;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
