import { hashOf } from './credentials.ts';
import type { ServiceEvent } from './events.ts';

/**
 * The data of the event about an erasure. The event contains a hash instead of the `sub`, so that the event itself does
 * not identify the person.
 */
export const erasureData = (sub: string): ServiceEvent['data'] => ({ subHash: hashOf(sub) });

/**
 * Returns a function that recognises the `sub` of the people that events say were erased; undefined if no event is
 * about an erasure.
 */
export function erasedIn(events: readonly ServiceEvent[]): ((value: unknown) => boolean) | undefined {
  const hashes = new Set(
    events.filter(({ type }) => type === 'person.erased').map(({ data }) => data.subHash),
  );
  return hashes.size === 0 ? undefined : (value) => typeof value === 'string' && hashes.has(hashOf(value));
}
