import { randomUUID } from 'node:crypto';
import type { Template } from '../template.ts';

/** An entry that was put on a bus. */
export interface PutEntry {
  readonly Source: string;
  readonly DetailType: string;
  /** JSON */
  readonly Detail: string;
  readonly EventBusName: string;
}

/** An event bus in memory: it keeps what is put on it, for whoever looks. Rules with a pattern deliver nothing here. */
export class Bus {
  readonly name: string;
  readonly arn: string;
  readonly entries: PutEntry[] = [];
  /** The next entries that it will not take. */
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

/** Makes the template's buses. */
export function makeBuses(template: Template): Bus[] {
  return template
    .ofType('AWS::Events::EventBus')
    .map((resource) => new Bus(template.ref(resource), template.attribute(resource, 'Arn')));
}

/** The buses that a PutEvents names; undefined for one that is not there. */
export function busesOf(buses: readonly Bus[], input: Record<string, unknown>): (Bus | undefined)[] {
  const entries = (input.Entries ?? []) as PutEntry[];
  return entries.map(({ EventBusName }) =>
    buses.find(({ name, arn }) => EventBusName === name || EventBusName === arn),
  );
}

/** @returns the answer of PutEvents */
export function putEvents(buses: readonly (Bus | undefined)[], input: Record<string, unknown>): object {
  const entries = (input.Entries ?? []) as PutEntry[];
  const answers = entries.map((entry, index) => buses[index]?.put(entry) ?? {});
  return { FailedEntryCount: answers.filter((answer) => 'ErrorCode' in answer).length, Entries: answers };
}
