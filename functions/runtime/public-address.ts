import { BlockList, isIP } from 'node:net';

/**
 * IPv4 blocks that have no public servers: those in IANA's special-purpose registry, multicast and the reserved class
 * E. https://www.iana.org/assignments/iana-ipv4-special-registry
 */
const SPECIAL_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];

/**
 * The only IPv6 block from which public addresses are assigned. It excludes loopback, IPv4-mapped, NAT64 (64:ff9b::/96
 * and 64:ff9b:1::/48), unique local, link-local and multicast addresses.
 */
const GLOBAL_UNICAST_IPV6 = '2000::/3';

/**
 * Blocks within global unicast that have no public servers, or whose addresses embed an IPv4 address (Teredo in
 * 2001::/32, 6to4). https://www.iana.org/assignments/iana-ipv6-special-registry
 */
const SPECIAL_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20'];

// Use one list for each address family, because a BlockList also matches IPv4 addresses, as IPv4-mapped addresses,
// against IPv6 blocks.
const specialIpv4 = blockList('ipv4', SPECIAL_IPV4);
const globalUnicastIpv6 = blockList('ipv6', [GLOBAL_UNICAST_IPV6]);
const specialIpv6 = blockList('ipv6', SPECIAL_IPV6);

/**
 * Reports whether an IP address can belong to a public server. An address with a scope ID, such as `fe80::1%eth0`, is
 * not public, and neither is text that is not an IP address.
 */
export function isPublicAddress(address: string): boolean {
  if (address.includes('%')) return false;
  switch (isIP(address)) {
    case 4:
      return !specialIpv4.check(address, 'ipv4');
    case 6:
      return globalUnicastIpv6.check(address, 'ipv6') && !specialIpv6.check(address, 'ipv6');
    default:
      return false;
  }
}

function blockList(family: 'ipv4' | 'ipv6', blocks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const block of blocks) {
    const [address = '', prefix] = block.split('/');
    list.addSubnet(address, Number(prefix), family);
  }
  return list;
}
