/** Most networks that a key may be bound to. */
export const MAX_NETWORKS = 20;

const V4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** True for IPv4 or IPv6 in CIDR notation, with no bit set beyond its prefix: `10.0.0.0/8`, `2001:db8::/32`. */
export function isNetwork(text: string): boolean {
  const [address = '', length = '', ...rest] = text.split('/');
  const bits = bitsOf(address);
  const isMapped = bits?.length === 32 && address.includes(':');
  if (!bits || isMapped || rest.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(length)) return false;
  return Number(length) <= bits.length && !bits.slice(Number(length)).includes('1');
}

/**
 * Is the caller in one of these networks? Nobody is in one that is malformed, and no address is in none.
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

/** An address without the part that points to one machine: the first 24 bits of IPv4, 48 of IPv6. */
export function truncated(address: string): string {
  const bits = bitsOf(address) ?? '';
  if (bits.length === 32) return `${[0, 8, 16].map((at) => numberAt(bits, at, 8)).join('.')}.0/24`;
  return bits && `${[0, 16, 32].map((at) => numberAt(bits, at, 16).toString(16)).join(':')}::/48`;
}

function numberAt(bits: string, at: number, length: number): number {
  return Number.parseInt(bits.slice(at, at + length), 2);
}

/** 32 or 128 characters, each 0 or 1; undefined for what is no address. IPv4 within IPv6 is IPv4. */
function bitsOf(address: string): string | undefined {
  if (V4.test(address)) return binary(address.split('.').map(Number), 8);
  const groups = groupsOf(address);
  const bits = groups && binary(groups, 16);
  return bits?.startsWith(`${'0'.repeat(80)}${'1'.repeat(16)}`) ? bits.slice(96) : bits;
}

/** The eight groups of an IPv6 address, RFC 4291 §2.2. */
function groupsOf(address: string): number[] | undefined {
  const at = address.lastIndexOf(':') + 1;
  const end = address.slice(at);
  const [a = 0, b = 0, c = 0, d = 0] = end.split('.').map(Number);
  const last = V4.test(end) ? [a * 256 + b, c * 256 + d].map((it) => it.toString(16)).join(':') : end;
  const [head = '', tail, ...more] = `${address.slice(0, at)}${last}`.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail ? tail.split(':') : [];
  const missing = 8 - before.length - after.length;
  const isWhole = tail === undefined ? missing === 0 : missing > 0 && more.length === 0;
  if (!isWhole || ![...before, ...after].every((it) => /^[\da-f]{1,4}$/i.test(it))) return undefined;
  return [...before, ...Array(missing).fill('0'), ...after].map((it) => Number.parseInt(it, 16));
}

function binary(numbers: number[], length: number): string {
  return numbers.map((it) => it.toString(2).padStart(length, '0')).join('');
}
