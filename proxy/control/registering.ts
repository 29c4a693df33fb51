import type { AddressSpec, RegisterSpec, Snapshot } from '../../mesh-config/snapshot.ts'

/**
 * With the port that the system chose for the first inbound listener, where its file says port 0. `listeners`: as the
 * data threads have them open.
 */
export function withOpenPort(register: RegisterSpec, listeners: readonly string[]): RegisterSpec {
  if (register.port !== 0) return register
  const inbound = listeners.find(name => name.startsWith('inbound '))
  return { ...register, port: Number(/:(\d+)$/.exec(inbound ?? '')?.[1] ?? 0) }
}

/**
 * Behind the inbound listener that is registered: the one at that port, else the first, which a port mapping may lead
 * to. Null: there is none.
 */
export function applicationOf({ listeners, services }: Snapshot, port: number): AddressSpec | null {
  const inbound = listeners.filter(({ direction }) => direction === 'inbound')
  const listener = inbound.find(({ listen }) => listen.port === port) ?? inbound[0]
  const endpoint = services[listener?.service ?? '']?.endpoints[0]
  return endpoint === undefined ? null : { address: endpoint.address, port: endpoint.port }
}
