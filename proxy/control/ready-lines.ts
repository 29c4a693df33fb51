import { formatAddress } from '../../mesh-config/address.ts'
import type { AddressSpec, ListenerSpec, ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import { printable } from '../core/printable.ts'

/** Names of services listed before the rest is counted. */
const LISTED = 4

/** What is said once everything listens: a line for each listener and one for the admin port. */
export function readyLines(title: string, snapshot: Snapshot, admin: AddressSpec | null): string {
  const rows = snapshot.listeners.map(listener => [listener.direction, formatAddress(listener.listen), destination(listener, snapshot)] as const)
  const all = admin === null ? rows : [...rows, ['admin', formatAddress(admin), `curl http://${formatAddress(admin)}/`] as const]
  const width = Math.max(0, ...all.map(([, address]) => address.length))
  return [title, ...all.map(([kind, address, where]) => `${kind.padEnd(8)}  ${address.padEnd(width)}  ${where}`)].map(line => `${printable(line)}\n`).join('')
}

function destination({ direction, service, protocol }: ListenerSpec, { services }: Snapshot): string {
  if (service === null) {
    // A service that speaks TCP is found by server name only.
    const isLedTo = ({ name, protocol: spoken }: ServiceSpec) => !name.startsWith('local_app:') && (spoken !== 'tcp' || protocol === 'detect')
    const names = Object.values(services)
      .filter(isLedTo)
      .map(({ name }) => name)
    if (names.length === 0) return '-> no service is configured'
    const more = names.length - LISTED
    return `-> by ${protocol === 'detect' ? 'Host or server name' : 'Host'}: ${names.slice(0, LISTED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
  }
  const endpoints = services[service]?.endpoints ?? []
  const how = protocol === 'http' ? '' : protocol === 'tcp' ? ', TCP' : ', HTTP or TCP'
  if (direction === 'inbound') return `-> ${endpoints.map(formatAddress).join(', ')}${how}`
  return `-> ${service} (${endpoints.length === 1 ? '1 endpoint' : `${endpoints.length} endpoints`})${how}`
}
