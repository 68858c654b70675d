#!/usr/bin/env node
// Reads text from standard input and finds every secret and token of Deployment API Keys whose check characters are
// correct, regardless of the surrounding text. Ignores mistyped and truncated secrets and tokens. Prints each secret or
// token without its secret part. Requires Node 20.15 or later, but no network and no packages. Exits with status 1 if
// it finds a secret or token.
//
//   git log -p | node check.mjs
import { text } from 'node:stream/consumers';
import { crc32 } from 'node:zlib';

/**
 * Matches the end of a secret or token, from the `_` before the ULID. Its format and length are fixed, so two ends
 * never overlap.
 */
const END = /_[0-7][0-9A-HJKMNP-TV-Z]{25}_[0-9A-Za-z]{49}/g;
/**
 * Matches the prefix of a secret or token. A Deployment's ID can contain text that looks like a prefix, so the search
 * tries every match.
 */
const BEGIN = /dk[stx]_/g;
const WHOLE = /^dk[stx]_[A-Za-z0-9][A-Za-z0-9_-]{0,63}_[0-7][0-9A-HJKMNP-TV-Z]{25}_[0-9A-Za-z]{49}$/;
/** Maximum number of characters before the end: `dks_` and the ID of a Deployment. */
const MAX_BEGIN = 4 + 64;
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/**
 * Compares the last six characters with the CRC-32 of the other characters, in base62 with the most significant digit
 * first, padded with 0.
 */
function hasRightCheck(found) {
  let value = crc32(found.slice(0, -6));
  let digits = '';
  for (let n = 0; n < 6; n++) {
    digits = BASE62[value % 62] + digits;
    value = Math.floor(value / 62);
  }
  return found.endsWith(digits);
}

const input = await text(process.stdin);
const found = new Set();
for (const { 0: end, index } of input.matchAll(END)) {
  const before = input.slice(Math.max(0, index - MAX_BEGIN), index);
  for (const { index: begin } of before.matchAll(BEGIN)) {
    const candidate = before.slice(begin) + end;
    if (WHOLE.test(candidate) && hasRightCheck(candidate)) found.add(candidate);
  }
}
for (const one of found) {
  // Print enough to find the key, but not the secret itself, which would then appear in one more log.
  console.log(`${one.slice(0, -49)}…`);
}
process.exitCode = found.size > 0 ? 1 : 0;
