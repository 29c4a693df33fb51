/**
 * The host of a Host field, `:authority` or server name, as hosts are compared: without the port, without case, and
 * without the dot that ends a full name.
 */
export function hostOf(authority: string): string {
  return hostName(authority.slice(0, portAt(authority)))
}

/** The digits behind the colon; empty: no port is named. */
export function portOf(authority: string): string {
  return authority.slice(portAt(authority) + 1)
}

/** The target of a CONNECT, as it is compared. */
export function connectName(authority: string): string {
  return `${hostOf(authority)}:${portOf(authority)}`
}

/** The service that stands for a `host:port` which CONNECT may lead to; `target` is as `connectName` gives it. */
export function connectService(target: string): string {
  return `connect:${target}`
}

/**
 * `orders.example.com.` names what `orders.example.com` does: the dot says only that no search domain is to be tried.
 */
function hostName(host: string): string {
  const lower = host.toLowerCase()
  return lower.length > 1 && lower.endsWith('.') ? lower.slice(0, -1) : lower
}

function portAt(authority: string): number {
  const colon = authority.indexOf(':', authority.startsWith('[') ? authority.indexOf(']') + 1 : 0)
  return colon < 0 ? authority.length : colon
}
