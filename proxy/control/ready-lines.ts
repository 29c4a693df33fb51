import { formatAddress } from '../../mesh-config/address.ts'
import { own } from '../../mesh-config/own.ts'
import type { AddressSpec, ListenerSpec, ServiceSpec, Snapshot, TransparentSpec } from '../../mesh-config/snapshot.ts'
import { printable } from '../core/printable.ts'

/** Names of services listed before the rest is counted. */
const LISTED = 4

/** The ports of the sidecar itself; null: none. */
export interface OwnPorts {
  readonly admin: AddressSpec | null
  readonly metrics?: AddressSpec | null
  readonly dns?: AddressSpec | null
}

/** What is said once everything listens: a line for each listener and each port of the sidecar itself. */
export function readyLines(title: string, snapshot: Snapshot, { admin, metrics = null, dns = null }: OwnPorts): string {
  const rows = snapshot.listeners.map(
    listener => [listener.direction, formatAddress(listener.listen), destination(listener, snapshot)] as const,
  )
  const all = [...rows, ...ownRow('admin', admin, '/'), ...ownRow('metrics', metrics, '/metrics'), ...nameRow(dns)]
  const width = Math.max(0, ...all.map(([, address]) => address.length))
  return [title, ...all.map(([kind, address, where]) => `${kind.padEnd(8)}  ${address.padEnd(width)}  ${where}`)]
    .map(line => `${printable(line)}\n`)
    .join('')
}

function ownRow(name: string, address: AddressSpec | null, path: string): (readonly [string, string, string])[] {
  return address === null ? [] : [[name, formatAddress(address), `curl http://${formatAddress(address)}${path}`]]
}

function nameRow(dns: AddressSpec | null): (readonly [string, string, string])[] {
  return dns === null ? [] : [['dns', formatAddress(dns), `dig @${dns.address} -p ${dns.port} orders.mesh`]]
}

function destination(listener: ListenerSpec, { services }: Snapshot): string {
  const { direction, service, protocol, transparent } = listener
  if (transparent !== undefined && service === null) return redirectedText(direction, transparent)
  if (service === null) {
    // A service that speaks TCP is found by server name only.
    const isLedTo = ({ kind, protocol: spoken }: ServiceSpec) =>
      kind !== 'local' && kind !== 'original' && (spoken !== 'tcp' || protocol === 'detect')
    const names = Object.values(services)
      .filter(isLedTo)
      .map(({ name }) => name)
    if (names.length === 0) return '-> no service is configured'
    const more = names.length - LISTED
    return `-> by ${protocol === 'detect' ? 'Host or server name' : 'Host'}: ${names.slice(0, LISTED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
  }
  const endpoints = own(services, service)?.endpoints ?? []
  const how = protocol === 'http' ? '' : protocol === 'tcp' ? ', TCP' : ', HTTP or TCP'
  if (direction === 'inbound') return `-> ${endpoints.map(formatAddress).join(', ')}${how}`
  return `-> ${service} (${endpoints.length === 1 ? '1 endpoint' : `${endpoints.length} endpoints`})${how}`
}

/** Where connections that are redirected to a listener go. */
export function redirectedText(direction: ListenerSpec['direction'], { passThrough }: TransparentSpec): string {
  return direction === 'inbound'
    ? '-> the port that each redirected connection was made to'
    : `-> by name, then by the address that each redirected connection was made to; others: ${passThroughText(passThrough)}`
}

function passThroughText(passThrough: TransparentSpec['passThrough']): string {
  if (passThrough === 'deny') return 'refused'
  return passThrough === 'allow' ? 'passed through' : 'passed through where passThrough lists them'
}
