import { addressOf, formatAddress } from './address.ts'
import { durationMs } from './duration.ts'
import { connectName } from './host-name.ts'
import { own } from './own.ts'
import type { ListenerDocument, SidecarDocument } from './sidecar.ts'
import { sizeBytes } from './size.ts'
import type { AddressSpec, Direction, ListenerSpec } from './snapshot.ts'

/** `local_app:<port>`; with the host before the port when two hosts have the same one. */
export function applicationNames(document: SidecarDocument): Map<string, string> {
  const names = new Map<string, string>()
  for (const { forward } of document.inbound) {
    const { port } = addressOf(forward)
    const name = `local_app:${port}`
    const taken = [...names].some(
      ([other, given]) => given === name && formatAddress(addressOf(other)) !== formatAddress(addressOf(forward)),
    )
    if (!names.has(forward)) names.set(forward, taken ? `local_app:${formatAddress(addressOf(forward))}` : name)
  }
  return names
}

export function compileListeners(document: SidecarDocument, applications: ReadonlyMap<string, string>): ListenerSpec[] {
  const names = new Map<string, number>()
  const listener = (
    direction: Direction,
    {
      listen,
      protocol,
      timeouts,
      limits,
      h2cUpgrade,
    }: Pick<ListenerDocument, 'listen' | 'protocol' | 'timeouts' | 'limits' | 'h2cUpgrade'>,
    service: string | null,
    multiplex: number,
    speaksTcp: boolean,
    connect: ListenerSpec['connect'],
  ): ListenerSpec => {
    const address = listenOf(listen)
    const base = `${direction} ${formatAddress(address)}`
    const count = (names.get(base) ?? 0) + 1
    names.set(base, count)
    return {
      // Only port 0 can occur twice.
      name: count === 1 ? base : `${base} #${count}`,
      direction,
      listen: address,
      service,
      connect,
      multiplex,
      protocol: protocol ?? (speaksTcp ? 'tcp' : 'http'),
      timeouts: {
        headMs: durationMs(timeouts.head),
        bodyMs: durationMs(timeouts.body),
        idleMs: durationMs(timeouts.idle),
        connectionAgeMs: durationMs(timeouts.connectionAge),
        detectMs: durationMs(timeouts.detect),
      },
      limits: {
        headers: limits.headers,
        headBytes: sizeBytes(limits.headBytes),
        targetBytes: sizeBytes(limits.targetBytes),
        connections: limits.connections,
        streams: limits.streams,
        bufferBytes: sizeBytes(limits.buffer),
      },
      h2cUpgrade,
    }
  }
  return [
    ...document.inbound.map(each =>
      listener(
        'inbound',
        each,
        applications.get(each.forward)!,
        each.multiplex ? document.workers : 0,
        each.application.protocol === 'tcp',
        null,
      ),
    ),
    ...document.outbound.map(each =>
      listener(
        'outbound',
        each,
        each.service ?? null,
        0,
        own(document.services, each.service ?? '')?.protocol === 'tcp',
        compileConnect(each.connect),
      ),
    ),
  ]
}

function compileConnect(connect: SidecarDocument['outbound'][number]['connect']): ListenerSpec['connect'] {
  return connect === undefined ? null : { services: connect.services, hosts: connect.hosts.map(hostOf) }
}

/** `localhost` alone would be IPv4 on one machine and IPv6 on the next. */
export function listenOf(text: string): AddressSpec {
  const parsed = addressOf(text)
  return parsed.address === 'localhost' ? { ...parsed, address: '127.0.0.1' } : parsed
}

/** In the form that is compared with the target of a CONNECT. */
export function hostOf(text: string): string {
  return connectName(formatAddress(addressOf(text)))
}
