import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { ENGINE_CREDENTIALS } from '../../local/dynamodb/engine.ts';
import { temporaryFolder } from './temporary.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Options for running a command. */
export interface Running {
  /** Environment variables in addition to PATH, HOME and the sign-in folder. */
  readonly env?: Readonly<Record<string, string>>;
  /** Content of standard input. If omitted, the command has no standard input. */
  readonly typed?: string;
  /** File descriptor for standard output. If omitted, the outcome contains standard output. */
  readonly stdout?: number;
  /** Function that is called when the process has started. */
  readonly onStart?: (child: ChildProcess) => void;
}

/** The result of a command. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Returns the outcome of a command that rejects its arguments, or that needs `--yes`. */
export const usageError = (message: string): Outcome => ({
  code: 2,
  stdout: '',
  stderr: `error: ${message}\n`,
});

/** Returns the environment variables with which a process signs its calls to AWS. */
export const awsEnvironment = (credentials: { accessKeyId: string; secretAccessKey: string }) => ({
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
});

/** Returns the environment variables with which commands work on the tables of an engine. */
export const tableEnvironment = ({ endpoint }: { endpoint: string }) => ({
  ...awsEnvironment(ENGINE_CREDENTIALS),
  AWS_ENDPOINT_URL_DYNAMODB: endpoint,
});

/**
 * Returns functions that run the CLI as a process. The process has its own home folder, which is empty at first and is
 * removed after the file's tests.
 *
 * const { code, stdout } = await run(['token', '--url', stack.url], { env: { DEPLOYMENT_KEY_SECRET: secret } });
 *
 * @param program the program and its first arguments; by default, the CLI from its source
 * @param shared environment variables of all commands
 */
export function commandLine({
  program = [process.execPath, join(root, 'cli/main.ts')],
  env: shared = {},
}: {
  readonly program?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
} = {}) {
  const home = temporaryFolder('cli-home');
  const run = async (
    args: readonly string[],
    { env, typed, stdout, onStart }: Running = {},
  ): Promise<Outcome> => {
    const [command = '', ...first] = program;
    const child = spawn(command, [...first, ...args], {
      cwd: home,
      env: { PATH: process.env.PATH, HOME: home, ...shared, ...env },
      stdio: [typed === undefined ? 'ignore' : 'pipe', stdout ?? 'pipe', 'pipe'],
    });
    onStart?.(child);
    const said = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream]?.on('data', (chunk) => {
        said[stream] += chunk;
      });
    }
    // A command that needs no input may end before it has read standard input.
    child.stdin?.on('error', () => {});
    child.stdin?.end(typed);
    const [code] = await once(child, 'close');
    return { code, ...said };
  };
  /** Runs a command with `--json`, which must succeed, and returns its parsed output. */
  const json = async (args: readonly string[], running: Running = {}) => {
    const { code, stdout, stderr } = await run([...args, '--json'], running);
    expect([code, stderr], args.join(' ')).toEqual([0, '']);
    return JSON.parse(stdout);
  };
  return { run, json, home };
}
