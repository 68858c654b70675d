import type { EpochMillis, EpochSeconds } from './expiry.ts';
import type { SignIn } from './records.ts';

/** Tolerated difference between the clocks of the issuer and the service, in milliseconds. */
const TOLERANCE = 5000;

/**
 * Reports whether a sign-in precedes the end of the person's access. For a temporary token, pass the sign-in that
 * created it.
 * @param endedAt undefined if the person's access was never ended
 * @param signedInAt 0 if the time is not known
 */
export function precedesEnd(endedAt: EpochMillis | undefined, signedInAt = 0 as EpochSeconds): boolean {
  return endedAt !== undefined && signedInAt * 1000 <= endedAt + TOLERANCE;
}

/**
 * Returns the cutoff of a sign-in: the service rejects the sign-in if the person's access was ended at this time or later.
 */
export function latestEnd({ at }: SignIn): EpochMillis {
  return at * 1000 - TOLERANCE;
}

/**
 * Placeholder for the Deployment in events about people, which do not belong to any Deployment. A real Deployment ID is
 * never empty.
 */
export const OF_PEOPLE = { id: '', generation: '' };
