import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Command } from 'commander';
import { addCommand } from '../command.ts';
import { OIDC_VARIABLE, SECRET_VARIABLE } from '../credentials.ts';
import type { AccessToken, Exchange } from '../exchange.ts';
import { addExchangeOptions, type ExchangeOptions, readExchange } from '../exchange-options.ts';
import { Failure, UsageError } from '../failure.ts';

const TOKEN_VARIABLE = 'DEPLOYMENT_TOKEN';

/** Adds `exec`, which runs a command with an access token in its environment. */
export function addExec(program: Command): void {
  const command = addCommand(program, 'exec', {
    summary: 'Run a command with an access token in its environment, then revoke the token',
    description:
      'Exchanges the ID and secret of an API key for an access token, like the command token, and runs your command with the ' +
      `token in ${TOKEN_VARIABLE}. When your command ends, exec revokes the token and exits with the same exit code. The ` +
      `environment of your command does not contain ${SECRET_VARIABLE} or ${OIDC_VARIABLE}.`,
    examples: [
      `exec --url https://keys.example.com --key-id dk_etl_01JP0000000000000000000000 -- ./deploy.sh`,
      `exec --url https://keys.example.com --key-id dk_etl_01JP0000000000000000000000 -- sh -c 'printf "Authorization: Bearer %s" "$DEPLOYMENT_TOKEN" | curl -fsS -H @- https://keys.example.com/whoami'`,
    ],
  });
  addExchangeOptions(command)
    .option('--env <name>', 'Name of the environment variable for the token.', TOKEN_VARIABLE)
    .option('--no-revoke', 'Leave the token valid when the command has ended.')
    .argument('<command...>', 'The command and its arguments, after --.')
    .passThroughOptions()
    .action(async (words: string[], options: ExchangeOptions & { env: string; revoke: boolean }) => {
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(options.env)) {
        throw new UsageError('--env must be the name of an environment variable: letters, digits and _.');
      }
      const { exchange } = await import('../exchange.ts');
      const what = await readExchange(options);
      const token = await exchange(what);
      try {
        process.exitCode = await run(words, { ...process.env, [options.env]: token.token });
      } finally {
        if (options.revoke) await revoke(what, token);
      }
    });
}

/**
 * Runs a command with the standard streams of this process.
 *
 * @returns the command's exit code; if a signal ended the command, 128 plus the signal's number, as in a shell
 */
async function run([command = '', ...args]: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { [SECRET_VARIABLE]: _, [OIDC_VARIABLE]: __, ...passed } = env;
  const child = spawn(command, args, { env: passed, stdio: 'inherit' });
  // A terminal sends SIGINT to the command as well. This process passes on the other signals, and keeps running to
  // revoke the token.
  const onSignal = (signal: NodeJS.Signals) => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await new Promise((resolve, reject) => {
      child.on('error', (error: NodeJS.ErrnoException) => reject(notRun(command, error)));
      child.on('close', (code, signal) => resolve(signal ? 128 + constants.signals[signal] : (code ?? 1)));
    });
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}

function notRun(command: string, { code }: NodeJS.ErrnoException): Failure {
  if (code === 'ENOENT') return new Failure(`There is no command ${JSON.stringify(command)}.`, 127);
  return new Failure(`The command ${JSON.stringify(command)} cannot be run (${code}).`, 126);
}

/**
 * Revokes the token. If the revocation fails, the exit code stays the same: the command has done its work, and the
 * token will expire.
 */
async function revoke(what: Exchange, { token, expiresAt }: AccessToken): Promise<void> {
  const { revoke: send } = await import('../exchange.ts');
  try {
    await send(what, token);
  } catch (error) {
    const why = error instanceof Failure ? error.message : 'unexpected error';
    console.error(
      `warning: The access token is not revoked. It expires at ${expiresAt} or 24 hours after its last use. ${why}`,
    );
  }
}
