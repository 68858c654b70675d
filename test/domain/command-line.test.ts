import { expect, it } from 'vitest';
import { COMMAND_LINE_CALLBACK } from '../../functions/domain/command-line.ts';

it('the redirect URL of the command line is on this machine, with the port that issuers know', () => {
  const { protocol, hostname, port, pathname } = new URL(COMMAND_LINE_CALLBACK);
  expect([protocol, hostname, port, pathname]).toEqual(['http:', 'localhost', '17683', '/callback']);
});
