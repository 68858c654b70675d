import type { Command } from 'commander';
import { addCommand, jsonOption, serviceUrl, urlOption } from '../command.ts';

interface LoginOptions {
  readonly url?: string;
  readonly issuer?: string;
  readonly clientId?: string;
  readonly scopes: string;
  readonly browser: boolean;
}

/** Adds the `login`, `logout` and `whoami` commands, which manage a person's sign-in. */
export function addSignIn(program: Command): void {
  addLogin(program);
  addLogout(program);
  addWhoAmI(program);
}

function addLogin(program: Command): void {
  const command = addCommand(program, 'login', {
    summary: 'Sign in to a stack with the browser',
    description:
      'Signs you in to a stack with your browser, and keeps the tokens of the sign-in in your configuration folder, in a file ' +
      "that only you can read. The issuer must allow the callback URL http://localhost:17683/callback; the stack's user pool " +
      'allows this URL.',
    examples: [
      'login --url https://keys.example.com',
      'login --url http://127.0.0.1:8787 --no-browser',
      'login --url https://keys.example.com --issuer https://login.example.com --client-id deployment-keys-cli',
    ],
  });
  command
    .addOption(urlOption())
    .option(
      '--issuer <url>',
      "The OIDC issuer, for a stack without a console. Default: the console's issuer.",
    )
    .option('--client-id <id>', "ID of a public client of the issuer. Default: the console's client.")
    .option(
      '--scopes <scopes>',
      'OAuth scopes to request with --issuer, separated by spaces.',
      'openid profile email',
    )
    .option('--no-browser', 'Only print the URL, and do not open a browser.')
    .action(async ({ issuer, clientId, scopes, ...options }: LoginOptions) => {
      const [{ openBrowser, readSignInConfig, signIn }, { keepSignIn, readSignIns, signInsFile }] =
        await Promise.all([import('../issuer.ts'), import('../sign-ins.ts')]);
      const url = serviceUrl(options.url, readSignIns().current);
      const ofConsole = issuer && clientId ? undefined : await readSignInConfig(url);
      const config = {
        issuer: issuer ?? ofConsole?.issuer ?? '',
        clientId: clientId ?? ofConsole?.clientId ?? '',
        scope: ofConsole?.scope ?? scopes,
      };
      const signedIn = await signIn(config, (page) => {
        console.error(`Sign in with your browser at:\n\n  ${page}\n`);
        if (options.browser) openBrowser(page);
      });
      keepSignIn(url, signedIn);
      console.log(`You are signed in to ${url} as ${signedIn.person}. The tokens are in ${signInsFile()}.`);
    });
}

function addLogout(program: Command): void {
  const command = addCommand(program, 'logout', {
    summary: 'Sign out of a stack',
    description:
      'Removes the tokens of your sign-in from this machine, and revokes the refresh token if the issuer supports this. You ' +
      'stay signed in at the issuer in your browser: on a shared machine, sign out at the issuer as well.',
    examples: ['logout', 'logout --url https://keys.example.com'],
  });
  command.addOption(urlOption()).action(async (options: { url?: string }) => {
    const { forgetSignIn, readSignIns } = await import('../sign-ins.ts');
    const { current, stacks } = readSignIns();
    const url = serviceUrl(options.url, current);
    const signIn = stacks[url];
    if (!signIn) return console.log(`You are not signed in to ${url}.`);
    forgetSignIn(url);
    const { end } = await import('../issuer.ts');
    const isRevoked = await end(signIn);
    console.log(`You are signed out of ${url}.${isRevoked ? ' The refresh token is revoked.' : ''}`);
  });
}

function addWhoAmI(program: Command): void {
  const command = addCommand(program, 'whoami', {
    summary: 'Show who is signed in, and check it with the service',
    examples: ['whoami', 'whoami --url https://keys.example.com --json'],
  });
  command
    .addOption(urlOption())
    .addOption(jsonOption())
    .action(async (options: { url?: string; json?: true }) => {
      const { readSignIns } = await import('../sign-ins.ts');
      const { openApi, resultOf, signedIn } = await import('../api.ts');
      const { current, stacks } = readSignIns();
      const url = serviceUrl(options.url, current);
      const { issuer, person } = signedIn(url, stacks[url]);
      const api = openApi({ url });
      await resultOf(api, api.client.GET('/deployments', { params: { query: { limit: 1 } } }));
      if (options.json) return console.log(JSON.stringify({ url, issuer, person }));
      const { printFields } = await import('../table-text.ts');
      printFields({ Service: url, Issuer: issuer, Person: person });
    });
}
