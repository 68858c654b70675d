import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { temporaryFolder } from './temporary.ts';

const folder = fileURLToPath(new URL('../../integrations/github-action/', import.meta.url));
const metadata = parse(readFileSync(join(folder, 'action.yml'), 'utf8'));

/** Inputs of a job's step, and the state that the runner stored for this step. */
export interface StepOptions {
  /** The step's inputs, as the workflow sets them. */
  with: Readonly<Record<string, string>>;
  /** Environment variables in addition to those that the runner sets. */
  env?: Readonly<Record<string, string>>;
  /** State that the step saved for the end of the job. */
  state?: Readonly<Record<string, string>>;
}

/** The result of a step. */
export interface StepResult {
  code: number | null;
  /** Standard output and standard error of the step. */
  output: string;
  outputs: Readonly<Record<string, string>>;
  state: Readonly<Record<string, string>>;
  /** Pauses before retries, in milliseconds. Tests do not actually wait. */
  pauses: number[];
}

/**
 * Runs the action's `main` or `post` as GitHub's runner does: the committed bundle in its own process, with the
 * inputs and their defaults from action.yml in the environment, and with files for outputs and state.
 */
export async function runAction(
  phase: 'main' | 'post',
  { with: given, env, state = {} }: StepOptions,
): Promise<StepResult> {
  const place = temporaryFolder('github-runner');
  const inPlace = (name: string, text = '') => {
    writeFileSync(join(place, name), text);
    return join(place, name);
  };
  const inputs: [string, string][] = Object.entries<{ default?: string }>(metadata.inputs).map(
    ([name, input]) => [`INPUT_${name.toUpperCase()}`, given[name] ?? input.default ?? ''],
  );
  const files = { GITHUB_OUTPUT: inPlace('output'), GITHUB_STATE: inPlace('state') };
  const pauses = inPlace('pauses');
  // Records each pause and ends it immediately.
  const hook = inPlace(
    'pauses.cjs',
    `require('node:timers/promises').setTimeout = async (pause) =>
      require('node:fs').appendFileSync(${JSON.stringify(pauses)}, pause + '\\n');`,
  );
  const child = spawn(process.execPath, ['--require', hook, join(folder, metadata.runs[phase])], {
    cwd: place,
    env: {
      PATH: process.env.PATH,
      ...Object.fromEntries(inputs),
      ...Object.fromEntries(Object.entries(state).map(([name, value]) => [`STATE_${name}`, value])),
      ...files,
      ...env,
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const result = {
    code,
    output,
    outputs: valuesOf(readFileSync(files.GITHUB_OUTPUT, 'utf8')),
    state: valuesOf(readFileSync(files.GITHUB_STATE, 'utf8')),
    pauses: readFileSync(pauses, 'utf8').split('\n').filter(Boolean).map(Number),
  };
  return result;
}

/**
 * Reads the values in one of the runner's files, in which each value has the lines `name<<delimiter`, its text, and
 * `delimiter`.
 */
function valuesOf(text: string): Record<string, string> {
  const values = text.matchAll(/^(?<name>[^\n]+?)<<(?<delimiter>[^\n]+)\n(?<value>.*?)\n\k<delimiter>$/gms);
  return Object.fromEntries(Array.from(values, ({ groups = {} }) => [groups.name, groups.value]));
}
