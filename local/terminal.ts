import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/**
 * Styles text for a stream. Only a terminal gets colours, unless FORCE_COLOR or NO_COLOR is set.
 *
 *     paint(process.stdout, 'green', '✓');
 */
export const paint = (stream: NodeJS.WriteStream, style: Style, text: string): string =>
  styleText(style, text, { stream });

/**
 * Escapes the characters that a terminal would act on or not show: control and formatting characters, lone surrogates
 * and line separators. The escapes have the same form as in JSON (`\u001b`), so a line of JSON keeps its value when it
 * is escaped.
 */
export const printable = (text: string): string =>
  text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );

/** Shortens the service's secrets and tokens in a string. */
export const withoutSecrets = (text: string): string =>
  text.replace(/(dk[stx]_[A-Za-z0-9_-]{4})[A-Za-z0-9_-]+/g, '$1…');

/** Formats a duration: `45 ms`, `3.2 s`. */
export function duration(milliseconds: number): string {
  const whole = Math.round(milliseconds);
  return whole < 1000 ? `${whole} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

const LABEL_WIDTH = 32;

/**
 * Shows the steps of an operation that takes seconds: the label of each step when it starts, and its duration when it
 * ends.
 */
export class Progress {
  readonly #stream: NodeJS.WriteStream;
  #step: { readonly label: string; readonly start: number } | undefined;
  /** Whether the cursor is after the label of the current step. */
  #isOpen = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** Ends the current step and begins a new step. */
  step(label: string): void {
    this.done();
    this.#step = { label, start: performance.now() };
    this.#open(label);
  }

  /** Ends the current step. */
  done(): void {
    if (this.#step) this.#close(paint(this.#stream, 'green', '✓'));
  }

  /** Ends the current step as failed. */
  fail(): void {
    if (this.#step) this.#close(paint(this.#stream, 'red', '✗'));
  }

  /** Writes a line, even while a step is in progress. */
  line(text = ''): void {
    if (this.#isOpen) this.#stream.write('\n');
    this.#isOpen = false;
    this.#stream.write(`${text}\n`);
  }

  #open(label: string): void {
    this.#stream.write(`  ${label.padEnd(LABEL_WIDTH)}`);
    this.#isOpen = true;
  }

  #close(mark: string): void {
    const { label, start } = this.#step ?? { label: '', start: 0 };
    if (!this.#isOpen) this.#open(label);
    const time = paint(this.#stream, 'dim', duration(performance.now() - start));
    this.#stream.write(`${mark} ${time}\n`);
    this.#isOpen = false;
    this.#step = undefined;
  }
}
