import { fstatSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseCredential, parseKeyId } from '../functions/domain/credentials.ts';
import { UsageError } from './failure.ts';

/**
 * Environment variables that contain credentials. `exec` removes these variables from the environment of the command
 * that it runs.
 */
export const SECRET_VARIABLE = 'DEPLOYMENT_KEY_SECRET';
export const OIDC_VARIABLE = 'DEPLOYMENT_KEY_OIDC_TOKEN';

/** The credential that a pipeline exchanges for an access token: the key's secret, or an OIDC token from its CI. */
export type Proof = { readonly secret: string } | { readonly subjectToken: () => Promise<string> };

/**
 * Describes what is wrong with a key's ID; undefined if the ID is well-formed. The description does not repeat the
 * value, because the value may be a secret.
 */
export function faultOfKeyId(text: string): string | undefined {
  if (text === '') return 'is empty. Give the ID of the API key, which begins with dk_.';
  if (parseKeyId(text)) return undefined;
  if (/^\s*dks_/.test(text)) {
    return 'holds a secret. Give the ID of the API key, which begins with dk_, and rotate the key if somebody else could see the secret.';
  }
  if (/^\s*dk[tx]_/.test(text)) return 'holds a token. Give the ID of the API key, which begins with dk_.';
  if (parseKeyId(unquoted(text))) return 'has quotes or white space around the ID. Remove them.';
  if (!text.startsWith('dk_')) return 'is not the ID of an API key, which begins with dk_.';
  return 'is not a complete ID: dk_, the ID of the Deployment, _ and 26 characters. Was it truncated?';
}

/**
 * Describes what is wrong with a secret; undefined if the secret is well-formed. Without the service, only the format
 * can be checked.
 *
 * @param keyId ID of the key to which the secret should belong; ignored if malformed
 */
function faultOfSecret(text: string, keyId: string): string | undefined {
  if (text === '') return 'is empty: is the secret set for this pipeline, branch and environment?';
  if (/^dk[tx]_/.test(text)) return 'holds a token. Give the secret of the API key, which begins with dks_.';
  if (parseKeyId(text)) return 'holds the ID of an API key. Give its secret, which begins with dks_.';
  if (/^\s*[\w-]+\.[\w-]+\.[\w-]+\s*$/.test(text)) {
    return `holds an OIDC token. Put it into ${OIDC_VARIABLE} instead, or use --oidc-token-file.`;
  }
  const credential = parseCredential(text);
  if (!credential) {
    return parseCredential(unquoted(text))
      ? 'has quotes or white space around the secret. Remove them where it is stored.'
      : `is not a complete secret: ${incomplete(text)} Store it again, the whole line.`;
  }
  const expected = parseKeyId(keyId);
  const isOfKey = credential.ulid === expected?.ulid && credential.deploymentId === expected.deploymentId;
  if (expected && !isOfKey) {
    return `belongs to another API key, dk_${credential.deploymentId}_${credential.ulid}, than the ID, ${keyId}.`;
  }
  return undefined;
}

function incomplete(text: string): string {
  if (!text.startsWith('dks_')) return 'a secret begins with dks_.';
  if (/[^\w-]/.test(text.trim())) return 'it contains characters that a secret never has.';
  const length = /_([0-9A-Za-z]*)$/.exec(text)?.[1]?.length ?? 0;
  if (length < 49) return `it was truncated: its last part has ${length} characters and should have 49.`;
  return length > 49 ? 'it is too long.' : 'its check characters do not match: a character was changed.';
}

const unquoted = (text: string) =>
  text
    .trim()
    .replace(/^(["'])(.*)\1$/, '$2')
    .trim();

/** Sources of a credential, apart from the environment. */
export interface ProofOptions {
  /** Path of a file that contains the CI's OIDC token. */
  readonly oidcTokenFile?: string;
}

/**
 * Finds the secret or the OIDC token: in the environment, in a file, or on standard input if that is a pipe or a file.
 *
 * @throws UsageError if there is no credential or more than one, or if the secret is malformed
 */
export async function readProof(keyId: string, { oidcTokenFile }: ProofOptions): Promise<Proof> {
  const secret = process.env[SECRET_VARIABLE];
  const token = process.env[OIDC_VARIABLE];
  if (oidcTokenFile !== undefined) {
    // Read the file for each attempt, because Kubernetes replaces the token in the file.
    return { subjectToken: async () => readSubjectToken(oidcTokenFile) };
  }
  if (secret && token) {
    throw new UsageError(`${SECRET_VARIABLE} and ${OIDC_VARIABLE} are both set. Unset one of them.`);
  }
  if (token) return { subjectToken: async () => token };
  if (secret === undefined && !isPiped()) {
    throw new UsageError(
      `The secret is missing: is ${SECRET_VARIABLE} set for this pipeline, branch and environment? You can also pass the ` +
        `secret on standard input. For a key with trust rules, set ` +
        `${OIDC_VARIABLE}, or use --oidc-token-file.`,
    );
  }
  const given = secret ?? (await firstLine());
  const fault = faultOfSecret(given, keyId);
  if (fault) throw new UsageError(`${secret === undefined ? 'Standard input' : SECRET_VARIABLE} ${fault}`);
  return { secret: given };
}

/**
 * Returns the CI's OIDC token from a file, from the environment, or from standard input if that is a pipe or a file.
 *
 * @throws UsageError if there is no token
 */
export async function readOidcToken({ oidcTokenFile }: ProofOptions): Promise<string> {
  if (oidcTokenFile !== undefined) return readSubjectToken(oidcTokenFile);
  const token = process.env[OIDC_VARIABLE] ?? (isPiped() ? (await firstLine()).trim() : '');
  if (token !== '') return token;
  throw new UsageError(
    `The OIDC token is missing. Pass it on standard input, set ${OIDC_VARIABLE}, or use --oidc-token-file.`,
  );
}

function readSubjectToken(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new UsageError(
      `--oidc-token-file: cannot read the file (${(error as NodeJS.ErrnoException).code}).`,
    );
  }
}

/** Returns whether standard input is a pipe or a file. Standard input can also be a terminal, or closed. */
function isPiped(): boolean {
  try {
    const input = fstatSync(0);
    return input.isFIFO() || input.isFile() || input.isSocket();
  } catch {
    return false;
  }
}

/** Returns the first line of standard input, or an empty string. */
async function firstLine(): Promise<string> {
  const waiting = setTimeout(() => console.error('Waiting for standard input.'), 2000);
  try {
    for await (const line of createInterface({ input: process.stdin })) return line;
    return '';
  } finally {
    clearTimeout(waiting);
    process.stdin.unref?.();
  }
}
