import { BlockList, isIPv4 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isNetwork, isWithin, truncated } from '../../functions/domain/networks.ts';

describe('isNetwork', () => {
  it.each([
    '0.0.0.0/0',
    '10.0.0.0/8',
    '192.0.2.1/32',
    '::/0',
    '2001:db8::/32',
    '::1/128',
    '64:ff9b::192.0.2.0/120',
  ])('accepts the IP range %s', (text) => expect(isNetwork(text)).toBe(true));

  it.each([
    ['without a prefix length', '10.0.0.0'],
    ['with host bits set', '10.0.0.1/8'],
    ['with host bits set', '2001:db8::1/32'],
    ['with a prefix length that is too long', '10.0.0.0/33'],
    ['with a prefix length that is too long', '::/129'],
    ['with a leading zero', '010.0.0.0/8'],
    ['with a leading zero in the prefix length', '10.0.0.0/08'],
    ['with five parts', '10.0.0.0.0/8'],
    ['with three parts', '10.0.0/8'],
    ['with a dot at the end', '10.0.0.0./8'],
    ['with IPv4 mapped into IPv6', '::ffff:10.0.0.0/104'],
    ['with IPv4 mapped into IPv6', '::ffff:10.0.0.0/8'],
    ['with two "::"', '2001::db8::/32'],
    ['with two "::"', '2001::db8::/128'],
    ['with a group that is too long', '1:2:3:4:5:6:7:12345/128'],
    ['with a group that is not hexadecimal', '1:2:3:4:5:6:7:8g/128'],
    ['with a zone', 'fe80::%eth0/64'],
    ['with three groups', '1:2:3/48'],
    ['with nine groups', '1:2:3:4:5:6:7:8:9/128'],
    ['with a "::" that replaces nothing', '1:2:3:4::5:6:7:8/128'],
    ['with spaces', ' 10.0.0.0/8'],
    ['with two slashes', '10.0.0.0/8/8'],
    ['that is a word', 'everywhere'],
    ['that is empty', ''],
  ])('rejects an invalid IP range, such as one %s: %s', (_, text) => expect(isNetwork(text)).toBe(false));
});

const addresses = fc.oneof(fc.ipV4(), fc.ipV6());
/** Returns the network of the given prefix length that contains the address, in CIDR notation. */
function canonical(address: string, length: number): string {
  const isV4 = isIPv4(address);
  const hex = isV4
    ? address
        .split('.')
        .map((part) => Number(part).toString(16).padStart(2, '0'))
        .join('')
    : groups(address)
        .map((group) => group.padStart(4, '0'))
        .join('');
  const size = BigInt(isV4 ? 32 : 128);
  const rest = size - BigInt(length);
  const value = (BigInt(`0x${hex}`) >> rest) << rest;
  const digits = value.toString(16).padStart(Number(size) / 4, '0');
  const parts = digits.match(isV4 ? /../g : /..../g) ?? [];
  const text = isV4 ? parts.map((part) => Number.parseInt(part, 16)).join('.') : parts.join(':');
  return `${text}/${length}`;
}

/** Returns the eight groups of an IPv6 address in the notation that Node uses, with "::" expanded. */
function groups(address: string): string[] {
  const { hostname } = new URL(`http://[${address}]`);
  const [head = '', tail] = hostname.slice(1, -1).split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail ? tail.split(':') : [];
  return [...before, ...Array(8 - before.length - after.length).fill('0'), ...after];
}

describe('isWithin', () => {
  it("matches the same addresses as Node's BlockList", () => {
    const property = fc.property(
      addresses,
      addresses,
      fc.nat({ max: 128 }),
      fc.boolean(),
      (one, two, length, isSame) => {
        const base = isSame ? one : two;
        const isV4 = isIPv4(base);
        const bits = Math.min(length, isV4 ? 32 : 128);
        const list = new BlockList();
        list.addSubnet(base, bits, isV4 ? 'ipv4' : 'ipv6');
        const network = canonical(base, bits);
        // Skips IPv4-mapped IPv6 addresses: `isWithin` treats them as IPv4, and a range cannot use that notation.
        fc.pre(![one, base].some((it) => !isIPv4(it) && groups(it).slice(0, 6).join() === '0,0,0,0,0,ffff'));
        expect(isWithin(one, [network]), `${one} in ${network}`).toBe(
          list.check(one, isIPv4(one) ? 'ipv4' : 'ipv6') && isV4 === isIPv4(one),
        );
      },
    );
    fc.assert(property, { numRuns: 2000 });
  });

  it('matches an IPv4-mapped IPv6 address against IPv4 ranges, and never compares an IPv4 address with an IPv6 range', () => {
    expect(isWithin('::ffff:192.0.2.7', ['192.0.2.0/24'])).toBe(true);
    expect(isWithin('::ffff:c000:207', ['192.0.2.0/24'])).toBe(true);
    expect(isWithin('192.0.2.7', ['::/0'])).toBe(false);
    expect(isWithin('2001:db8::1', ['0.0.0.0/0'])).toBe(false);
  });

  it('matches an address in any of several IP ranges, and never matches a malformed range or address', () => {
    expect(isWithin('192.0.2.7', ['10.0.0.0/8', '192.0.2.0/24'])).toBe(true);
    expect(isWithin('192.0.2.7', [])).toBe(false);
    for (const network of ['', '/', '/0', '192.0.2.0', '192.0.2.0/', 'x/0', '192.0.2.7/24']) {
      expect(isWithin('192.0.2.7', [network]), network).toBe(false);
    }
    for (const address of [undefined, '', 'unknown', '192.0.2', '192.0.2.7, 10.0.0.1', '1192.0.2.7']) {
      expect(isWithin(address, ['0.0.0.0/0', '::/0']), address).toBe(false);
    }
  });
});

describe('truncated', () => {
  it.each([
    ['203.0.113.77', '203.0.113.0/24'],
    ['2001:db8:1:2::7', '2001:db8:1::/48'],
    ['::1', '0:0:0::/48'],
    ['::ffff:203.0.113.77', '203.0.113.0/24'],
    ['', ''],
    ['unknown', ''],
  ])('truncates the address %j to %j', (address, expected) => expect(truncated(address)).toBe(expected));
});
