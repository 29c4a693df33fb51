import { addressOf, formatAddress } from './address.ts'
import { compileServerTls } from './compile-tls.ts'
import { durationMs } from './duration.ts'
import { connectName } from './host-name.ts'
import { own } from './own.ts'
import type { ListenerDocument, SidecarDocument } from './sidecar.ts'
import { sizeBytes } from './size.ts'
import type { AddressSpec, Direction, ListenerSpec, ServerTlsSpec, TransparentSpec } from './snapshot.ts'

/** `local_app:<port>`; with the host before the port when two hosts have the same one. */
export function applicationNames(document: SidecarDocument): Map<string, string> {
  const names = new Map<string, string>()
  for (const { forward } of document.inbound) {
    if (forward === undefined) continue
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
    transparent: TransparentSpec | null,
    tls: ServerTlsSpec | null,
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
      protocol: protocol ?? (speaksTcp ? 'tcp' : transparent === null ? 'http' : 'detect'),
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
      // A server that is not known may not speak HTTP/2, so the offer is left to it: it goes no further.
      h2cUpgrade: h2cUpgrade && transparent === null,
      ...(tls === null ? {} : { tls }),
      ...(transparent === null ? {} : { transparent }),
    }
  }
  return [
    ...document.inbound.map((each, index) =>
      listener(
        'inbound',
        each,
        each.forward === undefined ? null : applications.get(each.forward)!,
        each.multiplex ? document.workers : 0,
        each.application.protocol === 'tcp',
        null,
        each.transparent === true ? behind(each, index) : null,
        each.tls === undefined ? null : compileServerTls(each.tls),
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
        each.transparent === true
          ? {
              through: PASS_THROUGH,
              passThrough: each.passThrough,
              opaquePorts: each.opaquePorts,
              firstByteMs: durationMs(each.firstByte),
            }
          : null,
        null,
      ),
    ),
  ]
}

/** The cluster of connections that go on to where they were going, under the name it has in Istio. */
export const PASS_THROUGH = 'PassthroughCluster'

/** The applications behind a listener without `forward`: each is `local_app:<port>`. */
export function applicationsBehind(index: number): string {
  return index === 0 ? 'local_app' : `local_app#${index + 1}`
}

function behind({ opaquePorts, timeouts }: SidecarDocument['inbound'][number], index: number): TransparentSpec {
  return {
    through: applicationsBehind(index),
    passThrough: 'allow',
    opaquePorts,
    firstByteMs: durationMs(timeouts.detect),
  }
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
