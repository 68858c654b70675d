import { truncated } from './networks.ts';

/** Where a call came from, as API Gateway tells: never from a header that a proxy is believed to have set. */
export interface Caller {
  /** Undefined where the event has none. */
  address?: string | undefined;
  userAgent?: string | undefined;
}

/** How much is kept of where a key or token was used from. That it was used is kept in any case. */
export type LastUsedFrom = 'full' | 'truncated' | 'off';

/** What is kept; '' where nothing is. */
export interface UseOrigin {
  address: string;
  /** Name and version of the client: the first word of its User-Agent. */
  client: string;
}

/** A use that was recorded. */
export interface LastUse extends UseOrigin {
  /** Epoch milliseconds. */
  at: number;
}

/** A longer first word is no program's name, and might be a secret in the wrong place: none of it is kept. */
const PRODUCT = /^[\w.+-]{1,32}(\/[\w.+-]{1,32})?(?=[ (]|$)/;

export function originOf({ address = '', userAgent = '' }: Caller, mode: LastUsedFrom): UseOrigin {
  if (mode === 'off') return { address: '', client: '' };
  return {
    address: mode === 'full' ? address : truncated(address),
    client: PRODUCT.exec(userAgent)?.[0] ?? '',
  };
}

/**
 * Returns the latest recorded use, in epoch milliseconds, after which a use now is recorded again: at most one per
 * slideInterval, and at most one per second whatever slideInterval is. A transaction fails while another write to its
 * item is under way, so without this limit the holder of a credential could block its revocation by using it.
 * @param slideInterval seconds
 * @param now epoch milliseconds
 */
export function recordedBefore(slideInterval: number, now: number): number {
  return Math.min(now - slideInterval * 1000, now - (now % 1000) - 1);
}

/**
 * Whether a use is to be recorded.
 * @param lastUsedAt the last recorded use, epoch milliseconds
 * @param before as `recordedBefore` returns it
 */
export function isUseDue(lastUsedAt: number | undefined, before: number): boolean {
  return lastUsedAt === undefined || lastUsedAt <= before;
}
