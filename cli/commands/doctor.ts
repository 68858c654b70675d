import type { Command } from 'commander';
import { paint, printable, withoutSecrets } from '../../local/terminal.ts';
import type { Api, ApiOptions } from '../api.ts';
import { addApiOptions } from '../api-options.ts';
import { addCommand, serviceUrl } from '../command.ts';
import { faultOfKeyId, type Proof, readProof } from '../credentials.ts';
import type { Diagnosis, Finding } from '../doctor.ts';
import { keyIdOption, oidcTokenFileOption } from '../exchange-options.ts';
import { EXIT, Failure, UsageError } from '../failure.ts';
import { readServiceUrl } from '../service-url.ts';

interface Options extends ApiOptions {
  readonly keyId?: string;
  readonly scope?: string;
  readonly oidcTokenFile?: string;
  readonly api?: string;
  readonly requiredScope?: string;
  readonly json?: true;
}

/** Adds `doctor`, which finds out why a pipeline cannot get a token, or whether an API is guarded. */
export function addDoctor(program: Command): void {
  const command = addCommand(program, 'doctor', {
    summary: 'Find out why a pipeline gets no token, or whether an API is guarded',
    description:
      'Checks the address, the clock, the form of the ID and the secret, the scope and the exchange, and names the cause of a ' +
      'problem or lists the possible causes. With a sign-in (login, --sigv4 or DEPLOYMENT_KEYS_ACCESS_TOKEN), doctor also reads ' +
      'the key, and the service explains an OIDC token. With --api, it tests whether an API is guarded: it sends GET requests without a token, with an invalid token, ' +
      'with a token that lacks the required scope, and with a token that has the scope. The exit code is 1 if there is a ' +
      'problem. The command revokes the access tokens that it gets, and uses up an OIDC token that works only once.',
    examples: [
      'doctor --url https://keys.example.com --key-id dk_etl_01JP0000000000000000000000',
      'doctor --url https://keys.example.com --key-id dk_etl_01JP0000000000000000000000 --api https://api.example.com/dags --required-scope airflow:read',
    ],
  });
  addApiOptions(command)
    .addOption(keyIdOption())
    .option('--scope <scopes>', 'Scopes that the pipeline requests, separated by spaces.')
    .addOption(oidcTokenFileOption())
    .option('--api <url>', 'URL of a resource of an API that should be guarded. It is called with GET.')
    .option('--required-scope <scope>', 'Scope that this API requires.')
    .action(async (options: Options) => {
      const diagnosis = await examine(options);
      if (options.json) console.log(withoutSecrets(JSON.stringify(diagnosis)));
      else print(diagnosis);
      const isBroken =
        diagnosis.findings.some(({ state }) => state === 'problem') || diagnosis.possibleCauses.length > 0;
      if (isBroken) process.exitCode = EXIT.failed;
    });
}

async function examine(options: Options): Promise<Diagnosis> {
  const findings: Finding[] = [];
  const keyId = checkedKeyId(options.keyId, findings);
  const proof = await checkedProof(options, keyId, findings);
  const url = await checkedUrl(options, findings);
  if (url === undefined) return { findings, possibleCauses: [] };
  const scope = options.scope?.split(/\s+/).filter(Boolean).join(' ');
  const { diagnose } = await import('../doctor.ts');
  const found = await diagnose({ url, keyId, proof, scope, api: await signedIn(options, url) });
  findings.push(...found.findings);
  if (options.api !== undefined) {
    const { checkGuard } = await import('../guard-check.ts');
    const isReady =
      keyId !== undefined && proof !== undefined && !findings.some(({ state }) => state === 'problem');
    const what = isReady ? { url, keyId, proof, scope } : undefined;
    findings.push(...(await checkGuard(checkedApi(options.api), what, options.requiredScope)));
  }
  return { findings, possibleCauses: found.possibleCauses };
}

function checkedKeyId(given: string | undefined, findings: Finding[]): string | undefined {
  if (given === undefined) {
    findings.push({ state: 'unknown', text: 'Without --key-id, the key and the exchange are not checked.' });
    return undefined;
  }
  const fault = faultOfKeyId(given);
  findings.push(
    fault
      ? { state: 'problem', text: `The ID of the key ${fault}` }
      : { state: 'ok', text: 'The ID of the key is complete.' },
  );
  return fault ? undefined : given;
}

async function checkedProof(
  options: Options,
  keyId: string | undefined,
  findings: Finding[],
): Promise<Proof | undefined> {
  try {
    const proof = await readProof(keyId ?? '', options);
    if ('secret' in proof)
      findings.push({ state: 'ok', text: 'The secret is complete, and belongs to the ID.' });
    return proof;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (options.keyId !== undefined) findings.push({ state: 'problem', text: error.message });
    return undefined;
  }
}

async function checkedUrl({ url }: Options, findings: Finding[]): Promise<string | undefined> {
  const { readSignIns } = await import('../sign-ins.ts');
  try {
    return serviceUrl(url, readSignIns().current);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    findings.push({ state: 'problem', text: error.message });
    return undefined;
  }
}

function checkedApi(text: string): string {
  if (!URL.canParse(text)) throw new UsageError('--api is not a URL.');
  const { origin } = new URL(text);
  readServiceUrl(origin, '--api');
  return text;
}

/** Returns the management API; undefined if no one is signed in. */
async function signedIn(options: Options, url: string): Promise<Api | undefined> {
  const { openApi } = await import('../api.ts');
  try {
    return openApi({ ...options, url });
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

function print({ findings, possibleCauses }: Diagnosis): void {
  const marks = { ok: ['green', '✓'], problem: ['red', '✗'], unknown: ['yellow', '?'] } as const;
  for (const { state, text } of findings) {
    const [colour, mark] = marks[state];
    console.log(`${paint(process.stdout, colour, mark)} ${printable(withoutSecrets(text))}`);
  }
  if (possibleCauses.length === 0) return;
  console.log('\nOne of these is the cause, the most frequent first:');
  for (const cause of possibleCauses) console.log(`- ${printable(withoutSecrets(cause))}`);
}
