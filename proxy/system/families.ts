import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'

/**
 * Whether this machine has IPv4 or IPv6 addresses for other machines, as the system's own lookup decides
 * (AI_ADDRCONFIG): connections to addresses of another family only fail. A machine with loopback addresses only uses
 * their families.
 */
export function speaks(family: 4 | 6, interfaces = networkInterfaces()): boolean {
  const all = Object.values(interfaces).flatMap(addresses => addresses ?? [])
  const outside = all.filter(isUsable)
  return (outside.length > 0 ? outside : all).some(address => address.family === `IPv${family}`)
}

/** A link-local IPv6 address (`fe80::`) reaches no other machine by its name. */
function isUsable(address: NetworkInterfaceInfo): boolean {
  return !address.internal && (address.family === 'IPv4' || address.scopeid === 0)
}

/** Whether it is an address of this machine. */
export function hasAddress(address: string, interfaces = networkInterfaces()): boolean {
  return Object.values(interfaces).some(addresses => addresses?.some(own => own.address === address) ?? false)
}
