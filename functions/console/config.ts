/** The configuration that the service writes into the page. */
export interface Config {
  issuer: string;
  clientId: string;
  /** OAuth scopes to request from the issuer, separated by spaces. */
  signInScope: string;
  /** The scopes that keys and tokens can have. */
  scopes: string[];
  /** Issuers whose tokens keys can accept instead of a secret. */
  trustedIssuers: string[];
}

/** Reads the configuration from the page. */
export function readConfig(): Config {
  const content = document.querySelector<HTMLMetaElement>('meta[name=console]')?.content;
  return JSON.parse(content ?? '');
}
