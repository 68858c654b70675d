/** Maximum number of allowed IP ranges per key. */
export const MAX_NETWORKS = 20;

const V4 = /^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(?!$)|$)){4}$/;

/** Reports whether text is an IPv4 or IPv6 range in CIDR notation without host bits: `10.0.0.0/8`, `2001:db8::/32`. */
export function isNetwork(text: string): boolean {
  const [address = '', length = '', ...rest] = text.split('/');
  const bits = bitsOf(address);
  const isMapped = bits?.length === 32 && address.includes(':');
  if (!bits || isMapped || rest.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(length)) return false;
  return Number(length) <= bits.length && !bits.slice(Number(length)).includes('1');
}

/**
 * Reports whether an address is in one of the ranges. A malformed range does not contain any address, and an undefined
 * address is not in any range.
 * @param address as API Gateway saw it
 */
export function isWithin(address: string | undefined, networks: readonly string[]): boolean {
  const bits = bitsOf(address ?? '');
  return networks.some((network) => {
    const [base = '', length] = network.split('/');
    const prefix = bitsOf(base);
    return (
      isNetwork(network) &&
      bits?.length === prefix?.length &&
      bits?.startsWith(prefix?.slice(0, Number(length)) ?? '-') === true
    );
  });
}

/**
 * Returns the network part of an address: the first 24 bits of an IPv4 address, or the first 48 bits of an IPv6
 * address.
 */
export function truncated(address: string): string {
  const bits = bitsOf(address) ?? '';
  if (bits.length === 32) return `${[0, 8, 16].map((at) => numberAt(bits, at, 8)).join('.')}.0/24`;
  return bits && `${[0, 16, 32].map((at) => numberAt(bits, at, 16).toString(16)).join(':')}::/48`;
}

function numberAt(bits: string, at: number, length: number): number {
  return Number.parseInt(bits.slice(at, at + length), 2);
}

/**
 * Returns the bits of an address as 32 or 128 characters, each 0 or 1; undefined if the text is not an address. An
 * IPv4-mapped IPv6 address counts as an IPv4 address.
 */
function bitsOf(address: string): string | undefined {
  const groups = groupsOf(address)?.map((group) => Number.parseInt(group, 16));
  const bits = bitsOfV4(address) ?? (groups && binary(groups, 16));
  return bits?.startsWith(`${'0'.repeat(80)}${'1'.repeat(16)}`) ? bits.slice(96) : bits;
}

function bitsOfV4(address: string): string | undefined {
  return V4.test(address) ? binary(address.split('.').map(Number), 8) : undefined;
}

/** Returns the eight groups of an IPv6 address (RFC 4291 §2.2), or undefined if the text is not an IPv6 address. */
function groupsOf(address: string): string[] | undefined {
  const [before = [], after, ...more] = withoutDots(address).split('::').map(groupsIn);
  if (!after) return isEight(before) ? before : undefined;
  const missing = 8 - before.length - after.length;
  if (more.length > 0 || missing < 1) return undefined;
  const groups = [...before, ...Array<string>(missing).fill('0'), ...after];
  return isEight(groups) ? groups : undefined;
}

/**
 * Rewrites an IPv6 address whose last 32 bits are in IPv4 notation (`::ffff:192.0.2.1`), so that those bits become two
 * groups in IPv6 notation.
 */
function withoutDots(address: string): string {
  const at = address.lastIndexOf(':') + 1;
  const end = address.slice(at);
  const bits = bitsOfV4(end);
  return bits
    ? `${address.slice(0, at)}${numberAt(bits, 0, 16).toString(16)}:${numberAt(bits, 16, 16).toString(16)}`
    : address;
}

function groupsIn(text: string): string[] {
  return text === '' ? [] : text.split(':');
}

function isEight(groups: readonly string[]): boolean {
  return groups.length === 8 && groups.every((group) => /^[\da-f]{1,4}$/i.test(group));
}

function binary(numbers: number[], length: number): string {
  return numbers.map((it) => it.toString(2).padStart(length, '0')).join('');
}
