#!/usr/bin/env node
// Reads text from standard input and finds every secret and token of Deployment API Keys in it whose check characters are
// right, whatever stands before and after: mistyped and cut ones are not among them. Prints each without its secret part.
// Needs no network and no package; Node 20.15 or later. Exit status: 1 when something was found.
//
//   git log -p | node check.mjs
import { text } from 'node:stream/consumers';
import { crc32 } from 'node:zlib';

/** How each of them ends, from the `_` before the ULID: the form and length are fixed, so no two ends overlap. */
const END = /_[0-7][0-9A-HJKMNP-TV-Z]{25}_[0-9A-Za-z]{49}/g;
/** How it begins. The ID of a Deployment may contain what looks like another beginning: each one is tried. */
const BEGIN = /dk[stx]_/g;
const WHOLE = /^dk[stx]_[A-Za-z0-9][A-Za-z0-9_-]{0,63}_[0-7][0-9A-HJKMNP-TV-Z]{25}_[0-9A-Za-z]{49}$/;
/** The most characters before the end: `dks_` and the ID of a Deployment. */
const MAX_BEGIN = 4 + 64;
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
  // Enough to find the key; not the secret itself, which would be in one more log.
  console.log(`${one.slice(0, -49)}…`);
}
process.exitCode = found.size > 0 ? 1 : 0;
