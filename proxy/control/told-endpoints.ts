import { formatAddress } from '../../mesh-config/address.ts'
import type { EndpointSpec, ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import { deltaOf } from '../core/endpoints-delta.ts'
import type { DataThreads, FilledSnapshot } from './workers.ts'

/** What the data threads know of endpoints: in each snapshot all of them, and after that only what changes. */
export interface ToldEndpoints {
  /** With the endpoints as they are now. Null: those of the snapshot are. */
  fill(snapshot: Snapshot, endpointsOf: (service: string) => readonly EndpointSpec[] | null): FilledSnapshot
  changed(service: string, endpoints: readonly EndpointSpec[]): void
  /** Our checks say something else of a service. */
  checked(service: string): void
  /** Those of a service that are not `passing`, by `address:port`. */
  unhealthy(service: string): ReadonlyMap<string, EndpointSpec>
  /** The instances of our own service. */
  ownChanged(endpoints: readonly EndpointSpec[]): void
}

const NONE: ReadonlyMap<string, EndpointSpec> = new Map()

/** `overlay`: the endpoints of a service with what our checks say. */
export function toldEndpoints(
  threads: Pick<DataThreads, 'tell'>,
  overlay: (service: string, endpoints: readonly EndpointSpec[]) => readonly EndpointSpec[],
): ToldEndpoints {
  /** By service: as discovery has them, and as they were told. */
  const known = new Map<string, readonly EndpointSpec[]>()
  const told = new Map<string, readonly EndpointSpec[]>()
  /** Asked for every second, and made once for each list. */
  const unhealthy = new WeakMap<readonly EndpointSpec[], ReadonlyMap<string, EndpointSpec>>()
  let origins: Readonly<Record<string, number>> = {}

  function tell(service: string): void {
    const before = told.get(service)
    // Not in a snapshot yet: it will come with one.
    if (before === undefined) return
    const endpoints = overlay(service, known.get(service)!)
    const delta = deltaOf(before, endpoints)
    told.set(service, endpoints)
    if (delta !== null) threads.tell({ kind: 'endpoints', service, delta })
  }

  return {
    fill(snapshot, endpointsOf) {
      const services = Object.entries(snapshot.services).map(([name, service]): [string, ServiceSpec] => {
        const all = endpointsOf(name) ?? service.endpoints
        const endpoints = overlay(name, all)
        known.set(name, all)
        told.set(name, endpoints)
        return [name, { ...service, endpoints }]
      })
      for (const name of told.keys()) {
        if (Object.hasOwn(snapshot.services, name)) continue
        told.delete(name)
        known.delete(name)
      }
      return { snapshot: { ...snapshot, services: Object.fromEntries(services) }, origins }
    },
    changed(service, endpoints) {
      if (known.has(service)) known.set(service, endpoints)
      tell(service)
    },
    checked: tell,
    unhealthy(service) {
      const endpoints = told.get(service)
      if (endpoints === undefined) return NONE
      const made = unhealthy.get(endpoints)
      if (made !== undefined) return made
      const those = endpoints.filter(({ health }) => health !== 'passing')
      const byName = new Map(those.map(endpoint => [formatAddress(endpoint), endpoint]))
      unhealthy.set(endpoints, byName)
      return byName
    },
    ownChanged(endpoints) {
      const zones = perZone(endpoints)
      if (JSON.stringify(zones) === JSON.stringify(origins)) return
      origins = zones
      threads.tell({ kind: 'origins', zones })
    },
  }
}

function perZone(endpoints: readonly EndpointSpec[]): Readonly<Record<string, number>> {
  const counts = new Map<string, number>()
  for (const { health, zone } of endpoints)
    if (health === 'passing' && zone !== '') counts.set(zone, (counts.get(zone) ?? 0) + 1)
  return Object.fromEntries(counts)
}
