#!/usr/bin/env node
// Reads text from standard input and prints every secret and token of Deployment API Keys in it whose check characters are
// right: a typing error, a cut line or an example of documentation is not among them. Needs no network and no
// package; Node 20.15 or later. Exit status: 1 when something was found.
//
//   git log -p | node check.mjs
import { text } from 'node:stream/consumers';
import { crc32 } from 'node:zlib';

const PATTERN = /\bdk[stx]_[A-Za-z0-9][A-Za-z0-9_-]{0,63}_[0-7][0-9A-HJKMNP-TV-Z]{25}_[0-9A-Za-z]{49}\b/g;
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** CRC-32 of all before the last six characters, in base62, most significant digit first, padded with 0. */
function hasRightCheck(found) {
  let value = crc32(found.slice(0, -6));
  let digits = '';
  for (let n = 0; n < 6; n++) {
    digits = BASE62[value % 62] + digits;
    value = Math.floor(value / 62);
  }
  return found.endsWith(digits);
}

const found = new Set(((await text(process.stdin)).match(PATTERN) ?? []).filter(hasRightCheck));
for (const one of found) {
  // Enough to find the key; not the secret itself, which would be in one more log.
  console.log(`${one.slice(0, -49)}…`);
}
process.exitCode = found.size > 0 ? 1 : 0;
