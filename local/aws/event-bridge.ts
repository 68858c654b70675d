import { randomUUID } from 'node:crypto';
import type { Template } from '../template.ts';

/** An entry in a PutEvents request. */
export interface PutEntry {
  readonly Source: string;
  readonly DetailType: string;
  /** The event's detail as JSON text. */
  readonly Detail: string;
  readonly EventBusName: string;
}

/**
 * An in-memory event bus that keeps all entries for inspection. The emulator does not deliver events to rules that have
 * a pattern.
 */
export class Bus {
  readonly name: string;
  readonly arn: string;
  readonly entries: PutEntry[] = [];
  /** How many of the next entries the bus rejects. */
  failures = 0;

  constructor(name: string, arn: string) {
    this.name = name;
    this.arn = arn;
  }

  put(entry: PutEntry): object {
    if (this.failures > 0) {
      this.failures -= 1;
      return { ErrorCode: 'InternalFailure', ErrorMessage: 'Injected.' };
    }
    this.entries.push(entry);
    return { EventId: randomUUID() };
  }
}

/** Creates the template's event buses. */
export function createBuses(template: Template): Bus[] {
  return template
    .ofType('AWS::Events::EventBus')
    .map((resource) => new Bus(template.ref(resource), template.attribute(resource, 'Arn')));
}

/** Returns the bus for each entry in a PutEvents request; undefined for a bus that does not exist. */
export function busesOf(buses: readonly Bus[], input: Record<string, unknown>): (Bus | undefined)[] {
  const entries = (input.Entries ?? []) as PutEntry[];
  return entries.map(({ EventBusName }) =>
    buses.find(({ name, arn }) => EventBusName === name || EventBusName === arn),
  );
}

/** Puts the entries on their buses. @returns the response to PutEvents */
export function putEvents(buses: readonly (Bus | undefined)[], input: Record<string, unknown>): object {
  const entries = (input.Entries ?? []) as PutEntry[];
  const answers = entries.map((entry, index) => buses[index]?.put(entry) ?? {});
  return { FailedEntryCount: answers.filter((answer) => 'ErrorCode' in answer).length, Entries: answers };
}
