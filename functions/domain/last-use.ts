import { truncated } from './networks.ts';

/** Where a call came from, as API Gateway reports it. Never taken from a header, which a client could forge. */
export interface Caller {
  /** Undefined when the event has no address. */
  address?: string | undefined;
  userAgent?: string | undefined;
}

/** How much the service records of where a key or token was used from. It always records that it was used. */
export type LastUsedFrom = 'full' | 'truncated' | 'off';

/** Where a use came from, as recorded. A field that is not recorded is ''. */
export interface UseOrigin {
  address: string;
  /** Name and version of the client: the first word of its User-Agent. */
  client: string;
}

/** A recorded use. */
export interface LastUse extends UseOrigin {
  /** Epoch milliseconds. */
  at: number;
}

/**
 * A product name and version. A longer first word is not recorded: it may be a secret that was sent in the wrong
 * header.
 */
const PRODUCT = /^[\w.+-]{1,32}(\/[\w.+-]{1,32})?(?=[ (]|$)/;

export function originOf({ address = '', userAgent = '' }: Caller, mode: LastUsedFrom): UseOrigin {
  if (mode === 'off') return { address: '', client: '' };
  return {
    address: mode === 'full' ? address : truncated(address),
    client: PRODUCT.exec(userAgent)?.[0] ?? '',
  };
}

/**
 * Returns the latest recorded use, in epoch milliseconds, after which a use now is recorded again. A use is recorded at
 * most once per slideInterval and at most once per second. A transaction fails while another write to its item is in
 * progress; without this limit, the holder of a credential could block its revocation by using it continuously.
 * @param slideInterval seconds
 * @param now epoch milliseconds
 */
export function recordedBefore(slideInterval: number, now: number): number {
  return Math.min(now - slideInterval * 1000, now - (now % 1000) - 1);
}

/**
 * Reports whether a use must be recorded.
 * @param lastUsedAt the last recorded use, in epoch milliseconds
 * @param before the result of `recordedBefore`
 */
export function isUseDue(lastUsedAt: number | undefined, before: number): boolean {
  return lastUsedAt === undefined || lastUsedAt <= before;
}
