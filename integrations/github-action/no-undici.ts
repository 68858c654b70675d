/**
 * In the bundle this takes the place of undici, a megabyte that @actions/http-client needs only for the proxies of fetch.
 * The action does not use fetch.
 */
export class ProxyAgent {
  constructor() {
    throw new Error('The action has no proxy for fetch.');
  }
}
