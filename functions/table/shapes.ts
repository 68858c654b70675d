import type { EpochSeconds } from '../domain/expiry.ts';
import { isUlid } from '../domain/identifiers.ts';

/**
 * Type checks for an item's attributes. Import the module as a namespace, `is`, so that a bundle contains only the
 * checks that its function uses.
 */

export const text = (value: unknown): value is string => typeof value === 'string';
export const flag = (value: unknown): value is boolean => typeof value === 'boolean';
/**
 * Reports whether a value is a count, an epoch, or a time in epoch milliseconds: a whole number that is not negative
 * and within the range of a Date.
 */
export const whole = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 8.64e15;
/** Reports whether a value is a time in epoch seconds. */
export const seconds = (value: unknown): value is EpochSeconds => whole(value) && value <= 8.64e12;
export const texts = (value: unknown): value is string[] => Array.isArray(value) && value.every(text);
export const ulid = (value: unknown): value is string => text(value) && isUlid(value);
