import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { temporaryFolder } from './temporary.ts';

const template = readFileSync(
  new URL('../../integrations/gitlab-component/templates/token.yml', import.meta.url),
  'utf8',
);

/** Inputs of a component, as `include` passes them. */
export type Inputs = Readonly<Record<string, string | boolean>>;

interface Job {
  variables?: Record<string, string>;
  id_tokens: Record<string, { aud: string }>;
  before_script: string[];
  after_script: string[];
}

/**
 * Returns the component's jobs with the given inputs. As GitLab does, it validates each input by its type and its
 * regular expression, and then inserts the input as text.
 *
 * @throws Error that names the missing, unknown or invalid input
 */
export function includeComponent(inputs: Inputs): Record<string, Job> {
  const specified = parse(template.split(/^---$/m)[0] ?? '').spec.inputs;
  for (const name of Object.keys(inputs)) if (!specified[name]) throw new Error(`unknown input: ${name}`);
  type Input = { type?: 'boolean'; default?: unknown; regex?: string };
  const values = Object.entries<Input>(specified).map(([name, input]) => {
    const given = inputs[name] ?? input.default;
    if (given === undefined) throw new Error(`required: ${name}`);
    const value = String(given);
    if (typeof given !== (input.type ?? 'string')) throw new Error(`does not match: ${name}`);
    if (input.regex && !new RegExp(input.regex).test(value)) throw new Error(`does not match: ${name}`);
    return [name, value] as const;
  });
  const filled = values.reduce(
    (text, [name, value]) => text.replaceAll(`$[[ inputs.${name} ]]`, () => value),
    template,
  );
  return parseAllDocuments(filled)[1]?.toJS();
}

/** A job, and the shell and environment that run it. */
export interface JobOptions {
  inputs: Inputs;
  /** Shell commands of the job. */
  script: string;
  /** Command and arguments of the image's shell. */
  shell: readonly [string, ...string[]];
  /** CI/CD variables and the OIDC tokens that GitLab issues, by name. */
  variables?: Readonly<Record<string, string>>;
  /** Folder of programs that take precedence over those of the machine. */
  path: string;
  /** Whether to run the job with CI_DEBUG_TRACE. */
  isTraced?: boolean;
}

/** The result of a job. */
export interface JobResult {
  /** Exit code of before_script and script, which form one shell script. */
  code: number | null;
  /** Output of both shells: that of the script and that of after_script. */
  output: string;
  /** Output of after_script. */
  afterwards: string;
  /** Files that remain in the folder for the project's temporary files. */
  left: string[];
}

/** Runs a job that extends the component's job, as GitLab's runner does. */
export async function runJob(options: JobOptions): Promise<JobResult> {
  const { inputs, script, shell, variables, path, isTraced = false } = options;
  const job = includeComponent(inputs)[String(inputs.job ?? '.deployment-token')];
  if (!job) throw new Error('There is no such job.');
  const place = temporaryFolder('gitlab-runner');
  const project = join(place, 'project');
  mkdirSync(project);
  const env = {
    PATH: path,
    SHLVL: '1',
    CI_JOB_ID: '7',
    CI_PROJECT_DIR: project,
    ...job.variables,
    ...variables,
  };
  const run = async (commands: readonly string[]) => {
    // GitLab's runner adds these lines at the beginning of a job. The runner shows each command before running it.
    const prelude = `${isTraced ? 'set -o xtrace\n' : ''}if set -o | grep pipefail >/dev/null; then set -o pipefail; fi; set -o errexit\nset +o noclobber`;
    const shown = (command: string) => `echo '$ ${command.split('\n')[0]?.replaceAll("'", '')}'`;
    const text = [prelude, ...commands.flatMap((command) => [shown(command), command])].join('\n');
    const [program, ...flags] = shell;
    writeFileSync(join(place, 'script'), text);
    const child = spawn(program, [...flags, join(place, 'script')], { cwd: project, env });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.stdin.end();
    const code = await new Promise<number | null>((resolve, reject) =>
      child.on('error', reject).on('close', resolve),
    );
    return { code, output };
  };
  const { code, output } = await run([...job.before_script, script]);
  const afterwards = (await run(job.after_script)).output;
  const left = readdirSync(place).includes('project.tmp') ? readdirSync(join(place, 'project.tmp')) : [];
  return { code, output: output + afterwards, afterwards, left };
}
