import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPublicAddress } from '../../functions/runtime/public-address.ts';

/**
 * Every block in IANA's special-purpose registry for IPv4, and multicast. None of these blocks contains public servers.
 */
const IPV4_BLOCKS = [
  ['this network', '0.0.0.0/8'],
  ['private', '10.0.0.0/8'],
  ['shared', '100.64.0.0/10'],
  ['loopback', '127.0.0.0/8'],
  ['link-local', '169.254.0.0/16'],
  ['private', '172.16.0.0/12'],
  ['IETF protocol assignments', '192.0.0.0/24'],
  ['service continuity', '192.0.0.0/29'],
  ['dummy', '192.0.0.8/32'],
  ['port control anycast', '192.0.0.9/32'],
  ['TURN anycast', '192.0.0.10/32'],
  ['NAT64 discovery', '192.0.0.170/31'],
  ['documentation', '192.0.2.0/24'],
  ['AS112-v4', '192.31.196.0/24'],
  ['AMT', '192.52.193.0/24'],
  ['6to4 relay', '192.88.99.0/24'],
  ['private', '192.168.0.0/16'],
  ['direct delegation AS112', '192.175.48.0/24'],
  ['benchmarking', '198.18.0.0/15'],
  ['documentation', '198.51.100.0/24'],
  ['documentation', '203.0.113.0/24'],
  ['multicast', '224.0.0.0/4'],
  ['reserved', '240.0.0.0/4'],
  ['limited broadcast', '255.255.255.255/32'],
] as const;

/** Every block in IANA's special-purpose registry for IPv6, and other blocks without public servers. */
const IPV6_BLOCKS = [
  ['unspecified', '::/128'],
  ['loopback', '::1/128'],
  ['IPv4-compatible', '::/96'],
  ['IPv4-mapped', '::ffff:0:0/96'],
  ['IPv4-translated', '::ffff:0:0:0/96'],
  ['NAT64', '64:ff9b::/96'],
  ['NAT64 for local use', '64:ff9b:1::/48'],
  ['discard-only', '100::/64'],
  ['dummy prefix', '100:0:0:1::/64'],
  ['IETF protocol assignments', '2001::/23'],
  ['Teredo', '2001::/32'],
  ['port control anycast', '2001:1::1/128'],
  ['TURN anycast', '2001:1::2/128'],
  ['DNS-SD anycast', '2001:1::3/128'],
  ['benchmarking', '2001:2::/48'],
  ['AMT', '2001:3::/32'],
  ['AS112-v6', '2001:4:112::/48'],
  ['ORCHID', '2001:10::/28'],
  ['ORCHIDv2', '2001:20::/28'],
  ['drone remote ID', '2001:30::/28'],
  ['documentation', '2001:db8::/32'],
  ['6to4', '2002::/16'],
  ['direct delegation AS112', '2620:4f:8000::/48'],
  ['documentation', '3fff::/20'],
  ['segment routing', '5f00::/16'],
  ['unique local', 'fc00::/7'],
  ['link-local', 'fe80::/10'],
  ['site-local', 'fec0::/10'],
  ['multicast', 'ff00::/8'],
] as const;

/** Prefixes of IPv6 addresses that embed an IPv4 address, and the number of bits after the embedded address. */
const CARRIERS = [
  ['IPv4-mapped', 0xffffn << 32n, 0n],
  ['IPv4-compatible', 0n, 0n],
  ['IPv4-translated', 0xffff_0000n << 32n, 0n],
  ['NAT64', 0x64_ff9bn << 96n, 0n],
  ['NAT64 for local use', 0x64_ff9b_0001n << 80n, 0n],
  ['6to4', 0x2002n << 112n, 80n],
  ['Teredo', 0x2001_0000n << 96n, 64n],
] as const;

describe('isPublicAddress', () => {
  it.each(IPV4_BLOCKS)('rejects every IPv4 address of a special-purpose block: %s, %s', (_, block) => {
    const [base = '', prefix] = block.split('/');
    checkBlock(numberOfIpv4(base), 32 - Number(prefix), ipv4);
  });

  it.each(IPV6_BLOCKS)('rejects every IPv6 address of a special-purpose block: %s, %s', (_, block) => {
    const [base = '', prefix] = block.split('/');
    checkBlock(numberOfIpv6(base), 128 - Number(prefix), ipv6);
  });

  it.each(CARRIERS)('rejects an IPv6 address that embeds an IPv4 address: %s', (_, prefix, shift) => {
    fc.assert(
      fc.property(fc.bigInt(0n, (1n << 32n) - 1n), (v4) => {
        expect(isPublicAddress(ipv6(prefix | (v4 << shift)))).toBe(false);
      }),
    );
  });

  it('accepts an IPv4 address outside the special-purpose blocks, but not as an IPv6 address', () => {
    const special = IPV4_BLOCKS.map(([, block]) => block.split('/'));
    const isSpecial = (value: bigint) =>
      special.some(([base = '', prefix]) => {
        const bits = BigInt(32 - Number(prefix));
        return value >> bits === numberOfIpv4(base) >> bits;
      });
    fc.assert(
      fc.property(
        fc.bigInt(0n, (1n << 32n) - 1n).filter((value) => !isSpecial(value)),
        (value) => {
          expect(isPublicAddress(ipv4(value))).toBe(true);
          for (const prefix of ['::ffff:', '::', '64:ff9b::']) {
            expect(isPublicAddress(prefix + ipv4(value))).toBe(false);
          }
        },
      ),
    );
  });

  it.each([
    '2606:4700::1111',
    '2a00:1450:4001::200e',
    '2600:1f18::1',
    '2400:cb00::1',
    '2001:200::1',
    '2001:4860:4860::8888',
    '3fff:1000::1',
  ])('accepts a global unicast address: %s', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  it.each(['fe80::1%eth0', 'fe80::1%1', '2606:4700::1111%eth0', '::1%lo', '8.8.8.8%eth0'])(
    'rejects an IP address with a scope ID: %s',
    (address) => {
      expect(isPublicAddress(address)).toBe(false);
    },
  );

  it.each([
    '',
    'localhost',
    'ci.acme.example',
    '1.2.3',
    '010.1.2.3',
    '0x8.8.8.8',
    '134744072',
    '[2606::1]',
    '8.8.8.8 ',
  ])('rejects text that is not an IP address: "%s"', (text) => {
    expect(isPublicAddress(text)).toBe(false);
  });
});

/**
 * Checks the first, the last and random addresses of a block.
 * @param bits the number of bits that differ within the block
 */
function checkBlock(base: bigint, bits: number, write: (value: bigint) => string): void {
  const most = (1n << BigInt(bits)) - 1n;
  for (const offset of [0n, most])
    expect(isPublicAddress(write(base + offset)), write(base + offset)).toBe(false);
  fc.assert(
    fc.property(fc.bigInt(0n, most), (offset) => {
      expect(isPublicAddress(write(base + offset))).toBe(false);
    }),
  );
}

function numberOfIpv4(address: string): bigint {
  return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

function numberOfIpv6(address: string): bigint {
  const [head = '', tail = ''] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === '' ? [] : tail.split(':');
  const groups = [...before, ...Array(8 - before.length - after.length).fill('0'), ...after];
  return groups.reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n);
}

const ipv4 = (value: bigint): string => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');

const ipv6 = (value: bigint): string =>
  [112n, 96n, 80n, 64n, 48n, 32n, 16n, 0n]
    .map((shift) => ((value >> shift) & 0xffffn).toString(16))
    .join(':');
