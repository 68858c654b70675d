/** What the service tells the page. */
export interface Config {
  issuer: string;
  clientId: string;
  /** OAuth scopes to ask of the issuer, separated by spaces. */
  signInScope: string;
  /** The scopes that keys and tokens may have. */
  scopes: string[];
  /** Issuers whose tokens can open a key in place of a secret. */
  trustedIssuers: string[];
}

/** Read from the page, which the service has filled in. */
export function readConfig(): Config {
  const content = document.querySelector<HTMLMetaElement>('meta[name=console]')?.content;
  return JSON.parse(content ?? '');
}
