/**
 * Replaces undici in the bundle. undici is about one megabyte, and @actions/http-client needs it only for proxies
 * with fetch. The action does not use fetch.
 */
export class ProxyAgent {
  constructor() {
    throw new Error('The action has no proxy for fetch.');
  }
}
