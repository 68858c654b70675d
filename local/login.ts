import { suggestion, UsageError } from './options.ts';
import { issuerPort } from './ports.ts';
import { isPerson, PEOPLE } from './sign-in/issuer.ts';
import { printable } from './terminal.ts';

const NAMES = Object.keys(PEOPLE);

const HELP = `Prints an access token of the running local stack, for use with curl.

Usage: npm run -s login -- <${NAMES.join('|')}>

  admin     an administrator
  member    a member of the group data-eng

Environment:
  PORT, ISSUER_PORT    The same values as for npm start`;

async function login(name: string | undefined): Promise<string> {
  if (name === undefined) throw new UsageError(`Usage: npm run -s login -- <${NAMES.join('|')}>`);
  if (!isPerson(name)) {
    throw new UsageError(`Unknown person ${printable(name)}.${suggestion(name, NAMES)}\n\n${HELP}`);
  }
  const issuer = `http://127.0.0.1:${issuerPort()}`;
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'password', username: name }),
  }).catch(() => undefined);
  if (!response) {
    throw new UsageError(
      `No server responds at ${issuer}. Start the stack with npm start and the same PORT.`,
    );
  }
  const body = (await response.json().catch(() => ({}))) as { access_token?: string };
  if (body.access_token) return body.access_token;
  throw new UsageError(`The server at ${issuer} is not the sign-in of the local stack.`);
}

const [name] = process.argv.slice(2);
if (name === '--help' || name === '-h') {
  console.log(HELP);
} else {
  try {
    console.log(await login(name));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
