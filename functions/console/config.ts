import type { TrustedIssuer } from './issuers.ts';

/** The configuration that the service embeds in the console page. */
export interface Config {
  issuer: string;
  clientId: string;
  /** OAuth scopes to request from the issuer, space-separated. */
  signInScope: string;
  /** The scopes that keys and tokens can have. */
  scopes: string[];
  /** Issuers whose tokens a key can accept instead of a secret. */
  trustedIssuers: TrustedIssuer[];
  /**
   * How to recognise administrators. The console uses this only to choose which actions to show; the API authorizes
   * every call itself.
   */
  people: { groupsClaim: string; adminGroup?: string; adminScope?: string };
  /** The stack's rules for keys: the maximum lifetime in days, and whether keys can have a secret. */
  policy: { maxKeyDays?: number; keysWithSecrets?: boolean };
}

/** Reads the configuration from the page. */
export function readConfig(): Config {
  const content = document.querySelector<HTMLMetaElement>('meta[name=console]')?.content;
  return JSON.parse(content ?? '');
}
