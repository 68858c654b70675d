/** An event source that polls in the background, from `start` until `stop`. */
export abstract class PollingSource {
  readonly #abort = new AbortController();
  #running?: Promise<void>;
  /** Aborted when the source stops. */
  protected readonly signal = this.#abort.signal;

  /** Polls until the signal is aborted. */
  protected abstract poll(): Promise<void>;

  start(): void {
    this.#running = this.poll();
  }

  /** Stops the source. Resolves when the poll that is in progress has ended. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }
}
