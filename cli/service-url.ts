import { UsageError } from './failure.ts';

/**
 * Returns the URL of a service without a trailing slash.
 *
 * @param name the option or variable that contained the URL, for the message
 * @throws UsageError if the text is not the URL of a service, or if sending credentials to the URL is not safe
 */
export function readServiceUrl(text: string, name: string): string {
  const example = "Give the stack's output ApiUrl, for example https://keys.example.com.";
  if (!URL.canParse(text)) throw new UsageError(`${name} is not a URL. ${example}`);
  const { protocol, hostname, origin, pathname, username, password, search, hash } = new URL(text);
  if (username || password || search || hash) {
    throw new UsageError(
      `${name} must not contain a user name, a password, a query or a fragment. ${example}`,
    );
  }
  if (protocol !== 'https:' && !(protocol === 'http:' && isLoopback(hostname))) {
    throw new UsageError(
      `${name} must begin with https://, because credentials are sent there. http:// is allowed only for this machine.`,
    );
  }
  const path = pathname.replace(/\/+$/, '');
  const known = /\/(oauth\/\w+|console\b.*|deployments\b.*|platform\b.*|whoami|\.well-known\b.*)$/.exec(path);
  if (known) throw new UsageError(`${name} must be the URL of the service, without ${known[0]}.`);
  return `${origin}${path}`;
}

/** Returns whether a host name refers to this machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.[\d.]+$/.test(hostname);
}
