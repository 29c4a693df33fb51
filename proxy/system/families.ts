import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'

/**
 * Whether this machine speaks IPv4 or IPv6 with others, as the system's own lookup has it (AI_ADDRCONFIG): where it
 * does not, such addresses are only connections that fail. A machine that has loopback addresses only speaks what they
 * are.
 */
export function speaks(family: 4 | 6, interfaces = networkInterfaces()): boolean {
  const all = Object.values(interfaces).flatMap(addresses => addresses ?? [])
  const outside = all.filter(isUsable)
  return (outside.length > 0 ? outside : all).some(address => address.family === `IPv${family}`)
}

/** An IPv6 address of the link alone (`fe80::`) leads to no other machine by its name. */
function isUsable(address: NetworkInterfaceInfo): boolean {
  return !address.internal && (address.family === 'IPv4' || address.scopeid === 0)
}
