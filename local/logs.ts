import type { LogLine } from './lambda/worker-pool.ts';

const MOST = 100_000;

/** The output of the functions and the runner, newest line last. Discards the oldest lines when there are too many. */
export class Logs {
  readonly #lines: LogLine[] = [];
  readonly #onLine: (line: LogLine) => void;

  constructor(onLine: (line: LogLine) => void = () => {}) {
    this.#onLine = onLine;
  }

  /** Adds a line from the runner itself. */
  write = (text: string): void => this.writeOf({ function: 'local', text });

  writeOf = (line: LogLine): void => {
    this.#lines.push(line);
    if (this.#lines.length > MOST) this.#lines.splice(0, MOST / 10);
    this.#onLine(line);
  };

  /** Returns all output, or only the output of one function, as text. */
  text(functionName?: string): string {
    return this.#lines
      .filter((line) => functionName === undefined || line.function === functionName)
      .map((line) => line.text)
      .join('');
  }

  clear(): void {
    this.#lines.length = 0;
  }
}
