/**
 * Redirect URL for people who sign in with the command line. The issuer must know the exact URL, so the port is fixed.
 */
export const COMMAND_LINE_CALLBACK = 'http://localhost:17683/callback';
