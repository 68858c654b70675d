import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DataOptions } from './dynamodb/engine.ts';
import type { Checkpoints } from './lambda/stream.ts';

const WRITE_DELAY = 100;

/**
 * The state that a local stack keeps across restarts in addition to its tables: the progress of the stream deliveries.
 * If a stack is killed, it can lose the latest progress. The affected records are then delivered again, as
 * at-least-once delivery allows.
 */
export class State {
  readonly #file: string | undefined;
  readonly #values: Record<string, string>;
  #timer: NodeJS.Timeout | undefined;

  constructor({ dataDirectory, fresh }: DataOptions) {
    this.#file = dataDirectory && join(dataDirectory, 'state.json');
    this.#values = (this.#file && !fresh && read(this.#file)) || {};
  }

  checkpoints(mapping: string): Checkpoints {
    return {
      get: (shardId) => this.#values[`${mapping} ${shardId}`],
      set: (shardId, sequenceNumber) => {
        this.#values[`${mapping} ${shardId}`] = sequenceNumber;
        if (this.#file) this.#timer ??= setTimeout(() => this.save(), WRITE_DELAY);
      },
    };
  }

  save(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#file) return;
    mkdirSync(join(this.#file, '..'), { recursive: true });
    writeFileSync(`${this.#file}.new`, JSON.stringify(this.#values));
    renameSync(`${this.#file}.new`, this.#file);
  }
}

function read(file: string): Record<string, string> | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
