import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from './failure.ts';

/** A person's sign-in to one stack. */
export interface SignIn {
  readonly issuer: string;
  readonly clientId: string;
  readonly accessToken: string;
  readonly refreshToken?: string | undefined;
  /** When the access token expires, in epoch milliseconds; undefined if the issuer did not report it. */
  readonly expiresAt?: number | undefined;
  /** The person's name, or the value of another claim that identifies them. */
  readonly person: string;
}

/** All sign-ins, and the URL of the stack that the person signed in to last. */
interface SignIns {
  readonly current?: string | undefined;
  readonly stacks: Readonly<Record<string, SignIn>>;
}

/** Returns the folder that contains the user's configuration for this CLI. */
function folder(): string {
  const { DEPLOYMENT_KEYS_CONFIG, XDG_CONFIG_HOME, APPDATA } = process.env;
  if (DEPLOYMENT_KEYS_CONFIG) return DEPLOYMENT_KEYS_CONFIG;
  const base = XDG_CONFIG_HOME || (process.platform === 'win32' && APPDATA) || join(homedir(), '.config');
  return join(base, 'deployment-api-keys');
}

/** The file that stores all sign-ins. Only its owner can read it. */
export const signInsFile = (): string => join(folder(), 'sign-ins.json');

/**
 * Reads all sign-ins.
 *
 * @throws UsageError if other users can read the file, or if the file is malformed
 */
export function readSignIns(): SignIns {
  const file = signInsFile();
  let text: string;
  try {
    if (process.platform !== 'win32' && (statSync(file).mode & 0o077) !== 0) {
      throw new UsageError(`Other users can read ${file}, which contains tokens. Run: chmod 600 ${file}`);
    }
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { stacks: {} };
    throw error;
  }
  try {
    const { current, stacks } = JSON.parse(text) as SignIns;
    return { current, stacks: { ...stacks } };
  } catch {
    throw new UsageError(`${file} is malformed. Delete it, and sign in again.`);
  }
}

/** Stores a sign-in, and makes its stack the current stack. */
export function keepSignIn(url: string, signIn: SignIn): void {
  const { stacks } = readSignIns();
  write({ current: url, stacks: { ...stacks, [url]: signIn } });
}

/** Replaces the tokens of a sign-in that was renewed. */
export function renewSignIn(url: string, signIn: SignIn): void {
  const { current, stacks } = readSignIns();
  write({ current, stacks: { ...stacks, [url]: signIn } });
}

/** Removes a sign-in from the file. */
export function forgetSignIn(url: string): void {
  const { current, stacks } = readSignIns();
  const { [url]: _, ...others } = stacks;
  if (Object.keys(others).length === 0) rmSync(signInsFile(), { force: true });
  else write({ current: current === url ? undefined : current, stacks: others });
}

/** Writes the file atomically, with mode 0600 from its first byte. */
function write(signIns: SignIns): void {
  mkdirSync(folder(), { recursive: true, mode: 0o700 });
  const draft = `${signInsFile()}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(signIns, null, 2)}\n`, { mode: 0o600 });
  chmodSync(draft, 0o600);
  renameSync(draft, signInsFile());
}
