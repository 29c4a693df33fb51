import type { ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'

/** The services that a port for all services reaches: not the inbound applications, nor what goes by its address. */
export function reachableFrom({ services, listeners }: Snapshot): ServiceSpec[] {
  return Object.values(services).filter(
    ({ name, kind }) =>
      kind !== 'original' && !listeners.some(({ direction, service }) => direction === 'inbound' && service === name),
  )
}
