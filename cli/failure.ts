import { causeOf } from '../functions/domain/errors.ts';

/** The CLI's exit codes. docs/cli.md documents them. */
export const EXIT = {
  /** The service rejected the call, or something else failed. */
  failed: 1,
  /** The arguments or the configuration are wrong. Nothing was sent. */
  usage: 2,
  /** The credentials are missing, or the service rejected them. */
  rejected: 3,
  /** The named resource does not exist, or the caller cannot access it. */
  notFound: 4,
  /** The service could not be reached, or is busy. Repeating the command later can help. */
  unavailable: 5,
  /** The command reached a limit that the user set. Running the command again continues the work. */
  incomplete: 6,
} as const;

/**
 * A failure whose message contains everything that the user needs: what is wrong, where, and what to do. The message
 * contains no secrets.
 */
export class Failure extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number = EXIT.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The arguments or the configuration of a command are wrong. */
export class UsageError extends Failure {
  constructor(message: string) {
    super(message, EXIT.usage);
  }
}

/** Returns the failure that reports any error of a command that works on the table and can be repeated. */
export function repeatable(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if ((error as Error).message === 'Region is missing') {
    return new UsageError("The Region is missing: set AWS_REGION to the stack's Region.");
  }
  return new Failure(`${causeOf(error)}\nRun the command again to continue.`);
}
