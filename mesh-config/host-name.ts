/**
 * The host of a Host field, `:authority` or server name in the form that is compared: without port, in lower case, and
 * without the dot that ends a full name.
 */
export function hostOf(authority: string): string {
  return hostName(authority.slice(0, portAt(authority)))
}

/** The digits after the colon; empty: no port. */
export function portOf(authority: string): string {
  return authority.slice(portAt(authority) + 1)
}

/** The target of a CONNECT in the form that is compared. */
export function connectName(authority: string): string {
  return `${hostOf(authority)}:${portOf(authority)}`
}

/** The service that stands for a `host:port` which CONNECT may lead to; `target` is as `connectName` gives it. */
export function connectService(target: string): string {
  return `connect:${target}`
}

/** `orders.example.com.` is the same name as `orders.example.com`: the dot only says that no search domain is tried. */
function hostName(host: string): string {
  const lower = host.toLowerCase()
  return lower.length > 1 && lower.endsWith('.') ? lower.slice(0, -1) : lower
}

function portAt(authority: string): number {
  const colon = authority.indexOf(':', authority.startsWith('[') ? authority.indexOf(']') + 1 : 0)
  return colon < 0 ? authority.length : colon
}
