/**
 * Replaces undici in the bundle. undici is about one megabyte, and @actions/http-client needs undici only for fetch
 * through a proxy. The action does not use fetch.
 */
export class ProxyAgent {
  constructor() {
    throw new Error('The action has no proxy for fetch.');
  }
}
