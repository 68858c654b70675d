import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { Option } from 'commander';
import { UsageError } from './failure.ts';

/** The options of a command that receives a secret. */
export interface SecretOptions {
  readonly secretFile?: string;
  readonly show?: true;
  readonly json?: true;
}

export const secretFileOption = () =>
  new Option('--secret-file <file>', 'Write the secret to this new file, with mode 0600.');
export const showOption = () => new Option('--show', 'Print the secret in the terminal.');

/**
 * The destination of a secret. The destination is chosen, and a file is created, before the secret exists, so that no
 * secret is lost.
 */
export interface SecretOutput {
  /** Writes the secret. @param secret undefined if the response contained no secret */
  readonly write: (secret: string | undefined) => void;
  /** Removes the file, because there is no secret. */
  readonly cancel: () => void;
  /** Whether standard output may contain the secret. */
  readonly isStandardOutput: boolean;
}

/**
 * Chooses the destination of a secret: a file, or standard output if that is a pipe or a file or if --show is given.
 *
 * @throws UsageError if the secret would be printed in a terminal, or if the file exists
 */
export function openSecretOutput({ secretFile, show }: SecretOptions): SecretOutput {
  if (secretFile !== undefined) return secretInFile(secretFile);
  if (process.stdout.isTTY && !show) {
    throw new UsageError(
      'Where should the secret go? Use --secret-file to write it to a file, pipe the output to a command, or use --show to print it.',
    );
  }
  return { write: () => {}, cancel: () => {}, isStandardOutput: true };
}

function secretInFile(path: string): SecretOutput {
  let file: number;
  try {
    file = openSync(path, 'wx', 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === 'EEXIST' ? 'the file exists already. Give another name' : `cannot create the file (${code})`;
    throw new UsageError(`--secret-file: ${why}.`);
  }
  return {
    isStandardOutput: false,
    write: (secret) => {
      if (secret !== undefined) writeSync(file, `${secret}\n`);
      closeSync(file);
    },
    cancel: () => {
      closeSync(file);
      rmSync(path, { force: true });
    },
  };
}
